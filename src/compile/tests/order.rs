//! Which route of a host is asked first, and which hosts there are.

use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use marchproxy_xds::ResourceType;

use super::given::{listener, number, prefix, route, routing, service, serving, text, to_api};
use super::shown::message;
use crate::compile::compile;
use crate::model::{DesiredState, HeaderMatch, HttpMethod, PathMatch, Protocol, Route, TextMatch};

/// The hosts of a route configuration, each with the names of its routes.
fn hosts(state: &DesiredState, configuration: &str) -> Vec<(String, Vec<String>)> {
    let snapshot = compile(state).unwrap();
    let resource = snapshot.find(ResourceType::Route, configuration).unwrap();
    let hosts = message::<RouteConfiguration>(resource).virtual_hosts.into_iter();
    hosts
        .map(|host| {
            assert_eq!(host.domains, [host.name.as_str()]);
            (host.name, host.routes.into_iter().map(|route| route.name).collect())
        })
        .collect()
}

fn host(name: &str, routes: &[&str]) -> (String, Vec<String>) {
    (name.to_owned(), routes.iter().map(ToString::to_string).collect())
}

fn on(route: Route, host: &str) -> Route {
    let mut route = route;
    route.spec.hosts = vec![text(host)];
    route
}

fn first(route: Route, priority: i32) -> Route {
    let mut route = route;
    route.spec.priority = priority;
    route
}

fn asking(route: Route, methods: &[HttpMethod], headers: &[&str]) -> Route {
    let mut route = route;
    route.spec.methods = methods.to_vec();
    let header = |name: &&str| HeaderMatch { name: text(name), value: TextMatch::Present };
    route.spec.headers = headers.iter().map(header).collect();
    route
}

#[test]
fn the_narrower_route_is_asked_first() {
    let exact = |path| PathMatch::Exact(text(path));
    let regex = |pattern| PathMatch::Regex(text(pattern));
    let both = [HttpMethod::Get, HttpMethod::Put];
    let long = format!("/{}", "x".repeat(1023));
    let wanted = [
        first(route(1, "urgent-regex", regex("/.*"), to_api()), 2),
        first(route(2, "urgent-exact", exact("/a"), to_api()), 1),
        route(3, "exact-long", exact("/a/b"), to_api()),
        route(4, "exact-short", exact("/"), to_api()),
        route(13, "regex-long", regex("/aaaaaaaaaaaaaaaaaa"), to_api()),
        route(14, "regex-short", regex("/a"), to_api()),
        route(5, "prefix-longest", prefix(&long), to_api()),
        route(6, "prefix-long", prefix("/a/b"), to_api()),
        asking(route(7, "prefix-method-and-header", prefix("/a"), to_api()), &both, &["x"]),
        asking(route(8, "prefix-header", prefix("/a"), to_api()), &[], &["x"]),
        asking(route(9, "prefix-methods", prefix("/a"), to_api()), &both, &[]),
        route(10, "prefix-no-more-a", prefix("/a"), to_api()),
        route(11, "prefix-no-more-b", prefix("/b"), to_api()),
        route(12, "root", prefix("/"), to_api()),
        first(route(15, "late-exact", exact("/a/b/c"), to_api()), -1),
    ];
    let names: Vec<_> = wanted.iter().map(|route| route.spec.name.to_string()).collect();
    let mut state = routing(wanted.map(|route| on(route, "api")));
    state.routes.reverse();
    let [(host, mut routes)] = hosts(&state, "marchproxy_routes").try_into().unwrap();
    assert_eq!(host, "api");
    assert_eq!(routes.pop().unwrap(), "service:api", "the service by its name comes last");
    assert_eq!(routes, names);
}

#[test]
fn a_route_of_many_hosts_stands_in_each() {
    let mut everywhere = route(1, "everywhere", prefix("/"), to_api());
    everywhere.spec.hosts = vec![text("*"), text("B.example"), text("*.a.example"), text("::1")];
    let narrow = on(route(2, "narrow", prefix("/n"), to_api()), "b.example");
    let want = [
        host("*", &["everywhere"]),
        host("*.a.example", &["everywhere"]),
        host("[::1]", &["everywhere"]),
        host("api", &["service:api"]),
        host("b.example", &["narrow", "everywhere"]),
    ];
    assert_eq!(hosts(&routing([everywhere, narrow]), "marchproxy_routes"), want);
}

#[test]
fn a_route_answers_on_its_listener_only() {
    let mut second = route(1, "second", prefix("/"), to_api());
    second.spec.listener = number(2);
    let mut state = routing([second, route(2, "first", prefix("/"), to_api())]);
    state.listeners.push(listener(2, "inner", 8080));
    let by_default = [host("a.example", &["first"]), host("api", &["service:api"])];
    assert_eq!(hosts(&state, "marchproxy_routes"), by_default);
    assert_eq!(hosts(&state, "routes_inner"), [host("a.example", &["second"])]);
}

#[test]
fn a_service_answers_to_its_name_in_lower_case() {
    let mut db = service(2, "DB", &["10.0.0.2:5432"]);
    db.spec.protocol = Protocol::Tcp;
    let state = serving([service(1, "Web_API.v1", &["10.0.0.1:80"]), db]);
    let want = [host("web_api.v1", &["service:Web_API.v1"])];
    assert_eq!(hosts(&state, "marchproxy_routes"), want, "a TCP service answers to no host");
}

#[test]
fn a_default_listener_of_another_name_keeps_its_routes() {
    let mut state = routing([]);
    state.listeners[0].spec.name = text("edge");
    assert_eq!(hosts(&state, "marchproxy_routes"), [host("api", &["service:api"])]);
}
