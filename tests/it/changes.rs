//! Several changes at once: all of them, or none.

use serde_json::{Value, json};

use crate::support::{Authority, Envoy, Plane, Protocol, Traffic, Upstream, free_port};
use crate::traffic::in_both_protocols;

in_both_protocols! {
    a_whole_application_comes_up_in_one_snapshot,
}

const APPLY: &str = "mutation($input: ApplyChangesInput!, $wait: WaitForInput) {
    applyChanges(input: $input, waitFor: $wait) {
        results { deletedId node { __typename id
            ... on Service { name } ... on Route { name } ... on Listener { name } } }
        revision version rollout { outcome }
        userErrors { code message field currentRevision } } }";

async fn apply(plane: &Plane, changes: Value) -> Value {
    let input = json!({ "changes": changes, "message": "a test" });
    plane.ask(APPLY, json!({ "input": input })).await.data()["applyChanges"].clone()
}

fn service(name: &str, port: u16) -> Value {
    json!({ "createService": { "name": name, "ipFqdn": "127.0.0.1", "port": port } })
}

fn route(name: &str, service: impl Into<Value>) -> Value {
    let backends = [json!({ "service": service.into() })];
    let hosts = [format!("{name}.example")];
    json!({ "createRoute": { "name": name, "hosts": hosts, "backends": backends } })
}

async fn snapshots(plane: &Plane) -> Vec<Value> {
    let query = "{ snapshots(first: 200) { nodes { revision version cause authorId } } }";
    let data = plane.ask(query, json!({})).await.data();
    data["snapshots"]["nodes"].as_array().unwrap().clone()
}

async fn a_whole_application_comes_up_in_one_snapshot(protocol: Protocol) {
    let (plane, up) = (Plane::start().await, Upstream::start("up").await);
    let _envoy = Envoy::start(&plane, protocol).await;
    let before = snapshots(&plane).await;
    let (authority, port) = (Authority::new(), free_port());
    let pair = authority.sign_for_days("api.example", 100);
    let changes = json!([
        service("api", up.port()),
        route("api", "changes.0"),
        { "uploadCertificate": {
            "name": "web", "certData": pair.certificate, "keyData": pair.key,
            "caChain": authority.pem } },
        { "createListener": {
            "name": "tls", "address": "127.0.0.1", "port": port, "certificate": "changes.2" } },
        { "createRoute": {
            "name": "tls", "hosts": ["*"], "listener": "changes.3",
            "backends": [{ "service": "changes.0" }] } },
        { "createMapping": { "name": "m", "sourceServices": ["changes.0"] } },
    ]);
    let input = json!({ "changes": changes, "message": "a test" });
    let preview = "query($input: PreviewInput!) { preview(input: $input) {
        problems { severity message resource { name path } } drains { listener }
        nodes { node { nodeId } types }
        diff { added resources { nodes { diff } } objects { nodes { diff } } } } }";
    let seen = plane.ask(preview, json!({ "input": { "changes": changes } })).await.data();
    let seen = &seen["preview"];
    assert_eq!((&seen["problems"], &seen["drains"]), (&json!([]), &json!([])));
    assert!(seen.to_string().contains("[redacted]"), "{seen:#}");
    assert!(!seen.to_string().contains(pair.secret()), "a key is shown");
    let types = ["SECRET", "CLUSTER", "ENDPOINT", "LISTENER", "ROUTE"];
    let asked = seen["nodes"][0]["types"].as_array().unwrap();
    assert!(asked.len() >= 3 && asked.iter().all(|of| types.iter().any(|t| of == t)), "{asked:?}");
    let wait = json!({ "nodes": "ALL", "timeoutMs": 20000 });
    let variables = json!({ "input": input, "wait": wait });
    let payload = plane.ask(APPLY, variables).await.data()["applyChanges"].clone();
    assert_eq!(payload["userErrors"], json!([]));
    assert_eq!(payload["rollout"]["outcome"], "ACKED", "{payload:#}");
    let types: Vec<_> = payload["results"].as_array().unwrap().iter().collect();
    let types: Vec<_> = types.iter().map(|result| &result["node"]["__typename"]).collect();
    assert_eq!(types, ["Service", "Route", "Certificate", "Listener", "Route", "Mapping"]);

    let after = snapshots(&plane).await;
    assert_eq!(after.len(), before.len() + 1, "one snapshot");
    assert_eq!(after[0]["cause"], "apply 6 changes: a test");
    let next = before[0]["revision"].as_i64().unwrap() + 1;
    assert_eq!((&after[0]["revision"], &payload["revision"]), (&json!(next), &json!(next)));
    assert_eq!(Traffic::get(plane.listener, "api.example", "/").await.as_deref(), Ok("up"));
    let met = crate::support::secure_get(port, "api.example", &authority.pem).await;
    assert_eq!(met.map(|(_, body)| body).as_deref(), Ok("up"));

    // Each is noted for itself, and that it was all at once.
    let query = "{ auditEntries(first: 7) { nodes { operation summary noun } } }";
    let noted = plane.ask(query, json!({})).await.data();
    let noted = noted["auditEntries"]["nodes"].as_array().unwrap().clone();
    let operations: Vec<_> = noted.iter().rev().map(|entry| &entry["operation"]).collect();
    let want = [
        "CreateService",
        "CreateRoute",
        "CreateCertificate",
        "CreateListener",
        "CreateRoute",
        "CreateMapping",
        "ApplyChanges",
    ];
    assert_eq!(operations, want);
    assert_eq!(noted[1]["summary"], "create mapping m");
}

