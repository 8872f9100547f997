//! From the reports of streams to clients and their resources, as CSDS tells them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use marchproxy_proto as proto;
use marchproxy_proto::client_status::{
    ClientConfig, ClientResourceStatus, ClientStatusResponse, ConfigStatus, GenericXdsConfig,
    UpdateFailureState,
};

use crate::{ClientReport, NodeInfo, ResourceReport, ResourceState, ResourceType, UNTOLD};

/// What makes two streams those of one client.
type Client = (String, String, Option<SocketAddr>);
/// What makes two reports about the same resource.
type Key = (ResourceType, Arc<str>);

/// Answers with these streams, those of the same client as one.
///
/// What several streams say of the same resource, or of the node, is taken from the
/// one that was opened last.
pub(super) fn answer(
    mut reports: Vec<ClientReport>,
    exclude_contents: bool,
) -> ClientStatusResponse {
    reports.sort_by_key(|report| report.connected_at);
    let mut clients: BTreeMap<Client, (NodeInfo, BTreeMap<Key, ResourceReport>)> = BTreeMap::new();
    for report in reports {
        let key = (report.node.id.clone(), report.node.cluster.clone(), report.peer);
        let (node, resources) = clients.entry(key).or_default();
        *node = report.node;
        let newer = report.resources.into_iter();
        resources.extend(newer.map(|r| ((r.resource_type, r.name.clone()), r)));
    }
    let config = clients.into_values().map(|(node, resources)| ClientConfig {
        node: Some(told(node)),
        generic_xds_configs: resources
            .into_values()
            .map(|resource| config(resource, exclude_contents))
            .collect(),
        client_scope: String::new(),
    });
    ClientStatusResponse { config: config.collect() }
}

/// How long an answer is at least with this report alone in it, in bytes.
pub(super) fn least_size(report: &ClientReport, exclude_contents: bool) -> usize {
    let of = |resource: &ResourceReport| {
        let body = resource.body.as_ref().filter(|_| !exclude_contents);
        let type_url = resource.resource_type.type_url();
        type_url.len() + resource.name.len() + body.map_or(0, Bytes::len)
    };
    report.resources.iter().map(of).sum()
}

/// A node as far as it was read.
fn told(node: NodeInfo) -> proto::Node {
    let text = |text| proto::Value { string_value: Some(text) };
    let fields = node.metadata.into_iter().map(|(name, value)| (name, text(value)));
    let mut parts = node.locality.splitn(3, '/').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    let (region, zone, sub_zone) = (part(), part(), part());
    let is_somewhere = !node.locality.is_empty();
    let version = node.user_agent_version;
    proto::Node {
        id: node.id,
        cluster: node.cluster,
        metadata: Some(proto::Struct { fields: fields.collect() }),
        locality: is_somewhere.then_some(proto::Locality { region, zone, sub_zone }),
        user_agent_name: node.user_agent,
        user_agent_version: (!version.is_empty()).then_some(version),
        user_agent_build_version: None,
        client_features: node.features,
    }
}

fn config(resource: ResourceReport, exclude_contents: bool) -> GenericXdsConfig {
    let is_secret = resource.resource_type == ResourceType::Secret;
    let (config_status, client_status) = statuses(resource.state);
    let body = resource.body.filter(|_| !exclude_contents && !is_secret);
    let error_state = resource.refusal.map(|refusal| UpdateFailureState {
        failed_configuration: None,
        last_update_attempt: Some(refusal.at.into()),
        details: if is_secret { UNTOLD.to_owned() } else { refusal.message.to_string() },
        version_info: refusal.version.to_string(),
    });
    GenericXdsConfig {
        type_url: resource.resource_type.type_url().to_owned(),
        name: resource.name.to_string(),
        version_info: resource.version.map(|version| version.to_string()).unwrap_or_default(),
        xds_config: body,
        last_updated: resource.since.map(Into::into),
        config_status: config_status.into(),
        client_status: client_status.into(),
        error_state,
        is_static_resource: false,
    }
}

