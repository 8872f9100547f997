//! Going back under traffic, and looking at what was.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Envoy, Plane, Protocol, Traffic, Upstream, eventually};
use crate::traffic::in_both_protocols;

in_both_protocols! {
    three_versions_and_back_to_the_first_and_forward_again,
}

async fn newest(plane: &Plane) -> Value {
    let query = "{ snapshot { id revision version cause } }";
    plane.ask(query, json!({})).await.data()["snapshot"].clone()
}

/// Rolls back once every Envoy has it; the payload.
async fn roll_back(plane: &Plane, to: &Value, current: &Value) -> Value {
    let query = "mutation($input: RollbackInput!) {
        rollback(input: $input, waitFor: { nodes: ALL, timeoutMs: 20000 }) {
            snapshot { id version cause author: authorId } revision version rollout { outcome } } }";
    let input = json!({ "toSnapshot": to, "ifCurrentSnapshot": current, "reason": "a test" });
    plane.ask(query, json!({ "input": input })).await.data()["rollback"].clone()
}

/// The clusters, endpoints, listeners and routes of a snapshot, by name.
async fn stored(plane: &Plane, id: &Value) -> BTreeMap<String, Value> {
    let query = "query($id: ID!) { snapshot(id: $id) {
        resources(first: 200) { nodes { type name json } } } }";
    let data = plane.ask(query, json!({ "id": id })).await.data();
    let nodes = data["snapshot"]["resources"]["nodes"].as_array().unwrap().clone();
    let held = ["CLUSTER", "ENDPOINT", "LISTENER", "ROUTE"];
    let nodes = nodes.into_iter().filter(|node| held.iter().any(|held| node["type"] == *held));
    nodes.map(|node| (format!("{} {}", node["type"], node["name"]), node["json"].clone())).collect()
}

/// What an Envoy holds, under the same names, of all but what its bootstrap gave it.
fn held(dump: &Value) -> BTreeMap<String, Value> {
    let mut held = BTreeMap::new();
    for config in dump["configs"].as_array().unwrap() {
        let all = |list: &str| config[list].as_array().cloned().unwrap_or_default();
        for cluster in all("dynamic_active_clusters") {
            let cluster = cluster["cluster"].clone();
            held.insert(format!("\"CLUSTER\" {}", cluster["name"]), cluster);
        }
        for endpoints in all("dynamic_endpoint_configs") {
            let endpoints = endpoints["endpoint_config"].clone();
            held.insert(format!("\"ENDPOINT\" {}", endpoints["cluster_name"]), endpoints);
        }
        for listener in all("dynamic_listeners") {
            let listener = listener["active_state"]["listener"].clone();
            held.insert(format!("\"LISTENER\" {}", listener["name"]), listener);
        }
        for routes in all("dynamic_route_configs") {
            let routes = routes["route_config"].clone();
            held.insert(format!("\"ROUTE\" {}", routes["name"]), routes);
        }
    }
    held
}

/// Endpoints as an Envoy writes them: by what it did with them, not as they came.
fn without_endpoints(held: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    held.into_iter().filter(|(name, _)| !name.starts_with("\"ENDPOINT\"")).collect()
}

async fn holds(plane: &Plane, envoy: &Envoy, id: &Value) {
    let want = without_endpoints(stored(plane, id).await);
    assert!(want.len() >= 3, "{want:?}");
    eventually("the Envoy holds what is stored", async || {
        let got = without_endpoints(held(&envoy.config_dump().await));
        if got == want { Ok(()) } else { Err(format!("{got:#?}\nis not\n{want:#?}")) }
    })
    .await;
}

/// What people configured, by their own words.
async fn configured(plane: &Plane) -> Value {
    let query = "{ services(first: 200) { nodes { id name endpoints { host port weight } } }
        routes(first: 200) { nodes { id name hosts } }
        listeners(first: 200) { nodes { id name port } } }";
    plane.ask(query, json!({})).await.data()
}

async fn three_versions_and_back_to_the_first_and_forward_again(protocol: Protocol) {
    let plane = Plane::start().await;
    let (one, two) = (Upstream::start("one").await, Upstream::start("two").await);
    let envoy = Envoy::start(&plane, protocol).await;
    let all = || json!({ "nodes": "ALL", "timeoutMs": 20000 });
    let hello = plane.create_service("hello", one.port()).await;
    let first = (newest(&plane).await, configured(&plane).await);
    let traffic = Traffic::start_many(plane.listener, "hello", 2);

    let input = json!({ "id": hello, "port": two.port() });
    plane.change_and_wait("updateService", "UpdateServiceInput", input, all()).await;
    plane.create_service("more", two.port()).await;
    let second = (newest(&plane).await, configured(&plane).await);
    // Now it is a route that answers, and to another service: the first one goes.
    let next = plane.create_service("next", one.port()).await;
    let input = json!({ "name": "r", "hosts": ["hello"], "backends": [{ "service": next }] });
    plane.change_and_wait("createRoute", "CreateRouteInput", input, all()).await;
    plane.change_and_wait("deleteService", "DeleteInput", json!({ "id": hello }), all()).await;
    let third = (newest(&plane).await, configured(&plane).await);
    assert!(traffic_is_on(&traffic).await);

    let mut current = third.0.clone();
    for (snapshot, configuration) in [&first, &third, &second, &first, &third] {
        let made = roll_back(&plane, &snapshot["id"], &current["id"]).await;
        assert_eq!(made["rollout"]["outcome"], "ACKED", "{made:#}");
        assert_eq!(made["version"], snapshot["version"], "{made:#}");
        let cause = format!("roll back to revision {}: a test", snapshot["revision"]);
        assert_eq!(made["snapshot"]["cause"], cause.as_str());
        assert_eq!(&configured(&plane).await, configuration);
        holds(&plane, &envoy, &snapshot["id"]).await;
        holds(&plane, &envoy, &made["snapshot"]["id"]).await;
        current = newest(&plane).await;
    }
    // The next change starts from there.
    plane.create_service("later", two.port()).await;
    Traffic::until(plane.listener, "later", "two").await;
    let report = traffic.stop().await;
    assert_eq!(report.failed, Vec::<String>::new());
    assert!(report.answered["one"] > 0 && report.answered["two"] > 0, "{:?}", report.answered);
}

