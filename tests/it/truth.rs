//! The truth per proxy: how each resource stands, what is to blame, and since when.

use marchproxy_xds::ResourceType;
use marchproxy_xds::testing::FakeEnvoy;
use serde_json::{Value, json};

use crate::support::{Envoy, Plane, Protocol, TakenPort, Traffic, Upstream, eventually};
use crate::traffic::in_both_protocols;

in_both_protocols! {
    a_bad_change_is_blamed_on_its_object_and_taken_back,
}

const SYNC: &str = "{ xdsNodes { nodeId connected sync {
    type state sentVersion ackedVersion latencyMs resourceCount
    acked: resourceCount(state: ACKED)
    resources(first: 200) { nodes { name state version since sentAt latencyMs
        nack { version message at } object { __typename id } } } } } }";

fn all() -> Value {
    json!({ "nodes": "ALL", "timeoutMs": 20000 })
}

/// How each type stands with the only node, by the type's name.
async fn sync(plane: &Plane) -> Value {
    let data = plane.ask(SYNC, json!({})).await.data();
    let types = data["xdsNodes"][0]["sync"].as_array().unwrap().clone();
    let named = types.into_iter().map(|sync| (sync["type"].as_str().unwrap().to_owned(), sync));
    Value::Object(named.collect())
}

fn resource(sync: &Value, of: &str, name: &str) -> Value {
    let nodes = sync[of]["resources"]["nodes"].as_array().unwrap();
    let found = nodes.iter().find(|resource| resource["name"] == name);
    found.unwrap_or_else(|| panic!("no {of} {name} in {sync:#}")).clone()
}

async fn snapshot(plane: &Plane) -> Value {
    let query = "{ snapshot { id revision version adopted refused firstNack { nodeId
        nack { type message culprits { resourceName field object { __typename id } } } } } }";
    plane.ask(query, json!({})).await.data()["snapshot"].clone()
}

async fn a_bad_change_is_blamed_on_its_object_and_taken_back(protocol: Protocol) {
    let (plane, upstream) = (Plane::start().await, Upstream::start("one").await);
    let _envoy = Envoy::start(&plane, protocol).await;
    let service = plane.create_service("hello", upstream.port()).await;
    let good = snapshot(&plane).await;
    assert_eq!((&good["adopted"], &good["refused"]), (&json!(1), &json!(0)), "{good:#}");
    assert_eq!(good["firstNack"], Value::Null);

    // All is green, and each resource leads to what it comes of.
    let green = sync(&plane).await;
    for of in ["CLUSTER", "ENDPOINT", "LISTENER", "ROUTE"] {
        assert_eq!(green[of]["state"], "ACKED", "{green:#}");
        assert_eq!(green[of]["acked"], green[of]["resourceCount"], "{green:#}");
    }
    let cluster = resource(&green, "CLUSTER", "cluster_1_service_1");
    assert_eq!(cluster["object"], json!({ "__typename": "Service", "id": service }));
    assert!(cluster["latencyMs"].as_f64().unwrap() >= 0.0, "{cluster:#}");
    assert!(green["CLUSTER"]["latencyMs"].as_f64().unwrap() >= 0.0, "{green:#}");
    let routes = resource(&green, "ROUTE", "marchproxy_routes");
    assert_eq!(routes["object"]["__typename"], "Listener");

    // A listener on a port that another process holds.
    let taken = TakenPort::new();
    let input = json!({ "name": "extra", "address": "127.0.0.1", "port": taken.port() });
    let bad = plane.change_and_wait("createListener", "CreateListenerInput", input, all()).await;
    assert_eq!(bad["rollout"]["outcome"], "NACKED", "{bad:#}");
    let object = json!({ "__typename": "Listener", "id": bad["listener"]["id"] });
    let culprit = json!({ "resourceName": "extra", "field": "port", "object": object });
    assert_eq!(bad["rollout"]["nodes"][0]["nack"]["culprits"], json!([culprit]), "{bad:#}");
    let stands = sync(&plane).await;
    let extra = resource(&stands, "LISTENER", "extra");
    assert_eq!((&extra["state"], &extra["object"]), (&json!("NACKED"), &object), "{extra:#}");
    assert!(extra["nack"]["message"].as_str().unwrap().contains("Address already in use"));
    assert_eq!(stands["LISTENER"]["state"], "NACKED");

    // The snapshot remembers who refused it first, and the rest of it is live.
    let first = eventually("the refusal is counted", async || {
        let snapshot = snapshot(&plane).await;
        if snapshot["refused"] == 1 { Ok(snapshot) } else { Err(format!("{snapshot:#}")) }
    })
    .await;
    assert_eq!(first["firstNack"]["nack"]["culprits"], json!([culprit]), "{first:#}");
    assert_eq!(first["firstNack"]["nack"]["type"], "LISTENER");
    assert_eq!(first["adopted"], 0);
    plane.create_service("more", upstream.port()).await;
    assert_eq!(Traffic::get(plane.listener, "more", "/").await.as_deref(), Ok("one"));

    // Rolled back, all is green again.
    let current = snapshot(&plane).await;
    let query = "mutation($input: RollbackInput!, $wait: WaitForInput) {
        rollback(input: $input, waitFor: $wait) { version rollout { outcome } } }";
    let input = json!({ "toSnapshot": good["id"], "ifCurrentSnapshot": current["id"] });
    let variables = json!({ "input": input, "wait": all() });
    let back = plane.ask(query, variables).await.data()["rollback"].clone();
    assert_eq!(back["rollout"]["outcome"], "ACKED", "{back:#}");
    assert_eq!(back["version"], good["version"]);
    let green = sync(&plane).await;
    for of in ["CLUSTER", "ENDPOINT", "LISTENER", "ROUTE"] {
        assert_eq!(green[of]["state"], "ACKED", "{green:#}");
    }
    // What was there, and is gone, is told as that.
    let query = "query($id: ID!) { snapshot(id: $id) {
        firstNack { nack { culprits { resourceName object { id } } } } } }";
    let old = plane.ask(query, json!({ "id": first["id"] })).await.data();
    let culprits = &old["snapshot"]["firstNack"]["nack"]["culprits"];
    assert_eq!(culprits, &json!([{ "resourceName": "extra", "object": null }]));
}