/// As the server sees it, and as the client would say, for all the server knows.
fn statuses(state: ResourceState) -> (ConfigStatus, ClientResourceStatus) {
    use ClientResourceStatus as Client;
    match state {
        ResourceState::Pending => (ConfigStatus::NotSent, Client::Requested),
        ResourceState::Sent | ResourceState::Warming => (ConfigStatus::Stale, Client::Requested),
        ResourceState::Acked => (ConfigStatus::Synced, Client::Acked),
        ResourceState::Nacked => (ConfigStatus::Error, Client::Nacked),
        ResourceState::Absent => (ConfigStatus::NotSent, Client::DoesNotExist),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::{DiscoveryService, Protocol, ResourceRefusal};

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn client(id: &str, port: u16, since: u64, resources: &[ResourceReport]) -> ClientReport {
        ClientReport {
            tag: None,
            node: NodeInfo { id: id.into(), ..NodeInfo::default() },
            peer: Some(([127, 0, 0, 1], port).into()),
            protocol: Protocol::Delta,
            service: DiscoveryService::Aggregated,
            connected_at: at(since),
            resources: resources.to_vec(),
        }
    }

    fn resource(resource_type: ResourceType, name: &str, state: ResourceState) -> ResourceReport {
        ResourceReport {
            sent_at: None,
            resource_type,
            name: name.into(),
            version: Some("v".into()),
            state,
            since: Some(at(7)),
            refusal: None,
            body: Some(Bytes::from_static(b"body")),
        }
    }

    /// Of each client its id, and its resources as name and version.
    fn shape(answer: &ClientStatusResponse) -> Vec<(&str, Vec<(&str, &str)>)> {
        let clients = answer.config.iter().map(|client| {
            let resources = client.generic_xds_configs.iter();
            let resources = resources.map(|r| (r.name.as_str(), r.version_info.as_str()));
            (client.node.as_ref().expect("a node").id.as_str(), resources.collect())
        });
        clients.collect()
    }

    #[test]
    fn each_state_has_its_statuses() {
        use ClientResourceStatus as Client;
        let table = [
            (ResourceState::Pending, ConfigStatus::NotSent, Client::Requested),
            (ResourceState::Sent, ConfigStatus::Stale, Client::Requested),
            (ResourceState::Warming, ConfigStatus::Stale, Client::Requested),
            (ResourceState::Acked, ConfigStatus::Synced, Client::Acked),
            (ResourceState::Nacked, ConfigStatus::Error, Client::Nacked),
            (ResourceState::Absent, ConfigStatus::NotSent, Client::DoesNotExist),
        ];
        for (state, config_status, client_status) in table {
            let told = config(resource(ResourceType::Cluster, "a", state), false);
            assert_eq!(told.config_status(), config_status, "{state:?}");
            assert_eq!(told.client_status(), client_status, "{state:?}");
            assert_eq!(told.type_url, ResourceType::Cluster.type_url());
            assert_eq!((told.name.as_str(), told.version_info.as_str()), ("a", "v"));
            assert_eq!(told.last_updated, Some(at(7).into()));
            assert_eq!(told.error_state, None);
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_client() {
        let refusal = ResourceRefusal { message: "no".into(), version: "w".into(), at: at(9) };
        let refused = ResourceReport {
            refusal: Some(refusal),
            ..resource(ResourceType::Cluster, "a", ResourceState::Nacked)
        };
        let error = config(refused, false).error_state.expect("an error");
        assert_eq!((error.details.as_str(), error.version_info.as_str()), ("no", "w"));
        assert_eq!(error.last_update_attempt, Some(at(9).into()));
    }

    #[test]
    fn contents_are_left_out_if_asked_and_of_secrets_always() {
        let body = |resource_type, exclude| {
            config(resource(resource_type, "a", ResourceState::Acked), exclude).xds_config
        };
        assert_eq!(body(ResourceType::Cluster, false).as_deref(), Some(b"body".as_slice()));
        assert_eq!(body(ResourceType::Cluster, true), None);
        assert_eq!(body(ResourceType::Secret, false), None);
        assert_eq!(body(ResourceType::Secret, true), None);
    }

    #[test]
    fn what_a_client_says_of_a_secret_is_not_told() {
        let refusal =
            ResourceRefusal { message: "bad: KEY".into(), version: "w".into(), at: at(9) };
        let refused = ResourceReport {
            refusal: Some(refusal),
            ..resource(ResourceType::Secret, "a", ResourceState::Nacked)
        };
        let error = config(refused, false).error_state.expect("an error");
        assert!(!error.details.contains("KEY"), "{error:?}");
        assert_eq!(error.version_info, "w");
    }

    #[test]
    fn the_streams_of_one_connection_are_one_client() {
        let cluster = resource(ResourceType::Cluster, "c", ResourceState::Acked);
        let endpoint = resource(ResourceType::Endpoint, "e", ResourceState::Acked);
        let answer = answer(
            vec![
                client("a", 1, 1, std::slice::from_ref(&endpoint)),
                client("b", 1, 2, &[]),
                client("a", 1, 3, std::slice::from_ref(&cluster)),
                client("a", 2, 4, &[]),
            ],
            false,
        );
        // In the order of types, whatever came first.
        assert_eq!(
            shape(&answer),
            [("a", vec![("c", "v"), ("e", "v")]), ("a", vec![]), ("b", vec![])]
        );
    }

    #[test]
    fn of_the_same_resource_the_newest_stream_tells() {
        let version = |version: &str| ResourceReport {
            version: Some(version.into()),
            ..resource(ResourceType::Cluster, "c", ResourceState::Acked)
        };
        let mut newest = client("a", 1, 5, &[version("new")]);
        newest.node.user_agent = "envoy".into();
        let answer = answer(vec![newest, client("a", 1, 4, &[version("old")])], false);
        assert_eq!(shape(&answer), [("a", vec![("c", "new")])]);
        assert_eq!(answer.config[0].node.as_ref().expect("a node").user_agent_name, "envoy");
    }

    #[test]
    fn a_node_is_told_as_it_was_read() {
        use prost::Message as _;

        let node = NodeInfo {
            id: "a".into(),
            cluster: "c".into(),
            user_agent: "envoy".into(),
            user_agent_version: "1.40.0".into(),
            locality: "r/z/".into(),
            metadata: [("k".into(), "v".into())].into(),
            features: vec!["f".into()],
        };
        for node in [node, NodeInfo::default()] {
            let read = NodeInfo::decode(&told(node.clone()).encode_to_vec());
            assert_eq!(read.expect("it decodes"), node);
        }
    }
}
