//! Both ways between `envoy-types` and the lite messages.

mod client_status;
mod load_stats;

use std::collections::HashMap;
use std::fmt::Debug;

use envoy_types::pb::envoy::config::core::v3 as envoy_core;
use envoy_types::pb::envoy::service::discovery::v3 as envoy_discovery;
use envoy_types::pb::envoy::r#type::v3 as envoy_type;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{
    Any as GoogleAny, Duration as GoogleDuration, Struct as GoogleStruct, Value as GoogleValue,
};
use envoy_types::pb::google::rpc::Status as GoogleStatus;
use prost::Message;

use crate::*;

/// Decodes `from` as an `Into`, and checks that nothing is lost on the way back.
fn there_and_back<From, Into>(from: &From) -> Into
where
    From: Message + Default + PartialEq + Debug,
    Into: Message + Default,
{
    let lite = Into::decode(from.encode_to_vec().as_slice()).expect("the lite message decodes");
    let back = From::decode(lite.encode_to_vec().as_slice()).expect("Envoy's message decodes");
    assert_eq!(&back, from);
    lite
}

fn node() -> envoy_core::Node {
    let text = |text: &str| GoogleValue { kind: Some(Kind::StringValue(text.into())) };
    envoy_core::Node {
        id: "node-1".into(),
        cluster: "blue".into(),
        metadata: Some(GoogleStruct { fields: HashMap::from([("key".into(), text("secret"))]) }),
        locality: Some(envoy_core::Locality {
            region: "r".into(),
            zone: "z".into(),
            sub_zone: "s".into(),
        }),
        user_agent_name: "envoy".into(),
        user_agent_version_type: Some(
            envoy_core::node::UserAgentVersionType::UserAgentBuildVersion(
                envoy_core::BuildVersion {
                    version: Some(envoy_type::SemanticVersion {
                        major_number: 1,
                        minor_number: 40,
                        patch: 2,
                    }),
                    metadata: None,
                },
            ),
        ),
        client_features: vec!["f".into()],
        ..Default::default()
    }
}

fn status() -> GoogleStatus {
    GoogleStatus { code: 13, message: "no".into(), details: Vec::new() }
}

fn error() -> envoy_discovery::ResourceError {
    let name = envoy_discovery::ResourceName { name: "e".into(), ..Default::default() };
    envoy_discovery::ResourceError { resource_name: Some(name), error_detail: Some(status()) }
}

fn lite_error() -> ResourceError {
    ResourceError {
        resource_name: Some(ResourceName { name: "e".into() }),
        error_detail: Some(Status { code: 13, message: "no".into() }),
    }
}

fn any() -> GoogleAny {
    GoogleAny { type_url: "type.googleapis.com/x".into(), value: vec![1, 2, 3] }
}

#[test]
fn a_discovery_request_is_the_same_on_the_wire() {
    let envoy = envoy_discovery::DiscoveryRequest {
        version_info: "v".into(),
        node: Some(node()),
        resource_names: vec!["a".into(), "b".into()],
        type_url: "t".into(),
        response_nonce: "n".into(),
        error_detail: Some(status()),
        ..Default::default()
    };
    let lite: DiscoveryRequest = there_and_back(&envoy);
    assert_eq!(lite.version_info, "v");
    assert_eq!(lite.node.as_deref(), Some(node().encode_to_vec().as_slice()));
    assert_eq!(lite.resource_names, ["a", "b"]);
    assert_eq!(lite.type_url, "t");
    assert_eq!(lite.response_nonce, "n");
    assert_eq!(lite.error_detail, Some(Status { code: 13, message: "no".into() }));
}

#[test]
fn a_discovery_response_is_the_same_on_the_wire() {
    let envoy = envoy_discovery::DiscoveryResponse {
        version_info: "v".into(),
        resources: vec![any(), GoogleAny::default()],
        type_url: "t".into(),
        nonce: "n".into(),
        resource_errors: vec![error()],
        ..Default::default()
    };
    let lite: DiscoveryResponse = there_and_back(&envoy);
    assert_eq!(lite.resources, [any().encode_to_vec(), Vec::new()]);
    assert_eq!((lite.version_info.as_str(), lite.nonce.as_str()), ("v", "n"));
    assert_eq!(lite.type_url, "t");
    assert_eq!(lite.resource_errors, [lite_error()]);
}

