//! Things by a part of their names.

use serde_json::{Value, json};

use crate::support::Plane;

const SEARCH: &str = "query($query: String!, $first: Int! = 20) {
    search(query: $query, first: $first) { __typename ... on Service { name }
        ... on Route { name } ... on Listener { name } ... on NodeGroup { name } } }";

async fn search(plane: &Plane, query: &str) -> Vec<String> {
    let data = plane.ask(SEARCH, json!({ "query": query })).await.data();
    let found = data["search"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    found.map(|one| format!("{} {}", text(&one["__typename"]), text(&one["name"]))).collect()
}

#[tokio::test]
async fn things_are_found_by_a_part_of_their_names() {
    let plane = Plane::start().await;
    for name in ["shop-api", "API", "web", "a_b"] {
        plane.create_service(name, 80).await;
    }
    plane.create_group("api-group").await;
    let api = plane.create_service("billing", 80).await;
    let input =
        json!({ "name": "to-api", "hosts": ["x.example"], "backends": [{ "service": api }] });
    plane.change("createRoute", "CreateRouteInput", input).await;
    let want = ["NodeGroup api-group", "Service API", "Service shop-api", "Route to-api"];
    assert_eq!(search(&plane, " aPi ").await, want);
    assert_eq!(search(&plane, "marchproxy_").await, ["Listener marchproxy_listener"; 2]);
    // What stands for anything in SQL stands for itself here.
    assert_eq!(search(&plane, "_").await.iter().filter(|found| found.contains("web")).count(), 0);
    assert_eq!(search(&plane, "%").await, Vec::<String>::new());
    let first = plane.ask(SEARCH, json!({ "query": "api", "first": 2 })).await.data();
    assert_eq!(first["search"].as_array().unwrap().len(), 2);
    for (variables, field) in [
        (json!({ "query": " " }), "query"),
        (json!({ "query": "x".repeat(129) }), "query"),
        (json!({ "query": "a", "first": 0 }), "first"),
        (json!({ "query": "a", "first": 101 }), "first"),
    ] {
        let answer = plane.ask(SEARCH, variables).await;
        let error = answer.error();
        assert_eq!(error["extensions"]["code"], "INVALID", "{error}");
        assert_eq!(error["extensions"]["field"], json!([field]), "{error}");
    }
}
