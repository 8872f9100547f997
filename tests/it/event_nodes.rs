//! What Envoys do, in the event log; and how much they send, as it goes on.

use marchproxy_xds::testing::FakeEnvoy;
use marchproxy_xds::{Protocol as XdsProtocol, ResourceType};
use serde_json::{Value, json};

use crate::support::{Envoy, Plane, Protocol, TakenPort, Traffic, Upstream};

const EVENTS: &str = "subscription($after: String) {
    eventStream(after: $after, filter: { kinds: [
      NODE_CONNECTED, NODE_DISCONNECTED, NODE_ACKED, NODE_NACKED, REPORTS_LOST] }) {
    ... on Event { cursor at kind
      node { nodeId instance address software revision acked { type version } node { connected } }
      nack { type message culprits { resourceName } revision } } } }";

async fn server(plane: &Plane) -> Value {
    let query = "{ serverInfo { version instance eventLog { id firstCursor lastCursor } } }";
    plane.ask(query, json!({})).await.data()["serverInfo"].clone()
}

fn is(kind: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["eventStream"]["kind"] == kind
}

fn millis(event: &Value) -> i64 {
    let at = event["eventStream"]["at"].as_str().unwrap();
    chrono::DateTime::parse_from_rfc3339(at).unwrap().timestamp_millis()
}

