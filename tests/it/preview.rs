//! What changes would come to, and whether it does.

use serde_json::{Value, json};

use crate::support::{Authority, Envoy, Plane, Protocol, Upstream, eventually, free_port};
use crate::traffic::in_both_protocols;

in_both_protocols! {
    an_envoy_closes_the_connections_that_a_preview_says,
    an_envoy_refuses_the_authority_that_a_preview_warns_of,
}

const PREVIEW: &str = "query($input: PreviewInput!) { preview(input: $input) {
    nodeGroupId
    diff { added removed changed
        resources(first: 200) { nodes { kind type name fromVersion toVersion diff } }
        objects(first: 200) { nodes { kind id diff } } }
    problems { severity code message field resource { type name path } }
    nodes { node { nodeId } types }
    drains { listener cause } } }";
const APPLY: &str = "mutation($input: ApplyChangesInput!) {
    applyChanges(input: $input, waitFor: { nodes: ALL, timeoutMs: 20000 }) {
        results { node { id } } revision rollout { outcome } userErrors { code message field } } }";

async fn preview(plane: &Plane, changes: &Value) -> Value {
    let variables = json!({ "input": { "changes": changes } });
    plane.ask(PREVIEW, variables).await.data()["preview"].clone()
}

async fn apply(plane: &Plane, changes: &Value) -> Value {
    let variables = json!({ "input": { "changes": changes } });
    let payload = plane.ask(APPLY, variables).await.data()["applyChanges"].clone();
    assert_eq!(payload["userErrors"], json!([]));
    payload
}

async fn newest(plane: &Plane) -> Value {
    plane.ask("{ snapshot { id } }", json!({})).await.data()["snapshot"]["id"].clone()
}

fn service(name: &str, port: u16) -> Value {
    json!({ "createService": { "name": name, "ipFqdn": "127.0.0.1", "port": port } })
}

fn update(noun: &str, id: &Value, revision: &Value, change: Value) -> Value {
    let mut input = json!({ "id": id, "ifRevision": revision });
    input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    json!({ noun: input })
}

/// What looks like a certificate, and is none.
const NO_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

#[tokio::test]
async fn a_preview_says_what_is_wrong_and_where() {
    let plane = Plane::start().await;
    plane.create_service("api", 80).await;
    let before = plane.contents().await;
    let changes = json!([
        service("good", 80),
        { "createRoute": {
            "name": "r", "hosts": ["r.example"], "path": { "regex": "(" },
            "backends": [{ "service": "changes.0" }] } },
        service("api", 80),
        { "createRoute": {
            "name": "r", "hosts": ["r.example"], "backends": [{ "service": "changes.2" }] } },
        { "deleteService": { "id": "djE6U2VydmljZTo5OTk", "ifRevision": 1 } },
        { "createRoute": {
            "name": "fine", "hosts": ["r.example"], "backends": [{ "service": "changes.0" }] } },
    ]);
    let seen = preview(&plane, &changes).await;
    assert_eq!(seen["diff"], Value::Null);
    let problems = seen["problems"].as_array().unwrap();
    let told: Vec<_> = problems
        .iter()
        .map(|problem| {
            assert_eq!(problem["severity"], "ERROR");
            let field = problem["field"].as_array().unwrap().iter();
            let field: Vec<_> = field.map(|part| part.as_str().unwrap()).collect();
            (problem["code"].as_str().unwrap(), field.join("."))
        })
        .collect();
    let want = [
        ("INVALID", "input.changes.1.createRoute.path.regex".to_owned()),
        ("ALREADY_EXISTS", "input.changes.2.createService.name".to_owned()),
        ("INVALID", "input.changes.3.createRoute.backends.0.service".to_owned()),
        ("NOT_FOUND", "input.changes.4.deleteService".to_owned()),
    ];
    assert_eq!(told, want);

    // Two listeners that would bind one port: each is good for itself.
    let listener = |name: &str| json!({ "createListener": { "name": name, "port": 9000 } });
    let seen = preview(&plane, &json!([listener("one"), listener("two")])).await;
    let problem = &seen["problems"][0];
    assert_eq!(problem["field"], json!(["input", "changes", "1", "createListener", "port"]));
    let message = "listeners one and two would both bind port 9000";
    assert!(problem["message"].as_str().unwrap().ends_with(message), "{problem}");
    assert_eq!(seen["diff"], Value::Null);

    // Told as well where another change is refused for itself.
    let seen = preview(&plane, &json!([service("api", 80), listener("a"), listener("b")])).await;
    let codes: Vec<_> = seen["problems"].as_array().unwrap().iter().map(|p| &p["code"]).collect();
    assert_eq!(codes, ["ALREADY_EXISTS", "INVALID"], "{seen:#}");
    let field = json!(["input", "changes", "2", "createListener", "port"]);
    assert_eq!(seen["problems"][1]["field"], field);

    // What the control plane takes, and no Envoy does.
    let mut unsafe_service = service("tls", 443);
    unsafe_service["createService"]["tls"] = json!({ "caPem": NO_CERTIFICATE });
    let seen = preview(&plane, &json!([unsafe_service])).await;
    assert_eq!(seen["problems"].as_array().unwrap().len(), 1, "{seen:#}");
    let problem = &seen["problems"][0];
    assert_eq!((&problem["severity"], &problem["code"]), (&json!("ERROR"), &json!("API_RULE")));
    assert_eq!(problem["field"], json!(["input", "changes", "0", "createService"]));
    let resource = &problem["resource"];
    assert_eq!(resource["type"], "SECRET");
    assert_eq!(resource["path"], "validation_context.trusted_ca.inline_string");
    assert!(resource["name"].as_str().unwrap().ends_with("_ca"), "{resource}");
    assert_ne!(seen["diff"], Value::Null);

    let seen = preview(&plane, &json!([])).await;
    assert_eq!(seen["problems"][0]["field"], json!(["input", "changes"]));
    assert_eq!(plane.contents().await, before, "a preview has left something behind");
}

