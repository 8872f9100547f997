//! CSDS of the product, asked about a real Envoy by a client generated for Envoy.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::admin::v3::ClientResourceStatus as Status;
use envoy_types::pb::envoy::service::status::v3::client_config::GenericXdsConfig;
use envoy_types::pb::envoy::service::status::v3::client_status_discovery_service_client::ClientStatusDiscoveryServiceClient as Client;
use envoy_types::pb::envoy::service::status::v3::{ClientConfig, ClientStatusRequest};
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{NodeMatcher, StringMatcher};
use serde_json::json;
use tonic::transport::{Channel, Endpoint};

use crate::support::{Envoy, Plane, Protocol, TakenPort, Upstream, eventually};
use crate::traffic::in_both_protocols;

in_both_protocols! {
    what_an_envoy_accepts_and_refuses_is_its_status,
}

async fn client(plane: &Plane) -> Client<Channel> {
    let address = format!("http://127.0.0.1:{}", plane.xds_port());
    Client::new(Endpoint::from_shared(address).unwrap().connect().await.unwrap())
}

/// The clients of this name.
async fn named(client: &Client<Channel>, id: &str) -> Vec<ClientConfig> {
    let pattern = Some(MatchPattern::Exact(id.to_owned()));
    let node_id = Some(StringMatcher { match_pattern: pattern, ignore_case: false });
    let request = ClientStatusRequest {
        node_matchers: vec![NodeMatcher { node_id, node_metadatas: Vec::new() }],
        ..ClientStatusRequest::default()
    };
    client.clone().fetch_client_status(request).await.unwrap().into_inner().config
}

/// The resources of the only client, by type and name.
async fn resources(client: &Client<Channel>) -> BTreeMap<(String, String), GenericXdsConfig> {
    let [config] = &named(client, "cluster-1").await[..] else { panic!("there is one") };
    let key = |config: &GenericXdsConfig| {
        let (_, of_type) = config.type_url.rsplit_once('.').unwrap();
        (of_type.to_owned(), config.name.clone())
    };
    config.generic_xds_configs.iter().map(|config| (key(config), config.clone())).collect()
}

async fn what_an_envoy_accepts_and_refuses_is_its_status(protocol: Protocol) {
    let (plane, upstream) = (Plane::start().await, Upstream::start("one").await);
    let _envoy = Envoy::start(&plane, protocol).await;
    plane.create_service("hello", upstream.port()).await;
    let client = client(&plane).await;
    assert!(named(&client, "somebody-else").await.is_empty());

    let accepted = async || {
        let all = resources(&client).await;
        let other = all.iter().find(|(_, one)| one.client_status() != Status::Acked);
        match other {
            Some((key, one)) => Err(format!("{key:?} is {:?}", one.client_status())),
            None => Ok(all),
        }
    };
    let all = eventually("all is accepted", accepted).await;
    let types: Vec<_> = all.keys().map(|(of_type, _)| of_type.as_str()).collect();
    for of_type in ["Cluster", "ClusterLoadAssignment", "Listener", "RouteConfiguration"] {
        assert!(types.contains(&of_type), "{of_type} is not in {types:?}");
    }
    for (key, one) in &all {
        assert!(!one.version_info.is_empty() && one.error_state.is_none(), "{key:?}: {one:?}");
        assert!(one.last_updated.is_some() && one.xds_config.is_some(), "{key:?}: {one:?}");
    }

    let taken = TakenPort::new();
    let input = json!({ "name": "extra", "address": "127.0.0.1", "port": taken.port() });
    let wait = json!({ "nodes": "ALL", "timeoutMs": 60000 });
    let refused = plane.change_and_wait("createListener", "CreateListenerInput", input, wait).await;
    assert_eq!(refused["rollout"]["outcome"], "NACKED", "{refused:#}");
    let extra = ("Listener".to_owned(), "extra".to_owned());
    let one = resources(&client).await[&extra].clone();
    assert_eq!(one.client_status(), Status::Nacked, "{one:?}");
    let error = one.error_state.unwrap();
    assert!(error.details.contains("Address already in use"), "{error:?}");
    assert!(!error.version_info.is_empty());

    let input = json!({ "id": refused["listener"]["id"] });
    plane.change("deleteListener", "DeleteInput", input).await;
    let left = eventually("all is accepted again", accepted).await;
    assert!(!left.contains_key(&extra));
}
