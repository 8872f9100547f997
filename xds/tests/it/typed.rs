//! The services for one type alone.

use marchproxy_proto as proto;
use marchproxy_xds::testing::{FakeEnvoy, News, cluster, endpoint, resource, route, snapshot};
use marchproxy_xds::{DiscoveryService, Event, Protocol, Request, ResourceType};
use tonic::Code;

use crate::{BOTH, Plane, settled};

const EDS: DiscoveryService = DiscoveryService::Of(ResourceType::Endpoint);
const CDS: DiscoveryService = DiscoveryService::Of(ResourceType::Cluster);

/// The types that have a service in this protocol.
fn types(protocol: Protocol) -> impl Iterator<Item = ResourceType> {
    let has_it =
        move |t: &ResourceType| protocol == Protocol::Delta || DiscoveryService::Of(*t).has_sotw();
    ResourceType::ALL.into_iter().filter(has_it)
}

#[tokio::test]
async fn each_service_serves_its_type_and_pushes_its_changes() {
    for protocol in BOTH {
        for resource_type in types(protocol) {
            let plane = Plane::start().await;
            let of = |content: &str| resource(resource_type, "a", content);
            plane.source.publish(snapshot(1, [of("1")]));
            let service = DiscoveryService::Of(resource_type);
            let mut envoy = plane.client(service, protocol, "n").await;
            envoy.subscribe(resource_type, &["a"]).await;
            let first = envoy.next().await;
            assert_eq!((first.resource_type, first.names()), (resource_type, vec!["a"]));
            envoy.ack(&first).await;
            plane.source.wait_for(|news| settled(news, 1, &[])).await;

            plane.source.publish(snapshot(2, [of("2")]));
            let second = envoy.next().await;
            assert_eq!(second.find("a").expect("it is there").content(), "2");
            envoy.nack(&second, "a: no").await;
            plane.source.wait_for(|news| settled(news, 2, &[resource_type])).await;
        }
    }
}

#[tokio::test]
async fn c42_the_endpoints_of_two_clusters_come_on_two_streams_of_one_node() {
    for protocol in BOTH {
        let plane = Plane::start().await;
        let all = |a: &str, b: &str| {
            [cluster("a", "1"), cluster("b", "1"), endpoint("a", a), endpoint("b", b)]
        };
        plane.source.publish(snapshot(1, all("1", "1")));
        let mut clusters = plane.client(CDS, protocol, "n").await;
        clusters.subscribe(ResourceType::Cluster, &[]).await;
        let received = clusters.next().await;
        assert_eq!(received.names(), ["a", "b"]);
        clusters.ack(&received).await;

        let mut of_a = clusters.beside(EDS).await;
        let mut of_b = clusters.beside(EDS).await;
        for (envoy, name) in [(&mut of_a, "a"), (&mut of_b, "b")] {
            envoy.subscribe(ResourceType::Endpoint, &[name]).await;
            let received = envoy.next().await;
            assert_eq!(received.names(), [name]);
            envoy.ack(&received).await;
            plane.source.wait_for(|news| settled(news, 1, &[])).await;
        }

        plane.source.publish(snapshot(2, all("1", "2")));
        let received = of_b.next().await;
        assert_eq!(received.find("b").expect("it is there").content(), "2");
        of_b.ack(&received).await;
        // What `of_a` hears next is this: the change of `b` was not for it.
        plane.source.wait_for(|news| settled(news, 2, &[])).await;
        plane.source.publish(snapshot(3, all("3", "2")));
        let received = of_a.next().await;
        assert_eq!(received.names(), ["a"]);
        assert_eq!(received.find("a").expect("it is there").content(), "3");
    }
}

#[tokio::test]
async fn c47_one_stream_does_not_wait_for_an_answer_on_another() {
    for protocol in BOTH {
        let plane = Plane::start().await;
        let needy = route("r", "1").requiring(ResourceType::Cluster, "a");
        plane.source.publish(snapshot(1, [cluster("a", "1"), endpoint("a", "1"), needy]));
        let mut clusters = plane.client(CDS, protocol, "n").await;
        clusters.subscribe(ResourceType::Cluster, &[]).await;
        clusters.next().await;
        let mut routes = clusters.beside(DiscoveryService::Of(ResourceType::Route)).await;
        routes.subscribe(ResourceType::Route, &["r"]).await;
        assert_eq!(routes.next().await.names(), ["r"]);
    }
}

