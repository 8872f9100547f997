//! What stands at the root, and what every answer has.

use serde_json::{Value, json};

use crate::support::Plane;

#[tokio::test]
async fn the_root_says_what_this_is_and_how_it_is_doing() {
    let plane =
        Plane::start_with(vec![("XDS_SERVER_URL", "http://xds.test:19000".to_owned())]).await;
    let get = async |path: &str| {
        let response = plane.http_request("GET", path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    };
    let json = async |path: &str| serde_json::from_str::<Value>(&get(path).await).unwrap();
    let about = json("/").await;
    for (key, want) in [
        ("service", "MarchProxy API Server"),
        ("docs", "/api/docs"),
        ("health", "/healthz"),
        ("metrics", "/metrics"),
        ("graphql", "/graphql"),
    ] {
        assert_eq!(about[key], want, "{about}");
    }
    for path in ["/healthz", "/healthz/", "/api/healthz"] {
        let health = json(path).await;
        assert_eq!(health["status"], "healthy");
        assert_eq!(health["xds_server"], "healthy");
        assert_eq!(health["database"], "healthy");
        assert_eq!(health["service"], "marchproxy-api-server");
        assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    }
    assert_eq!(json("/readyz").await, json!({ "status": "ready" }));
    for path in ["/metrics", "/metrics/"] {
        assert!(get(path).await.contains("process_open_fds"), "{path}");
    }
    for page in ["/api/docs", "/api/docs/", "/api/docs/swagger-ui-bundle.js"] {
        assert!(get(page).await.len() > 100, "{page}");
    }
    let document = json("/api/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/v1/services/{service_id}"]["get"].is_object());
}

#[tokio::test]
async fn the_numbers_follow_what_happens() {
    let plane = Plane::start().await;
    let stats = async || {
        let response = plane.http_request("GET", "/xds/stats").send().await.unwrap();
        response.json::<Value>().await.unwrap()
    };
    let before = stats().await;
    assert_eq!(before["xds_server_url"], "http://localhost:19000");
    assert_eq!(before["last_error"], Value::Null);
    assert_eq!(before["nodes_connected"], 0);
    let input = json!({ "name": "a", "ipFqdn": "127.0.0.1", "port": 80 });
    plane.change("createService", "CreateServiceInput", input).await;
    let after = stats().await;
    let count = |stats: &Value| stats["update_count"].as_u64().unwrap();
    assert_eq!(count(&after), count(&before) + 1);
    let time = |stats: &Value| stats["last_update"].as_str().unwrap().to_owned();
    assert!(time(&after) > time(&before));
}

#[tokio::test]
async fn every_answer_has_an_id_and_is_kept_from_doing_harm() {
    let plane = Plane::start().await;
    let ask = async |path: &str, id: Option<&str>| {
        let request = plane.http_request("GET", path);
        let request =
            id.map_or(request.try_clone().unwrap(), |id| request.header("x-request-id", id));
        request.send().await.unwrap()
    };
    for path in ["/", "/nothing", "/api/v1/services", "/graphql"] {
        let response = ask(path, Some("mine-1")).await;
        let headers = response.headers();
        assert_eq!(headers["x-request-id"], "mine-1", "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
    }
    let made_up = ask("/", Some("not good")).await.headers()["x-request-id"].clone();
    assert_ne!(made_up, "not good");
    assert_ne!(made_up, ask("/", None).await.headers()["x-request-id"]);
}

#[tokio::test]
async fn pages_of_other_origins_read_what_they_are_let() {
    let origins = r#"["https://a.example"]"#.to_owned();
    let plane = Plane::start_with(vec![("CORS_ORIGINS", origins)]).await;
    for (origin, allowed) in [("https://a.example", true), ("https://b.example", false)] {
        let asked = plane
            .http_request("OPTIONS", "/api/v1/services")
            .header("origin", origin)
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "authorization,content-type");
        let response = asked.send().await.unwrap();
        let answer = response.headers().get("access-control-allow-origin");
        assert_eq!(answer.is_some(), allowed, "{origin}: {:?}", response.headers());
        if allowed {
            assert_eq!(answer.unwrap(), origin);
            assert_eq!(response.headers()["access-control-allow-credentials"], "true");
        }
    }
}

