//! What a subscription shows of a change, and what it shows a slow reader.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Envoy, Plane, Protocol, Traffic, Upstream};

const NODES: &str = "subscription { nodeStatusChanged { cause type
    node { nodeId revision types { type ackedVersion nackedVersion } } } }";
const SNAPSHOTS: &str = "subscription { snapshotPublished { revision version } }";

fn all() -> Value {
    json!({ "nodes": "ALL", "timeoutMs": 20000 })
}

#[tokio::test]
async fn a_change_is_published_and_then_acked_by_every_node_in_order() {
    let (plane, upstream) = (Plane::start().await, Upstream::start("one").await);
    let _one = Envoy::start(&plane, Protocol::Delta).await;
    let _two = Envoy::start_as(&plane, Protocol::Sotw, &["--node-id", "no-group-at-all"]);
    plane.wait_for_node("no-group-at-all").await;

    let mut snapshots = plane.subscribe(SNAPSHOTS, json!({})).await;
    let mut nodes = plane.subscribe(NODES, json!({})).await;
    let before = snapshots.next().await.unwrap()["snapshotPublished"]["revision"].clone();
    let present = [nodes.next().await.unwrap(), nodes.next().await.unwrap()];
    assert!(present.iter().all(|event| event["nodeStatusChanged"]["cause"] == "CURRENT"));

    let input = json!({ "name": "hello", "ipFqdn": "127.0.0.1", "port": upstream.port() });
    let change = plane.change_and_wait("createService", "CreateServiceInput", input, all()).await;
    assert_eq!(change["rollout"]["acked"], 2, "{change:#}");

    let published = snapshots.next().await.unwrap()["snapshotPublished"].clone();
    assert_eq!(published["version"], change["version"]);
    assert_eq!(published["revision"], change["revision"]);
    assert_eq!(published["revision"].as_i64(), before.as_i64().map(|before| before + 1));

    let settled = |event: &Value, name: &str| {
        let change = &event["nodeStatusChanged"];
        change["cause"] == "SETTLED"
            && change["node"]["nodeId"] == name
            && change["node"]["revision"] == published["revision"]
    };
    let mut events = Vec::new();
    let both = ["cluster-1", "no-group-at-all"];
    while !both.iter().all(|name| events.iter().any(|event| settled(event, name))) {
        events.push(nodes.next().await.unwrap());
    }
    for name in both {
        let of_node = events.iter().map(|e| &e["nodeStatusChanged"]);
        let of_node: Vec<_> = of_node.filter(|e| e["node"]["nodeId"] == name).collect();
        let place = |t: &str| {
            let acked = of_node.iter().position(|e| e["cause"] == "ACKED" && e["type"] == t);
            acked.unwrap_or_else(|| panic!("{name} acked no {t}: {of_node:#?}"))
        };
        let end = of_node.iter().position(|e| e["cause"] == "SETTLED").unwrap();
        for t in ["CLUSTER", "ENDPOINT", "ROUTE"] {
            assert!(place(t) < end, "{t} after it was settled: {of_node:#?}");
        }
    }
}

#[tokio::test]
async fn a_rollout_fills_up_to_every_node() {
    let (plane, upstream) = (Plane::start().await, Upstream::start("one").await);
    let _envoy = Envoy::start(&plane, Protocol::Delta).await;
    plane.create_service("hello", upstream.port()).await;
    let change = plane
        .change(
            "createService",
            "CreateServiceInput",
            json!({ "name": "more", "ipFqdn": "127.0.0.1", "port": 9 }),
        )
        .await;
    let query = "subscription($version: String!) { rollout(version: $version) {
        version revision done total acked nacked pending nodes { standing node { nodeId } } } }";
    let variables = json!({ "version": change["version"] });
    let mut rollout = plane.subscribe(query, variables).await;
    let done = rollout.until("the rollout is done", |event| event["rollout"]["done"] == true).await;
    let done = &done["rollout"];
    assert_eq!(done["revision"], change["revision"]);
    assert_eq!((&done["total"], &done["acked"]), (&json!(1), &json!(1)));
    assert_eq!(done["nodes"][0]["node"]["nodeId"], "cluster-1");
}

#[tokio::test]
async fn a_node_is_seen_coming_and_going() {
    let plane = Plane::start().await;
    let mut snapshots = plane.subscribe(SNAPSHOTS, json!({})).await;
    snapshots.next().await;
    let mut envoy = Envoy::start(&plane, Protocol::Delta).await;
    let mut nodes = plane.subscribe(NODES, json!({})).await;
    nodes.next().await;
    envoy.kill();
    let gone = |event: &Value| event["nodeStatusChanged"]["cause"] == "DISCONNECTED";
    nodes.until("the node is gone", gone).await;
    let query = "{ xdsNodes { nodeId connected disconnectedAt } }";
    let node = plane.ask(query, json!({})).await.data()["xdsNodes"][0].clone();
    assert_eq!((&node["nodeId"], &node["connected"]), (&json!("cluster-1"), &json!(false)));
    assert!(!node["disconnectedAt"].is_null());
}

#[tokio::test]
async fn a_thousand_changes_and_a_reader_that_sleeps_lose_no_final_state() {
    let plane = Plane::start().await;
    let (one, two) = (Upstream::start("one").await, Upstream::start("two").await);
    let _envoy = Envoy::start(&plane, Protocol::Delta).await;
    let id = plane.create_service("hello", one.port()).await;
    let mut snapshots = plane.subscribe(SNAPSHOTS, json!({})).await;
    let mut nodes = plane.subscribe(NODES, json!({})).await;
    snapshots.next().await;
    nodes.next().await;

    // Nobody reads the subscriptions from here on, for five seconds. Longer might be too
    // long for the server, and on a busy machine the changes take longer.
    let wakes = tokio::time::Instant::now() + Duration::from_secs(5);
    let mut last = Value::Null;
    let changing = async {
        for i in 0..1000 {
            let port = if i % 2 == 0 { two.port() } else { one.port() };
            let input = json!({ "id": id, "port": port });
            last = plane.change("updateService", "UpdateServiceInput", input).await;
        }
    };
    let reading = async {
        tokio::time::sleep_until(wakes).await;
        loop {
            tokio::select! {
                event = snapshots.next() => drop(event.expect("the snapshots go on")),
                event = nodes.next() => drop(event.expect("the nodes go on")),
            }
        }
    };
    tokio::select! {
        () = changing => {}
        () = reading => {}
    }
    // The Envoys were not held up by the reader.
    let input = json!({ "id": id, "port": two.port() });
    let last_but_one = last["revision"].as_i64().unwrap();
    last = plane.change_and_wait("updateService", "UpdateServiceInput", input, all()).await;
    assert_eq!(last["rollout"]["outcome"], "ACKED", "{last:#}");
    assert_eq!(last["revision"].as_i64(), Some(last_but_one + 1), "no change was lost");
    assert_eq!(Traffic::get(plane.listener, "hello", "/").await.as_deref(), Ok("two"));
    tokio::time::sleep_until(wakes).await; // the sleep is what is tested

    let published = |event: &Value| event["snapshotPublished"]["revision"] == last["revision"];
    let latest = snapshots.until("the last snapshot", published).await;
    assert_eq!(latest["snapshotPublished"]["version"], last["version"]);
    let settled =
        |event: &Value| event["nodeStatusChanged"]["node"]["revision"] == last["revision"];
    nodes.until("the last state of the node", settled).await;
}
