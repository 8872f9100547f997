//! What Envoy is given, scenario by scenario.

use marchproxy_xds::ResourceType::{self, Cluster, Endpoint, Listener, Runtime, Secret};

use super::given::{
    forward, number, prefix, route, routing, service, serving, state, tcp_listener, tcp_service,
    text, to_api,
};
use super::shown::shown;
use crate::compile::{Sources, compile, compile_for};
use crate::model::{
    DesiredState, Forward, HeaderMatch, HealthCheck, HttpMethod, HttpVersion, LoadBalancing,
    PathMatch, Protocol, Redirect, RedirectCode, Retries, RetryOn, Route, RouteAction, RuntimeKey,
    RuntimeValue, Service, TextMatch, Timeout, UpstreamTls, Verification,
};

const PEM: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

/// Compares the resources of these types with the golden file of this name.
fn golden(name: &str, state: &DesiredState, types: &[ResourceType]) {
    let snapshot = compile(state).unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, shown(&snapshot, types)));
}

/// The same for a client whose sources are separate.
fn golden_separate(name: &str, state: &DesiredState, protocol: marchproxy_xds::Protocol) {
    let sources = Sources::Separate { cluster: text("xds_cluster"), protocol };
    let snapshot = compile_for(state, &sources).unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, shown(&snapshot, &ResourceType::ALL)));
}

/// Compares the route configuration with this one route.
fn golden_route(name: &str, route: Route) {
    let mut state = routing([route]);
    state.listeners[0].is_default = false; // No services by name.
    golden(name, &state, &[ResourceType::Route]);
}

fn tls(sni: Option<&str>, verification: Verification) -> Option<UpstreamTls> {
    Some(UpstreamTls { enabled: true, sni: sni.map(text), verification })
}

// === services and listeners ===

#[test]
fn a_group_from_the_start_has_a_listener_and_a_runtime_layer() {
    golden("empty_group", &state(), &ResourceType::ALL);
}

#[test]
fn an_http_service_by_address_gets_its_endpoints_by_eds() {
    let mut service = service(7, "api", &["10.0.0.2:8080", "::1:80", "10.0.0.1:80"]);
    service.spec.endpoints[0].weight = number(3);
    let types = [Cluster, Endpoint, ResourceType::Route];
    golden("http_by_address", &serving([service]), &types);
}

#[test]
fn a_service_with_a_name_among_its_endpoints_is_resolved_by_envoy() {
    let mut service = service(7, "api", &["b.internal:80", "10.0.0.1:80"]);
    service.spec.load_balancing = LoadBalancing::LeastRequest;
    service.spec.timeouts.connect = number(250);
    service.spec.timeouts.idle = Timeout::Never;
    golden("http_by_name", &serving([service]), &[Cluster, Endpoint]);
}

#[test]
fn an_http2_service_is_verified_by_its_own_authority() {
    let mut service = service(7, "api", &["10.0.0.1:443"]);
    service.spec.protocol = Protocol::Http(HttpVersion::Http2);
    service.spec.tls = tls(Some("api.internal"), Verification::Authority(text(PEM)));
    golden("tls_own_authority", &serving([service]), &[Secret, Cluster]);
}

#[test]
fn tls_takes_its_name_from_the_first_endpoint_and_trusts_the_system() {
    let mut service = service(7, "api", &["api.internal:443"]);
    service.spec.tls = tls(None, Verification::System);
    golden("tls_system_authorities", &serving([service]), &[Secret, Cluster]);
}

#[test]
fn tls_to_an_address_expects_it_and_does_not_ask_for_it() {
    let mut service = service(7, "api", &["10.0.0.1:443"]);
    service.spec.tls = tls(Some("10.0.0.1"), Verification::System);
    golden("tls_address", &serving([service]), &[Cluster]);
}

#[test]
fn tls_without_verification_expects_nobody() {
    let mut service = tcp_service(7, "db", "db.internal:5432");
    service.spec.tls = tls(None, Verification::Off);
    golden("tls_unverified", &serving([service]), &[Secret, Cluster]);
}

#[test]
fn a_tcp_service_stands_behind_a_tcp_listener() {
    let mut state = serving([tcp_service(7, "db", "10.0.0.1:5432")]);
    state.listeners = vec![tcp_listener(2, "postgres", 5432, 7)];
    golden("tcp", &state, &[Cluster, Endpoint, Listener, ResourceType::Route]);
}