#[tokio::test]
async fn a_body_has_a_largest_size() {
    let plane = Plane::start_with(vec![("MAX_BODY_BYTES", "2048".to_owned())]).await;
    let password = "x".repeat(3000);
    let body = json!({ "username": "admin", "password": password });
    for path in ["/api/v1/auth/login", "/graphql"] {
        let response = plane.http_request("POST", path).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 413, "{path}");
    }
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_again() {
    let settings = vec![("RATE_LIMIT_PER_IP", "40".to_owned())];
    let plane = Plane::start_with(settings).await;
    let mut seen = vec![];
    // Wherever the minute ends, two of these runs of 41 are in one.
    for _ in 0..82 {
        let response = plane.http_request("GET", "/api/v1/nothing").send().await.unwrap();
        let headers = response.headers().clone();
        let number = |name: &str| headers[name].to_str().unwrap().parse::<u64>().unwrap();
        assert_eq!(number("x-ratelimit-limit"), 40);
        assert!((1..=60).contains(&number("x-ratelimit-reset")));
        seen.push(response.status().as_u16());
        if response.status() == 429 {
            assert_eq!(number("x-ratelimit-remaining"), 0);
            assert_eq!(number("retry-after"), number("x-ratelimit-reset"));
            let body: Value = response.json().await.unwrap();
            assert!(body["detail"].as_str().unwrap().starts_with("Too many requests"), "{body}");
            break;
        }
    }
    assert_eq!(seen.last(), Some(&429), "{seen:?}");
    let response =
        plane.http_request("POST", "/graphql").json(&json!({ "query": "{ me { id } }" }));
    assert_eq!(response.send().await.unwrap().status(), 429, "GraphQL is limited, too");
    let probe = plane.http_request("GET", "/healthz").send().await.unwrap();
    assert_eq!(probe.status(), 200, "probes are not counted");
}

#[tokio::test]
async fn an_address_is_believed_of_our_own_proxies_only() {
    for (trusted, want) in [("127.0.0.0/8", 200), ("", 429)] {
        let settings =
            vec![("RATE_LIMIT_PER_IP", "10".to_owned()), ("TRUSTED_PROXIES", trusted.to_owned())];
        let plane = Plane::start_with(settings).await;
        let mut last = 0;
        for i in 0..22 {
            let request = plane.http_request("GET", "/");
            let request = request.header("x-forwarded-for", format!("192.0.2.{i}"));
            last = request.send().await.unwrap().status().as_u16();
            if last == 429 {
                break;
            }
        }
        assert_eq!(last, want, "trusting {trusted:?}");
    }
}

#[tokio::test]
async fn guessing_a_password_is_slow() {
    let plane = Plane::start_with(vec![("RATE_LIMIT_SIGN_IN", "3".to_owned())]).await;
    let guess = async |name: &str, password: &str| {
        let body = json!({ "username": name, "password": password });
        let request = plane.http_request("POST", "/api/v1/auth/login").json(&body);
        request.send().await.unwrap()
    };
    let mut statuses = vec![];
    for _ in 0..8 {
        let response = guess("admin", "a wrong one").await;
        statuses.push(response.status().as_u16());
        if response.status() == 429 {
            assert!(response.headers().contains_key("retry-after"));
            break;
        }
    }
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    assert!(statuses.len() >= 4, "{statuses:?}");
    let login = "mutation($input: LoginInput!) { login(input: $input) { __typename } }";
    let input = json!({ "input": { "username": "Admin", "password": "a wrong one" } });
    let answer = plane.ask_as(None, login, input).await;
    assert_eq!(answer.error()["extensions"]["code"], "TOO_MANY", "the edges count together");
    assert_eq!(guess("another", "a wrong one").await.status(), 401);

    // Nor is it quicker for who has taken over a session.
    let new = "another good password";
    let body = json!({ "current_password": "a wrong one", "new_password": new,
        "confirm_password": new });
    let mut statuses = vec![];
    for _ in 0..8 {
        statuses.push(plane.rest("POST", "/api/v1/auth/change-password", body.clone()).await.0);
    }
    assert!(statuses.contains(&401) && statuses.contains(&429), "{statuses:?}");
}
