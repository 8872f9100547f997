//! Going back under traffic, and looking at what was.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Authority, Envoy, Plane, Protocol, Traffic, Upstream, eventually, free_port};
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

/// What a snapshot holds, by type and name.
async fn stored(plane: &Plane, id: &Value) -> BTreeMap<String, Value> {
    let query = "query($id: ID!) { snapshot(id: $id) {
        resources(first: 200) { nodes { type name json } } } }";
    let data = plane.ask(query, json!({ "id": id })).await.data();
    let nodes = data["snapshot"]["resources"]["nodes"].as_array().unwrap().clone();
    nodes
        .into_iter()
        .map(|node| (format!("{} {}", node["type"], node["name"]), node["json"].clone()))
        .collect()
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
        for secret in all("dynamic_active_secrets") {
            let secret = secret["secret"].clone();
            held.insert(format!("\"SECRET\" {}", secret["name"]), secret);
        }
    }
    held
}

/// The resources as both sides show them. An Envoy adds to endpoints what it takes for
/// granted, and both hide a private key in ways of their own.
fn normalised(resources: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let normalise = |(name, mut json): (String, Value)| {
        if name.starts_with("\"SECRET\"") && json.pointer("/tls_certificate/private_key").is_some()
        {
            json["tls_certificate"]["private_key"] = json!("hidden");
        }
        let json = if name.starts_with("\"ENDPOINT\"") { without_defaults(json) } else { json };
        (name, json)
    };
    resources.into_iter().map(normalise).collect()
}

fn without_defaults(json: Value) -> Value {
    let taken_for_granted = |name: &str, value: &Value| {
        *value == json!({})
            || (name == "health_status" && value == "HEALTHY")
            || (name == "policy" && *value == json!({ "overprovisioning_factor": 140 }))
    };
    match json {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, without_defaults(value)));
            Value::Object(fields.filter(|(name, value)| !taken_for_granted(name, value)).collect())
        }
        Value::Array(items) => items.into_iter().map(without_defaults).collect(),
        leaf @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => leaf,
    }
}

/// What an Envoy's runtime is set to by the control plane, as texts.
async fn runtime(envoy: &Envoy) -> BTreeMap<String, String> {
    let shown: Value = serde_json::from_str(&envoy.admin("/runtime").await.unwrap()).unwrap();
    let layers = shown["layers"].as_array().unwrap();
    let ours = layers.iter().position(|layer| layer == "marchproxy_runtime").unwrap();
    let entries = shown["entries"].as_object().unwrap().iter();
    let set = entries.filter_map(|(key, entry)| {
        let value = entry["layer_values"][ours].as_str().filter(|value| !value.is_empty())?;
        Some((key.clone(), value.to_owned()))
    });
    set.collect()
}

/// A value of the runtime as an Envoy writes it.
fn plain(value: &Value) -> String {
    match (value.as_str(), value.as_f64()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(number)) => number.to_string(), // 7, not 7.0
        (None, None) => value.to_string(),
    }
}

async fn holds(plane: &Plane, envoy: &Envoy, id: &Value) {
    let mut want = stored(plane, id).await;
    let layer = want.remove("\"RUNTIME\" \"marchproxy_runtime\"").unwrap_or_default();
    let layer = layer["layer"].as_object().cloned().unwrap_or_default().into_iter();
    let layer: BTreeMap<_, _> = layer.map(|(key, value)| (key, plain(&value))).collect();
    let want = normalised(want);
    assert!(want.len() >= 6, "{want:?}");
    eventually("the Envoy holds what is stored", async || {
        let got = normalised(held(&envoy.config_dump().await));
        if got != want {
            return Err(format!("{got:#?}\nis not\n{want:#?}"));
        }
        let got = runtime(envoy).await;
        if got == layer { Ok(()) } else { Err(format!("{got:?} is not {layer:?}")) }
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
    // Something of each type, a secret and an authority among them.
    let authority = Authority::new();
    let pair = authority.server();
    let upload = "mutation($input: UploadCertificateInput!) {
        uploadCertificate(input: $input) { certificate { id } } }";
    let input = json!({ "name": "front", "certData": pair.certificate, "keyData": pair.key });
    let made = plane.ask(upload, json!({ "input": input })).await.data();
    let certificate = made["uploadCertificate"]["certificate"]["id"].clone();
    let input = json!({ "name": "secure", "address": "127.0.0.1", "port": free_port(),
        "certificate": certificate });
    plane.change_and_wait("createListener", "CreateListenerInput", input, all()).await;
    let input = json!({ "name": "safe", "ipFqdn": "127.0.0.1", "port": two.port(),
        "tls": { "sni": "up.example", "caPem": authority.pem } });
    plane.change_and_wait("createService", "CreateServiceInput", input, all()).await;
    let first = (newest(&plane).await, configured(&plane).await);
    let traffic = Traffic::start_many(plane.listener, "hello", 2);

    let input = json!({ "id": hello, "port": two.port() });
    plane.change_and_wait("updateService", "UpdateServiceInput", input, all()).await;
    plane.create_service("more", two.port()).await;
    let group = plane.ask("{ nodeGroup { id } }", json!({})).await.data()["nodeGroup"].clone();
    let input = json!({ "id": group["id"],
        "runtime": [{ "key": "upstream.healthy_panic_threshold", "value": "7" }] });
    plane.change_and_wait("updateNodeGroup", "UpdateNodeGroupInput", input, all()).await;
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