#[test]
fn a_consistent_hash_is_taken_of_the_clients_address() {
    let mut http = service(1, "api", &["10.0.0.1:80"]);
    http.spec.load_balancing = LoadBalancing::RingHash;
    let mut tcp = tcp_service(2, "db", "10.0.0.2:5432");
    tcp.spec.load_balancing = LoadBalancing::Maglev;
    let plain = service(3, "plain", &["10.0.0.3:80"]);
    let mut state = serving([http, tcp, plain]);
    let action = RouteAction::Forward(forward(&[(1, 1), (3, 1)]));
    state.routes.push(route(1, "both", prefix("/"), action));
    state.listeners.push(tcp_listener(2, "postgres", 5432, 2));
    golden("consistent_hash", &state, &[Listener, ResourceType::Route]);
}

#[test]
fn an_endpoint_is_chosen_as_people_say() {
    for (load_balancing, want) in [
        (LoadBalancing::RoundRobin, "lb_policy: RoundRobin"),
        (LoadBalancing::LeastRequest, "lb_policy: LeastRequest"),
        (LoadBalancing::RingHash, "lb_policy: RingHash"),
        (LoadBalancing::Maglev, "lb_policy: Maglev"),
        (LoadBalancing::Random, "lb_policy: Random"),
    ] {
        let mut service = service(1, "api", &["10.0.0.1:80"]);
        service.spec.load_balancing = load_balancing;
        let shown = shown(&compile(&serving([service])).unwrap(), &[Cluster]);
        assert!(shown.lines().any(|line| line == want), "{want}: {shown}");
    }
}

#[test]
fn endpoints_are_probed_as_they_are_spoken_to() {
    let probe = HealthCheck {
        enabled: true,
        path: Some(text("/healthz")),
        interval: number(1500),
        timeout: number(1000),
        healthy_threshold: number(2),
        unhealthy_threshold: number(3),
    };
    let mut http = service(1, "api", &["10.0.0.1:80"]);
    http.spec.protocol = Protocol::Http(HttpVersion::Http2);
    http.spec.health_check = Some(probe.clone());
    let mut tcp = tcp_service(2, "db", "10.0.0.2:5432");
    tcp.spec.health_check = Some(HealthCheck { path: None, ..probe });
    golden("health_checks", &serving([http, tcp]), &[Cluster]);
}

#[test]
fn the_runtime_layer_holds_flags_numbers_and_texts() {
    let mut state = state();
    let setting = |(key, value)| (RuntimeKey(text(key)), RuntimeValue::parse(value));
    let settings = [
        ("upstream.healthy_panic_threshold", "12.5"),
        ("envoy.reloadable_features.one", "true"),
        ("envoy.reloadable_features.other", "false"),
        ("a.none", "0"),
        ("a.text", "infinity"),
        ("a.nothing", ""),
    ];
    state.group.spec.runtime = settings.map(setting).into();
    golden("runtime", &state, &[Runtime]);
}

// === routes ===

#[test]
fn weighted_backends_share_and_the_slowest_sets_the_limit() {
    let mut state = routing([route(
        1,
        "canary",
        prefix("/"),
        RouteAction::Forward(forward(&[(1, 90), (2, 10), (3, 0)])),
    )]);
    let limits = [("beta", 60_000), ("gamma", 30_000)];
    for (id, (name, limit)) in (2..).zip(limits) {
        let mut service = service(id, name, &["10.0.0.9:80"]);
        service.spec.timeouts.request = number(limit);
        state.services.push(service);
    }
    state.listeners[0].is_default = false;
    golden("route_weighted", &state, &[ResourceType::Route]);
}

#[test]
fn a_backend_without_a_limit_takes_the_routes_limit_away() {
    let never = |mut service: Service| {
        service.spec.timeouts.request = Timeout::Never;
        service
    };
    let both = RouteAction::Forward(forward(&[(1, 1), (2, 1)]));
    let mut state = routing([route(1, "all", prefix("/"), both)]);
    state.services.push(never(service(2, "slow", &["10.0.0.9:80"])));
    state.listeners[0].is_default = false;
    golden("route_without_limit", &state, &[ResourceType::Route]);
}

#[test]
fn a_redirect_names_what_changes() {
    let redirect = Redirect {
        https: true,
        host: Some(text("b.example")),
        port: Some(number(8443)),
        path: Some(text("/new")),
        code: RedirectCode::PermanentRedirect,
    };
    let route = route(1, "moved", prefix("/old"), RouteAction::Redirect(redirect));
    golden_route("route_redirect", route);
}

