//! Labels, and lists by them.

use serde_json::{Value, json};

use crate::support::Plane;

fn labels(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

/// The names of the services that have all of these labels, a page of two at a time.
async fn services(plane: &Plane, labels: Value) -> Vec<String> {
    let query = "query($labels: [LabelInput!], $after: String) {
        services(labels: $labels, first: 2, after: $after) {
            nodes { name } pageInfo { hasNextPage endCursor } } }";
    let (mut after, mut names) = (Value::Null, vec![]);
    loop {
        let variables = json!({ "labels": labels, "after": after });
        let page = plane.ask(query, variables).await.data()["services"].clone();
        let nodes = page["nodes"].as_array().unwrap().iter();
        names.extend(nodes.map(|node| node["name"].as_str().unwrap().to_owned()));
        if page["pageInfo"]["hasNextPage"] == false {
            return names;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

#[tokio::test]
async fn things_are_listed_by_their_labels() {
    let plane = Plane::start().await;
    let create = async |name: &str, pairs: &[(&str, &str)]| {
        let input = json!({ "name": name, "ipFqdn": "127.0.0.1", "port": 9,
            "labels": labels(pairs) });
        let made = plane.change("createService", "CreateServiceInput", input).await;
        made["service"]["id"].clone()
    };
    let a = create("a", &[("team", "shop"), ("tier", "1")]).await;
    create("b", &[("team", "shopping")]).await;
    create("c", &[]).await;
    create("d", &[("team", "shop")]).await;
    create("e", &[("team_x", "shop"), ("team", "shop")]).await;
    create("f", &[("teamAx", "shop")]).await;
    let all = ["a", "b", "c", "d", "e", "f"];
    assert_eq!(services(&plane, labels(&[])).await, all);
    assert_eq!(services(&plane, Value::Null).await, all);
    assert_eq!(services(&plane, labels(&[("team", "shop")])).await, ["a", "d", "e"]);
    assert_eq!(services(&plane, labels(&[("tier", "1"), ("team", "shop")])).await, ["a"]);
    assert_eq!(services(&plane, labels(&[("team", "")])).await, Vec::<String>::new());
    assert_eq!(services(&plane, labels(&[("team_x", "shop")])).await, ["e"], "`_` is itself");

    // Left out they stay, over GraphQL and REST; given, they are replaced.
    let shown = "query($id: ID!) { service(id: $id) { labels { key value } revision } }";
    let of_a = async || plane.ask(shown, json!({ "id": a })).await.data()["service"].clone();
    let before = of_a().await;
    assert_eq!(before["labels"], labels(&[("team", "shop"), ("tier", "1")]));
    let snapshot = plane.ask("{ snapshot { id } }", json!({})).await.data()["snapshot"].clone();
    let input = json!({ "id": a, "port": 10 });
    plane.change("updateService", "UpdateServiceInput", input).await;
    let (status, _) = plane.rest("PATCH", "/api/v1/services/1", json!({ "port": 11 })).await;
    assert_eq!(status, 200);
    assert_eq!(of_a().await["labels"], before["labels"]);
    let input = json!({ "id": a, "labels": labels(&[("new", "")]) });
    plane.change("updateService", "UpdateServiceInput", input).await;
    assert_eq!(of_a().await["labels"], labels(&[("new", "")]));
    assert_eq!(services(&plane, labels(&[("team", "shop")])).await, ["d", "e"]);

    // They are a part of what was configured, and come back with it.
    let back = "mutation($input: RollbackInput!) { rollback(input: $input) { revision } }";
    plane.ask(back, json!({ "input": { "toSnapshot": snapshot["id"] } })).await.data();
    assert_eq!(of_a().await["labels"], before["labels"]);
}

#[tokio::test]
async fn every_noun_of_a_group_has_labels() {
    let plane = Plane::start().await;
    let service = plane.create_service("a", 9).await;
    let pairs = labels(&[("team", "shop")]);
    let route =
        json!({ "name": "r", "hosts": ["r.example"], "backends": [{ "service": service }] });
    let nouns = [
        ("createRoute", "CreateRouteInput", "routes", route),
        (
            "createListener",
            "CreateListenerInput",
            "listeners",
            json!({ "name": "l", "port": 12345 }),
        ),
        ("createMapping", "CreateMappingInput", "mappings", json!({ "name": "m" })),
    ];
    for (mutation, input_type, list, mut input) in nouns {
        input["labels"] = pairs.clone();
        plane.change(mutation, input_type, input).await;
        let query = format!(
            "query($labels: [LabelInput!]) {{ {list}(labels: $labels) {{ nodes {{
                labels {{ key value }} }} }} nodeGroup {{ {list}(labels: $labels) {{ nodes {{ id }} }} }} }}"
        );
        let found = plane.ask(&query, json!({ "labels": pairs })).await.data();
        assert_eq!(found[list]["nodes"], json!([{ "labels": pairs }]), "{list}");
        assert_eq!(found["nodeGroup"][list]["nodes"].as_array().unwrap().len(), 1, "{list}");
        let none = plane.ask(&query, json!({ "labels": labels(&[("team", "other")]) })).await;
        assert_eq!(none.data()[list]["nodes"], json!([]), "{list}");
    }
}

#[tokio::test]
async fn what_is_no_label_is_told_by_its_place() {
    let plane = Plane::start().await;
    let before = plane.state().await;
    let query = "mutation($input: CreateServiceInput!) {
        createService(input: $input) { revision } }";
    let many: Value = (0..33).map(|i| json!({ "key": format!("k{i}") })).collect();
    for (labels, path) in [
        (labels(&[("a b", "")]), json!(["input", "labels", "0", "key"])),
        (labels(&[("a", ""), ("b", "é")]), json!(["input", "labels", "1", "value"])),
        (labels(&[("a", ""), ("a", "b")]), json!(["input", "labels", "1", "key"])),
        (many, json!(["input", "labels", "32", "key"])),
    ] {
        let input = json!({ "name": "a", "ipFqdn": "h", "port": 1, "labels": labels });
        let answer = plane.ask(query, json!({ "input": input })).await;
        assert_eq!(answer.error()["extensions"]["code"], "INVALID");
        assert_eq!(answer.error()["extensions"]["field"], path);
    }
    assert_eq!(plane.state().await, before, "something has changed");
}