#[tokio::test]
async fn what_is_there_is_changed_and_deleted_in_the_order_that_is_asked_for() {
    let plane = Plane::start().await;
    let made = apply(&plane, json!([service("a", 80), service("b", 80), route("r", "changes.0")]));
    let made = made.await;
    let id = |place: usize| made["results"][place]["node"]["id"].clone();
    let revision = made["revision"].clone();
    let seen = |id: &Value| json!({ "id": id, "ifRevision": revision });
    let mut rerouted = seen(&id(2));
    rerouted["backends"] = json!([{ "service": id(1) }]);
    let mut renamed = seen(&id(1));
    renamed["name"] = json!("a");
    // The name is free, and the service in use by nothing, by the time that it is asked.
    let changes = json!([
        { "updateRoute": rerouted },
        { "deleteService": seen(&id(0)) },
        { "updateService": renamed },
    ]);
    let payload = apply(&plane, changes.clone()).await;
    assert_eq!(payload["userErrors"], json!([]));
    assert_eq!(payload["results"][1], json!({ "deletedId": id(0), "node": null }));
    assert_eq!(payload["results"][2]["node"]["name"], "a");
    // Once more: nobody has seen what is there now.
    let payload = apply(&plane, changes).await;
    let error = &payload["userErrors"][0];
    assert_eq!(error["code"], "CONFLICT");
    assert_eq!(error["field"], json!(["input", "changes", "0", "updateRoute", "ifRevision"]));
    assert_eq!(error["currentRevision"].as_i64(), revision.as_i64().map(|seen| seen + 1));
    assert_eq!(payload["results"], Value::Null);
}

