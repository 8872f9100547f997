//! Proxies that register over REST.

use serde_json::{Value, json};

use crate::support::Plane;

const PROXIES: &str = "/api/v1/proxies";

/// A cluster's id and key.
struct Cluster {
    id: Value,
    key: String,
}

async fn cluster(plane: &Plane, name: &str) -> Cluster {
    let (_, made) = plane.rest("POST", "/api/v1/clusters", json!({ "name": name })).await;
    Cluster { id: made["id"].clone(), key: made["api_key"].as_str().unwrap().to_owned() }
}

/// Posts without signing in, as proxies do.
async fn post(plane: &Plane, path: &str, body: Value) -> (u16, Value) {
    let answer = plane.http_request("POST", path).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn register(plane: &Plane, key: &str, name: &str) -> (u16, Value) {
    let body = json!({
        "name": name, "hostname": "host.internal", "ip_address": "10.0.0.7", "version": "1.2",
        "capabilities": { "xdp": true }, "cluster_api_key": key,
    });
    post(plane, &format!("{PROXIES}/register"), body).await
}

#[tokio::test]
async fn a_proxy_registers_again_under_its_id() {
    let plane = Plane::start().await;
    let blue = cluster(&plane, "blue").await;
    let (status, made) = register(&plane, &blue.key, "p").await;
    assert_eq!(status, 201, "{made}");
    for (field, want) in [
        ("name", json!("p")),
        ("hostname", json!("host.internal")),
        ("ip_address", json!("10.0.0.7")),
        ("port", json!(8080)),
        ("cluster_id", blue.id.clone()),
        ("status", json!("active")),
        ("version", json!("1.2")),
        ("capabilities", json!({ "xdp": true })),
        ("last_config_fetch", Value::Null),
        ("config_version", Value::Null),
    ] {
        assert_eq!(made[field], want, "{field}");
    }
    // By a header, with a list of words, and without a version.
    for (header, value) in
        [("x-cluster-api-key", blue.key.clone()), ("authorization", format!("Bearer {}", blue.key))]
    {
        let body = json!({
            "name": "p", "hostname": "other", "ip_address": "::1", "capabilities": ["a", "b"],
        });
        let request = plane.http_request("POST", &format!("{PROXIES}/register"));
        let answer = request.header(header, value).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{header}");
        let again: Value = answer.json().await.unwrap();
        assert_eq!((&again["id"], &again["version"]), (&made["id"], &Value::Null));
        assert_eq!(again["capabilities"], json!({ "a": true, "b": true }));
        assert_eq!(again["registered_at"], made["registered_at"]);
    }
    let green = cluster(&plane, "green").await;
    let (status, other) = register(&plane, &green.key, "p").await;
    assert_eq!(status, 201, "the same name in another cluster");
    assert_ne!(other["id"], made["id"]);

    let names = async |query: &str| {
        let (_, list) = plane.rest("GET", &format!("{PROXIES}{query}"), Value::Null).await;
        (list["total"].clone(), list["proxies"][0]["id"].clone())
    };
    assert_eq!(names("").await, (json!(2), other["id"].clone()));
    assert_eq!(names(&format!("?cluster_id={}", blue.id)).await, (json!(1), made["id"].clone()));
    let asked = "{ nodeGroup(name: \"blue\") { proxies { nodes { name status hostname } } } }";
    let shown = plane.ask(asked, json!({})).await.data();
    let want = json!([{ "name": "p", "status": "ACTIVE", "hostname": "other" }]);
    assert_eq!(shown["nodeGroup"]["proxies"]["nodes"], want);
}

#[tokio::test]
async fn who_has_no_good_key_is_not_let_in() {
    let plane = Plane::start().await;
    let blue = cluster(&plane, "blue").await;
    let (_, proxy) = register(&plane, &blue.key, "p").await;
    let green = cluster(&plane, "green").await;
    let (_, token) = plane.rest("GET", "/api/v1/clusters", Value::Null).await;
    assert_eq!(token["total"], 3);
    let id = &proxy["id"];
    let bad = (401, json!({ "detail": "Invalid cluster API key" }));
    for path in [
        format!("{PROXIES}/register"),
        format!("{PROXIES}/heartbeat"),
        format!("{PROXIES}/{id}/metrics"),
    ] {
        let body = |key: Option<&str>| {
            let mut body = json!({
                "name": "q", "hostname": "h", "ip_address": "10.0.0.1", "proxy_id": id,
            });
            if let Some(key) = key {
                body["cluster_api_key"] = key.into();
            }
            body
        };
        assert_eq!(post(&plane, &path, body(Some("default-api-key"))).await, bad, "{path}");
        let (status, missing) = post(&plane, &path, body(None)).await;
        let loc = json!(["body", "cluster_api_key"]);
        assert_eq!((status, &missing["detail"][0]["loc"]), (422, &loc), "{path}");
    }
    // Another cluster's proxy is none of its business.
    let beat = json!({ "proxy_id": id, "cluster_api_key": green.key });
    let unknown = (404, json!({ "detail": format!("Proxy {id} not found") }));
    assert_eq!(post(&plane, &format!("{PROXIES}/heartbeat"), beat.clone()).await, unknown);
    assert_eq!(post(&plane, &format!("{PROXIES}/{id}/metrics"), beat).await, unknown);
    for path in [PROXIES.to_owned(), format!("{PROXIES}/{id}"), format!("{PROXIES}/{id}/metrics")] {
        let answer = plane.http_request("GET", &path).send().await.unwrap();
        assert_eq!(answer.status(), 401, "GET {path}");
    }
}

#[tokio::test]
async fn a_registration_that_cannot_be_says_which_field() {
    let plane = Plane::start().await;
    let blue = cluster(&plane, "blue").await;
    for (wrong, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "hostname": "" }), "hostname"),
        (json!({ "ip_address": "localhost" }), "ip_address"),
        (json!({ "port": 0 }), "port"),
        (json!({ "version": "x".repeat(51) }), "version"),
        (json!({ "capabilities": "xdp" }), "capabilities"),
        (json!({ "capabilities": [1] }), "capabilities"),
    ] {
        let mut body = json!({
            "name": "p", "hostname": "h", "ip_address": "10.0.0.1", "cluster_api_key": blue.key,
        });
        body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let (status, answer) = post(&plane, &format!("{PROXIES}/register"), body).await;
        let loc = json!(["body", field]);
        assert_eq!((status, &answer["detail"][0]["loc"]), (422, &loc), "{wrong}: {answer}");
    }
    let (_, list) = plane.rest("GET", PROXIES, Value::Null).await;
    assert_eq!(list["total"], 0);
}