#[tokio::test]
async fn an_envoy_that_comes_accepts_refuses_and_goes_is_in_the_log() {
    let (mut plane, upstream) = (Plane::start().await, Upstream::start("one").await);
    let server_before = server(&plane).await;
    let start = server_before["eventLog"]["lastCursor"].clone();
    let mut envoy = Envoy::start(&plane, Protocol::Delta).await;
    for i in 0..5 {
        plane.create_service(&format!("s{i}"), upstream.port()).await;
    }
    let revision = plane.state().await["nodeGroups"]["nodes"][0]["revision"].clone();

    // It is told of what has happened before, and of what happens.
    let mut events = plane.subscribe(EVENTS, json!({ "after": start })).await;
    let mut told = events
        .all_until("all is accepted", |event| event["eventStream"]["node"]["revision"] == revision)
        .await;
    let taken = TakenPort::new();
    let listener = json!({ "name": "taken", "address": "127.0.0.1", "port": taken.port() });
    plane.change("createListener", "CreateListenerInput", listener).await;
    told.extend(events.all_until("it refuses", is("NODE_NACKED")).await);
    let nacked = told.last().unwrap()["eventStream"].clone();
    assert_eq!(nacked["nack"]["type"], "LISTENER", "{nacked:#}");
    assert_eq!(nacked["nack"]["culprits"][0]["resourceName"], "taken", "{nacked:#}");
    assert!(nacked["nack"]["message"].as_str().unwrap().contains("ddress"), "{nacked:#}");
    assert_eq!(nacked["node"]["node"]["connected"], true, "{nacked:#}");
    assert_eq!(nacked["node"]["instance"], server_before["instance"]);
    envoy.kill();
    told.extend(events.all_until("it is gone", is("NODE_DISCONNECTED")).await);

    assert!(is("NODE_CONNECTED")(&told[0]), "{told:#?}");
    for event in &told {
        let node = &event["eventStream"]["node"];
        assert_eq!(node["nodeId"], "cluster-1", "{event:#}");
        assert!(node["address"].is_string() && node["software"] != "", "{event:#}");
    }
    let acked: Vec<_> = told.iter().filter(|event| is("NODE_ACKED")(event)).collect();
    assert!(!acked.is_empty() && acked.len() < 30, "{told:#?}");
    for pair in acked.windows(2) {
        let apart = millis(pair[1]) - millis(pair[0]);
        assert!(apart >= 249, "{apart} ms: more than four times a second");
    }
    let types = acked.last().unwrap()["eventStream"]["node"]["acked"].as_array().unwrap();
    assert!(types.iter().any(|acked| acked["type"] == "CLUSTER"), "{types:?}");

    // What was refused is told of by itself as well, also after a restart.
    plane.kill();
    plane.start_again().await;
    let query = "subscription($after: String) { nackReceived(after: $after) { ... on Event {
        cursor node { node { connected } } nack { type message culprits { resourceName } revision } } } }";
    let mut nacks = plane.subscribe(query, json!({ "after": start })).await;
    let nack = nacks.next().await.unwrap()["nackReceived"].clone();
    assert_eq!((&nack["cursor"], &nack["nack"]), (&nacked["cursor"], &nacked["nack"]));
    assert_eq!(nack["node"]["node"], Value::Null, "this process has not seen it");
    let server_after = server(&plane).await;
    assert_ne!(server_after["instance"], server_before["instance"]);
    assert_eq!(server_after["eventLog"]["id"], server_before["eventLog"]["id"]);
    assert_eq!(server_after["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn what_a_proxy_says_with_a_nul_is_written_and_so_is_what_others_say() {
    let plane = Plane::start().await;
    let start = server(&plane).await["eventLog"]["lastCursor"].clone();
    let mut events = plane.subscribe(EVENTS, json!({ "after": start })).await;
    plane.create_service("s", 9).await;
    let address = ([127, 0, 0, 1], plane.xds_port()).into();
    let mut odd = FakeEnvoy::connect(address, XdsProtocol::Delta, "odd\0node", "x\0y").await;
    odd.subscribe(ResourceType::Cluster, &[]).await;
    let given = odd.next().await;
    odd.nack(&given, "no\0thanks").await;
    let told = events.all_until("it refuses", is("NODE_NACKED")).await;
    let nacked = &told.last().unwrap()["eventStream"];
    assert_eq!(nacked["node"]["nodeId"], "odd\u{fffd}node", "{nacked:#}");
    assert_eq!(nacked["nack"]["message"], "no\u{fffd}thanks", "{nacked:#}");
    assert!(told.iter().any(is("NODE_CONNECTED")), "{told:#?}");

    let _envoy = Envoy::start(&plane, Protocol::Delta).await;
    events.all_until("another one is told of", is("NODE_ACKED")).await;
}

#[tokio::test]
async fn a_server_that_stops_writes_who_it_let_go() {
    let mut plane = Plane::start().await;
    let start = server(&plane).await["eventLog"]["lastCursor"].clone();
    let mut envoy = Envoy::start(&plane, Protocol::Sotw).await;
    let mut events = plane.subscribe(EVENTS, json!({ "after": start })).await;
    let came = events.until("it is there", is("NODE_CONNECTED")).await;
    drop(events);
    assert!(plane.terminate().success());
    envoy.kill();
    plane.start_again().await;
    let after = json!({ "after": came["eventStream"]["cursor"] });
    let mut events = plane.subscribe(EVENTS, after).await;
    let gone = events.until("it was let go", is("NODE_DISCONNECTED")).await;
    let instance = |event: &Value| event["eventStream"]["node"]["instance"].clone();
    assert_eq!(instance(&gone), instance(&came));
}

#[tokio::test]
async fn how_much_is_sent_is_told_as_often_as_asked() {
    let (plane, upstream) = (Plane::start().await, Upstream::start("web").await);
    let reporting = ["--node-id", "cluster-1", "--load-reports"];
    let _envoy = Envoy::start_as(&plane, Protocol::Delta, &reporting);
    plane.wait_for_node("cluster-1").await;
    plane.create_service("web", upstream.port()).await;
    Traffic::until(plane.listener, "web", "web").await;
    let query = "subscription { loadReported(everyMs: 250) { node { nodeId }
        loads { cluster localities { total { issued } } } } }";
    let mut loads = plane.subscribe(query, json!({})).await;
    for _ in 0..9 {
        Traffic::get(plane.listener, "web", "/").await.unwrap();
    }
    let issued = |event: &Value| {
        let loads = event["loadReported"]["loads"].as_array().unwrap().clone();
        let of = |load: &Value| load["localities"][0]["total"]["issued"].as_f64();
        loads.iter().filter_map(of).sum::<f64>()
    };
    let told = loads.until("all is reported", |event| issued(event) >= 10.0).await;
    assert_eq!(told["loadReported"]["node"]["nodeId"], "cluster-1");
    let often = "subscription { loadReported(everyMs: 10) { node { nodeId } } }";
    let refused = plane.ask(often, json!({})).await;
    assert_eq!(refused.error()["extensions"]["code"], "INVALID");
}
