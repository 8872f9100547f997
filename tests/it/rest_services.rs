//! Services over REST: what existing clients say of them, and a real Envoy that
//! follows.

use serde_json::{Value, json};

use crate::support::{Envoy, Plane, Protocol, Traffic, Upstream, eventually};

const SERVICES: &str = "/api/v1/services";

async fn create(plane: &Plane, input: Value) -> Value {
    let (status, made) = plane.rest("POST", SERVICES, input).await;
    assert_eq!(status, 201, "{made}");
    made
}

fn service(name: &str, more: Value) -> Value {
    let mut input = json!({ "name": name, "ip_fqdn": "10.0.0.1", "port": 80, "cluster_id": 1 });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

#[tokio::test]
async fn a_service_says_back_what_was_said_of_it() {
    let plane = Plane::start().await;
    let plain = create(&plane, service("plain", json!({}))).await;
    for (field, want) in [
        ("protocol", json!("tcp")),
        ("collection", Value::Null),
        ("auth_type", json!("none")),
        ("token_base64", Value::Null),
        ("jwt_secret", Value::Null),
        ("jwt_expiry", json!(3600)),
        ("jwt_algorithm", json!("HS256")),
        ("tls_enabled", json!(false)),
        ("tls_verify", json!(true)),
        ("health_check_enabled", json!(false)),
        ("health_check_path", Value::Null),
        ("health_check_interval", json!(30)),
        ("is_active", json!(true)),
        ("created_by", json!(1)),
        ("cluster_id", json!(1)),
    ] {
        assert_eq!(plain[field], want, "{field}");
    }
    let said = json!({
        "ip_fqdn": "Web.Internal", "port": 8443, "protocol": "https", "collection": "shop",
        "tls_verify": false, "health_check_enabled": false, "health_check_path": "/healthz",
        "health_check_interval": 60, "jwt_expiry": 300, "jwt_algorithm": "HS512",
        "extra_metadata": { "a": [1] },
    });
    let made = create(&plane, service("full", said.clone())).await;
    for (field, want) in said.as_object().unwrap() {
        let want = if field == "ip_fqdn" { &json!("web.internal") } else { want };
        assert_eq!(&made[field], want, "{field}");
    }
    assert_eq!(made["tls_enabled"], true, "so it is with https");
    let (_, shown) = plane.rest("GET", &format!("{SERVICES}/{}", made["id"]), Value::Null).await;
    assert_eq!(shown, made);
    for protocol in ["udp", "http"] {
        let made = create(&plane, service(protocol, json!({ "protocol": protocol }))).await;
        assert_eq!(made["protocol"], protocol);
    }
}

#[tokio::test]
async fn a_service_is_changed_in_part_by_put_and_by_patch() {
    let plane = Plane::start().await;
    let made = create(&plane, service("a", json!({ "protocol": "http" }))).await;
    let path = format!("{SERVICES}/{}", made["id"]);
    for (method, change, field, want) in [
        ("PUT", json!({ "port": 81 }), "port", json!(81)),
        ("PATCH", json!({ "collection": "x" }), "collection", json!("x")),
        ("PATCH", json!({ "collection": null }), "collection", Value::Null),
        ("PUT", json!({ "protocol": "https" }), "tls_enabled", json!(true)),
        ("PUT", json!({ "tls_enabled": false }), "protocol", json!("http")),
        ("PATCH", json!({ "is_active": false }), "is_active", json!(false)),
        ("PATCH", json!({ "is_active": true }), "is_active", json!(true)),
        ("PATCH", json!({}), "port", json!(81)),
    ] {
        let (status, changed) = plane.rest(method, &path, change.clone()).await;
        assert_eq!((status, &changed[field]), (200, &want), "{method} {change}: {changed}");
    }
    let (_, shown) = plane.rest("GET", &path, Value::Null).await;
    assert_eq!((&shown["name"], &shown["ip_fqdn"]), (&json!("a"), &json!("10.0.0.1")));
}

#[tokio::test]
async fn a_service_that_cannot_be_says_which_field_and_nothing_changes() {
    let plane = Plane::start().await;
    let made = create(&plane, service("a", json!({ "protocol": "http" }))).await;
    let path = format!("{SERVICES}/{}", made["id"]);
    for (wrong, field) in [
        (json!({ "name": "a b" }), "name"),
        (json!({ "ip_fqdn": "a..b" }), "ip_fqdn"),
        (json!({ "port": 0 }), "port"),
        (json!({ "port": 65536 }), "port"),
        (json!({ "protocol": "sctp" }), "protocol"),
        (json!({ "auth_type": "basic" }), "auth_type"),
        (json!({ "collection": "x".repeat(101) }), "collection"),
        (json!({ "health_check_interval": 4 }), "health_check_interval"),
        (json!({ "health_check_path": "healthz" }), "health_check_path"),
        (
            json!({ "protocol": "tcp", "health_check_enabled": true, "health_check_path": "/a" }),
            "health_check_path",
        ),
        (json!({ "jwt_expiry": 299 }), "jwt_expiry"),
        (json!({ "jwt_algorithm": "none" }), "jwt_algorithm"),
        (json!({ "extra_metadata": [1] }), "extra_metadata"),
    ] {
        for (method, path, body) in [
            ("PATCH", &path, wrong.clone()),
            ("POST", &SERVICES.to_owned(), service("b", wrong.clone())),
        ] {
            let (status, answer) = plane.rest(method, path, body).await;
            let loc = json!(["body", field]);
            assert_eq!((status, &answer["detail"][0]["loc"]), (422, &loc), "{wrong}: {answer}");
        }
    }
    let (_, shown) = plane.rest("GET", &path, Value::Null).await;
    assert_eq!(shown, made);
    let (status, _) = plane.rest("GET", SERVICES, Value::Null).await;
    assert_eq!(status, 200, "no row is poisoned");

    let taken = plane.rest("POST", SERVICES, service("a", json!({}))).await;
    assert_eq!(taken, (400, json!({ "detail": "Service with name 'a' already exists" })));
    let nowhere = plane.rest("POST", SERVICES, service("b", json!({ "cluster_id": 9 }))).await;
    assert_eq!(nowhere, (404, json!({ "detail": "Cluster not found" })));
}

#[tokio::test]
async fn a_secret_is_shown_once_where_it_is_made() {
    let plane = Plane::start().await;
    let made = create(&plane, service("a", json!({ "auth_type": "base64" }))).await;
    let token = made["token_base64"].as_str().unwrap().to_owned();
    assert_eq!((token.len(), &made["jwt_secret"]), (44, &Value::Null));
    let path = format!("{SERVICES}/{}", made["id"]);
    let (_, shown) = plane.rest("GET", &path, Value::Null).await;
    assert_eq!((&shown["token_base64"], &shown["auth_type"]), (&Value::Null, &json!("base64")));
    let (_, same) = plane.rest("PATCH", &path, json!({ "auth_type": "base64" })).await;
    assert_eq!(same["token_base64"], Value::Null, "it has one");

    let rotate = format!("{path}/rotate-token");
    let (status, rotated) = plane.rest("POST", &rotate, json!({ "auth_type": "jwt" })).await;
    assert_eq!((status, &rotated["auth_type"]), (200, &json!("jwt")), "{rotated}");
    let secret = rotated["new_jwt_secret"].as_str().unwrap().to_owned();
    assert_eq!((secret.len(), &rotated["new_token"]), (86, &Value::Null));
    let (_, shown) = plane.rest("GET", &path, Value::Null).await;
    assert_eq!((&shown["jwt_secret"], &shown["auth_type"]), (&Value::Null, &json!("jwt")));
    for bad in [json!({}), json!({ "auth_type": "none" })] {
        assert_eq!(plane.rest("POST", &rotate, bad).await.0, 422);
    }
    for file in ["marchproxy.db", "marchproxy.db-wal"] {
        let bytes = std::fs::read(plane.dir().join("data").join(file)).unwrap_or_default();
        for secret in [&token, &secret] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a secret stands readable in {file}");
        }
    }
    assert!(!plane.log().contains(&secret) && !plane.log().contains(&token));
}

