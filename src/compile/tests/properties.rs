//! What holds for whatever people configure.

use std::collections::BTreeSet;

use marchproxy_xds::{ResourceType, Snapshot};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::given::{
    endpoint, forward, listener, mapping, number, prefix, route, service, state, tcp_listener, text,
};
use crate::compile::compile;
use crate::model::{
    DesiredState, HttpMethod, HttpVersion, Protocol, Redirect, Route, RouteAction, RuntimeKey,
    RuntimeValue, Service, UpstreamTls, Verification,
};

const ADDRESSES: &[&str] = &["10.0.0.1", "10.0.0.2", "::1"];
const ADDRESSES_AND_NAMES: &[&str] = &["10.0.0.1", "10.0.0.2", "::1", "a.internal", "b.internal"];
const PEM: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_rows_never_matters(
        (state, shuffled) in states(ADDRESSES_AND_NAMES).prop_perturb(|state, mut rng| {
            let shuffled = shuffled(state.clone(), &mut rng);
            (state, shuffled)
        })
    ) {
        let [one, other] = [compile(&state).unwrap(), compile(&shuffled).unwrap()];
        prop_assert_eq!(one.digest(), other.digest());
        prop_assert_eq!(contents(&one), contents(&other));
    }

    #[test]
    fn the_same_state_has_the_same_versions_at_every_revision(
        state in states(ADDRESSES_AND_NAMES)
    ) {
        let one = compile(&state).unwrap();
        let mut later = state;
        later.group.revision = 7_i64.into();
        let other = compile(&later).unwrap();
        prop_assert_eq!(changed(&one, &other), []);
        prop_assert_eq!(contents(&one), contents(&other));
        prop_assert_eq!(other.revision(), 7);
    }

    #[test]
    fn an_endpoint_that_moves_leaves_everything_else_alone(
        state in states(ADDRESSES).prop_filter("a service", |s| !s.services.is_empty()),
        service in any::<Index>(),
        endpoint in any::<Index>(),
    ) {
        let one = compile(&state).unwrap();
        let mut moved = state;
        let endpoints = &mut service.get_mut(&mut moved.services).spec.endpoints;
        endpoint.get_mut(endpoints).port = number(4000);
        let other = compile(&moved).unwrap();
        prop_assert_eq!(changed(&one, &other), [ResourceType::Endpoint]);
        prop_assert_ne!(one.digest(), other.digest());
    }
}

/// Every resource: type, name and bytes.
fn contents(snapshot: &Snapshot) -> Vec<(ResourceType, &str, &[u8])> {
    let resources = ResourceType::ALL.into_iter().flat_map(|of_type| snapshot.resources(of_type));
    resources.map(|r| (r.resource_type(), &**r.name(), r.body().as_ref())).collect()
}

/// The types whose versions differ.
fn changed(one: &Snapshot, other: &Snapshot) -> Vec<ResourceType> {
    let differs = |of_type: &ResourceType| one.version(*of_type) != other.version(*of_type);
    ResourceType::ALL.into_iter().filter(differs).collect()
}

/// The same rows, and what is a set in them, in another order.
fn shuffled(mut state: DesiredState, rng: &mut impl Rng) -> DesiredState {
    shuffle(&mut state.listeners, rng);
    shuffle(&mut state.services, rng);
    shuffle(&mut state.routes, rng);
    shuffle(&mut state.mappings, rng);
    for service in &mut state.services {
        shuffle(&mut service.spec.endpoints, rng);
    }
    for route in &mut state.routes {
        shuffle(&mut route.spec.hosts, rng);
        shuffle(&mut route.spec.methods, rng);
    }
    state
}

fn shuffle<T>(items: &mut [T], rng: &mut impl Rng) {
    items.sort_by_cached_key(|_| rng.next_u64());
}

// === states ===

/// States that compile, whose endpoints are at these hosts.
fn states(at: &'static [&'static str]) -> impl Strategy<Value = DesiredState> {
    let services = vec(services(at), 0..6);
    let settings = vec(any::<bool>(), 0..5);
    (services, vec(routes(), 0..8), vec(mappings(), 0..4), 1..4_i32, settings).prop_map(
        |(services, routes, mappings, listeners, settings)| {
            let mut state = state();
            state.group.spec.runtime = (0..).zip(settings).map(setting).collect();
            let http = (2..=listeners).map(|id| listener(id, &format!("http{id}"), 8000 + id));
            state.listeners.extend(http);
            (1..).zip(services).for_each(|(id, service)| add_service(&mut state, id, service));
            (1..).zip(routes).for_each(|(id, route)| add_route(&mut state, id, listeners, route));
            (1..).zip(mappings).for_each(|(id, plan)| add_mapping(&mut state, id, &plan));
            state
        },
    )
}

