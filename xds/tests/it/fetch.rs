//! One request, one answer.

use marchproxy_proto as proto;
use marchproxy_xds::testing::{FakeEnvoy, News, cluster, endpoint, resource, snapshot};
use marchproxy_xds::{DiscoveryService, ResourceType};
use prost::Message as _;
use tonic::Code;

use crate::{ADS, Plane, node};

#[tokio::test]
async fn each_service_is_fetched_from() {
    let plane = Plane::start().await;
    let all = ResourceType::ALL.map(|resource_type| resource(resource_type, "a", "1"));
    let latest = snapshot(1, all);
    plane.source.publish(latest.clone());
    for resource_type in ResourceType::ALL {
        let service = DiscoveryService::Of(resource_type);
        if !service.has_sotw() {
            continue;
        }
        let received = FakeEnvoy::fetch(plane.addr, service, request(&["a", "x"])).await;
        let received = received.expect("an answer");
        assert_eq!(received.resource_type, resource_type);
        assert_eq!(received.names(), ["a"]);
        assert_eq!(received.version, latest.version(resource_type).as_ref());
        assert_eq!(received.nonce, "");
    }
}

#[tokio::test]
async fn what_a_client_has_already_is_sent_all_the_same() {
    let plane = Plane::start().await;
    plane.source.publish(snapshot(1, [cluster("a", "1"), endpoint("a", "1")]));
    let service = DiscoveryService::Of(ResourceType::Cluster);
    let first = FakeEnvoy::fetch(plane.addr, service, request(&[])).await.expect("an answer");
    let again = proto::DiscoveryRequest { version_info: first.version.clone(), ..request(&[]) };
    let second = FakeEnvoy::fetch(plane.addr, service, again).await.expect("an answer");
    assert_eq!(second, first);
    assert_eq!(second.names(), ["a"]);
}

#[tokio::test]
async fn a_fetching_client_is_connected_for_the_call_and_no_longer() {
    let plane = Plane::start().await;
    plane.source.publish(snapshot(1, [cluster("a", "1"), endpoint("a", "1")]));
    let service = DiscoveryService::Of(ResourceType::Cluster);
    FakeEnvoy::fetch(plane.addr, service, request(&[])).await.expect("an answer");
    let news = [News::Connected("n".into()), News::Ended("n".into())];
    assert_eq!(plane.source.news(), news, "and nothing is said to be under way");
}

#[tokio::test]
async fn a_fetch_takes_the_place_of_a_stream() {
    let mut settings = marchproxy_xds::Settings::default();
    settings.streams_per_peer = 1;
    let plane = Plane::start_with(settings).await;
    plane.source.publish(snapshot(1, [cluster("a", "1"), endpoint("a", "1")]));
    let mut stream = plane.envoy(marchproxy_xds::Protocol::Delta, "n").await;
    stream.subscribe(ResourceType::Endpoint, &["a"]).await;
    stream.next().await;
    let service = DiscoveryService::Of(ResourceType::Cluster);
    let refused = FakeEnvoy::fetch(plane.addr, service, request(&[])).await;
    assert_eq!(refused.expect_err("there is no place").code(), Code::ResourceExhausted);
    drop(stream);
    plane.source.wait_for(|news| *news == News::Ended("n".into())).await;
    for _ in 0..3 {
        FakeEnvoy::fetch(plane.addr, service, request(&[])).await.expect("an answer");
    }
}

#[tokio::test]
async fn c40_bad_fetches_are_refused() {
    let plane = Plane::start().await;
    let service = DiscoveryService::Of(ResourceType::Cluster);
    let bad = [
        (proto::DiscoveryRequest { node: None, ..request(&[]) }, "node"),
        (proto::DiscoveryRequest { type_url: "x".into(), ..request(&[]) }, "type"),
        (
            proto::DiscoveryRequest { node: Some(vec![0xff].into()), ..request(&[]) },
            "cannot be read",
        ),
    ];
    for (request, why) in bad {
        let fetched = FakeEnvoy::fetch(plane.addr, service, request).await;
        let status = fetched.expect_err("it is refused");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(why), "{status}");
    }
    assert_eq!(plane.source.news(), []);
}

#[tokio::test]
async fn the_aggregated_service_has_no_fetch() {
    let plane = Plane::start().await;
    let fetched = FakeEnvoy::fetch(plane.addr, ADS, request(&[])).await;
    assert_eq!(fetched.expect_err("there is none").code(), Code::Unimplemented);
}

fn request(names: &[&str]) -> proto::DiscoveryRequest {
    proto::DiscoveryRequest {
        node: Some(node("n").encode_to_vec().into()),
        resource_names: names.iter().map(|&name| name.to_owned()).collect(),
        ..proto::DiscoveryRequest::default()
    }
}