#[test]
fn methods_and_headers_must_match_alike() {
    let header = |(name, value)| HeaderMatch { name: text(name), value };
    let headers = [
        ("X-Present", TextMatch::Present),
        ("x-exact", TextMatch::Exact("v 1".to_owned())),
        ("x-prefix", TextMatch::Prefix("v".to_owned())),
        ("x-regex", TextMatch::Regex(text("v[0-9]+"))),
    ];
    let mut route = route(1, "narrow", PathMatch::Exact(text("/a")), to_api());
    route.spec.methods = vec![HttpMethod::Put, HttpMethod::Get, HttpMethod::Put];
    route.spec.headers = headers.map(header).into();
    golden_route("route_methods_and_headers", route);
}

#[test]
fn a_pattern_matches_the_whole_path() {
    let mut route = route(1, "versions", PathMatch::Regex(text("/v[0-9]+/.*")), to_api());
    route.spec.methods = vec![HttpMethod::Delete];
    golden_route("route_regex", route);
}

#[test]
fn a_route_retries_rewrites_and_upgrades() {
    let action = Forward {
        timeout: Some(number(2500)),
        retries: Some(Retries {
            attempts: number(3),
            per_try_timeout: Some(number(800)),
            on: [RetryOn::RefusedStream, RetryOn::GatewayError, RetryOn::ConnectFailure].into(),
        }),
        prefix_rewrite: Some(text("/")),
        host_rewrite: Some(text("inner.example")),
        websocket: true,
        ..forward(&[(1, 1)])
    };
    let route = route(1, "all", prefix("/api/"), RouteAction::Forward(action));
    golden_route("route_retry_rewrite_websocket", route);
}

#[test]
fn an_ipv6_address_stands_in_brackets_where_a_url_holds_it() {
    let redirect = Redirect { host: Some(text("::1")), ..Redirect::default() };
    let rewrite = Forward { host_rewrite: Some(text("::1")), ..forward(&[(1, 1)]) };
    for (action, want) in [
        (RouteAction::Redirect(redirect), r#"host_redirect: "[::1]""#),
        (RouteAction::Forward(rewrite), r#"HostRewriteLiteral "[::1]""#),
    ] {
        let state = routing([route(1, "six", prefix("/"), action)]);
        let shown = shown(&compile(&state).unwrap(), &[ResourceType::Route]);
        assert!(shown.contains(want), "{shown}");
    }
}

#[test]
fn a_host_of_an_http2_service_has_a_listener_for_grpc_clients_by_name_only() {
    let mut grpc = service(1, "greeter", &["10.0.0.1:80"]);
    grpc.spec.protocol = Protocol::Http(HttpVersion::Http2);
    let plain = service(2, "web", &["10.0.0.2:80"]);
    let snapshot = compile(&serving([grpc, plain])).unwrap();
    let api = snapshot.find(Listener, "greeter").unwrap();
    assert!(api.is_by_name_only());
    assert_eq!(api.requires(), [(ResourceType::Route, "marchproxy_routes".into())]);
    assert!(snapshot.find(Listener, "web").is_none());
}

// === separate sources ===

/// Something of every kind that names a source, or would.
fn sourced() -> DesiredState {
    let mut api = service(1, "api", &["10.0.0.1:443"]);
    api.spec.protocol = Protocol::Http(HttpVersion::Http2);
    api.spec.tls = tls(Some("api.internal"), Verification::Authority(text(PEM)));
    let mut state = serving([api, tcp_service(2, "db", "10.0.0.2:5432")]);
    state.listeners.push(tcp_listener(2, "postgres", 5432, 2));
    state
}

#[test]
fn separate_sources_are_named_wherever_ads_would_be() {
    golden_separate("separate_delta", &sourced(), marchproxy_xds::Protocol::Delta);
}

#[test]
fn separate_sources_talk_as_the_client_does_but_for_clusters_on_demand() {
    golden_separate("separate_sotw", &sourced(), marchproxy_xds::Protocol::Sotw);
}

#[test]
fn what_names_no_source_is_the_same_for_all() {
    let sources =
        Sources::Separate { cluster: text("other"), protocol: marchproxy_xds::Protocol::Delta };
    let (ads, separate) =
        (compile(&sourced()).unwrap(), compile_for(&sourced(), &sources).unwrap());
    for same in [Runtime, Secret, Endpoint, ResourceType::Route] {
        assert_eq!(ads.version(same), separate.version(same), "{same}");
    }
    for differs in [Cluster, Listener] {
        assert_ne!(ads.version(differs), separate.version(differs), "{differs}");
        for resource in separate.resources(differs) {
            let bytes = resource.body().as_ref();
            assert!(bytes.windows(5).any(|window| window == b"other"), "{}", resource.name());
        }
    }
    assert!(separate.find(Listener, "api").is_none(), "gRPC clients use ADS");
}