#[tokio::test]
async fn one_of_a_hundred_that_is_bad_keeps_all_of_them_out() {
    let plane = Plane::start().await;
    plane.create_service("api", 80).await;
    let group = plane.create_group("blue").await;
    let query = "query($id: ID!) { services(group: $id) { nodes { id } } }";
    let foreign = json!({ "group": group, "name": "x", "ipFqdn": "10.0.0.1", "port": 80 });
    let before = plane.contents().await;
    let revision = plane.state().await["services"]["nodes"][0]["id"].clone();
    let bad_regex = json!({ "createRoute": {
        "name": "r", "hosts": ["r.example"], "path": { "regex": "(" },
        "backends": [{ "service": "changes.0" }] } });
    let port = |name: &str, port: u16| json!({ "createListener": { "name": name, "port": port } });
    // What is wrong, where in the 99th it is, and what one reads.
    let table = [
        (bad_regex, "INVALID", "createRoute.path.regex"),
        (service("api", 80), "ALREADY_EXISTS", "createService.name"),
        (service("API", 80), "INVALID", "createService.name"),
        (route("r", "changes.98"), "INVALID", "createRoute.backends.0.service"),
        (route("r", "changes.99"), "INVALID", "createRoute.backends.0.service"),
        (port("l", plane.listener), "INVALID", "createListener.port"),
        (json!({ "createService": foreign }), "INVALID", "createService.group"),
        (
            json!({ "deleteService": { "id": revision, "ifRevision": 0 } }),
            "CONFLICT",
            "deleteService.ifRevision",
        ),
        (
            json!({ "deleteRoute": { "id": "djE6Um91dGU6OTk5", "ifRevision": 0 } }),
            "NOT_FOUND",
            "deleteRoute",
        ),
    ];
    for (bad, code, field) in table {
        let mut changes: Vec<_> =
            (0..98).map(|number| service(&format!("s{number}"), 80)).collect();
        changes.extend([bad.clone(), service("last", 80)]);
        let payload = apply(&plane, json!(changes)).await;
        let error = &payload["userErrors"][0];
        assert_eq!(error["code"], code, "{bad}: {error:#}");
        let field: Vec<_> =
            ["input", "changes", "98"].into_iter().chain(field.split('.')).collect();
        assert_eq!(error["field"], json!(field), "{bad}: {error:#}");
        assert_eq!((&payload["results"], &payload["revision"]), (&Value::Null, &Value::Null));
        assert_eq!(plane.contents().await, before, "{bad} has left something behind");
    }
    assert_eq!(
        plane.ask(query, json!({ "id": group })).await.data()["services"]["nodes"],
        json!([])
    );

    let many: Vec<_> = (0..101).map(|number| service(&format!("s{number}"), 80)).collect();
    for (changes, field) in [(json!([]), "changes"), (json!(many), "changes")] {
        let payload = apply(&plane, changes).await;
        assert_eq!(payload["userErrors"][0]["field"], json!(["input", field]));
    }
    let input = json!({ "changes": [service("a", 80)], "message": "x".repeat(501) });
    let payload = plane.ask(APPLY, json!({ "input": input })).await.data();
    assert_eq!(payload["applyChanges"]["userErrors"][0]["field"], json!(["input", "message"]));
    assert_eq!(plane.contents().await, before);
    let good: Vec<_> = many.into_iter().take(100).collect();
    let snapshots_before = snapshots(&plane).await.len();
    assert_eq!(apply(&plane, json!(good)).await["userErrors"], json!([]));
    assert_eq!(snapshots(&plane).await.len(), snapshots_before + 1);
}

#[tokio::test]
async fn only_whoever_may_change_the_group_may_change_many_things_of_it() {
    let plane = Plane::start().await;
    let password = crate::support::PASSWORD;
    let input = json!({ "username": "ann", "password": password, "role": "VIEWER" });
    let create = "mutation($input: CreateUserInput!) { createUser(input: $input) { user { id } } }";
    plane.ask(create, json!({ "input": input })).await.data();
    let login = "mutation($input: LoginInput!) { login(input: $input) { token } }";
    let input = json!({ "username": "ann", "password": password });
    let token = plane.ask_as(None, login, json!({ "input": input })).await.data();
    let token = format!("Bearer {}", token["login"]["token"].as_str().unwrap());
    let before = snapshots(&plane).await;
    let variables = json!({ "input": { "changes": [service("a", 80)] } });
    let answer = plane.ask_as(Some(&token), APPLY, variables.clone()).await;
    assert_eq!(answer.error()["extensions"]["code"], "FORBIDDEN");
    let preview = "query($input: PreviewInput!) { preview(input: $input) { problems { code } } }";
    let answer = plane.ask_as(Some(&token), preview, variables).await;
    assert_eq!(answer.error()["extensions"]["code"], "FORBIDDEN");
    assert_eq!(snapshots(&plane).await, before);
}
