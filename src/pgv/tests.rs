use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, LbConfig, RingHashLbConfig,
};
use envoy_types::pb::envoy::config::core::v3::{
    HeaderValue, HeaderValueOption, HealthCheck, TypedExtensionConfig,
};
use envoy_types::pb::envoy::config::listener::v3::{
    Filter, FilterChain, Listener, filter::ConfigType,
};
use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, VirtualHost};
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use envoy_types::pb::google::protobuf::{Any, Duration, UInt32Value, UInt64Value};
use prost::{Message, Name};
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

use super::*;

fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

fn found_in<M: Message + Name>(message: &M) -> Vec<(String, String)> {
    let violations = violations(&any(message).encode_to_vec());
    violations.into_iter().map(|found| (found.path, found.reason)).collect()
}

fn cluster() -> Cluster {
    Cluster {
        name: "c".to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into())),
        ..Default::default()
    }
}

#[test]
fn what_is_good_breaks_no_rule() {
    assert_eq!(found_in(&cluster()), []);
}

#[test]
fn of_a_choice_the_rules_are_asked_of_what_is_chosen() {
    use envoy_types::pb::envoy::config::route::v3::{
        NonForwardingAction, Route, RouteMatch, route::Action, route_match::PathSpecifier,
    };
    let routed = |path: Option<PathSpecifier>| RouteConfiguration {
        virtual_hosts: vec![VirtualHost {
            name: "v".to_owned(),
            domains: vec!["*".to_owned()],
            routes: vec![Route {
                r#match: Some(RouteMatch { path_specifier: path, ..Default::default() }),
                action: Some(Action::NonForwardingAction(NonForwardingAction {})),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let prefix = PathSpecifier::Prefix("/".to_owned());
    assert_eq!(found_in(&routed(Some(prefix))), []);
    let path = "virtual_hosts[0].routes[0].match.path_specifier";
    let found = found_in(&routed(None));
    assert!(
        matches!(found.as_slice(), [(at, why)] if at == path && why.starts_with("must be one of"))
    );
}

#[test]
fn each_kind_of_rule_is_asked() {
    let second = || Some(Duration { seconds: 1, nanos: 0 });
    let seconds = |seconds| Some(Duration { seconds, nanos: -i32::from(seconds < 0) });
    let count = |value| Some(UInt32Value { value });
    let check = |check: HealthCheck| Cluster { health_checks: vec![check], ..cluster() };
    let good = HealthCheck {
        timeout: second(),
        interval: second(),
        unhealthy_threshold: count(1),
        healthy_threshold: count(1),
        health_checker: Some(
            envoy_types::pb::envoy::config::core::v3::health_check::HealthChecker::TcpHealthCheck(
                Default::default(),
            ),
        ),
        ..Default::default()
    };
    let ring = |size| {
        let ring = RingHashLbConfig {
            minimum_ring_size: Some(UInt64Value { value: size }),
            ..Default::default()
        };
        Cluster { lb_config: Some(LbConfig::RingHashLbConfig(ring)), ..cluster() }
    };
    let table: Vec<(Cluster, &[(&str, &str)])> = vec![
        (check(good.clone()), &[]),
        (
            Cluster { name: String::new(), ..cluster() },
            &[("name", "must be at least 1 characters long, not 0")],
        ),
        (
            Cluster { connect_timeout: seconds(0), ..cluster() },
            &[("connect_timeout", "must be greater than 0s, not 0s")],
        ),
        (
            Cluster { connect_timeout: seconds(-2), ..cluster() },
            &[("connect_timeout", "must be greater than 0s, not -2.000000001s")],
        ),
        (
            Cluster { lb_policy: 77, ..cluster() },
            &[("lb_policy", "must be a value of its enum, not 77")],
        ),
        (ring(8_388_608), &[]),
        (
            ring(8_388_609),
            &[("ring_hash_lb_config.minimum_ring_size", "must be at most 8388608, not 8388609")],
        ),
        (
            check(HealthCheck { timeout: None, ..good.clone() }),
            &[("health_checks[0].timeout", "must be set")],
        ),
        (
            check(HealthCheck { health_checker: None, ..good }),
            &[(
                "health_checks[0].health_checker",
                "must be one of http_health_check, tcp_health_check, grpc_health_check, \
                 custom_health_check",
            )],
        ),
    ];
    for (cluster, want) in table {
        let want: Vec<_> =
            want.iter().map(|(path, why)| ((*path).to_owned(), (*why).to_owned())).collect();
        assert_eq!(found_in(&cluster), want, "{cluster:?}");
    }
}

#[test]
fn what_is_packed_is_looked_into() {
    let proxy = TcpProxy { stat_prefix: String::new(), ..Default::default() };
    let filter =
        Filter { name: "tcp".to_owned(), config_type: Some(ConfigType::TypedConfig(any(&proxy))) };
    let chain = FilterChain { filters: vec![filter], ..Default::default() };
    let listener =
        Listener { name: "l".to_owned(), filter_chains: vec![chain], ..Default::default() };
    let found = found_in(&listener);
    let path = "filter_chains[0].filters[0].typed_config";
    let want = [
        (format!("{path}.stat_prefix"), "must be at least 1 characters long, not 0".to_owned()),
        (
            format!("{path}.cluster_specifier"),
            "must be one of cluster, weighted_clusters".to_owned(),
        ),
    ];
    assert_eq!(found, want);

    let unknown = TypedExtensionConfig {
        name: "x".to_owned(),
        typed_config: Some(Any { type_url: "t/no.such.Type".to_owned(), value: vec![255] }),
    };
    assert_eq!(found_in(&unknown), []);
    let torn = TypedExtensionConfig {
        typed_config: Some(Any { value: vec![255], ..any(&proxy) }),
        ..unknown
    };
    let found = found_in(&torn);
    assert!(
        found[0].1.starts_with("is no envoy.extensions.filters.network.tcp_proxy"),
        "{found:?}"
    );
}

#[test]
fn texts_and_lists_have_rules_of_their_own() {
    let header = |key: &str, value: &str| HeaderValueOption {
        header: Some(HeaderValue {
            key: key.to_owned(),
            value: value.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let host = VirtualHost { name: "h".to_owned(), ..Default::default() };
    let routes = RouteConfiguration {
        virtual_hosts: vec![host],
        response_headers_to_add: vec![header("a", "b"), header("a\n", "b"), header("a", "b\r")],
        ..Default::default()
    };
    let want = [
        ("virtual_hosts[0].domains", "must have at least 1 items, not 0"),
        (
            "response_headers_to_add[1].header.key",
            "must be the name of a header, on one line and not empty",
        ),
        ("response_headers_to_add[2].header.value", "must be what a header may say, on one line"),
    ];
    assert_eq!(found_in(&routes), want.map(|(path, why)| (path.to_owned(), why.to_owned())));
}

#[test]
fn what_is_deprecated_is_no_breach() {
    #[expect(deprecated, reason = "that is what is tested")]
    let deprecated = Listener {
        name: "l".to_owned(),
        use_original_dst: Some(Default::default()),
        enable_reuse_port: None,
        reuse_port: true,
        ..Default::default()
    };
    let violations = violations(&any(&deprecated).encode_to_vec());
    let [one] = &violations[..] else { panic!("{violations:?}") };
    assert_eq!((one.path.as_str(), one.kind), ("reuse_port", ViolationKind::Deprecated));
    assert_eq!(one.reason, "reuse_port is deprecated");
}

#[test]
fn what_cannot_be_read_is_a_violation() {
    let [one] = &violations(b"\x0a\xff")[..] else { panic!("not one") };
    assert!(one.reason.starts_with("cannot be read"), "{one:?}");
}

/// No rule that Envoy's API states goes unasked.
#[test]
fn every_rule_that_the_api_states_is_known() {
    let asked: BTreeSet<&str> = [
        "message.required",
        "message.skip",
        "any.required",
        "duration.required",
        "duration.gt",
        "duration.gte",
        "duration.lt",
        "duration.lte",
        "double.gt",
        "double.gte",
        "double.lt",
        "double.lte",
        "float.gt",
        "float.gte",
        "float.lt",
        "float.lte",
        "int32.gt",
        "int32.gte",
        "int32.lt",
        "int32.lte",
        "int64.gt",
        "int64.gte",
        "int64.lt",
        "int64.lte",
        "uint32.gt",
        "uint32.gte",
        "uint32.lt",
        "uint32.lte",
        "uint64.gt",
        "uint64.gte",
        "uint64.lt",
        "uint64.lte",
        "uint32.ignore_empty",
        "uint64.ignore_empty",
        "string.min_len",
        "string.max_len",
        "string.len",
        "string.min_bytes",
        "string.max_bytes",
        "string.pattern",
        "string.prefix",
        "string.suffix",
        "string.in",
        "string.not_in",
        "string.well_known_regex",
        "string.strict",
        "string.ignore_empty",
        "bytes.min_len",
        "bytes.max_len",
        "bytes.len",
        "enum.defined_only",
        "enum.in",
        "enum.not_in",
        "enum.const",
        "bool.const",
        "repeated.min_items",
        "repeated.max_items",
        "repeated.unique",
        "repeated.items",
        "repeated.ignore_empty",
        "map.min_pairs",
        "map.max_pairs",
        "map.keys",
        "map.values",
        "map.ignore_empty",
        "any.in",
        "any.not_in",
        "uint32.in",
        "uint32.not_in",
    ]
    .into();
    let mut stated = BTreeSet::new();
    let mut rules = 0;
    for message in envoy_api::pool().all_messages() {
        if message.full_name().starts_with("envoy.") {
            for FieldChecks { rules: of, .. } in &Checks::of(&message).fields {
                rules += usize::from(of.is_some());
                of.iter().for_each(|of| collect(of, &mut stated));
            }
        }
    }
    assert!(rules > 900, "only {rules} fields with rules");
    let unknown: Vec<_> = stated.iter().filter(|rule| !asked.contains(rule.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

fn collect(rules: &DynamicMessage, stated: &mut BTreeSet<String>) {
    for (kind, of) in rules.fields() {
        let Value::Message(of) = of else { continue };
        for (rule, value) in of.fields() {
            stated.insert(format!("{}.{}", kind.name(), rule.name()));
            if let Value::Message(below) = value
                && below.descriptor().full_name() == "validate.FieldRules"
            {
                collect(below, stated);
            }
        }
    }
}
