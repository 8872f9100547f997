//! The internal API, and the flags of the server that it was first a part of.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Envoy, Plane, Protocol, Traffic, Upstream, free_port};

/// What was answered: the status, the kind of content, and the text.
type Answered = (u16, String, String);

async fn answered(request: reqwest::RequestBuilder) -> Answered {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    (status, kind.unwrap_or_default(), answer.text().await.unwrap())
}

async fn call(plane: &Plane, method: &str, path: &str, body: Option<&Value>) -> Answered {
    let url = format!("http://127.0.0.1:{}{path}", plane.internal_port());
    let mut request = reqwest::Client::new().request(method.parse().unwrap(), url);
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    answered(request).await
}

/// An answer that must be JSON.
async fn ask(plane: &Plane, method: &str, path: &str, body: Option<&Value>) -> Value {
    let (status, kind, text) = call(plane, method, path, body).await;
    assert_eq!((status, kind.as_str()), (200, "application/json"), "{method} {path}: {text}");
    serde_json::from_str(&text).unwrap()
}

fn config(service: &str, port: u16, host: &str) -> Value {
    json!({
        "version": "1",
        "services": [{ "name": service, "hosts": ["127.0.0.1"], "port": port, "protocol": "http" }],
        "routes": [{ "name": "r", "prefix": "/", "cluster_name": service, "hosts": [host] }],
        "certificates": [],
    })
}

#[tokio::test]
async fn a_posted_configuration_is_served_rolled_back_and_outlives_a_crash() {
    let mut plane = Plane::start().await;
    let (one, two) = (Upstream::start("one").await, Upstream::start("two").await);
    let envoy = Envoy::start(&plane, Protocol::Sotw).await;
    let posted =
        ask(&plane, "POST", "/v1/config", Some(&config("a", one.port(), "x.example"))).await;
    let first = posted["version"].as_str().unwrap().to_owned();
    let message = "Configuration updated successfully";
    let want = json!({ "status": "success", "version": first, "message": message });
    assert_eq!(posted, want);
    Traffic::until(plane.listener, "x.example", "one").await;
    Traffic::until(plane.listener, "a", "one").await;

    let second =
        ask(&plane, "POST", "/v1/config", Some(&config("b", two.port(), "x.example"))).await;
    Traffic::until(plane.listener, "x.example", "two").await;
    assert_eq!(Traffic::status(plane.listener, "a").await, Ok(404), "it is not in the second one");
    let version = ask(&plane, "GET", "/v1/version", None).await;
    let current: i64 = second["version"].as_str().unwrap().parse().unwrap();
    assert_eq!(version, json!({ "version": current, "node_id": "marchproxy-control-plane" }));
    let n: i64 = first.parse().unwrap();
    let known = ask(&plane, "GET", &format!("/v1/snapshot/{n}"), None).await;
    assert_eq!(known, json!({ "version": n, "current_version": current, "available": true }));

    let back = ask(&plane, "POST", &format!("/v1/rollback/{n}"), None).await;
    let want = json!({
        "status": "success", "rolled_back_to": n, "new_version": current + 1,
        "version_string": first, "message": format!("Successfully rolled back to version {n}"),
    });
    assert_eq!(back, want);
    Traffic::until(plane.listener, "x.example", "one").await;
    assert_eq!(Traffic::status(plane.listener, "b").await, Ok(404));

    plane.kill();
    envoy.until_stat("control_plane.connected_state", |connected| connected == 0).await;
    plane.start_again().await;
    envoy.until_stat("control_plane.connected_state", |connected| connected == 1).await;
    let version = ask(&plane, "GET", "/v1/version", None).await;
    assert_eq!(version["version"], current + 1);
    Traffic::until(plane.listener, "x.example", "one").await;
    // A new Envoy is given the same.
    let _other = Envoy::start_as(&plane, Protocol::Delta, &["--node-id", "cluster-99"]);
    plane.wait_for_node("cluster-99").await;
    assert_eq!(Traffic::get(plane.listener, "x.example", "/").await.as_deref(), Ok("one"));

    let (_, _, metrics) = call(&plane, "GET", "/metrics", None).await;
    let value = |name: &str| -> u64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
    };
    assert!(value("xds_requests_total") >= 8, "{metrics}");
    assert_eq!(value("xds_fetches_total"), 0);
    assert_eq!(value("xds_cache_version"), (current + 1).unsigned_abs());
}

