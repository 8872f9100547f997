//! Clusters over REST: what is said of them, their keys, and how they go.

use serde_json::{Value, json};

use crate::support::Plane;

#[tokio::test]
async fn a_cluster_is_made_with_a_key_and_changed_in_part() {
    let plane = Plane::start().await;
    let input = json!({
        "name": "blue", "description": "The blue ones", "syslog_endpoint": "syslog.internal:514",
        "log_netflow": false, "tier": "unknown fields are ignored",
    });
    let (status, made) = plane.rest("POST", "/api/v1/clusters", input).await;
    assert_eq!(status, 201, "{made}");
    let key = made["api_key"].as_str().unwrap();
    assert_eq!(key.len(), 64, "as Python's token_urlsafe(48)");
    for (field, want) in [
        ("name", json!("blue")),
        ("description", json!("The blue ones")),
        ("syslog_endpoint", json!("syslog.internal:514")),
        ("log_auth", json!(true)),
        ("log_netflow", json!(false)),
        ("log_debug", json!(false)),
        ("max_proxies", json!(3)),
        ("is_active", json!(true)),
        ("is_default", json!(false)),
        ("proxy_count", json!(0)),
        ("created_by", json!(1)),
    ] {
        assert_eq!(made[field], want, "{field}");
    }
    let path = format!("/api/v1/clusters/{}", made["id"]);
    let (_, shown) = plane.rest("GET", &path, Value::Null).await;
    assert_eq!(shown["description"], "The blue ones");
    for secret in ["api_key", "api_key_hash"] {
        assert!(shown.get(secret).is_none(), "{secret} in {shown}");
    }

    for (method, change, field, want) in [
        ("PATCH", json!({ "max_proxies": 7 }), "max_proxies", json!(7)),
        ("PUT", json!({ "log_debug": true }), "log_debug", json!(true)),
        ("PATCH", json!({ "description": null }), "description", Value::Null),
        ("PATCH", json!({ "log_auth": null }), "log_auth", json!(true)),
    ] {
        let (status, changed) = plane.rest(method, &path, change.clone()).await;
        assert_eq!((status, &changed[field]), (200, &want), "{method} {change}");
    }
    let (_, shown) = plane.rest("GET", &path, Value::Null).await;
    assert_eq!((&shown["max_proxies"], &shown["log_debug"]), (&json!(7), &json!(true)));
    assert_eq!(shown["syslog_endpoint"], "syslog.internal:514", "it stays");

    let (_, list) = plane.rest("GET", "/api/v1/clusters", Value::Null).await;
    assert_eq!(list["total"], 2);
    assert_eq!(
        (&list["clusters"][0]["name"], &list["clusters"][1]["name"]),
        (&json!("blue"), &json!("default"))
    );
}

#[tokio::test]
async fn a_cluster_that_cannot_be_says_which_field() {
    let plane = Plane::start().await;
    let field = |name: &str| json!(["body", name]);
    for (input, want) in [
        (json!({}), field("name")),
        (json!({ "name": "" }), field("name")),
        (json!({ "name": "a", "max_proxies": 0 }), field("max_proxies")),
        (json!({ "name": "a", "max_proxies": "3" }), field("max_proxies")),
        (json!({ "name": "a", "log_auth": "yes" }), field("log_auth")),
        (json!({ "name": "a", "syslog_endpoint": "x".repeat(256) }), field("syslog_endpoint")),
    ] {
        let (status, answer) = plane.rest("POST", "/api/v1/clusters", input.clone()).await;
        assert_eq!((status, &answer["detail"][0]["loc"]), (422, &want), "{input}: {answer}");
    }
    let taken = plane.rest("POST", "/api/v1/clusters", json!({ "name": "default" })).await;
    let detail = json!({ "detail": "Cluster with name 'default' already exists" });
    assert_eq!(taken, (400, detail));
    let (_, list) = plane.rest("GET", "/api/v1/clusters", Value::Null).await;
    assert_eq!(list["total"], 1, "nothing was made");
    for method in ["GET", "PATCH", "DELETE"] {
        let body = if method == "PATCH" { json!({}) } else { Value::Null };
        assert_eq!(plane.rest(method, "/api/v1/clusters/99", body).await.0, 404, "{method}");
    }
}

#[tokio::test]
async fn a_rotated_key_takes_the_old_ones_place_at_once() {
    let plane = Plane::start().await;
    let (_, made) = plane.rest("POST", "/api/v1/clusters", json!({ "name": "blue" })).await;
    let config = async |key: &Value| {
        let request = plane.http_request("GET", &format!("/api/v1/config/{}", made["id"]));
        let request = request.header("cluster-api-key", key.as_str().unwrap());
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(config(&made["api_key"]).await, 200);
    let path = format!("/api/v1/clusters/{}/rotate-api-key", made["id"]);
    let (status, rotated) = plane.rest("POST", &path, Value::Null).await;
    assert_eq!((status, &rotated["cluster_id"]), (200, &made["id"]));
    assert_eq!(config(&made["api_key"]).await, 401);
    assert_eq!(config(&rotated["new_api_key"]).await, 200);
    assert!(!plane.log().contains(rotated["new_api_key"].as_str().unwrap()), "in the log");
}

#[tokio::test]
async fn a_deleted_cluster_is_switched_off_and_later_gone() {
    let plane = Plane::start().await;
    let refused = plane.rest("DELETE", "/api/v1/clusters/1", Value::Null).await;
    assert_eq!(refused, (400, json!({ "detail": "Cannot delete the default cluster" })));
    let forever = plane.rest("DELETE", "/api/v1/clusters/1?permanent=true", Value::Null).await;
    assert_eq!(forever.0, 400);

    let (_, made) = plane.rest("POST", "/api/v1/clusters", json!({ "name": "blue" })).await;
    let id = &made["id"];
    let service = json!({ "name": "a", "ip_fqdn": "10.0.0.1", "port": 80, "cluster_id": id });
    let (_, service) = plane.rest("POST", "/api/v1/services", service).await;
    let path = format!("/api/v1/clusters/{id}");
    let forever = format!("{path}?permanent=true");
    let (status, why) = plane.rest("DELETE", &forever, Value::Null).await;
    assert_eq!((status, &why["detail"]), (409, &json!("Cluster blue is in use by 1 services")));

    assert_eq!(plane.rest("DELETE", &path, Value::Null).await, (204, Value::Null));
    let (status, shown) = plane.rest("GET", &path, Value::Null).await;
    assert_eq!((status, &shown["is_active"]), (200, &json!(false)), "it is still shown");
    let total = async |query: &str| {
        let path = format!("/api/v1/clusters{query}");
        plane.rest("GET", &path, Value::Null).await.1["total"].clone()
    };
    assert_eq!((total("").await, total("?active_only=false").await), (json!(1), json!(2)));
    let config = plane.http_request("GET", &format!("/api/v1/config/{id}"));
    let config = config.header("cluster-api-key", made["api_key"].as_str().unwrap());
    assert_eq!(config.send().await.unwrap().status(), 401, "its key opens nothing");
    let taken = plane.rest("POST", "/api/v1/clusters", json!({ "name": "blue" })).await;
    assert_eq!(taken.0, 400, "it keeps its name");

    let service = format!("/api/v1/services/{}?permanent=true", service["id"]);
    assert_eq!(plane.rest("DELETE", &service, Value::Null).await.0, 204);
    assert_eq!(plane.rest("DELETE", &forever, Value::Null).await.0, 204);
    assert_eq!(plane.rest("GET", &path, Value::Null).await.0, 404);
}