/// Waits until some requests have been answered.
async fn traffic_is_on(traffic: &Traffic) -> bool {
    eventually("requests are answered", async || {
        if traffic.has_done(1) { Ok(true) } else { Err("none yet".to_owned()) }
    })
    .await
}

#[tokio::test]
async fn what_was_can_be_looked_at_and_compared() {
    let plane = Plane::start().await;
    let old = newest(&plane).await;
    let made = plane.change(
        "createService",
        "CreateServiceInput",
        json!({ "name": "a", "ipFqdn": "10.0.0.1", "port": 80 }),
    );
    let service = made.await["service"]["id"].clone();
    let new = newest(&plane).await;
    let query = "query($from: ID!, $to: ID!) { snapshotDiff(from: $from, to: $to) {
        from { id } to { id } added removed changed
        resources { nodes { kind type name fromVersion toVersion diff } pageInfo { hasNextPage } }
        objects { nodes { kind id diff } } } }";
    let variables = json!({ "from": old["id"], "to": new["id"] });
    let diff = plane.ask(query, variables).await.data()["snapshotDiff"].clone();
    assert_eq!(
        (&diff["added"], &diff["removed"], &diff["changed"]),
        (&json!(2), &json!(0), &json!(1))
    );
    let resources = diff["resources"]["nodes"].as_array().unwrap();
    assert_eq!(resources[0]["type"], "CLUSTER");
    assert_eq!(
        (&resources[0]["kind"], &resources[0]["fromVersion"]),
        (&json!("ADDED"), &Value::Null)
    );
    assert!(resources[0]["diff"].as_str().unwrap().contains("+  \"connect_timeout\": \"5s\","));
    assert_eq!(diff["objects"]["nodes"][0]["id"], service);
    assert_eq!(diff["objects"]["nodes"][0]["kind"], "ADDED");

    let query = "query($at: DateTime, $revision: Int) {
        snapshot(at: $at, revision: $revision) { id isCurrent
            resources(type: CLUSTER, first: 1) { nodes { name version json } } } }";
    let at = json!({ "at": "2100-01-01T00:00:00Z" });
    let found = plane.ask(query, at).await.data()["snapshot"].clone();
    assert_eq!(found["id"], new["id"]);
    let cluster = &found["resources"]["nodes"][0];
    assert_eq!(cluster["json"]["name"], "cluster_1_service_1");
    assert_eq!(cluster["version"], resources[0]["toVersion"]);
    let found = plane.ask(query, json!({ "revision": old["revision"] })).await.data();
    assert_eq!(found["snapshot"]["id"], old["id"]);
    let early = plane.ask(query, json!({ "at": "2020-01-01T00:00:00Z" })).await;
    assert_eq!(early.error()["extensions"]["code"], "NOT_FOUND");
    let both = json!({ "at": "2100-01-01T00:00:00Z", "revision": 1 });
    assert_eq!(plane.ask(query, both).await.error()["extensions"]["code"], "INVALID");
    let other = plane.create_group("blue").await;
    let of_group = "query($group: ID!) { snapshot(group: $group) { id } }";
    let blue = plane.ask(of_group, json!({ "group": other })).await.data();
    let query = "query($from: ID!, $to: ID!) { snapshotDiff(from: $from, to: $to) { added } }";
    let variables = json!({ "from": old["id"], "to": blue["snapshot"]["id"] });
    assert_eq!(plane.ask(query, variables).await.error()["extensions"]["code"], "INVALID");
}

#[tokio::test]
async fn a_rollback_names_what_is_wrong_with_it() {
    let plane = Plane::start().await;
    let first = newest(&plane).await;
    plane.create_group("blue").await;
    let input = json!({ "name": "a", "ipFqdn": "10.0.0.1", "port": 80 });
    plane.change("createService", "CreateServiceInput", input).await;
    let before = plane.state().await;
    let id = first["id"].clone();
    let table = [
        (json!({ "toSnapshot": "x" }), "INVALID", json!(["input", "toSnapshot"])),
        (
            json!({ "toSnapshot": id, "ifCurrentSnapshot": "x" }),
            "INVALID",
            json!(["input", "ifCurrentSnapshot"]),
        ),
        (json!({ "toSnapshot": id, "ifCurrentSnapshot": id }), "CONFLICT", Value::Null),
        (
            json!({ "toSnapshot": id, "reason": "x".repeat(501) }),
            "INVALID",
            json!(["input", "reason"]),
        ),
    ];
    let query = "mutation($input: RollbackInput!) { rollback(input: $input) { revision } }";
    for (input, code, field) in table {
        let answer = plane.ask(query, json!({ "input": input })).await;
        let extensions = &answer.error()["extensions"];
        assert_eq!((&extensions["code"], &extensions["field"]), (&json!(code), &field), "{input}");
    }
    assert_eq!(plane.state().await, before, "something has changed");
}