#[test]
fn a_delta_request_is_the_same_on_the_wire() {
    let envoy = envoy_discovery::DeltaDiscoveryRequest {
        node: Some(node()),
        type_url: "t".into(),
        resource_names_subscribe: vec!["a".into()],
        resource_names_unsubscribe: vec!["b".into()],
        initial_resource_versions: HashMap::from([("c".into(), "v".into())]),
        response_nonce: "n".into(),
        error_detail: Some(status()),
        ..Default::default()
    };
    let lite: DeltaDiscoveryRequest = there_and_back(&envoy);
    assert_eq!(lite.resource_names_subscribe, ["a"]);
    assert_eq!(lite.resource_names_unsubscribe, ["b"]);
    assert_eq!(lite.initial_resource_versions["c"], "v");
    assert_eq!((lite.type_url.as_str(), lite.response_nonce.as_str()), ("t", "n"));
    assert!(lite.node.is_some() && lite.error_detail.is_some());
}

#[test]
fn a_delta_response_is_the_same_on_the_wire() {
    let resource = envoy_discovery::Resource {
        name: "a".into(),
        aliases: vec!["b".into()],
        version: "v".into(),
        resource: Some(any()),
        ..Default::default()
    };
    let envoy = envoy_discovery::DeltaDiscoveryResponse {
        system_version_info: "s".into(),
        resources: vec![resource.clone()],
        type_url: "t".into(),
        nonce: "n".into(),
        removed_resources: vec!["gone".into()],
        resource_errors: vec![error()],
        ..Default::default()
    };
    let lite: DeltaDiscoveryResponse = there_and_back(&envoy);
    assert_eq!(lite.resources, [resource.encode_to_vec()]);
    assert_eq!(lite.removed_resources, ["gone"]);
    assert_eq!(lite.resource_errors, [lite_error()]);
    assert_eq!(lite.system_version_info, "s");
    assert_eq!((lite.type_url.as_str(), lite.nonce.as_str()), ("t", "n"));
}

#[test]
fn a_resource_and_its_any_are_the_same_on_the_wire() {
    let envoy = envoy_discovery::Resource {
        name: "a".into(),
        aliases: vec!["b".into()],
        version: "v".into(),
        resource: Some(any()),
        ttl: Some(GoogleDuration { seconds: 3, nanos: 5 }),
        ..Default::default()
    };
    let lite: Resource = there_and_back(&envoy);
    assert_eq!((lite.name.as_str(), lite.version.as_str()), ("a", "v"));
    assert_eq!(lite.aliases, ["b"]);
    assert_eq!(lite.ttl, Some(Duration { seconds: 3, nanos: 5 }));
    assert_eq!(lite.resource.as_deref(), Some(any().encode_to_vec().as_slice()));

    let lite: Any = there_and_back(&any());
    assert_eq!(lite.type_url, "type.googleapis.com/x");
    assert_eq!(lite.value.as_ref(), [1, 2, 3]);
}

#[test]
fn a_node_is_the_same_on_the_wire() {
    let lite: Node = there_and_back(&node());
    assert_eq!((lite.id.as_str(), lite.cluster.as_str()), ("node-1", "blue"));
    let metadata = lite.metadata.expect("metadata");
    assert_eq!(metadata.fields["key"].string_value.as_deref(), Some("secret"));
    let locality = lite.locality.expect("locality");
    assert_eq!([locality.region, locality.zone, locality.sub_zone], ["r", "z", "s"]);
    assert_eq!(lite.user_agent_name, "envoy");
    let version = lite.user_agent_build_version.and_then(|build| build.version).expect("version");
    assert_eq!((version.major_number, version.minor_number, version.patch), (1, 40, 2));
    assert_eq!(lite.client_features, ["f"]);
}

#[test]
fn what_a_lite_node_does_not_know_is_skipped() {
    let mut envoy = node();
    envoy.extensions = vec![envoy_core::Extension { name: "x".into(), ..Default::default() }];
    envoy.user_agent_version_type =
        Some(envoy_core::node::UserAgentVersionType::UserAgentVersion("1.40-dev".into()));
    let fields = &mut envoy.metadata.as_mut().expect("metadata").fields;
    fields.insert("n".into(), GoogleValue { kind: Some(Kind::NumberValue(1.0)) });

    let lite = Node::decode(envoy.encode_to_vec().as_slice()).expect("it decodes");
    assert_eq!(lite.user_agent_version.as_deref(), Some("1.40-dev"));
    assert_eq!(lite.metadata.expect("metadata").fields["n"].string_value, None);
}
