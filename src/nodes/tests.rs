use futures_util::StreamExt as _;
use marchproxy_xds::{DiscoveryService, Event, Protocol, ResourceType};

use super::*;
use crate::model::Revision;

fn group(id: i32) -> NodeGroupId {
    id.try_into().unwrap()
}

fn node(name: &str, in_group: i32) -> Arrival {
    Arrival {
        name: name.to_owned(),
        group: group(in_group),
        matched: Matched::Id,
        peer: None,
        protocol: Protocol::Delta,
        software: String::new(),
        connected_at: Utc::now(),
    }
}

/// A node that calls itself `a`, on a connection from this port.
fn peer(port: u16) -> Arrival {
    Arrival { peer: Some(([127, 0, 0, 1], port).into()), ..node("a", 1) }
}

fn ads() -> StreamInfo {
    StreamInfo::new(DiscoveryService::Aggregated, &[])
}

fn alone(resource_type: ResourceType, names: &[&str]) -> StreamInfo {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    StreamInfo::new(DiscoveryService::Of(resource_type), &names)
}

fn acked(resource_type: ResourceType, version: &str) -> Event {
    Event::Acked { resource_type, version: version.into(), revision: 1 }
}

fn nacked(revision: u64) -> Event {
    Event::Nacked {
        resource_type: ResourceType::Listener,
        version: "v".into(),
        revision,
        code: 13,
        message: "no".to_owned(),
        resources: vec!["l".into()],
        culprits: vec![],
        searching: false,
    }
}

fn settled(revision: u64, held: &[ResourceType]) -> Event {
    Event::Settled { revision, held: held.to_vec() }
}

#[test]
fn a_node_stands_towards_a_revision_by_what_it_refuses_since() {
    let listener = ResourceType::Listener;
    let table: &[(&str, &[Event], Standing)] = &[
        ("nothing heard", &[], Standing::Pending),
        ("settled before", &[settled(4, &[])], Standing::Pending),
        ("settled at it", &[settled(5, &[])], Standing::Acked),
        ("settled later", &[settled(6, &[])], Standing::Acked),
        ("refused at it", &[nacked(5)], Standing::Nacked),
        ("refused and parked", &[nacked(5), settled(5, &[listener])], Standing::Nacked),
        ("refused before, still", &[nacked(4), settled(5, &[listener])], Standing::Acked),
        ("refused, then mended", &[nacked(5), settled(6, &[])], Standing::Acked),
    ];
    for (case, events, want) in table {
        let nodes = Nodes::new();
        let (place, _) = nodes.connect(node("a", 1), ads());
        for event in *events {
            nodes.observe(place, event.clone(), Utc::now());
        }
        let node = nodes.find(place.node).unwrap();
        assert_eq!(node.standing(Revision::from(5_u64)), *want, "{case}");
    }
}

#[test]
fn a_node_that_returns_takes_its_place_again() {
    let nodes = Nodes::new();
    let (first, _) = nodes.connect(node("a", 1), ads());
    let (twin, _) = nodes.connect(node("a", 1), ads());
    assert_ne!(first.node, twin.node, "two at once are two");
    assert!(nodes.disconnect(first, Utc::now()));
    assert_eq!(nodes.connect(node("a", 1), ads()).0.node, first.node);
    assert_eq!(nodes.list(None).len(), 2);
}

#[test]
fn nodes_that_are_gone_are_remembered_up_to_a_number() {
    let nodes = Nodes::new();
    for i in 0..MOST_GONE + 5 {
        let (place, _) = nodes.connect(node(&format!("n{i}"), 1), ads());
        nodes.disconnect(place, Utc::now());
    }
    let known = nodes.list(Some(group(1)));
    assert_eq!(known.len(), MOST_GONE);
    assert!(known.iter().all(|node| node.name != "n0"), "the oldest went first");
}