#[tokio::test]
async fn a_cluster_has_room_for_so_many_proxies() {
    let plane = Plane::start().await;
    let blue = cluster(&plane, "blue").await;
    let path = format!("/api/v1/clusters/{}", blue.id);
    plane.rest("PATCH", &path, json!({ "max_proxies": 2 })).await;
    let (_, one) = register(&plane, &blue.key, "one").await;
    assert_eq!(register(&plane, &blue.key, "two").await.0, 201);
    let (status, full) = register(&plane, &blue.key, "three").await;
    assert_eq!(status, 429);
    assert!(full["detail"].as_str().unwrap().starts_with("Proxy limit reached (2)"), "{full}");
    assert_eq!(register(&plane, &blue.key, "two").await.0, 201, "it is there already");
    let (_, shown) = plane.rest("GET", &path, Value::Null).await;
    assert_eq!(shown["proxy_count"], 2);

    let one = format!("{PROXIES}/{}", one["id"]);
    assert_eq!(plane.rest("DELETE", &one, Value::Null).await.0, 204);
    let (_, offline) = plane.rest("GET", &one, Value::Null).await;
    assert_eq!(offline["status"], "offline");
    assert_eq!(register(&plane, &blue.key, "three").await.0, 201, "there is room again");
    assert_eq!(register(&plane, &blue.key, "one").await.0, 429, "and not for two");
    let beat = json!({ "proxy_id": offline["id"], "cluster_api_key": blue.key });
    assert_eq!(post(&plane, &format!("{PROXIES}/heartbeat"), beat).await.0, 429);
}

#[tokio::test]
async fn what_a_proxy_measures_is_kept() {
    let plane = Plane::start().await;
    let blue = cluster(&plane, "blue").await;
    let (_, proxy) = register(&plane, &blue.key, "p").await;
    let id = &proxy["id"];
    let heartbeat = format!("{PROXIES}/heartbeat");
    let beat = |more: Value| {
        let mut beat = json!({ "proxy_id": id, "cluster_api_key": blue.key });
        beat.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        beat
    };
    let metrics = json!({ "cpu_usage": 12.5, "bytes_sent": 5_000_000_000_i64 });
    let body = beat(json!({ "status": "degraded", "config_version": "v1", "metrics": metrics }));
    let heard = json!({ "status": "ok", "message": "Heartbeat received" });
    assert_eq!(post(&plane, &heartbeat, body).await, (200, heard));
    let path = format!("{PROXIES}/{id}");
    let (_, shown) = plane.rest("GET", &path, Value::Null).await;
    assert_eq!((&shown["status"], &shown["config_version"]), (&json!("degraded"), &json!("v1")));
    assert!(shown["last_config_fetch"].is_string(), "{shown}");
    assert!(shown["last_seen"].as_str() > proxy["last_seen"].as_str());

    let body = beat(json!({ "latency_p95": 3, "connections_active": 7 }));
    let noted = json!({ "status": "ok", "message": "Metrics recorded" });
    assert_eq!(post(&plane, &format!("{path}/metrics"), body).await, (200, noted));
    let (_, kept) = plane.rest("GET", &format!("{path}/metrics"), Value::Null).await;
    assert_eq!((&kept["metrics_count"], &kept["proxy_name"]), (&json!(2), &json!("p")));
    assert_eq!(kept["metrics"][0]["latency_p95"], 3.0, "the latest first: {kept}");
    assert_eq!(kept["metrics"][0]["cpu_usage"], Value::Null);
    assert_eq!(kept["metrics"][1]["cpu_usage"], 12.5);
    assert_eq!(kept["metrics"][1]["bytes_sent"], 5_000_000_000_i64);
    let (_, one) = plane.rest("GET", &format!("{path}/metrics?limit=1"), Value::Null).await;
    assert_eq!(one["metrics_count"], 1);

    for wrong in [
        json!({ "metrics": { "cpu": 1 } }),
        json!({ "metrics": { "cpu_usage": 101 } }),
        json!({ "metrics": { "bytes_sent": -1 } }),
        json!({ "metrics": 7 }),
        json!({ "status": "online" }),
        json!({ "config_version": "x".repeat(65) }),
    ] {
        let (status, answer) = post(&plane, &heartbeat, beat(wrong.clone())).await;
        assert_eq!(status, 422, "{wrong}: {answer}");
    }
    let (_, kept) = plane.rest("GET", &format!("{path}/metrics"), Value::Null).await;
    assert_eq!(kept["metrics_count"], 2, "nothing of it was kept");
}