#[tokio::test]
async fn a_bad_request_is_told_in_plain_text_and_changes_nothing() {
    let plane = Plane::start().await;
    let good = config("a", 80, "x.example");
    ask(&plane, "POST", "/v1/config", Some(&good)).await;
    let before = plane.state().await;
    let changed = |pointer: &str, value: Value| {
        let mut config = good.clone();
        *config.pointer_mut(pointer).unwrap() = value;
        config
    };
    let table = [
        (changed("/services/0/port", json!(0)), "services.0.port"),
        (changed("/services/0/port", json!("80")), "services.0.port"),
        (changed("/services/0/hosts/0", json!("a b")), "services.0.hosts.0"),
        (changed("/services/0/protocol", json!("tcp")), "services.0.protocol"),
        (changed("/routes/0/cluster_name", json!("b")), "routes.0.cluster_name"),
        (changed("/routes/0/prefix", json!("b")), "routes.0.prefix"),
        (changed("/certificates", json!([{ "name": "c", "private_key": "k" }])), "cert_chain"),
        (json!("services"), "body"),
        (json!([]), "body"),
        (json!({ "services": [["a", ["127.0.0.1"], 80]] }), "services.0"),
        (json!({ "routes": [[]] }), "routes.0"),
    ];
    for (body, field) in table {
        let (status, kind, text) = call(&plane, "POST", "/v1/config", Some(&body)).await;
        assert_eq!((status, kind.as_str()), (400, "text/plain; charset=utf-8"), "{body}: {text}");
        assert!(text.starts_with("Invalid configuration: ") && text.contains(field), "{text}");
    }
    let table = [
        ("POST", "/v1/config?cluster=nobody", 400),
        ("POST", "/v1/config", 400),
        ("GET", "/v1/config", 405),
        ("GET", "/v1/snapshot/x", 400),
        ("GET", "/v1/snapshot/-1", 400),
        ("GET", "/v1/snapshot/999", 404),
        ("POST", "/v1/rollback/x", 400),
        ("POST", "/v1/rollback/999", 404),
        ("GET", "/v1/rollback/1", 405),
        ("GET", "/v1/version?cluster=nobody", 404),
        ("GET", "/v2", 404),
    ];
    for (method, path, want) in table {
        let (status, kind, text) = call(&plane, method, path, None).await;
        assert_eq!((status, kind.as_str()), (want, "text/plain; charset=utf-8"), "{path}: {text}");
        assert!(text.ends_with('\n'), "{text}");
    }
    // A web page must not get at it through somebody's browser.
    let url = format!("http://127.0.0.1:{}/v1/rollback/1", plane.internal_port());
    let request = reqwest::Client::new().post(url).header("origin", "http://evil.example");
    assert_eq!(answered(request).await.0, 403);
    assert_eq!(plane.state().await, before, "something has changed");
    for path in ["/health", "/healthz"] {
        let health = ask(&plane, "GET", path, None).await;
        assert_eq!(health, json!({ "status": "healthy", "service": "marchproxy-xds-server" }));
    }
}

#[tokio::test]
async fn a_configuration_is_a_group_s_own() {
    let plane = Plane::start().await;
    let before = plane.state().await;
    plane.create_group("blue").await;
    let body = config("a", 80, "x.example");
    ask(&plane, "POST", "/v1/config?cluster=blue", Some(&body)).await;
    let mut body = config("b", 80, "x.example");
    body["node_id"] = json!("cluster-2");
    ask(&plane, "POST", "/v1/config", Some(&body)).await;
    let query = "{ nodeGroup(name: \"blue\") { services { nodes { name } } } }";
    let blue = plane.ask(query, json!({})).await.data();
    assert_eq!(blue["nodeGroup"]["services"]["nodes"], json!([{ "name": "b" }]));
    assert_eq!(plane.state().await["services"], before["services"]);
    // What stays called the same stays what it is.
    let query = "{ nodeGroup(name: \"blue\") { services { nodes { id envoyCluster } } } }";
    let was = plane.ask(query, json!({})).await.data();
    let mut body = config("b", 81, "y.example");
    body["node_id"] = json!("blue");
    ask(&plane, "POST", "/v1/config", Some(&body)).await;
    assert_eq!(plane.ask(query, json!({})).await.data(), was);
    let empty = json!({ "node_id": "blue", "services": null });
    ask(&plane, "POST", "/v1/config", Some(&empty)).await;
    let none = plane.ask(query, json!({})).await.data();
    assert_eq!(none["nodeGroup"]["services"]["nodes"], json!([]));
}