#[tokio::test]
async fn a_follower_gets_the_present_then_each_change_in_order() {
    let nodes = Nodes::new();
    let (a, _) = nodes.connect(node("a", 1), ads());
    let mut follower = Box::pin(nodes.follow(Some(group(1))));
    nodes.connect(node("elsewhere", 2), ads());
    nodes.observe(a, settled(1, &[]), Utc::now());
    nodes.disconnect(a, Utc::now());
    let mut causes = Vec::new();
    for _ in 0..3 {
        causes.push(follower.next().await.unwrap().cause);
    }
    assert_eq!(causes, [Cause::Current, Cause::Settled, Cause::Disconnected]);
}

#[tokio::test]
async fn a_follower_that_lags_gets_the_latest_state_once() {
    let nodes = Nodes::new();
    let (a, _) = nodes.connect(node("a", 1), ads());
    let mut follower = Box::pin(nodes.follow(None));
    assert_eq!(follower.next().await.unwrap().cause, Cause::Current);
    let last = 2 * u64::try_from(RING).unwrap();
    for revision in 1..=last {
        nodes.observe(a, settled(revision, &[]), Utc::now());
    }
    let change = follower.next().await.unwrap();
    assert_eq!(change.cause, Cause::Missed);
    assert_eq!(change.node.settled.as_ref().unwrap().revision, Revision::from(last));
    nodes.disconnect(a, Utc::now());
    assert_eq!(follower.next().await.unwrap().cause, Cause::Disconnected);
}

// === several streams of one node ===

const CLUSTER: ResourceType = ResourceType::Cluster;
const ENDPOINT: ResourceType = ResourceType::Endpoint;
const LISTENER: ResourceType = ResourceType::Listener;
const ROUTE: ResourceType = ResourceType::Route;

/// The revision that a node has settled at, and what it holds there.
fn settled_at(nodes: &Nodes, place: Place) -> Option<(Revision, Vec<ResourceType>)> {
    let settled = nodes.find(place.node).unwrap().settled.clone();
    settled.map(|settled| (settled.revision, settled.held))
}

fn at(revision: u64, held: &[ResourceType]) -> Option<(Revision, Vec<ResourceType>)> {
    Some((revision.into(), held.to_vec()))
}

#[test]
fn streams_of_one_connection_are_one_node_until_the_last_has_ended() {
    let nodes = Nodes::new();
    let (clusters, is_new) = nodes.connect(peer(1), alone(CLUSTER, &[]));
    assert!(is_new);
    let (listeners, is_new) = nodes.connect(peer(1), alone(LISTENER, &[]));
    assert!(!is_new);
    assert_eq!(clusters.node, listeners.node);
    for other in [peer(2), Arrival { name: "b".to_owned(), ..peer(1) }, node("a", 1)] {
        let (place, is_new) = nodes.connect(other, alone(LISTENER, &[]));
        assert!(is_new && place.node != clusters.node);
    }
    assert!(!nodes.disconnect(clusters, Utc::now()));
    assert!(nodes.find(clusters.node).unwrap().is_connected());
    assert!(nodes.disconnect(listeners, Utc::now()));
    assert!(!nodes.find(clusters.node).unwrap().is_connected());
    assert!(!nodes.disconnect(listeners, Utc::now()), "once");
    let (back, is_new) = nodes.connect(peer(3), alone(CLUSTER, &[]));
    assert_eq!((back.node, is_new), (clusters.node, true));
}

#[test]
fn two_aggregated_streams_are_two_nodes_even_on_one_connection() {
    let nodes = Nodes::new();
    let (first, _) = nodes.connect(peer(1), ads());
    let (second, is_new) = nodes.connect(peer(1), ads());
    assert!(is_new && first.node != second.node);
    nodes.disconnect(first, Utc::now());
    assert!(nodes.find(second.node).unwrap().is_connected());
}