#[tokio::test]
async fn c41_each_stream_of_a_node_is_served_and_ends_alone() {
    let plane = Plane::start().await;
    plane.source.publish(snapshot(1, [cluster("a", "1"), endpoint("a", "1")]));
    let mut one = plane.client(EDS, Protocol::Delta, "n").await;
    let mut two = one.beside(EDS).await;
    for envoy in [&mut one, &mut two] {
        envoy.subscribe(ResourceType::Endpoint, &["a"]).await;
        let received = envoy.next().await;
        envoy.ack(&received).await;
    }
    drop(one);
    plane.source.wait_for(|news| *news == News::Ended("n".into())).await;
    plane.source.publish(snapshot(2, [cluster("a", "1"), endpoint("a", "2")]));
    assert_eq!(two.next().await.find("a").expect("it is there").content(), "2");
    let ended = plane.source.news().iter().filter(|&n| *n == News::Ended("n".into())).count();
    assert_eq!(ended, 1);
}

#[tokio::test]
async fn a_request_without_a_type_means_that_of_the_service() {
    for protocol in BOTH {
        let plane = Plane::start().await;
        plane.source.publish(snapshot(1, [cluster("a", "1"), endpoint("a", "1")]));
        let mut envoy = plane.client(EDS, protocol, "n").await;
        envoy.send(request(protocol, "", "a")).await;
        let received = envoy.next().await;
        assert_eq!(received.resource_type, ResourceType::Endpoint, "and it says which");
        assert_eq!(received.names(), ["a"]);
    }
}

#[tokio::test]
async fn a_request_of_another_type_ends_the_stream() {
    for protocol in BOTH {
        for other in [ResourceType::Cluster.type_url(), "type.googleapis.com/x.Y"] {
            let plane = Plane::start().await;
            plane.source.publish(snapshot(1, [cluster("a", "1"), endpoint("a", "1")]));
            let mut first = plane.client(EDS, protocol, "first").await;
            first.send(request(protocol, other, "a")).await;
            refused(&mut first, other).await;

            let mut later = plane.client(EDS, protocol, "later").await;
            later.subscribe(ResourceType::Endpoint, &["a"]).await;
            later.next().await;
            later.send(request(protocol, other, "a")).await;
            refused(&mut later, other).await;
            plane.source.wait_for(|news| *news == News::Ended("later".into())).await;
            let is_first = |news: &News| *news == News::Connected("first".into());
            assert!(!plane.source.news().iter().any(is_first), "it never got that far");
        }
    }
}

#[tokio::test]
async fn c40_a_client_that_does_not_say_who_it_is_is_refused_by_every_service() {
    let plane = Plane::start().await;
    for protocol in BOTH {
        for resource_type in types(protocol) {
            let service = DiscoveryService::Of(resource_type);
            let mut envoy = plane.stranger(service, protocol).await;
            envoy.subscribe(resource_type, &["a"]).await;
            refused(&mut envoy, "node").await;
        }
    }
    assert_eq!(plane.source.news(), []);
}

#[tokio::test]
async fn c43_a_stop_ends_the_streams_of_every_service_well() {
    for protocol in BOTH {
        let plane = Plane::start().await;
        let mut envoys = Vec::new();
        for resource_type in types(protocol) {
            let service = DiscoveryService::Of(resource_type);
            let mut served = plane.client(service, protocol, "n").await;
            envoys.push(served.beside(service).await);
            served.subscribe(resource_type, &["a"]).await;
            envoys.push(served);
        }
        plane.source.wait_for(|news| *news == News::Connected("n".into())).await;
        plane.stop.cancel();
        for envoy in &mut envoys {
            assert!(envoy.end().await.is_ok());
        }
    }
}

