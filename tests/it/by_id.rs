//! Whatever has a global id, asked for by that alone.

use serde_json::{Value, json};

use crate::support::Plane;

const NODES: &str = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }";

#[tokio::test]
async fn things_are_found_by_their_ids() {
    let plane = Plane::start().await;
    let api = plane.create_service("api", 80).await;
    let input = json!({ "name": "web", "hosts": ["w.example"], "backends": [{ "service": api }] });
    plane.change("createRoute", "CreateRouteInput", input).await;
    let query = "{ viewer { id } nodeGroup { id snapshot { id } services { nodes { id } }
        routes { nodes { id } } listeners { nodes { id } } } }";
    let data = plane.ask(query, json!({})).await.data();
    let group = &data["nodeGroup"];
    let first = |noun: &str| group[noun]["nodes"][0]["id"].clone();
    let wanted = [
        ("User", data["viewer"]["id"].clone()),
        ("NodeGroup", group["id"].clone()),
        ("Snapshot", group["snapshot"]["id"].clone()),
        ("Service", first("services")),
        ("Route", first("routes")),
        ("Listener", first("listeners")),
    ];
    let ids: Vec<_> = wanted.iter().map(|(_, id)| id).collect();
    let found = plane.ask(NODES, json!({ "ids": ids })).await.data()["nodes"].clone();
    let want: Vec<_> =
        wanted.iter().map(|(of, id)| json!({ "__typename": of, "id": id })).collect();
    assert_eq!(found, json!(want));

    let one = "query($id: ID!) { node(id: $id) { id ... on Service { name } } }";
    let service = plane.ask(one, json!({ "id": api })).await.data();
    assert_eq!(service["node"], json!({ "id": api, "name": "api" }));
}

#[tokio::test]
async fn what_is_not_there_is_null_and_what_is_no_id_says_so() {
    let plane = Plane::start().await;
    let api = plane.create_service("api", 80).await;
    plane.change("deleteService", "DeleteInput", json!({ "id": api })).await;
    // base64url of v1:Nothing:1
    let ids = json!([api, "djE6Tm90aGluZzox"]);
    let found = plane.ask(NODES, json!({ "ids": ids })).await.data();
    assert_eq!(found["nodes"], json!([Value::Null, Value::Null]));
    let answer = plane.ask(NODES, json!({ "ids": [api, "nonsense"] })).await;
    let error = answer.error();
    assert_eq!(error["extensions"]["code"], "INVALID");
    assert_eq!(error["extensions"]["field"], json!(["ids", "1"]));
    let many = vec![api; 101];
    let answer = plane.ask(NODES, json!({ "ids": many })).await;
    assert_eq!(answer.error()["extensions"]["field"], json!(["ids"]));
    let answer = plane.ask_as(None, NODES, json!({ "ids": [] })).await;
    assert_eq!(answer.error()["extensions"]["code"], "UNAUTHENTICATED");
}
