//! REST, as existing clients speak it.

use serde_json::{Value, json};

use crate::support::Plane;

#[tokio::test]
async fn services_are_listed_and_shown() {
    let plane = Plane::start().await;
    for name in ["one", "two", "three"] {
        let input = json!({ "name": name, "ipFqdn": "127.0.0.1", "port": 80 });
        plane.change("createService", "CreateServiceInput", input).await;
    }
    let get = async |path: &str| plane.rest("GET", path, Value::Null).await;
    let (status, all) = get("/api/v1/services").await;
    assert_eq!((status, &all["total"]), (200, &json!(3)));
    let names = |list: &Value| {
        let services = list["services"].as_array().unwrap().clone();
        services.iter().map(|service| service["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&all), ["three", "two", "one"]);
    let (_, window) = get("/api/v1/services/?skip=1&limit=1&cluster_id=1").await;
    assert_eq!((names(&window), &window["total"]), (vec![json!("two")], &json!(3)));
    let (_, none) = get("/api/v1/services?cluster_id=2").await;
    assert_eq!(none, json!({ "total": 0, "services": [] }));
    let (status, one) = get("/api/v1/services/1").await;
    assert_eq!((status, &one), (200, &all["services"][2]));
    assert!(one["created_at"].as_str().unwrap().ends_with('Z'), "{one}");
}

#[tokio::test]
async fn what_is_refused_says_why() {
    let plane = Plane::start().await;
    let wrong = |kind: &str, loc: Value, msg: &str, input: Value| json!([{ "type": kind, "loc": loc, "msg": msg, "input": input }]);
    let table = [
        ("GET", "/api/v1/services/7", 404, json!("Service not found or access denied")),
        ("GET", "/api/v1/services/0", 404, json!("Not Found")),
        ("GET", "/api/v1/services/99999999999", 404, json!("Not Found")),
        ("GET", "/api/v1/nothing", 404, json!("Not Found")),
        ("DELETE", "/api/v1/services", 405, json!("Method Not Allowed")),
        (
            "GET",
            "/api/v1/services/x",
            422,
            wrong(
                "int_parsing",
                json!(["path", "service_id"]),
                "Input should be a valid integer, unable to parse string as an integer",
                json!("x"),
            ),
        ),
        (
            "GET",
            "/api/v1/services?limit=1001",
            422,
            wrong("value_error", json!(["query", "limit"]), "must be 1 to 1000", Value::Null),
        ),
        (
            "GET",
            "/api/v1/services?skip=x",
            422,
            wrong(
                "int_parsing",
                json!(["query", "skip"]),
                "Input should be a valid integer",
                json!("x"),
            ),
        ),
    ];
    for (method, path, status, detail) in table {
        let got = plane.rest(method, path, Value::Null).await;
        assert_eq!(got, (status, json!({ "detail": detail })), "{method} {path}");
    }
}

#[tokio::test]
async fn who_is_not_signed_in_is_told_how() {
    let plane = Plane::start().await;
    let table = [
        (None, "Not authenticated"),
        (Some("Basic YTpi"), "Not authenticated"),
        (Some("Bearer x"), "Could not validate credentials"),
    ];
    for (header, detail) in table {
        let mut request = plane.http_request("GET", "/api/v1/services?limit=x");
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401, "{header:?}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body, json!({ "detail": detail }), "{header:?}");
    }
}

#[tokio::test]
async fn a_list_is_no_object_wherever_one_is_wanted() {
    let plane = Plane::start().await;
    let (_, document) = plane.rest("GET", "/api/openapi.json", Value::Null).await;
    let before = plane.state().await;
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["requestBody"]["content"]["application/json"].is_null() {
                continue;
            }
            let path = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
            let path = path.collect::<Vec<_>>().join("/");
            for body in [json!([]), json!(["a", "b", 1])] {
                let (status, said) = plane.rest(&method.to_uppercase(), &path, body).await;
                let problem = &said["detail"][0];
                assert_eq!((status, &problem["loc"]), (422, &json!(["body"])), "{path}: {said}");
                assert_eq!(problem["type"], "model_attributes_type", "{path}: {said}");
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
    let beat = json!({ "proxy_id": 1, "cluster_api_key": "k", "metrics": [] });
    let (status, said) = plane.rest("POST", "/api/v1/proxies/heartbeat", beat).await;
    let loc = json!(["body", "metrics"]);
    assert_eq!((status, &said["detail"][0]["loc"]), (422, &loc), "{said}");
    assert_eq!(said["detail"][0]["type"], "dict_type", "{said}");
    assert_eq!(plane.state().await, before);
}