#[tokio::test]
async fn off_loopback_and_without_a_token_it_says_how_it_is_and_nothing_else() {
    let plane = Plane::start_with(vec![("XDS_HTTP_HOST", "0.0.0.0".to_owned())]).await;
    let before = plane.state().await;
    for path in ["/health", "/healthz", "/metrics"] {
        assert_eq!(call(&plane, "GET", path, None).await.0, 200, "{path}");
    }
    let body = config("a", 80, "x.example");
    for (method, path) in [
        ("GET", "/v1/version"),
        ("GET", "/v1/snapshot/1"),
        ("POST", "/v1/rollback/1"),
        ("POST", "/v1/config"),
        ("GET", "/v1"),
        ("GET", "//v1/version"),
        ("GET", "/elsewhere"),
    ] {
        let (status, _, text) = call(&plane, method, path, Some(&body)).await;
        assert!(status == 403 && text.contains("XDS_HTTP_TOKEN"), "{path}: {status} {text}");
    }
    assert_eq!(plane.state().await, before, "something has changed");
    assert!(plane.log().contains("off loopback and without XDS_HTTP_TOKEN"), "{}", plane.log());
}

#[tokio::test]
async fn off_loopback_it_needs_a_token() {
    let settings = vec![
        ("XDS_HTTP_HOST", "0.0.0.0".to_owned()),
        ("XDS_HTTP_TOKEN", "open sesame, and nothing else".to_owned()),
    ];
    let plane = Plane::start_with(settings).await;
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", plane.internal_port());
    let get = |path: &str| reqwest::Client::new().get(url(path));
    assert_eq!(answered(get("/healthz")).await.0, 200, "probes need none");
    assert_eq!(answered(get("/v1/version")).await.0, 401);
    assert_eq!(answered(get("/v1/version").bearer_auth("open sesame")).await.0, 401);
    let right = get("/v1/version").bearer_auth("open sesame, and nothing else");
    assert_eq!(answered(right).await.0, 200);
    assert!(!plane.log().contains("sesame"));
}

#[test]
fn the_flags_of_the_first_server_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("xds-server");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_marchproxy"), &link).unwrap();
    let run = |command: &mut Command| {
        let output = command.env_clear().env("DATA_DIR", dir.path()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = run(Command::new(&link).arg("-help"));
    assert!(code == Some(0) && said.contains("-nodeID string"), "{code:?}: {said}");
    let marchproxy = env!("CARGO_BIN_EXE_marchproxy");
    let (code, said) = run(Command::new(marchproxy).args(["xds-server", "-help"]));
    assert!(code == Some(0) && said.contains("-http-port int"), "{code:?}: {said}");
    let (code, said) = run(Command::new(&link).args(["-ports", "1"]));
    assert!(code == Some(2) && said.contains("not defined: -ports"), "{code:?}: {said}");
}

#[tokio::test]
async fn a_server_that_is_started_by_those_flags_serves() {
    let dir = tempfile::tempdir().unwrap();
    let (xds, http, port) = (free_port().to_string(), free_port(), free_port().to_string());
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_marchproxy"));
    command.arg("xds-server").args(["-port", &xds, "-metrics", &http.to_string()]);
    command.args(["-nodeID", "x", "--debug"]).env_clear().env("DATA_DIR", dir.path());
    command.env("PORT", port).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let _child = command.spawn().unwrap();
    let url = format!("http://127.0.0.1:{http}/v1/version");
    let version = crate::support::eventually("it answers", async || {
        let answer = reqwest::get(&url).await.map_err(|e| e.to_string())?;
        answer.json::<Value>().await.map_err(|e| e.to_string())
    })
    .await;
    assert_eq!(version, json!({ "version": 1, "node_id": "x" }));
    let connected = tokio::net::TcpStream::connect(("127.0.0.1", xds.parse::<u16>().unwrap()));
    assert!(connected.await.is_ok());
}
