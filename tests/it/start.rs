//! The first start, the next ones, and the end.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use serde_json::json;

use crate::support::{Envoy, Plane, Process, Protocol, eventually, free_port};

fn run(dir: &std::path::Path, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_marchproxy"));
    command.arg("serve").env_clear().env("DATA_DIR", dir).envs(variables.iter().copied());
    command.output().unwrap()
}

#[tokio::test]
async fn a_newcomer_finds_a_group_a_listener_and_an_administrator() {
    let plane = Plane::start_as_newcomers_do().await;
    let query = "{ viewer { username role }
        nodeGroups { nodes { name isDefault envoyNodeId } }
        listeners { nodes { name address port isDefault } } }";
    let found = plane.ask(query, json!({})).await.data();
    assert_eq!(found["viewer"], json!({ "username": "admin", "role": "ADMIN" }));
    let group = json!({ "name": "default", "isDefault": true, "envoyNodeId": "cluster-1" });
    assert_eq!(found["nodeGroups"]["nodes"], json!([group]));
    let listener = json!({
        "name": "marchproxy_listener", "address": "0.0.0.0", "port": 10000, "isDefault": true,
    });
    assert_eq!(found["listeners"]["nodes"], json!([listener]));
}

#[tokio::test]
async fn what_a_newcomer_is_shown_holds_and_is_shown_once() {
    let dir = tempfile::tempdir().unwrap();
    let [http, xds, internal] = [(); 3].map(|()| free_port().to_string());
    let start = async || {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_marchproxy"));
        command.arg("serve").env_clear().kill_on_drop(true);
        command.envs([("PORT", &http), ("XDS_GRPC_PORT", &xds), ("XDS_HTTP_PORT", &internal)]);
        command.env("DATA_DIR", dir.path());
        let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut shown = String::new();
        let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap());
        while !shown.contains("bootstrap") {
            use tokio::io::AsyncBufReadExt as _;
            assert!(lines.read_line(&mut shown).await.unwrap() > 0, "ended: {shown}");
        }
        (child, shown)
    };
    let (mut child, shown) = start().await;
    let line = shown.lines().find(|line| line.contains("Sign in")).unwrap();
    let password = line.split(" / ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(shown.contains(&format!("http://127.0.0.1:{http}/graphql")), "{shown}");
    assert!(shown.contains(&format!("--xds-port {xds}")), "{shown}");

    let body = json!({ "query": format!(
        r#"mutation {{ login(input: {{ username: "admin", password: "{password}" }}) {{ token }} }}"#
    ) });
    let url = format!("http://127.0.0.1:{http}/graphql");
    let login = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    let login: serde_json::Value = login.json().await.unwrap();
    assert!(login["data"]["login"]["token"].is_string(), "{login:#}");
    let key = std::fs::metadata(dir.path().join("secret_key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);

    child.kill().await.unwrap(); // and wait: its ports are to be free
    let (_child, shown) = start().await;
    assert!(!shown.contains(password), "{shown}");
}

#[tokio::test]
async fn where_the_administrator_registers_there_is_one_and_the_door_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let ports = ["PORT", "XDS_GRPC_PORT", "XDS_HTTP_PORT"].map(|name| (name, free_port()));
    let base = format!("http://127.0.0.1:{}", ports[0].1);
    let mut serve = Command::new(env!("CARGO_BIN_EXE_marchproxy"));
    serve.arg("serve").env_clear().env("DATA_DIR", dir.path());
    serve.env("ADMIN_REGISTERS", "true");
    serve.envs(ports.map(|(name, port)| (name, port.to_string())));
    let _server = Process::start(&mut serve, &dir.path().join("log"));
    let client = reqwest::Client::new();
    eventually("it is healthy", async || {
        let answer = client.get(format!("{base}/healthz")).send().await;
        answer.and_then(reqwest::Response::error_for_status).map_err(|e| e.to_string())
    })
    .await;
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(log.contains("nobody can yet: register"), "{log}");

    let register = async |name: &str| {
        let body = json!({ "username": name, "password": "correct horse" });
        let request = client.post(format!("{base}/api/v1/auth/register")).json(&body);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<serde_json::Value>().await.unwrap())
    };
    // Of several first ones, one is the first.
    let (one, other) = tokio::join!(register("ada"), register("eve"));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 403], "{one:?} {other:?}");
    let first = if one.0 == 201 { one.1 } else { other.1 };
    assert_eq!(first["is_admin"], true, "{first}");
    let (status, said) = register("mallory").await;
    assert_eq!((status, &said["detail"]), (403, &json!("Registration needs an invitation")));
    let me = client.get(format!("{base}/api/v1/auth/me"));
    let me = me.bearer_auth(first["access_token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(me.status(), 200);
}

#[test]
fn the_effective_configuration_is_shown_without_secrets() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_marchproxy"));
    command.args(["config", "--port", "9000"]).env_clear();
    command.envs([("SECRET_KEY", "hush"), ("WORKERS", "2")]);
    let shown = String::from_utf8(command.output().unwrap().stdout).unwrap();
    for line in ["PORT=9000", "WORKERS=2", "SECRET_KEY=(not shown)", "XDS_GRPC_PORT=18000"] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn a_bad_value_is_refused_by_its_name() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let free = free_port().to_string();
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[("PORT", "0")], "PORT (--port): "),
        (&[("PORT", "65536")], "PORT (--port): "),
        (&[("PORT", "http")], "PORT (--port): must be a whole number\n"),
        (&[("WORKERS", "0")], "WORKERS (--workers): must not be 0\n"),
        (&[("WORKERS", "two")], "WORKERS (--workers): must be a whole number\n"),
        (&[("HOST", "localhost")], "HOST (--host): "),
        (&[("XDS_HOST", "everywhere")], "XDS_HOST (--xds-host): "),
        (&[("XDS_GRPC_PORT", "-1")], "XDS_GRPC_PORT (--xds-grpc-port): "),
        (&[("XDS_AUTH", "password")], "XDS_AUTH (--xds-auth): "),
        (&[("XDS_AUTH", "mtls")], "XDS_AUTH=mtls needs"),
        (&[("XDS_TLS_CERT", "a.crt")], "XDS_TLS_KEY"),
        (&[("XDS_TLS_KEY", "a.key")], "XDS_TLS_CERT"),
        (&[("XDS_TLS_KEY", "")], "XDS_TLS_KEY (--xds-tls-key): must not be empty\n"),
        (&[("XDS_TLS_CERT", "/no.crt"), ("XDS_TLS_KEY", "/no.key")], "XDS_TLS_CERT"),
        (&[("XDS_TLS_CLIENT_CA", "a.crt")], "XDS_TLS_CLIENT_CA"),
        (
            &[("XDS_ALLOW_PLAINTEXT_SECRETS", "perhaps")],
            "XDS_ALLOW_PLAINTEXT_SECRETS (--xds-allow-plaintext-secrets): ",
        ),
        (&[("XDS_MAX_STREAMS", "0")], "XDS_MAX_STREAMS (--xds-max-streams): "),
        (
            &[("XDS_MAX_STREAMS_PER_PEER", "many")],
            "XDS_MAX_STREAMS_PER_PEER (--xds-max-streams-per-peer): ",
        ),
        (&[("DATABASE_URL", "mysql://u:hush@a")], "DATABASE_URL"),
        (&[("REDIS_URL", "http://u:hush@a")], "REDIS_URL"),
        (&[("SNAPSHOT_HISTORY", "0")], "SNAPSHOT_HISTORY (--snapshot-history): "),
        (&[("AUDIT_RETENTION_DAYS", "-1")], "AUDIT_RETENTION_DAYS (--audit-retention-days): "),
        (&[("XDS_HTTP_PORT", "0")], "XDS_HTTP_PORT (--xds-http-port): "),
        (&[("XDS_HTTP_HOST", "everywhere")], "XDS_HTTP_HOST (--xds-http-host): "),
        (&[("XDS_SERVER_URL", "localhost:19000")], "XDS_SERVER_URL (--xds-server-url): "),
        (&[("LICENSE_KEY", "two words")], "LICENSE_KEY"),
        (&[("ADMIN_REGISTERS", "perhaps")], "ADMIN_REGISTERS (--admin-registers): "),
        (
            &[("ADMIN_REGISTERS", "true"), ("ADMIN_PASSWORD", "hush hush hush")],
            "ADMIN_PASSWORD is of no use with ADMIN_REGISTERS",
        ),
        (&[("PORT", &free), ("XDS_HTTP_TOKEN", "short")], "XDS_HTTP_TOKEN"),
        (&[("PORT", &free), ("XDS_HTTP_PORT", &taken)], "XDS_HTTP_PORT"),
        (&[("ADMIN_USERNAME", "")], "ADMIN_USERNAME (--admin-username): "),
        (&[("LOG_FORMAT", "xml")], "LOG_FORMAT (--log-format): "),
        (&[("LOG_LEVEL", "a=b=c")], "LOG_LEVEL (--log-level): must be off, "),
        (&[("LOG_LEVEL", "loud")], "LOG_LEVEL (--log-level): must be off, "),
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")],
            "OTEL_EXPORTER_OTLP_ENDPOINT (--otel-exporter-otlp-endpoint): must be like http",
        ),
        (&[("PORT", &free), ("SECRET_KEY", "")], "SECRET_KEY"),
        (&[("PORT", &free), ("ADMIN_PASSWORD", "short")], "ADMIN_PASSWORD"),
        (&[("PORT", &taken)], "PORT"),
    ];
    for (variables, name) in table {
        let dir = tempfile::tempdir().unwrap();
        let xds = free_port().to_string();
        let internal = free_port().to_string();
        let mut all = vec![("XDS_GRPC_PORT", xds.as_str()), ("XDS_HTTP_PORT", &internal)];
        all.extend_from_slice(variables);
        let output = run(&dir.path().join("data"), &all);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{variables:?} was taken");
        assert!(said.contains(name), "{variables:?} said: {said}");
        assert!(!said.contains("hush"), "{variables:?} said: {said}");
    }
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_stops_and_envoy_keeps_its_configuration() {
    let mut plane = Plane::start().await;
    let envoy = Envoy::start(&plane, Protocol::Delta).await;
    let began = tokio::time::Instant::now();
    let status = plane.terminate();
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < std::time::Duration::from_secs(8), "it waited for the deadline");
    assert!(plane.log().contains("stopped"));
    envoy.until_stat("control_plane.connected_state", |connected| connected == 0).await;
    assert_eq!(envoy.stat("listener_manager.total_listeners_active").await, 1);
}

