use envoy_types::pb::envoy::admin::v3 as envoy_admin;
use envoy_types::pb::envoy::service::status::v3 as envoy_status;
use envoy_types::pb::envoy::service::status::v3::client_config as envoy_config;
use envoy_types::pb::envoy::r#type::matcher::v3 as envoy_matcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::google::protobuf::Timestamp as GoogleTimestamp;
use prost::Message as _;

use super::{any, node, there_and_back};
use crate::client_status::*;
use crate::*;

#[test]
fn a_status_request_is_the_same_on_the_wire() {
    let metadata = envoy_matcher::StructMatcher::default();
    let table = [
        (MatchPattern::Exact("a".into()), StringPattern::Exact("a".into())),
        (MatchPattern::Prefix("a".into()), StringPattern::Prefix("a".into())),
        (MatchPattern::Suffix("a".into()), StringPattern::Suffix("a".into())),
        (MatchPattern::Contains("a".into()), StringPattern::Contains("a".into())),
        (
            MatchPattern::SafeRegex(envoy_matcher::RegexMatcher::default()),
            StringPattern::SafeRegex(Default::default()),
        ),
        (MatchPattern::Custom(Default::default()), StringPattern::Custom(Default::default())),
    ];
    for (pattern, want) in table {
        let matcher = envoy_matcher::NodeMatcher {
            node_id: Some(envoy_matcher::StringMatcher {
                match_pattern: Some(pattern),
                ignore_case: true,
            }),
            node_metadatas: vec![metadata.clone()],
        };
        let envoy = envoy_status::ClientStatusRequest {
            node_matchers: vec![matcher],
            node: None,
            exclude_resource_contents: true,
        };
        let lite: ClientStatusRequest = there_and_back(&envoy);
        assert!(lite.exclude_resource_contents);
        let node_id = lite.node_matchers[0].node_id.as_ref().expect("a matcher");
        assert_eq!(node_id.match_pattern, Some(want));
        assert!(node_id.ignore_case);
        assert_eq!(lite.node_matchers[0].node_metadatas, [metadata.encode_to_vec()]);
    }
}

#[test]
fn the_node_of_who_asks_is_skipped() {
    let envoy = envoy_status::ClientStatusRequest { node: Some(node()), ..Default::default() };
    let lite = ClientStatusRequest::decode(envoy.encode_to_vec().as_slice()).expect("it decodes");
    assert_eq!(lite, ClientStatusRequest::default());
}

#[test]
fn a_status_is_the_same_on_the_wire() {
    let (time, lite_time) =
        (GoogleTimestamp { seconds: 1, nanos: 2 }, Timestamp { seconds: 1, nanos: 2 });
    let envoy = envoy_status::ClientStatusResponse {
        config: vec![envoy_status::ClientConfig {
            node: Some(node()),
            generic_xds_configs: vec![envoy_config::GenericXdsConfig {
                type_url: "t".into(),
                name: "n".into(),
                version_info: "v".into(),
                xds_config: Some(any()),
                last_updated: Some(time),
                config_status: envoy_status::ConfigStatus::Error.into(),
                client_status: envoy_admin::ClientResourceStatus::Nacked.into(),
                error_state: Some(envoy_admin::UpdateFailureState {
                    failed_configuration: Some(any()),
                    last_update_attempt: Some(time),
                    details: "d".into(),
                    version_info: "w".into(),
                }),
                is_static_resource: true,
            }],
            client_scope: "s".into(),
            ..Default::default()
        }],
    };
    let lite: ClientStatusResponse = there_and_back(&envoy);
    let config = &lite.config[0];
    assert_eq!(config.node.as_ref().expect("a node").id, "node-1");
    assert_eq!(config.client_scope, "s");
    let resource = &config.generic_xds_configs[0];
    assert_eq!((resource.type_url.as_str(), resource.name.as_str()), ("t", "n"));
    assert_eq!(resource.version_info, "v");
    assert_eq!(resource.xds_config.as_deref(), Some(any().encode_to_vec().as_slice()));
    assert_eq!(resource.last_updated, Some(lite_time));
    assert_eq!(resource.config_status(), ConfigStatus::Error);
    assert_eq!(resource.client_status(), ClientResourceStatus::Nacked);
    assert!(resource.is_static_resource);
    let error = resource.error_state.as_ref().expect("an error");
    assert_eq!((error.details.as_str(), error.version_info.as_str()), ("d", "w"));
    assert_eq!(error.last_update_attempt, Some(lite_time));
    assert_eq!(error.failed_configuration, resource.xds_config);
}

#[test]
fn the_statuses_have_the_numbers_that_envoy_gives_them() {
    let pairs = [
        (ConfigStatus::Unknown, envoy_status::ConfigStatus::Unknown),
        (ConfigStatus::Synced, envoy_status::ConfigStatus::Synced),
        (ConfigStatus::NotSent, envoy_status::ConfigStatus::NotSent),
        (ConfigStatus::Stale, envoy_status::ConfigStatus::Stale),
        (ConfigStatus::Error, envoy_status::ConfigStatus::Error),
    ];
    for (ours, envoys) in pairs {
        assert_eq!(ours as i32, envoys as i32, "{ours:?}");
    }
    let pairs = [
        (ClientResourceStatus::Unknown, envoy_admin::ClientResourceStatus::Unknown),
        (ClientResourceStatus::Requested, envoy_admin::ClientResourceStatus::Requested),
        (ClientResourceStatus::DoesNotExist, envoy_admin::ClientResourceStatus::DoesNotExist),
        (ClientResourceStatus::Acked, envoy_admin::ClientResourceStatus::Acked),
        (ClientResourceStatus::Nacked, envoy_admin::ClientResourceStatus::Nacked),
        (ClientResourceStatus::ReceivedError, envoy_admin::ClientResourceStatus::ReceivedError),
        (ClientResourceStatus::Timeout, envoy_admin::ClientResourceStatus::Timeout),
    ];
    for (ours, envoys) in pairs {
        assert_eq!(ours as i32, envoys as i32, "{ours:?}");
    }
}