fn setting((i, flag): (usize, bool)) -> (RuntimeKey, RuntimeValue) {
    (RuntimeKey(text(&format!("flag.{i}"))), RuntimeValue::Bool(flag))
}

/// Adds a service, and a listener if nothing else leads to it.
fn add_service(state: &mut DesiredState, id: i32, mut service: Service) {
    service.id = number(id);
    service.spec.name = text(&format!("s{id}"));
    if service.spec.protocol == Protocol::Tcp {
        state.listeners.push(tcp_listener(100 + id, &format!("tcp{id}"), 9000 + id, id));
    }
    state.services.push(service);
}

/// Adds a route to one of the first listeners, which are HTTP, and to some of
/// the HTTP services.
fn add_route(state: &mut DesiredState, id: i32, listeners: i32, plan: RoutePlan) {
    let RoutePlan { mut route, on, to } = plan;
    route.id = number(id);
    route.spec.name = text(&format!("r{id}"));
    route.spec.listener = number(1 + on % listeners);
    let http = |s: &&Service| s.spec.protocol != Protocol::Tcp;
    let ids: Vec<i32> = state.services.iter().filter(http).map(|s| s.id.into()).collect();
    if !ids.is_empty() {
        let backends: BTreeSet<_> = to.iter().map(|to| (*to.get(&ids), 1)).collect();
        let backends: Vec<_> = backends.into_iter().collect();
        route.spec.action = RouteAction::Forward(forward(&backends));
    }
    state.routes.push(route);
}

/// Adds a mapping from some services, or from whoever asks, to some.
fn add_mapping(state: &mut DesiredState, id: i32, (from, to): &MappingPlan) {
    // The order of endpoints matters to a source: its host is that of the first.
    let at_one = |s: &&Service| s.spec.endpoints.len() == 1;
    let sources: Vec<i32> = state.services.iter().filter(at_one).map(|s| s.id.into()).collect();
    let ids: Vec<i32> = state.services.iter().map(|s| s.id.into()).collect();
    if !ids.is_empty() {
        let some = |which: &[Index], of: &[i32]| which.iter().map(|i| *i.get(of)).collect();
        let from: Option<Vec<i32>> =
            from.as_ref().filter(|_| !sources.is_empty()).map(|from| some(from, &sources));
        let to: Vec<i32> = some(to, &ids);
        state.mappings.push(mapping(id, from.as_deref(), &to));
    }
}

fn services(at: &'static [&'static str]) -> impl Strategy<Value = Service> {
    let protocols =
        [Protocol::Http(HttpVersion::Http1), Protocol::Http(HttpVersion::Http2), Protocol::Tcp];
    let endpoints = btree_set((select(at), 1..5), 1..5);
    let verifications =
        [Verification::Off, Verification::System, Verification::Authority(text(PEM))];
    // The order of endpoints matters to TLS where it takes its name from them.
    let tls = select(verifications.to_vec()).prop_map(|verification| UpstreamTls {
        enabled: true,
        sni: Some(text("api.internal")),
        verification,
    });
    (select(protocols.to_vec()), endpoints, proptest::option::of(tls)).prop_map(
        |(protocol, endpoints, tls)| {
            let mut service = service(1, "s", &[]);
            let endpoints = endpoints.into_iter();
            service.spec.endpoints =
                endpoints.map(|(host, port)| endpoint(&format!("{host}:{port}"))).collect();
            service.spec.protocol = protocol;
            service.spec.tls = tls;
            service
        },
    )
}

/// Which services a mapping leads from, and to.
type MappingPlan = (Option<Vec<Index>>, Vec<Index>);

fn mappings() -> impl Strategy<Value = MappingPlan> {
    (proptest::option::of(vec(any::<Index>(), 1..3)), vec(any::<Index>(), 1..3))
}

/// A route before it is known what it can lead to.
#[derive(Clone, Debug)]
struct RoutePlan {
    route: Route,
    on: i32,
    to: Vec<Index>,
}

fn routes() -> impl Strategy<Value = RoutePlan> {
    let hosts = subsequence(vec!["*", "a.example", "b.example", "*.example", "s1"], 1..5);
    let methods = subsequence(vec![HttpMethod::Delete, HttpMethod::Get, HttpMethod::Put], 0..3);
    let paths = select(vec!["/", "/a", "/a/b"]);
    (hosts, methods, paths, -1..2, 0..3, vec(any::<Index>(), 1..4)).prop_map(
        |(hosts, methods, path, priority, on, to)| {
            let redirect = Redirect { https: true, ..Redirect::default() };
            let mut route = route(1, "r", prefix(path), RouteAction::Redirect(redirect));
            route.spec.hosts = hosts.into_iter().map(text).collect();
            route.spec.methods = methods;
            route.spec.priority = priority;
            RoutePlan { route, on, to }
        },
    )
}
