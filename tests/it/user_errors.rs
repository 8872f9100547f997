//! What is wrong with a mutation, and what somebody else has changed since.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::Plane;

const UPDATE: &str = "mutation($input: UpdateServiceInput!) { updateService(input: $input) {
    service { id revision endpoints { port } } revision version
    userErrors { code message field currentRevision } } }";
const DELETE: &str = "mutation($input: DeleteInput!) { deleteService(input: $input) {
    deletedId revision userErrors { code message field currentRevision } } }";

async fn service(plane: &Plane) -> (Value, i64) {
    let id = plane.create_service("api", 80).await;
    let query = "query($id: ID!) { service(id: $id) { revision } }";
    let found = plane.ask(query, json!({ "id": id })).await.data();
    (id, found["service"]["revision"].as_i64().unwrap())
}

#[tokio::test]
async fn what_a_caller_can_mend_is_told_in_the_payload() {
    let plane = Plane::start().await;
    let (id, _) = service(&plane).await;
    let create = "mutation($input: CreateServiceInput!) { createService(input: $input) {
        service { id } revision userErrors { code message field } } }";
    let before = plane.state().await;
    for (input, code, field) in [
        (json!({ "name": "a b", "ipFqdn": "127.0.0.1", "port": 80 }), "INVALID", "name"),
        (json!({ "name": "new", "ipFqdn": "127.0.0.1", "port": 0 }), "INVALID", "port"),
        (json!({ "name": "api", "ipFqdn": "127.0.0.1", "port": 80 }), "ALREADY_EXISTS", "name"),
    ] {
        let data = plane.ask(create, json!({ "input": input })).await.data();
        let payload = &data["createService"];
        assert_eq!((&payload["service"], &payload["revision"]), (&Value::Null, &Value::Null));
        let error = &payload["userErrors"][0];
        assert_eq!((&error["code"], &error["field"]), (&json!(code), &json!(["input", field])));
    }
    // Who does not ask for them is not left to believe that all is well.
    let blind = "mutation($input: CreateServiceInput!) {
        createService(input: $input) { service { id } } }";
    let input = json!({ "name": "api", "ipFqdn": "127.0.0.1", "port": 80 });
    let answer = plane.ask(blind, json!({ "input": input })).await;
    assert_eq!(answer.error()["extensions"]["code"], "ALREADY_EXISTS");
    // What the caller cannot mend is an error, whoever asks.
    let input = json!({ "id": id, "ifRevision": 0 });
    let answer = plane.ask_as(None, DELETE, json!({ "input": input })).await;
    assert_eq!(answer.error()["extensions"]["code"], "UNAUTHENTICATED");
    assert_eq!(plane.state().await, before);
}

#[tokio::test]
async fn who_has_not_seen_the_latest_changes_nothing_and_is_shown_it() {
    let plane = Plane::start().await;
    let (id, seen) = service(&plane).await;
    let change = |port: i32| json!({ "input": { "id": id, "ifRevision": seen, "port": port } });
    let first = plane.ask(UPDATE, change(81)).await.data()["updateService"].clone();
    assert_eq!(first["userErrors"], json!([]));
    assert_eq!(first["service"]["revision"], first["revision"]);

    let before = plane.state().await;
    let second = plane.ask(UPDATE, change(82)).await.data()["updateService"].clone();
    let error = &second["userErrors"][0];
    assert_eq!(
        (&error["code"], &error["field"]),
        (&json!("CONFLICT"), &json!(["input", "ifRevision"]))
    );
    assert_eq!(error["currentRevision"], first["revision"]);
    assert_eq!(second["service"], first["service"], "it is shown as it is now");
    assert_eq!(second["revision"], Value::Null);
    let input = json!({ "input": { "id": id, "ifRevision": seen } });
    let deleted = plane.ask(DELETE, input.clone()).await.data()["deleteService"].clone();
    assert_eq!(deleted["userErrors"][0]["currentRevision"], first["revision"]);
    assert_eq!(deleted["deletedId"], Value::Null);
    assert_eq!(plane.state().await, before);

    // What happens to others is no conflict.
    plane.create_service("other", 80).await;
    let input = json!({ "input": { "id": id, "ifRevision": first["revision"] } });
    let deleted = plane.ask(DELETE, input).await.data()["deleteService"].clone();
    assert_eq!((&deleted["userErrors"], &deleted["deletedId"]), (&json!([]), &id));
}

#[tokio::test]
async fn of_many_who_have_seen_the_same_one_wins() {
    let plane = Plane::start().await;
    let (id, seen) = service(&plane).await;
    let changes = (0..10).map(|i| {
        let input = json!({ "id": id, "ifRevision": seen, "port": 1000 + i });
        plane.ask(UPDATE, json!({ "input": input }))
    });
    let mut won = vec![];
    for answer in join_all(changes).await {
        let payload = answer.data()["updateService"].clone();
        match payload["userErrors"].as_array().unwrap().as_slice() {
            [] => won.push(payload["service"].clone()),
            [error] => assert_eq!(error["code"], "CONFLICT"),
            more => panic!("{more:?}"),
        }
    }
    let [won] = won.as_slice() else { panic!("{} have won", won.len()) };
    let query = "query($id: ID!) { service(id: $id) { id revision endpoints { port } } }";
    let found = plane.ask(query, json!({ "id": id })).await.data();
    assert_eq!(found["service"], *won);
}

#[tokio::test]
async fn a_group_that_is_rolled_back_has_changed() {
    let plane = Plane::start().await;
    let (id, seen) = service(&plane).await;
    let snapshot =
        plane.ask("{ snapshot { id } }", json!({})).await.data()["snapshot"]["id"].clone();
    let input = json!({ "id": id, "ifRevision": seen, "port": 81 });
    let changed =
        plane.ask(UPDATE, json!({ "input": input })).await.data()["updateService"].clone();
    let rollback = "mutation($input: RollbackInput!) {
        rollback(input: $input) { revision userErrors { code } } }";
    let back = plane.ask(rollback, json!({ "input": { "toSnapshot": snapshot } })).await.data();
    let input = json!({ "id": id, "ifRevision": changed["revision"], "port": 82 });
    let late = plane.ask(UPDATE, json!({ "input": input })).await.data()["updateService"].clone();
    assert_eq!(late["userErrors"][0]["currentRevision"], back["rollback"]["revision"]);

    // The settings of a group are a thing of their own.
    let group = "{ nodeGroup { id revision settingsRevision } }";
    let group = plane.ask(group, json!({})).await.data()["nodeGroup"].clone();
    assert_ne!(group["revision"], group["settingsRevision"]);
    let update = "mutation($input: UpdateNodeGroupInput!) { updateNodeGroup(input: $input) {
        nodeGroup { settingsRevision } revision userErrors { code currentRevision } } }";
    let input = json!({ "id": group["id"], "ifRevision": group["revision"], "description": "d" });
    let stale =
        plane.ask(update, json!({ "input": input })).await.data()["updateNodeGroup"].clone();
    assert_eq!(stale["userErrors"][0]["currentRevision"], group["settingsRevision"]);
    let input = json!({
        "id": group["id"], "ifRevision": group["settingsRevision"], "description": "d",
    });
    let done = plane.ask(update, json!({ "input": input })).await.data()["updateNodeGroup"].clone();
    assert_eq!(done["nodeGroup"]["settingsRevision"], done["revision"]);
}
