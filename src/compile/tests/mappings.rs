//! Where mappings lead, and what is switched off.

use marchproxy_xds::ResourceType::{self, Cluster, Endpoint, Listener, Runtime};

use super::given::{
    mapping, prefix, route, service, serving, state, tcp_listener, tcp_service, to_api,
};
use super::shown::shown;
use crate::compile::{CompileError, compile};
use crate::error::Error;
use crate::model::{DesiredState, Mapping, MappingProtocol, Protocol, Services};

/// `web`, which has a name, and the HTTP services `api` and `shop`.
fn mapped(mappings: impl Into<Vec<Mapping>>) -> DesiredState {
    let services = [
        service(1, "web", &["web.internal:80"]),
        service(2, "api", &["10.0.0.2:80"]),
        service(3, "shop", &["::3:80"]),
    ];
    DesiredState { mappings: mappings.into(), ..serving(services) }
}

/// Each host of the default listener, and the cluster that gets what is left.
fn routed(state: &DesiredState) -> Vec<(String, String)> {
    use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, route, route_action};
    use prost::Message as _;
    let snapshot = compile(state).unwrap();
    let routes = snapshot.resources(ResourceType::Route).next().unwrap();
    let any = envoy_types::pb::google::protobuf::Any::decode(routes.body().clone()).unwrap();
    let hosts = RouteConfiguration::decode(any.value.as_slice()).unwrap().virtual_hosts;
    let to = |mut host: envoy_types::pb::envoy::config::route::v3::VirtualHost| {
        let Some(route::Action::Route(last)) = host.routes.pop().unwrap().action else {
            panic!("no route: {host:?}");
        };
        let Some(route_action::ClusterSpecifier::Cluster(to)) = last.cluster_specifier else {
            panic!("no cluster: {last:?}");
        };
        (host.domains.remove(0), to.replace("cluster_1_service_", ""))
    };
    hosts.into_iter().map(to).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(host, to)| ((*host).to_owned(), (*to).to_owned())).collect()
}

#[test]
fn the_host_of_a_source_leads_to_the_destination() {
    let state = mapped([mapping(7, Some(&[1, 3]), &[2])]);
    let want = [("[::3]", "2"), ("api", "2"), ("shop", "3"), ("web", "1"), ("web.internal", "2")];
    assert_eq!(routed(&state), pairs(&want));
    assert!(shown(&compile(&state).unwrap(), &[ResourceType::Route]).contains("route_7_1_2"));
}

#[test]
fn whoever_asks_leads_to_the_destination_if_nothing_else_answers() {
    let state = mapped([mapping(7, None, &[2])]);
    let want = [("*", "2"), ("api", "2"), ("shop", "3"), ("web", "1")];
    assert_eq!(routed(&state), pairs(&want));
    assert!(shown(&compile(&state).unwrap(), &[ResourceType::Route]).contains("route_7_all_2"));
}

#[test]
fn the_first_of_several_that_would_answer_does() {
    let mut all = mapping(9, None, &[]);
    all.spec.destinations = Services::All;
    let state = mapped([mapping(8, None, &[3, 2]), mapping(7, Some(&[1]), &[3]), all]);
    let at = |host: &str| routed(&state).into_iter().find(|(h, _)| h == host).unwrap().1;
    assert_eq!(at("*"), "2", "the lowest id of mapping 8");
    assert_eq!(at("web.internal"), "3");
}

#[test]
fn a_route_comes_before_a_mapping_and_a_mapping_before_a_name() {
    let mut state = mapped([mapping(7, Some(&[1]), &[2])]);
    state.services[0] = service(1, "web.internal", &["web.internal:80"]);
    let mut explicit = route(1, "explicit", prefix("/shop"), to_api());
    explicit.spec.hosts = vec!["web.internal".to_owned().try_into().unwrap()];
    state.routes.push(explicit);
    let shown = shown(&compile(&state).unwrap(), &[ResourceType::Route]);
    let (route, mapped) = (shown.find("explicit").unwrap(), shown.find("route_7_1_2").unwrap());
    assert!(route < mapped, "{shown}");
    assert!(!shown.contains("service:web.internal"), "nothing is left for it:\n{shown}");
}

#[test]
fn what_is_switched_off_or_speaks_no_http_is_passed_over() {
    let mut state = mapped([mapping(7, Some(&[1, 2]), &[1, 3, 4, 5])]);
    state.services[0].spec.is_active = false;
    state.services.push(tcp_service(4, "db", "10.0.0.4:1"));
    state.services.push(service(5, "dns", &["10.0.0.5:53"]));
    state.services[4].spec.protocol = Protocol::Udp;
    assert_eq!(routed(&state), pairs(&[("10.0.0.2", "3"), ("api", "2"), ("shop", "3")]));
    let clusters = shown(&compile(&state).unwrap(), &[Cluster]);
    assert!(!clusters.contains("service_1") && !clusters.contains("service_5"), "{clusters}");
    assert!(clusters.contains("service_4"), "{clusters}");

    for change in [
        |m: &mut Mapping| m.spec.is_active = false,
        |m: &mut Mapping| m.spec.protocols = [MappingProtocol::Udp].into(),
    ] {
        let mut off = state.clone();
        change(&mut off.mappings[0]);
        assert_eq!(routed(&off), pairs(&[("api", "2"), ("shop", "3")]));
    }
}

#[test]
fn a_group_that_is_switched_off_serves_nothing_and_is_checked_all_the_same() {
    let mut state = mapped([mapping(7, None, &[2])]);
    state.group.spec.is_active = false;
    let snapshot = compile(&state).unwrap();
    let counts = [Runtime, Cluster, Endpoint, Listener].map(|of_type| snapshot.count(of_type));
    assert_eq!(counts, [1, 0, 0, 0]);
    state.mappings.push(mapping(8, None, &[99]));
    assert!(compile(&state).is_err());
}

#[test]
fn what_does_not_fit_is_named() {
    let error = compile(&mapped([mapping(7, None, &[99])])).unwrap_err();
    assert!(matches!(error, CompileError::Dangling { .. }), "{error:?}");
    assert_eq!(error.to_string(), "mapping m7 refers to a service that is not in this group");

    let mut udp = state();
    udp.services = vec![service(1, "dns", &["10.0.0.5:53"])];
    udp.services[0].spec.protocol = Protocol::Udp;
    udp.listeners.push(tcp_listener(2, "raw", 53, 1));
    let error = Error::from(compile(&udp).unwrap_err());
    assert_eq!(error.path(), ["protocol"]);

    udp.listeners.pop();
    let to_dns = route(1, "all", prefix("/"), to_api());
    udp.routes.push(to_dns);
    let error = compile(&udp).unwrap_err();
    assert!(matches!(error, CompileError::NotHttp { .. }), "{error:?}");
}
