//! The configuration that registered proxies fetch.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::support::{Authority, Plane};

/// A cluster of two services and a mapping; its key.
async fn configured(plane: &Plane) -> (Value, String, Value) {
    let input = json!({ "name": "blue", "description": "d", "syslog_endpoint": "s:514" });
    let (_, made) = plane.rest("POST", "/api/v1/clusters", input).await;
    let (id, key) = (made["id"].clone(), made["api_key"].as_str().unwrap().to_owned());
    let api = json!({
        "name": "b-api", "ip_fqdn": "api.internal", "port": 443, "protocol": "https",
        "cluster_id": id, "auth_type": "jwt", "health_check_enabled": true,
        "health_check_path": "/healthz", "extra_metadata": { "team": "x" }, "collection": "c",
    });
    let (status, api) = plane.rest("POST", "/api/v1/services", api).await;
    assert_eq!(status, 201, "{api}");
    let web = json!({ "name": "a-web", "ip_fqdn": "10.0.0.1", "port": 80, "cluster_id": id });
    let (_, web) = plane.rest("POST", "/api/v1/services", web).await;
    let mapping = json!({
        "name": "m", "cluster_id": id, "source_services": [web["id"]],
        "dest_services": "all", "ports": "80-90", "protocols": "tcp",
    });
    let (status, mapping) = plane.rest("POST", "/api/v1/mappings", mapping).await;
    assert_eq!(status, 201, "{mapping}");
    (id, key, api)
}

async fn get(
    plane: &Plane,
    path: &str,
    key: &str,
    more: &[(&str, &str)],
) -> (u16, HeaderMap, Value) {
    let mut request = plane.http_request("GET", path).header("cluster-api-key", key);
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    (status, headers, serde_json::from_str(&text).unwrap_or_default())
}

#[tokio::test]
async fn proxies_are_told_all_that_they_need_with_secrets() {
    let plane = Plane::start().await;
    let (id, key, api) = configured(&plane).await;
    let (status, headers, config) = get(&plane, &format!("/api/v1/config/{id}"), &key, &[]).await;
    assert_eq!(status, 200, "{config}");
    let cluster = json!({
        "id": id, "name": "blue", "description": "d", "max_proxies": 3,
        "syslog_endpoint": "s:514", "log_auth": true, "log_netflow": true, "log_debug": false,
    });
    assert_eq!(config["cluster"], cluster);
    let want = json!([
        {
            "id": 2, "name": "a-web", "ip_fqdn": "10.0.0.1", "port": 80, "protocol": "tcp",
            "collection": null, "auth": { "type": "none", "token_base64": null, "jwt": null },
            "tls": { "enabled": false, "verify": true }, "health_check": null, "metadata": null,
        },
        {
            "id": 1, "name": "b-api", "ip_fqdn": "api.internal", "port": 443, "protocol": "https",
            "collection": "c",
            "auth": { "type": "jwt", "token_base64": null, "jwt": {
                "secret": api["jwt_secret"], "expiry": 3600, "algorithm": "HS256" } },
            "tls": { "enabled": true, "verify": true },
            "health_check": { "enabled": true, "path": "/healthz", "interval": 30 },
            "metadata": { "team": "x" },
        },
    ]);
    assert_eq!(config["services"], want, "by name");
    assert!(api["jwt_secret"].as_str().is_some_and(|secret| secret.len() == 86));
    let mapping = json!([{
        "id": 1, "name": "m", "description": null, "source_services": [2],
        "dest_services": ["all"], "protocols": ["tcp"], "ports": [{ "range": [80, 90] }],
        "auth_required": true,
    }]);
    assert_eq!(config["mappings"], mapping);
    assert_eq!(config["certificates"], json!({}));
    let logging = json!({ "endpoint": "s:514", "auth": true, "netflow": true, "debug": false });
    assert_eq!(config["logging"], logging);
    let version = config["config_version"].as_str().unwrap();
    assert!(version.len() == 32 && version.bytes().all(|b| b.is_ascii_hexdigit()), "{version}");
    assert_eq!(headers["etag"], format!("\"{version}\""));
}

#[tokio::test]
async fn the_version_changes_when_the_configuration_does() {
    let plane = Plane::start().await;
    let (id, key, api) = configured(&plane).await;
    let path = format!("/api/v1/config/version/{id}");
    let version = async || {
        let (status, _, version) = get(&plane, &path, &key, &[]).await;
        assert_eq!(
            (status, &version["cluster_id"], &version["cluster_name"]),
            (200, &id, &json!("blue"))
        );
        assert!(version["generated_at"].is_string());
        version["config_version"].as_str().unwrap().to_owned()
    };
    let mut seen = vec![version().await];
    let (_, _, whole) = get(&plane, &format!("/api/v1/config/{id}"), &key, &[]).await;
    assert_eq!(whole["config_version"], seen[0], "however it is asked for");
    let service = format!("/api/v1/services/{}", api["id"]);
    let same = [
        ("PATCH", service.clone(), json!({ "port": 443 })),
        ("POST", format!("{service}/reload-xds"), Value::Null),
        ("POST", "/api/v1/clusters".to_owned(), json!({ "name": "green" })),
    ];
    for (method, path, body) in same {
        assert!(plane.rest(method, &path, body).await.0 < 300, "{method} {path}");
        assert_eq!(version().await, seen[0], "{method} {path}");
    }
    let changes = [
        ("PATCH", service.clone(), json!({ "port": 444 })),
        ("POST", format!("{service}/rotate-token"), json!({ "auth_type": "jwt" })),
        ("PATCH", format!("/api/v1/clusters/{id}"), json!({ "log_debug": true })),
        ("PATCH", "/api/v1/mappings/1".to_owned(), json!({ "ports": "80" })),
        ("DELETE", "/api/v1/mappings/1".to_owned(), Value::Null),
        ("DELETE", service, Value::Null),
    ];
    for (method, path, body) in changes {
        assert!(plane.rest(method, &path, body).await.0 < 300, "{method} {path}");
        let next = version().await;
        assert!(!seen.contains(&next), "{method} {path}");
        seen.push(next);
    }
}