#[tokio::test]
async fn a_resource_is_told_apart_as_sent_warming_and_acked() {
    let plane = Plane::start().await;
    let address = ([127, 0, 0, 1], plane.xds_port()).into();
    let delta = marchproxy_xds::Protocol::Delta;
    let mut client = FakeEnvoy::connect(address, delta, "cluster-1", "slow").await;
    client.subscribe(ResourceType::Cluster, &[]).await;
    let first = client.next().await;
    client.ack(&first).await;
    plane.wait_until_settled("cluster-1").await;

    let input = json!({ "name": "a", "ipFqdn": "127.0.0.1", "port": 9 });
    plane.change("createService", "CreateServiceInput", input).await;
    let pushed = client.next().await;
    assert_eq!(pushed.names(), ["cluster_1_service_1"]);
    let cluster = async || resource(&sync(&plane).await, "CLUSTER", "cluster_1_service_1");
    let sent = cluster().await;
    assert_eq!((&sent["state"], &sent["latencyMs"]), (&json!("SENT"), &Value::Null), "{sent:#}");
    assert!(!sent["sentAt"].is_null(), "{sent:#}");

    // As Envoy does: it asks for the endpoints, and answers when it has them.
    client.subscribe(ResourceType::Endpoint, &["cluster_1_service_1"]).await;
    let endpoints = client.next().await;
    assert_eq!(endpoints.resource_type, ResourceType::Endpoint);
    assert_eq!(cluster().await["state"], "WARMING");
    client.ack(&endpoints).await;
    client.ack(&pushed).await;
    let acked = eventually("it is acknowledged", async || {
        let cluster = cluster().await;
        if cluster["state"] == "ACKED" { Ok(cluster) } else { Err(format!("{cluster:#}")) }
    })
    .await;
    assert!(acked["latencyMs"].as_f64().unwrap() > 0.0, "{acked:#}");
    assert_eq!(acked["version"], sent["version"]);

    // What it asks for and does not exist is no secret, either.
    client.subscribe(ResourceType::Endpoint, &["nowhere"]).await;
    let nothing = client.next().await;
    client.ack(&nothing).await;
    let nowhere = resource(&sync(&plane).await, "ENDPOINT", "nowhere");
    assert_eq!((&nowhere["state"], &nowhere["object"]), (&json!("ABSENT"), &Value::Null));
}

#[tokio::test]
async fn a_rollout_tells_how_long_each_proxy_took() {
    let plane = Plane::start().await;
    let _envoy = Envoy::start(&plane, Protocol::Delta).await;
    let query = "query($version: String!) { rollout(version: $version) {
        revision done total acked pending convergence { samples p50Ms p99Ms }
        nodes { standing latencyMs node { nodeId } } }
        nodeGroup { convergence { samples p50Ms p99Ms } } }";
    let mut took = vec![];
    for name in ["a", "b", "c"] {
        let input = json!({ "name": name, "ipFqdn": "127.0.0.1", "port": 9 });
        let made = plane.change_and_wait("createService", "CreateServiceInput", input, all()).await;
        let data = plane.ask(query, json!({ "version": made["version"] })).await.data();
        let rollout = &data["rollout"];
        assert_eq!((&rollout["done"], &rollout["acked"]), (&json!(true), &json!(1)));
        let latency = rollout["nodes"][0]["latencyMs"].as_f64().unwrap();
        assert!(latency > 0.0, "{rollout:#}");
        let convergence = &rollout["convergence"];
        assert_eq!(convergence["samples"], 1);
        assert_eq!(convergence["p50Ms"].as_f64().unwrap(), latency);
        took.push(latency);
        let of_group = &data["nodeGroup"]["convergence"];
        assert!(of_group["samples"].as_u64().unwrap() >= took.len() as u64, "{of_group:#}");
        assert!(of_group["p50Ms"].as_f64() <= of_group["p99Ms"].as_f64(), "{of_group:#}");
    }
    let unknown = plane.ask(query, json!({ "version": "nothing" })).await;
    assert_eq!(unknown.error()["extensions"]["code"], "NOT_FOUND");
}

/// What proxies answered is in the database when the server stops.
#[tokio::test]
async fn what_proxies_made_of_a_snapshot_outlives_the_server() {
    let mut plane = Plane::start().await;
    let envoy = Envoy::start(&plane, Protocol::Delta).await;
    plane.create_service("a", 9).await;
    let before = snapshot(&plane).await;
    assert_eq!(before["adopted"], 1, "{before:#}");
    drop(envoy);
    plane.restart_gently().await;
    let after = snapshot(&plane).await;
    assert_eq!((&after["id"], &after["adopted"]), (&before["id"], &json!(1)), "{after:#}");
}