#[tokio::test]
async fn base64_and_jwt_are_not_mixed_in_a_cluster() {
    let plane = Plane::start().await;
    let one = create(&plane, service("one", json!({ "auth_type": "base64" }))).await;
    let (status, why) =
        plane.rest("POST", SERVICES, service("two", json!({ "auth_type": "jwt" }))).await;
    assert_eq!((status, &why["detail"][0]["loc"]), (422, &json!(["body", "auth_type"])), "{why}");
    assert!(why["detail"][0]["msg"].as_str().unwrap().contains("service one has base64"), "{why}");
    let two = create(&plane, service("two", json!({}))).await;
    let path = format!("{SERVICES}/{}", two["id"]);
    let rotate = format!("{path}/rotate-token");
    for (method, path) in [("PATCH", &path), ("POST", &rotate)] {
        let (status, _) = plane.rest(method, path, json!({ "auth_type": "jwt" })).await;
        assert_eq!(status, 422, "{method} {path}");
    }
    // One that is switched off has no say.
    let off = format!("{SERVICES}/{}", one["id"]);
    assert_eq!(plane.rest("DELETE", &off, Value::Null).await.0, 204);
    let (status, _) = plane.rest("POST", &rotate, json!({ "auth_type": "jwt" })).await;
    assert_eq!(status, 200);
    let (status, _) = plane.rest("PATCH", &off, json!({ "is_active": true })).await;
    assert_eq!(status, 422, "on again it would be mixed");
}