#[tokio::test]
async fn a_preview_shows_what_comes_of_the_changes() {
    let plane = Plane::start().await;
    let (one, two) = (plane.create_service("one", 80).await, plane.create_service("two", 80).await);
    let revision = plane.ask("{ nodeGroup { revision } }", json!({})).await.data();
    let revision = revision["nodeGroup"]["revision"].clone();
    let from = newest(&plane).await;
    let before = plane.contents().await;
    let changes = json!([
        update("updateService", &two, &revision, json!({ "port": 81 })),
        { "createRoute": {
            "name": "r", "hosts": ["r.example"], "backends": [{ "service": two }] } },
        { "createListener": { "name": "more", "address": "127.0.0.1", "port": free_port() } },
        { "deleteService": { "id": one, "ifRevision": json!(revision.as_i64().unwrap() - 1) } },
    ]);
    let seen = preview(&plane, &changes).await;
    assert_eq!(seen["problems"], json!([]));
    assert_eq!((&seen["nodes"], &seen["drains"]), (&json!([]), &json!([])));
    assert_eq!(plane.contents().await, before, "a preview has left something behind");

    apply(&plane, &changes).await;
    let query = "query($from: ID!, $to: ID!) { snapshotDiff(from: $from, to: $to) {
        added removed changed
        resources(first: 200) { nodes { kind type name fromVersion toVersion diff } }
        objects(first: 200) { nodes { kind id diff } } } }";
    let variables = json!({ "from": from, "to": newest(&plane).await });
    let diff = plane.ask(query, variables).await.data()["snapshotDiff"].clone();
    let mut previewed = seen["diff"].clone();
    assert!(previewed["added"].as_i64() > Some(0) && previewed["removed"].as_i64() > Some(0));
    assert_same(&mut previewed, diff);
}

/// The same but for what is made anew: its id, and when it was made, are its own.
fn assert_same(previewed: &mut Value, mut diff: Value) {
    for diff in [&mut *previewed, &mut diff] {
        for object in diff["objects"]["nodes"].as_array_mut().unwrap() {
            if object["kind"] == "ADDED" {
                object["id"].take();
                let text = object["diff"].as_str().unwrap().lines();
                let text = text.filter(|line| !line.contains("created_at"));
                object["diff"] = text.collect::<Vec<_>>().join("\n").into();
            }
        }
    }
    assert_eq!(*previewed, diff);
}

