use futures_util::StreamExt as _;
use marchproxy_xds::{Event, Protocol, ResourceType};

use super::*;
use crate::model::Revision;

fn group(id: i32) -> NodeGroupId {
    id.try_into().unwrap()
}

fn node(name: &str, in_group: i32) -> NodeStatus {
    NodeStatus {
        id: NodeId::default(),
        name: name.to_owned(),
        group: group(in_group),
        matched: Matched::Id,
        peer: None,
        protocol: Protocol::Delta,
        software: String::new(),
        connected_at: Utc::now(),
        disconnected_at: None,
        types: BTreeMap::new(),
        settled: None,
        last_refusal: None,
        change: 0,
    }
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
        let mut node = node("a", 1);
        for event in *events {
            node.observe(event.clone(), Utc::now());
        }
        assert_eq!(node.standing(Revision::from(5_u64)), *want, "{case}");
    }
}

#[test]
fn a_node_that_returns_takes_its_place_again() {
    let nodes = Nodes::new();
    let first = nodes.connect(node("a", 1));
    let twin = nodes.connect(node("a", 1));
    assert_ne!(first, twin, "two at once are two");
    nodes.disconnect(group(1), first, Utc::now());
    assert_eq!(nodes.connect(node("a", 1)), first);
    assert_eq!(nodes.list(None).len(), 2);
}

#[test]
fn nodes_that_are_gone_are_remembered_up_to_a_number() {
    let nodes = Nodes::new();
    for i in 0..MOST_GONE + 5 {
        let id = nodes.connect(node(&format!("n{i}"), 1));
        nodes.disconnect(group(1), id, Utc::now());
    }
    let known = nodes.list(Some(group(1)));
    assert_eq!(known.len(), MOST_GONE);
    assert!(known.iter().all(|node| node.name != "n0"), "the oldest went first");
}

#[tokio::test]
async fn a_follower_gets_the_present_then_each_change_in_order() {
    let nodes = Nodes::new();
    let a = nodes.connect(node("a", 1));
    let mut follower = Box::pin(nodes.follow(Some(group(1))));
    nodes.connect(node("elsewhere", 2));
    nodes.update(group(1), a, Some(Cause::Settled), |s| s.observe(settled(1, &[]), Utc::now()));
    nodes.disconnect(group(1), a, Utc::now());
    let mut causes = Vec::new();
    for _ in 0..3 {
        causes.push(follower.next().await.unwrap().cause);
    }
    assert_eq!(causes, [Cause::Current, Cause::Settled, Cause::Disconnected]);
}

#[tokio::test]
async fn a_follower_that_lags_gets_the_latest_state_once() {
    let nodes = Nodes::new();
    let a = nodes.connect(node("a", 1));
    let mut follower = Box::pin(nodes.follow(None));
    assert_eq!(follower.next().await.unwrap().cause, Cause::Current);
    let last = 2 * u64::try_from(RING).unwrap();
    for revision in 1..=last {
        nodes.update(group(1), a, Some(Cause::Settled), |s| {
            s.observe(settled(revision, &[]), Utc::now());
        });
    }
    let change = follower.next().await.unwrap();
    assert_eq!(change.cause, Cause::Missed);
    assert_eq!(change.node.settled.as_ref().unwrap().revision, Revision::from(last));
    nodes.disconnect(group(1), a, Utc::now());
    assert_eq!(follower.next().await.unwrap().cause, Cause::Disconnected);
}