#[tokio::test]
async fn a_deleted_service_is_switched_off_and_later_gone() {
    let plane = Plane::start().await;
    let made = create(&plane, service("a", json!({ "protocol": "http" }))).await;
    let path = format!("{SERVICES}/{}", made["id"]);
    assert_eq!(plane.rest("DELETE", &path, Value::Null).await, (204, Value::Null));
    let (_, shown) = plane.rest("GET", &path, Value::Null).await;
    assert_eq!(shown["is_active"], false);
    let total = async |query: &str| {
        plane.rest("GET", &format!("{SERVICES}{query}"), Value::Null).await.1["total"].clone()
    };
    assert_eq!((total("").await, total("?active_only=false").await), (json!(0), json!(1)));
    assert_eq!(plane.rest("POST", SERVICES, service("a", json!({}))).await.0, 400, "its name");
    let forever = format!("{path}?permanent=true");
    assert_eq!(plane.rest("DELETE", &forever, Value::Null).await.0, 204);
    assert_eq!(plane.rest("GET", &path, Value::Null).await.0, 404);

    // What Envoy still needs is not switched off.
    let made = create(&plane, service("b", json!({ "protocol": "http" }))).await;
    let id = plane.ask("{ services { nodes { id } } }", json!({})).await.data();
    let id = &id["services"]["nodes"][0]["id"];
    let route = json!({ "name": "r", "hosts": ["x.example"], "backends": [{ "service": id }] });
    plane.change("createRoute", "CreateRouteInput", route).await;
    let path = format!("{SERVICES}/{}", made["id"]);
    for query in ["", "?permanent=true"] {
        let (status, why) = plane.rest("DELETE", &format!("{path}{query}"), Value::Null).await;
        assert_eq!((status, &why["detail"]), (409, &json!("Service b is in use by route r")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_follows_services_and_mappings() {
    let plane = Plane::start().await;
    let (one, two) = (Upstream::start("one").await, Upstream::start("two").await);
    let envoy = Envoy::start(&plane, Protocol::Sotw).await;
    let at = |port: u16| json!({ "ip_fqdn": "127.0.0.1", "port": port, "protocol": "http" });
    let api = create(&plane, service("api", at(one.port()))).await;
    let web = json!({ "ip_fqdn": "web.example", "protocol": "http" });
    let web = create(&plane, service("web", web)).await;
    let mapping = json!({
        "name": "web-to-api", "cluster_id": 1,
        "source_services": [web["id"]], "dest_services": [api["id"]],
    });
    let (status, mapping) = plane.rest("POST", "/api/v1/mappings", mapping).await;
    assert_eq!(status, 201, "{mapping}");
    Traffic::until(plane.listener, "api", "one").await;
    Traffic::until(plane.listener, "web.example", "one").await;

    let path = format!("{SERVICES}/{}", api["id"]);
    let (status, _) = plane.rest("PUT", &path, json!({ "port": two.port() })).await;
    assert_eq!(status, 200);
    Traffic::until(plane.listener, "web.example", "two").await;
    let (status, reloaded) = plane.rest("POST", &format!("{path}/reload-xds"), Value::Null).await;
    let done = json!({ "status": "success", "message": "xDS configuration reloaded" });
    assert_eq!((status, reloaded), (200, done));
    assert_eq!(Traffic::get(plane.listener, "web.example", "/").await.as_deref(), Ok("two"));

    let gone = async |host: &'static str| {
        eventually(&format!("{host} is answered no more"), async || {
            match Traffic::status(plane.listener, host).await {
                Ok(404) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    };
    assert_eq!(plane.rest("DELETE", &path, Value::Null).await.0, 204);
    gone("web.example").await;
    gone("api").await;
    let web = format!("{SERVICES}/{}", web["id"]);
    assert_eq!(plane.rest("DELETE", &web, Value::Null).await.0, 204);
    // The last service is gone, and so is what Envoy had of them.
    eventually("Envoy has no clusters of ours", async || {
        let dump = envoy.admin("/clusters").await?;
        if dump.contains("cluster_1_service") { Err(dump) } else { Ok(()) }
    })
    .await;
    assert_eq!(plane.rest("PATCH", &path, json!({ "is_active": true })).await.0, 200);
    Traffic::until(plane.listener, "api", "two").await;
}