#[tokio::test]
async fn c65_one_connection_may_have_a_stream_for_each_of_many_clusters() {
    // More than hyper's own limit of 200, which would leave the rest waiting.
    const CLUSTERS: usize = 300;
    let names: Vec<String> = (0..CLUSTERS).map(|n| format!("c{n}")).collect();
    let plane = Plane::start().await;
    plane.source.publish(snapshot(1, names.iter().map(|name| endpoint(name, "1"))));
    let mut envoys = vec![plane.client(EDS, Protocol::Sotw, "n").await];
    for _ in 1..CLUSTERS {
        let another = envoys[0].beside(EDS).await;
        envoys.push(another);
    }
    for (envoy, name) in envoys.iter_mut().zip(&names) {
        envoy.subscribe(ResourceType::Endpoint, &[name]).await;
        assert_eq!(envoy.next().await.names(), [name]);
    }
}

#[tokio::test]
async fn c65_a_client_may_come_back_with_more_than_grpc_takes_by_default() {
    let plane = Plane::start().await;
    plane.source.publish(snapshot(1, [endpoint("a", "1")]));
    let mut envoy = plane.client(EDS, Protocol::Delta, "n").await;
    let version = "v".repeat(64);
    let held: Vec<String> = (0..60_000).map(|n| format!("cluster-{n}-{version}")).collect();
    let held: Vec<_> = held.iter().map(|name| (name.as_str(), version.as_str())).collect();
    envoy.resume(ResourceType::Endpoint, &["a"], &held).await;
    assert_eq!(envoy.next().await.names(), ["a"]);
}

#[tokio::test]
async fn c44_a_client_of_one_service_that_comes_back_with_everything_is_sent_nothing() {
    let plane = Plane::start().await;
    let secret = resource(ResourceType::Secret, "s", "1");
    plane.source.publish(snapshot(1, [secret.clone()]));
    let service = DiscoveryService::Of(ResourceType::Secret);
    let mut envoy = plane.client(service, Protocol::Delta, "n").await;
    envoy.resume(ResourceType::Secret, &["s"], &[("s", secret.version())]).await;
    plane.source.wait_for(|news| settled(news, 1, &[])).await;
    let is_sent = |news: &News| matches!(news, News::Event(_, Event::Sent { .. }));
    assert!(!plane.source.news().iter().any(is_sent), "{:#?}", plane.source.news());
}

async fn refused(envoy: &mut FakeEnvoy, why: &str) {
    let status = envoy.end().await.expect_err("it is refused");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains(why), "{status}");
}

/// A first request for one name.
fn request(protocol: Protocol, type_url: &str, name: &str) -> Request {
    let (type_url, names) = (type_url.to_owned(), vec![name.to_owned()]);
    match protocol {
        Protocol::Sotw => Request::Sotw(proto::DiscoveryRequest {
            type_url,
            resource_names: names,
            ..proto::DiscoveryRequest::default()
        }),
        Protocol::Delta => Request::Delta(proto::DeltaDiscoveryRequest {
            type_url,
            resource_names_subscribe: names,
            ..proto::DeltaDiscoveryRequest::default()
        }),
    }
}

#[tokio::test]
async fn c56_a_host_on_demand_is_answered_at_once_there_or_not() {
    const VHDS: DiscoveryService = DiscoveryService::Of(ResourceType::VirtualHost);
    let plane = Plane::start().await;
    let host = resource(ResourceType::VirtualHost, "r/web", "1").with_alias("r/web.example");
    plane.source.publish(snapshot(1, [host]));
    let mut envoy = plane.client(VHDS, Protocol::Delta, "n").await;
    envoy.subscribe(ResourceType::VirtualHost, &["r/nope.example"]).await;
    let nothing = envoy.next().await;
    assert_eq!(nothing.names(), ["r/nope.example"]);
    assert_eq!(nothing.resources[0].body, "", "it is empty");
    envoy.ack(&nothing).await;
    envoy.subscribe(ResourceType::VirtualHost, &["r/web.example"]).await;
    let there = envoy.next().await;
    assert_eq!(there.find("r/web").map(|host| host.content()).as_deref(), Some("1"));
    envoy.ack(&there).await;
    plane.source.wait_for(|news| settled(news, 1, &[])).await;
}