#[tokio::test]
async fn an_envoy_that_names_no_group_is_told_so_and_served_the_default() {
    let plane = Plane::start().await;
    let names = ["--node-id", "cluster-99", "--node-cluster", "no-such-group"];
    let _envoy = Envoy::start_as(&plane, Protocol::Delta, &names);
    plane.wait_for_node("cluster-99").await;
    let query = "{ xdsNodes { nodeId matchedBy nodeGroup { name } } }";
    let node = plane.ask(query, json!({})).await.data()["xdsNodes"][0].clone();
    assert_eq!(node["matchedBy"], "FALLBACK");
    assert_eq!(node["nodeGroup"]["name"], "default");
    assert!(plane.log().contains("a node names no group that there is"));
}

#[tokio::test]
async fn an_envoy_may_name_its_group_in_its_metadata() {
    let plane = Plane::start().await;
    plane.change("createNodeGroup", "CreateNodeGroupInput", json!({ "name": "blue" })).await;
    let listeners = "{ nodeGroup(name: \"blue\") { listeners { nodes { id } } } }";
    let data = plane.ask(listeners, json!({})).await.data();
    let id = &data["nodeGroup"]["listeners"]["nodes"][0]["id"];
    let input = json!({ "id": id, "address": "127.0.0.1", "port": free_port() });
    plane.change("updateListener", "UpdateListenerInput", input).await;

    let arguments = ["--node-id", "me", "--node-cluster", "elsewhere", "--format", "json"];
    let _envoy = Envoy::start_changed(&plane, Protocol::Delta, &arguments, |bootstrap| {
        let mut bootstrap: serde_json::Value = serde_json::from_str(&bootstrap).unwrap();
        bootstrap["node"]["metadata"] = json!({ "node_group": "blue" });
        bootstrap.to_string()
    });
    plane.wait_for_node("me").await;
    let query = "{ xdsNodes { matchedBy nodeGroup { name } } }";
    let node = plane.ask(query, json!({})).await.data()["xdsNodes"][0].clone();
    assert_eq!(node, json!({ "matchedBy": "METADATA", "nodeGroup": { "name": "blue" } }));
}

#[tokio::test]
async fn grpc_clients_may_ask_for_the_health_of_xds() {
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

    let plane = Plane::start().await;
    let url = format!("http://127.0.0.1:{}", plane.xds_port());
    let channel = tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel);
    let services =
        marchproxy_xds::DiscoveryService::ALL.map(marchproxy_xds::DiscoveryService::name);
    for service in [""].into_iter().chain(services) {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
}

#[tokio::test]
async fn the_server_says_whether_it_is_healthy() {
    let plane = Plane::start().await;
    let url = format!("http://127.0.0.1:{}/healthz", plane.http_port());
    let health: serde_json::Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(health["status"], "healthy");
    assert_eq!(
        (&health["database"], &health["xds_server"]),
        (&json!("healthy"), &json!("healthy"))
    );
    let check = |port: u16| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_marchproxy"));
        command.args(["healthcheck", "--port", &port.to_string()]).output().unwrap().status
    };
    assert!(check(plane.http_port()).success());
    assert!(!check(free_port()).success());
}
