//! The aggregated service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use marchproxy_proto as proto;
use marchproxy_xds::testing::{
    FakeEnvoy, News, cluster, endpoint, listener, resource, route, snapshot,
};
use marchproxy_xds::{Denial, Event, Protocol, ResourceType, Settings, Snapshot};
use tonic::Code;

use crate::{ADS, BOTH, Plane, sent_to, settled};

#[tokio::test]
async fn c40_a_client_that_does_not_say_who_it_is_is_refused() {
    let plane = Plane::start().await;
    for protocol in BOTH {
        let mut envoy = plane.stranger(ADS, protocol).await;
        envoy.subscribe(ResourceType::Cluster, &[]).await;
        let status = envoy.end().await.expect_err("it is refused");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("node"), "{status}");
    }
    assert_eq!(plane.source.news(), []);
}

#[tokio::test]
async fn a_request_without_a_type_ends_the_stream() {
    use marchproxy_proto::DeltaDiscoveryRequest;
    use marchproxy_xds::Request;

    let plane = Plane::start().await;
    let mut envoy = plane.envoy(Protocol::Delta, "n").await;
    envoy.send(Request::Delta(DeltaDiscoveryRequest::default())).await;
    assert_eq!(envoy.end().await.expect_err("it is refused").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_change_is_pushed_and_its_answer_is_reported() {
    for protocol in BOTH {
        let plane = Plane::start().await;
        let mut envoy = plane.envoy(protocol, "n").await;
        envoy.subscribe(ResourceType::Cluster, &[]).await;
        plane.source.wait_for(|news| *news == News::Connected("n".into())).await;
        let first = snapshot(1, [cluster("a", "1"), endpoint("a", "1")]);
        plane.source.publish(first.clone());

        let clusters = envoy.next().await;
        assert_eq!(clusters.names(), ["a"]);
        assert_eq!(clusters.version, first.version(ResourceType::Cluster).as_ref());
        envoy.subscribe(ResourceType::Endpoint, &["a"]).await;
        let endpoints = envoy.next().await;
        envoy.ack(&endpoints).await;
        envoy.ack(&clusters).await;
        plane.source.wait_for(|news| settled(news, 1, &[])).await;

        plane.source.publish(snapshot(2, [cluster("a", "2"), endpoint("a", "1")]));
        let clusters = envoy.next().await;
        assert_eq!(clusters.find("a").expect("it is there").content(), "2");
        let endpoints = envoy.next().await;
        assert_eq!(endpoints.names(), ["a"], "c45");
        envoy.nack(&clusters, "Error adding/updating cluster(s) a: no").await;
        envoy.ack(&endpoints).await;
        plane.source.wait_for(|news| settled(news, 2, &[ResourceType::Cluster])).await;
    }
}

#[tokio::test]
async fn c44_a_client_that_comes_back_with_everything_is_sent_nothing() {
    let plane = Plane::start().await;
    let latest = snapshot(1, [listener("l", "r", "1"), route("r", "1")]);
    plane.source.publish(latest.clone());
    let mut envoy = plane.envoy(Protocol::Delta, "n").await;
    for (resource_type, name) in [(ResourceType::Listener, "l"), (ResourceType::Route, "r")] {
        let held = latest.find(resource_type, name).expect("it is there");
        let names = if resource_type == ResourceType::Route { &["r"][..] } else { &[] };
        envoy.resume(resource_type, names, &[(name, held.version())]).await;
    }
    plane.source.wait_for(|news| settled(news, 1, &[])).await;
    let is_sent = |news: &News| matches!(news, News::Event(_, Event::Sent { .. }));
    assert!(!plane.source.news().iter().any(is_sent), "{:#?}", plane.source.news());
}

#[tokio::test]
async fn shutdown_ends_streams_well() {
    for protocol in BOTH {
        let plane = Plane::start().await;
        plane.source.publish(snapshot(1, [cluster("a", "1"), endpoint("a", "1")]));
        let mut served = plane.envoy(protocol, "served").await;
        let mut silent = plane.envoy(protocol, "silent").await;
        served.subscribe(ResourceType::Cluster, &[]).await;
        served.next().await;
        plane.stop.cancel();
        assert!(served.end().await.is_ok());
        assert!(silent.end().await.is_ok());
        plane.source.wait_for(|news| *news == News::Ended("served".into())).await;
    }
}

#[tokio::test]
async fn the_observer_is_dropped_when_the_client_goes() {
    let plane = Plane::start().await;
    let mut envoy = plane.envoy(Protocol::Delta, "n").await;
    envoy.subscribe(ResourceType::Cluster, &[]).await;
    plane.source.wait_for(|news| *news == News::Connected("n".into())).await;
    drop(envoy);
    plane.source.wait_for(|news| *news == News::Ended("n".into())).await;
}

#[tokio::test]
async fn c66_a_client_that_never_reads_does_not_hold_up_another() {
    let plane = Plane::start().await;
    let large = "x".repeat(8 << 20);
    let resources = |n: u64| [resource(ResourceType::Listener, "l", &format!("{n}{large}"))];
    plane.source.publish(snapshot(1, resources(1)));
    let mut stuck = plane.envoy(Protocol::Sotw, "stuck").await;
    stuck.subscribe(ResourceType::Listener, &[]).await;
    plane.source.wait_for(|news| sent_to(news, "stuck")).await;

    let mut envoy = plane.envoy(Protocol::Sotw, "n").await;
    envoy.subscribe(ResourceType::Listener, &[]).await;
    for revision in 1..4 {
        let received = envoy.next().await;
        envoy.ack(&received).await;
        plane.source.wait_for(|news| settled(news, revision, &[])).await;
        plane.source.publish(snapshot(revision + 1, resources(revision + 1)));
    }
    let sent = plane.source.news().iter().filter(|news| sent_to(news, "stuck")).count();
    assert_eq!(sent, 1, "one response is all that a stuck client costs");

    // When it reads at last it is not told what it has missed, but what counts now.
    let old = stuck.next().await;
    stuck.ack(&old).await;
    let new = stuck.next().await;
    assert!(new.resources[0].content().starts_with("4x"));
}

#[tokio::test]
async fn c48_a_cluster_stays_for_the_time_of_grace_once_its_route_is_gone() {
    const GRACE: Duration = Duration::from_millis(200);
    for protocol in BOTH {
        let mut settings = Settings::default();
        settings.grace = GRACE;
        let plane = Plane::start_with(settings).await;
        let using = route("r", "1").requiring(ResourceType::Cluster, "a");
        let all = [cluster("a", "1"), endpoint("a", "1"), using];
        plane.source.publish(snapshot(1, all));
        let mut envoy = plane.envoy(protocol, "n").await;
        let types = [ResourceType::Cluster, ResourceType::Endpoint, ResourceType::Route];
        for (resource_type, names) in types.into_iter().zip([&[][..], &["a"], &["r"]]) {
            envoy.subscribe(resource_type, names).await;
            let received = envoy.next().await;
            envoy.ack(&received).await;
        }
        plane.source.wait_for(|news| settled(news, 1, &[])).await;

        plane.source.publish(snapshot(2, [route("r", "2")]));
        let routes = envoy.next().await;
        assert_eq!(routes.resource_type, ResourceType::Route);
        let before = Instant::now();
        envoy.ack(&routes).await;
        let clusters = envoy.next().await;
        assert_eq!(clusters.resource_type, ResourceType::Cluster);
        assert!(clusters.resources.is_empty(), "{clusters:?}");
        assert!(before.elapsed() >= GRACE, "after {:?}", before.elapsed());
    }
}

#[tokio::test]
async fn c58_a_client_that_knows_of_times_to_live_gets_heartbeats() {
    const TTL: Duration = Duration::from_secs(1);
    for protocol in BOTH {
        let plane = Plane::start().await;
        let mortal = resource(ResourceType::Runtime, "r", "1").with_ttl(TTL);
        plane.source.publish(snapshot(1, [mortal]));
        let features = ["xds.config.supports-resource-ttl", "xds.config.resource-in-sotw"];
        let node = proto::Node {
            client_features: features.map(str::to_owned).to_vec(),
            ..crate::node("n")
        };
        let mut envoy = FakeEnvoy::connect_as(plane.addr, protocol, Some(&node)).await;
        envoy.subscribe(ResourceType::Runtime, &["r"]).await;
        let first = envoy.next().await;
        assert_eq!(first.resources[0].ttl, Some(TTL));
        let sent = Instant::now();
        envoy.ack(&first).await;
        for _ in 0..2 {
            let beat = envoy.next().await;
            assert_eq!((beat.names(), beat.resources[0].ttl), (vec!["r"], Some(TTL)));
            assert_eq!(beat.resources[0].version, first.resources[0].version);
            envoy.ack(&beat).await;
        }
        assert!(sent.elapsed() >= TTL * 9 / 10, "one after each half: {:?}", sent.elapsed());
    }
}

#[tokio::test]
async fn c37_a_client_is_told_why_it_is_not_given_a_name() {
    for protocol in BOTH {
        let plane = Plane::start().await;
        let denial = Denial {
            resource_type: ResourceType::Listener,
            name: "api".into(),
            code: Code::PermissionDenied,
            message: "not for you".into(),
        };
        let snapshot = Snapshot::new(1, []).expect("nothing contradicts nothing");
        plane.source.publish(Arc::new(snapshot.denying([denial])));
        let mut envoy = plane.envoy(protocol, "n").await;
        envoy.subscribe(ResourceType::Listener, &["api"]).await;
        let received = envoy.next().await;
        let code = i32::from(Code::PermissionDenied);
        assert_eq!(received.denied, [("api".to_owned(), code, "not for you".to_owned())]);
        envoy.ack(&received).await;
        plane.source.wait_for(|news| settled(news, 1, &[])).await;
    }
}