async fn an_envoy_closes_the_connections_that_a_preview_says(protocol: Protocol) {
    let (plane, up) = (Plane::start().await, Upstream::start("up").await);
    let envoy = Envoy::start(&plane, protocol).await;
    let tcp = json!({ "createService": {
        "name": "tcp", "ipFqdn": "127.0.0.1", "port": up.port(), "protocol": "TCP" } });
    let extra = json!({ "createListener": { "name": "extra", "address": "127.0.0.1", "port": free_port() } });
    let made = apply(&plane, &json!([service("hello", up.port()), tcp, extra])).await;
    let id = |place: usize| made["results"][place]["node"]["id"].clone();
    let (tcp, extra) = (id(1), id(2));
    let revision = async || {
        let query = "query($id: ID!) { listener(id: $id) { revision } }";
        let found = plane.ask(query, json!({ "id": extra })).await.data();
        found["listener"]["revision"].clone()
    };
    let changed =
        async |change: Value| json!([update("updateListener", &extra, &revision().await, change)]);
    let route = json!([{ "createRoute": {
        "name": "r", "hosts": ["r.example"], "listener": extra,
        "backends": [{ "service": id(0) }] } }]);
    // What is done, what a preview says, and how the Envoy counts it.
    let routed = (route, json!([]), Counted { draining: 0, chains: 0 });
    assert_drains(&plane, &envoy, routed).await;
    let moved = changed(json!({ "port": free_port() })).await;
    let moved = (moved, drains("extra", "REPLACED"), Counted { draining: 1, chains: 0 });
    assert_drains(&plane, &envoy, moved).await;
    let query = "{ routes { nodes { id revision } } }";
    let route = plane.ask(query, json!({})).await.data()["routes"]["nodes"][0].clone();
    let gone = json!({ "deleteRoute": { "id": route["id"], "ifRevision": route["revision"] } });
    let mut other = changed(json!({ "tcpService": tcp })).await;
    other.as_array_mut().unwrap().insert(0, gone);
    let other = (other, drains("extra", "FILTER_CHAINS"), Counted { draining: 0, chains: 1 });
    assert_drains(&plane, &envoy, other).await;
    let deleted = json!([{ "deleteListener": { "id": extra, "ifRevision": revision().await } }]);
    let deleted = (deleted, drains("extra", "REMOVED"), Counted { draining: 1, chains: 0 });
    assert_drains(&plane, &envoy, deleted).await;
}

async fn an_envoy_refuses_the_authority_that_a_preview_warns_of(protocol: Protocol) {
    let plane = Plane::start().await;
    let _envoy = Envoy::start(&plane, protocol).await;
    for (pem, is_good) in [(Authority::new().pem.as_str(), true), (NO_CERTIFICATE, false)] {
        let mut changes = json!([service(if is_good { "good" } else { "bad" }, 443)]);
        changes[0]["createService"]["tls"] = json!({ "caPem": pem });
        let seen = preview(&plane, &changes).await;
        assert_eq!(seen["problems"] == json!([]), is_good, "{seen:#}");
        let payload = apply(&plane, &changes).await;
        let outcome = if is_good { "ACKED" } else { "NACKED" };
        assert_eq!(payload["rollout"]["outcome"], outcome, "{payload:#}");
    }
}

fn drains(listener: &str, cause: &str) -> Value {
    json!([{ "listener": listener, "cause": cause }])
}

/// By how much an Envoy's gauges grow.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    draining: u64,
    chains: u64,
}

async fn counted(envoy: &Envoy) -> Counted {
    Counted {
        draining: envoy.stat("listener_manager.total_listeners_draining").await,
        chains: envoy.stat("listener_manager.total_filter_chains_draining").await,
    }
}

async fn assert_drains(
    plane: &Plane,
    envoy: &Envoy,
    (changes, said, grows): (Value, Value, Counted),
) {
    let seen = preview(plane, &changes).await;
    assert_eq!((&seen["problems"], &seen["drains"]), (&json!([]), &said), "{changes}");
    let node = &seen["nodes"][0];
    assert_eq!(node["node"]["nodeId"], "cluster-1");
    let types = node["types"].as_array().unwrap();
    let resources = seen["diff"]["resources"]["nodes"].as_array().unwrap();
    assert!(!types.is_empty(), "{seen:#}");
    assert!(types.iter().all(|of| resources.iter().any(|r| r["type"] == *of)), "{seen:#}");
    let before = counted(envoy).await;
    let payload = apply(plane, &changes).await;
    assert_eq!(payload["rollout"]["outcome"], "ACKED", "{changes}: {payload:#}");
    eventually("the Envoy drains as foreseen", async || {
        let now = counted(envoy).await;
        let grown = Counted {
            draining: now.draining.saturating_sub(before.draining),
            chains: now.chains.saturating_sub(before.chains),
        };
        if grown == grows { Ok(()) } else { Err(format!("{grown:?}, not {grows:?}")) }
    })
    .await;
}