#[test]
fn a_node_is_settled_when_all_of_its_streams_are() {
    let nodes = Nodes::new();
    let (clusters, _) = nodes.connect(peer(1), alone(CLUSTER, &[]));
    let (listeners, _) = nodes.connect(peer(1), alone(LISTENER, &[]));
    nodes.observe(clusters, settled(5, &[]), Utc::now());
    assert_eq!(settled_at(&nodes, clusters), None);
    nodes.observe(listeners, settled(4, &[LISTENER]), Utc::now());
    assert_eq!(settled_at(&nodes, clusters), at(4, &[LISTENER]));
    nodes.observe(listeners, settled(5, &[]), Utc::now());
    assert_eq!(settled_at(&nodes, clusters), at(5, &[]));

    // A new stream has to settle, too; one that ends is not waited for.
    let (endpoints, _) = nodes.connect(peer(1), alone(ENDPOINT, &["a"]));
    nodes.observe(clusters, settled(6, &[]), Utc::now());
    nodes.observe(listeners, settled(6, &[]), Utc::now());
    assert_eq!(settled_at(&nodes, clusters), at(5, &[]));
    nodes.disconnect(endpoints, Utc::now());
    assert_eq!(settled_at(&nodes, clusters), at(6, &[]));
}

#[test]
fn a_node_is_not_settled_before_it_asks_for_what_its_resources_need() {
    let nodes = Nodes::new();
    let (listeners, _) = nodes.connect(peer(1), alone(LISTENER, &[]));
    let needs = |of_type, name: &str| (of_type, Arc::from(name));
    let resources = vec![needs(CLUSTER, "c"), needs(ROUTE, "one"), needs(ROUTE, "two")];
    nodes.observe(listeners, Event::Needs { resources }, Utc::now());
    nodes.observe(listeners, settled(1, &[]), Utc::now());
    let (one, _) = nodes.connect(peer(1), alone(ROUTE, &["one"]));
    nodes.observe(one, settled(1, &[]), Utc::now());
    assert_eq!(settled_at(&nodes, listeners), None, "two is not asked for");
    let (two, _) = nodes.connect(peer(1), alone(ROUTE, &["two"]));
    assert_eq!(settled_at(&nodes, listeners), None, "two is not answered");
    nodes.observe(two, settled(1, &[]), Utc::now());
    assert_eq!(settled_at(&nodes, listeners), at(1, &[]));
}

#[test]
fn a_version_is_accepted_when_all_streams_of_its_type_have_it() {
    let nodes = Nodes::new();
    let (a, _) = nodes.connect(peer(1), alone(ENDPOINT, &["a"]));
    let (b, _) = nodes.connect(peer(1), alone(ENDPOINT, &["b"]));
    let (clusters, _) = nodes.connect(peer(1), alone(CLUSTER, &[]));
    let version = || {
        let node = nodes.find(a.node).unwrap();
        let version = node.types.get(&ENDPOINT).and_then(|status| status.acked_version.clone());
        version.map(|version| version.to_string())
    };
    nodes.observe(clusters, acked(CLUSTER, "c"), Utc::now());
    nodes.observe(a, acked(ENDPOINT, "1"), Utc::now());
    assert_eq!(version(), None);
    nodes.observe(b, acked(ENDPOINT, "1"), Utc::now());
    assert_eq!(version().as_deref(), Some("1"));
    nodes.observe(b, acked(ENDPOINT, "2"), Utc::now());
    assert_eq!(version().as_deref(), Some("1"));
    nodes.disconnect(a, Utc::now());
    assert_eq!(version().as_deref(), Some("2"), "the one that lagged is gone");
}

#[test]
fn what_one_stream_refuses_another_neither_hides_nor_mends() {
    let nodes = Nodes::new();
    let refused = |revision, message: &str| Event::Nacked {
        resource_type: ENDPOINT,
        version: "v".into(),
        revision,
        code: 13,
        message: message.to_owned(),
        resources: vec![],
        culprits: vec![],
        searching: false,
    };
    let (a, _) = nodes.connect(peer(1), alone(ENDPOINT, &["a"]));
    let (b, _) = nodes.connect(peer(1), alone(ENDPOINT, &["b"]));
    let message = || {
        let node = nodes.find(a.node).unwrap();
        node.types[&ENDPOINT].refused.as_ref().map(|refusal| refusal.message.clone())
    };
    nodes.observe(a, refused(5, "of a"), Utc::now());
    nodes.observe(b, settled(5, &[]), Utc::now());
    assert_eq!(message().as_deref(), Some("of a"));
    nodes.observe(b, refused(4, "of b"), Utc::now());
    assert_eq!(message().as_deref(), Some("of a"), "the newer revision counts");
    nodes.observe(a, settled(6, &[]), Utc::now());
    assert_eq!(message().as_deref(), Some("of b"));
    nodes.disconnect(b, Utc::now());
    assert_eq!(message(), None);
    let last = nodes.find(a.node).unwrap().last_refusal.clone();
    assert_eq!(last.unwrap().message, "of b");
}