#[tokio::test]
async fn a_proxy_that_has_it_is_not_sent_it_again() {
    let plane = Plane::start().await;
    let (id, key, _) = configured(&plane).await;
    let register = json!({
        "name": "p", "hostname": "h", "ip_address": "10.0.0.1", "cluster_api_key": key,
    });
    let request = plane.http_request("POST", "/api/v1/proxies/register").json(&register);
    let proxy: Value = request.send().await.unwrap().json().await.unwrap();
    let path = format!("/api/v1/config/{id}?proxy_id={}", proxy["id"]);
    let (_, headers, config) = get(&plane, &path, &key, &[]).await;
    let shown = format!("/api/v1/proxies/{}", proxy["id"]);
    let (_, noted) = plane.rest("GET", &shown, Value::Null).await;
    assert_eq!(noted["config_version"], config["config_version"]);
    assert!(noted["last_config_fetch"].is_string(), "{noted}");

    let tag = headers["etag"].to_str().unwrap();
    for known in [tag, "*", &format!("\"x\", W/{tag}")] {
        let (status, headers, body) = get(&plane, &path, &key, &[("if-none-match", known)]).await;
        assert_eq!((status, body), (304, Value::Null), "{known}");
        assert_eq!(headers["etag"], tag);
    }
    let (status, ..) = get(&plane, &path, &key, &[("if-none-match", "\"x\"")]).await;
    assert_eq!(status, 200);
    let (status, ..) = get(&plane, &format!("/api/v1/config/{id}?proxy_id=99"), &key, &[]).await;
    assert_eq!(status, 404, "no proxy of theirs");
}

#[tokio::test]
async fn who_asks_must_have_the_clusters_key() {
    let plane = Plane::start().await;
    let (id, key, _) = configured(&plane).await;
    for path in ["", "version/", "validate/"] {
        let at = |id: &Value| format!("/api/v1/config/{path}{id}");
        let (status, _, wrong) = get(&plane, &at(&id), "nonsense", &[]).await;
        let invalid = json!({ "detail": "Invalid cluster API key" });
        assert_eq!((status, wrong), (401, invalid), "{path}");
        let (status, _, other) = get(&plane, &at(&json!(1)), &key, &[]).await;
        let other_one = json!({ "detail": "Cluster ID does not match API key" });
        assert_eq!((status, other), (403, other_one), "{path}");
        let answer = plane.http_request("GET", &at(&id)).send().await.unwrap();
        assert_eq!(answer.status(), 422, "{path}");
        let missing: Value = answer.json().await.unwrap();
        assert_eq!(missing["detail"][0]["loc"], json!(["header", "cluster-api-key"]));
    }
}

#[tokio::test]
async fn what_is_unwise_is_said() {
    let plane = Plane::start().await;
    let (id, key, _) = configured(&plane).await;
    let path = format!("/api/v1/config/validate/{id}");
    let validate = async || get(&plane, &path, &key, &[]).await.2;
    let said = validate().await;
    assert_eq!((&said["valid"], &said["errors"]), (&json!(true), &json!([])));
    assert_eq!(said["stats"], json!({ "services": 2, "mappings": 1, "certificates": 0 }));
    let types = |said: &Value| {
        let warnings = said["warnings"].as_array().unwrap().iter();
        warnings.map(|w| (w["type"].clone(), w["services"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(types(&said), [(json!("no_auth"), json!(["a-web"]))]);
    plane.rest("PATCH", "/api/v1/mappings/1", json!({ "dest_services": [2] })).await;
    assert_eq!(types(&validate().await)[0], (json!("unmapped_services"), json!(["b-api"])));
    plane.rest("DELETE", "/api/v1/mappings/1", Value::Null).await;
    assert_eq!(types(&validate().await)[0], (json!("no_mappings"), json!([])));
    let authority = Authority::new();
    for (name, days) in [("late", 20), ("good", 60)] {
        let pair = authority.sign_for_days("a.example", days);
        let input = json!({
            "name": name, "source_type": "upload", "cluster_id": id,
            "cert_data": pair.certificate, "key_data": pair.key,
        });
        let (status, made) = plane.rest("POST", "/api/v1/certificates", input).await;
        assert_eq!(status, 201, "{made}");
    }
    let said = validate().await;
    assert_eq!(said["stats"]["certificates"], 2);
    let last = said["warnings"].as_array().unwrap().last().unwrap();
    assert_eq!(last["type"], "expiring_certificate");
    assert_eq!(last["certificates"], json!(["late"]));
    assert_eq!(last["message"], "1 certificates expire within 30 days");
}
