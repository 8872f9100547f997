//! Mappings over REST and GraphQL.

use serde_json::{Value, json};

use crate::support::Plane;

const MAPPINGS: &str = "/api/v1/mappings";

/// Two services, `one` and `two`, whose ids are 1 and 2.
async fn plane() -> Plane {
    let plane = Plane::start().await;
    for name in ["one", "two"] {
        let input = json!({ "name": name, "ipFqdn": "10.0.0.1", "port": 80 });
        plane.change("createService", "CreateServiceInput", input).await;
    }
    plane
}

#[tokio::test]
async fn a_mapping_is_made_shown_changed_and_deleted() {
    let plane = plane().await;
    let input = json!({
        "name": "m", "cluster_id": 1, "source_services": "all", "dest_services": "2,1",
        "ports": "443,80-90,8080", "comments": "why",
    });
    let (status, made) = plane.rest("POST", MAPPINGS, input).await;
    assert_eq!(status, 201, "{made}");
    for (field, want) in [
        ("source_services", json!(["all"])),
        ("dest_services", json!([1, 2])),
        ("protocols", json!(["tcp", "udp"])),
        ("ports", json!([{ "range": [80, 90] }, 443, 8080])),
        ("auth_required", json!(true)),
        ("description", Value::Null),
        ("comments", json!("why")),
        ("is_active", json!(true)),
        ("created_by", json!(1)),
        ("cluster_id", json!(1)),
    ] {
        assert_eq!(made[field], want, "{field}");
    }
    let path = format!("{MAPPINGS}/{}", made["id"]);
    assert_eq!(plane.rest("GET", &path, Value::Null).await, (200, made.clone()));
    for (method, change, field, want) in [
        ("PUT", json!({ "dest_services": [2] }), "dest_services", json!([2])),
        ("PATCH", json!({ "source_services": [1] }), "source_services", json!([1])),
        ("PATCH", json!({ "protocols": "http" }), "protocols", json!(["http"])),
        ("PATCH", json!({ "ports": [] }), "ports", json!([])),
        ("PUT", json!({ "auth_required": false }), "auth_required", json!(false)),
    ] {
        let (status, changed) = plane.rest(method, &path, change.clone()).await;
        assert_eq!((status, &changed[field]), (200, &want), "{method} {change}: {changed}");
    }
    let asked = "{ mappings { nodes { name sourceServices { name } destServices { name }
        protocols ports authRequired isActive } } }";
    let want = json!([{
        "name": "m", "sourceServices": [{ "name": "one" }], "destServices": [{ "name": "two" }],
        "protocols": ["HTTP"], "ports": [], "authRequired": false, "isActive": true,
    }]);
    assert_eq!(plane.ask(asked, json!({})).await.data()["mappings"]["nodes"], want);

    // What a mapping names is not deleted for good.
    let service = "/api/v1/services/2?permanent=true";
    let (status, why) = plane.rest("DELETE", service, Value::Null).await;
    assert_eq!((status, &why["detail"]), (409, &json!("Service two is in use by mapping m")));

    assert_eq!(plane.rest("DELETE", &path, Value::Null).await.0, 204);
    let total = async |query: &str| {
        plane.rest("GET", &format!("{MAPPINGS}{query}"), Value::Null).await.1["total"].clone()
    };
    assert_eq!((total("").await, total("?active_only=false").await), (json!(0), json!(1)));
    let forever = format!("{path}?permanent=true");
    assert_eq!(plane.rest("DELETE", &forever, Value::Null).await.0, 204);
    assert_eq!(plane.rest("GET", &path, Value::Null).await.0, 404);
    assert_eq!(plane.rest("DELETE", service, Value::Null).await.0, 204);
}

#[tokio::test]
async fn a_mapping_that_cannot_be_says_which_field() {
    let plane = plane().await;
    let input = |more: Value| {
        let mut input =
            json!({ "name": "m", "cluster_id": 1, "source_services": [1], "dest_services": [2] });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    for (wrong, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "cluster_id": 0 }), "cluster_id"),
        (json!({ "source_services": [] }), "source_services"),
        (json!({ "source_services": [99] }), "source_services"),
        (json!({ "dest_services": "one" }), "dest_services"),
        (json!({ "dest_services": [2, 99] }), "dest_services"),
        (json!({ "protocols": ["sctp"] }), "protocols"),
        (json!({ "protocols": [] }), "protocols"),
        (json!({ "ports": "http" }), "ports"),
        (json!({ "ports": "90-80" }), "ports"),
        (json!({ "ports": [0] }), "ports"),
    ] {
        let (status, answer) = plane.rest("POST", MAPPINGS, input(wrong.clone())).await;
        let loc = json!(["body", field]);
        assert_eq!((status, &answer["detail"][0]["loc"]), (422, &loc), "{wrong}: {answer}");
    }
    let (status, answer) = plane.rest("POST", MAPPINGS, json!({ "name": "m" })).await;
    assert_eq!((status, &answer["detail"][0]["type"]), (422, &json!("missing")), "{answer}");
    let (_, other) = plane.rest("POST", "/api/v1/clusters", json!({ "name": "blue" })).await;
    let elsewhere = input(json!({ "cluster_id": other["id"] }));
    let (status, answer) = plane.rest("POST", MAPPINGS, elsewhere).await;
    assert_eq!(status, 422, "another cluster's services: {answer}");
    assert_eq!(plane.rest("POST", MAPPINGS, input(json!({}))).await.0, 201);
    let taken = plane.rest("POST", MAPPINGS, input(json!({}))).await;
    assert_eq!(taken, (400, json!({ "detail": "Mapping with name 'm' already exists" })));
}