/// The tally of a revision of group 1: how many adopt it, how many refuse it, and who
/// was the first to.
fn tally(nodes: &Nodes, revision: i64) -> (i32, i32, Option<String>) {
    let Tally { adopted, refused, first_refusal } = nodes.tally(group(1), revision.into());
    (adopted, refused, first_refusal.map(|first| first.node))
}

#[test]
fn answers_to_a_revision_are_counted_once_for_each_node() {
    let nodes = Nodes::new();
    let now = Utc::now();
    let (a, _) = nodes.connect(node("a", 1), ads());
    let (b, _) = nodes.connect(node("b", 1), ads());
    nodes.observe(a, settled(1, &[]), now);
    nodes.observe(a, settled(1, &[]), now);
    nodes.observe(b, nacked(1), now);
    nodes.observe(b, settled(1, &[ResourceType::Listener]), now);
    assert_eq!(tally(&nodes, 1), (1, 1, Some("b".to_owned())));
    // One that comes back with the same is not another one.
    nodes.disconnect(a, now);
    let (a, _) = nodes.connect(node("a", 1), ads());
    nodes.observe(a, settled(1, &[]), now);
    assert_eq!(tally(&nodes, 1).0, 1);
    nodes.observe(b, settled(1, &[]), now);
    assert_eq!(tally(&nodes, 1), (2, 0, Some("b".to_owned())));
    nodes.observe(a, settled(2, &[]), now);
    assert_eq!((tally(&nodes, 2).0, tally(&nodes, 3).0), (1, 0));

    let taken = nodes.take_tallies();
    assert_eq!(taken.len(), 2);
    assert_eq!(tally(&nodes, 1), (0, 0, None));
    nodes.observe(b, settled(2, &[]), now);
    for (group, revision, tally) in taken {
        nodes.return_tally(group, revision, tally);
    }
    assert_eq!(tally(&nodes, 1), (2, 0, Some("b".to_owned())));
    assert_eq!(tally(&nodes, 2).0, 2);
}

#[test]
fn the_time_that_a_node_takes_counts_from_the_publication() {
    let nodes = Nodes::new();
    let start = Utc::now();
    let after = |millis| start + TimeDelta::milliseconds(millis);
    let early = Arrival { connected_at: start, ..node("a", 1) };
    let (a, _) = nodes.connect(early, ads());
    nodes.publish(group(1), Revision::from(1_i64), after(10));
    nodes.publish(group(1), Revision::from(2_i64), after(20));
    nodes.publish(group(1), Revision::from(1_i64), after(25)); // no news
    let late = Arrival { connected_at: after(30), ..node("b", 1) };
    let (b, _) = nodes.connect(late, ads());
    nodes.observe(b, settled(2, &[]), after(40));
    nodes.observe(a, settled(2, &[]), after(50));
    let latency = |place: Place, revision: i64| {
        let node = nodes.find(place.node()).unwrap();
        nodes.latency(&node, revision.into()).map(|time| time.num_milliseconds())
    };
    assert_eq!((latency(a, 1), latency(a, 2), latency(a, 3)), (Some(40), Some(30), None));
    assert_eq!(latency(b, 2), None, "it came when that was out");
    assert_eq!(latency(a, 0), None, "that may be forgotten");
    let Convergence { samples, p50, p99 } = nodes.convergence(group(1));
    assert_eq!((samples, p50.unwrap().num_milliseconds()), (2, 30));
    assert_eq!(p99.unwrap().num_milliseconds(), 40);
}
