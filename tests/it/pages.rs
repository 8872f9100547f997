//! Pages of a large group: each is found by its key.

use serde_json::{Value, json};

use crate::support::{Kind, Plane, Rows};

/// A page is read by the key that it comes after, and not by going over what is before.
#[tokio::test]
async fn the_database_finds_a_page_by_its_key() {
    let plane = Plane::start().await;
    plane.create_service("first", 80).await;
    let rows = Rows::open(&plane).await;
    rows.multiply_services(20_000).await;
    let plan = rows
        .plan("SELECT * FROM service WHERE node_group_id = 1 AND id > 19000 ORDER BY id LIMIT 21")
        .await;
    match Kind::of_this_run() {
        Kind::Sqlite => {
            assert!(plan.contains("service_page (node_group_id=? AND id>?)"), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
        Kind::Postgres => {
            assert!(plan.contains("Index Scan"), "{plan}");
            assert!(!plan.contains("Sort"), "{plan}");
        }
    }

    // From the first to the last, each once, in order.
    let query = "query($after: String) { services(first: 200, after: $after) {
        nodes { name } pageInfo { hasNextPage endCursor } } }";
    let (mut after, mut seen) = (Value::Null, vec![]);
    loop {
        let data = plane.ask(query, json!({ "after": after })).await.data();
        let page = &data["services"];
        let names = page["nodes"].as_array().unwrap().iter();
        seen.extend(names.map(|node| node["name"].as_str().unwrap().to_owned()));
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(seen.len(), 20_001);
    let mut unique = seen.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), seen.len());
}
