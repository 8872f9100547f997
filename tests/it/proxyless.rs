//! gRPC clients that need no proxy: a real grpcio, and a real grpc-js.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use crate::support::{Authority, LIMIT, Plane, eventually, installed};

/// A Python process that is talked to by lines; killed when dropped.
struct Peer {
    _process: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    fn start(command: &mut tokio::process::Command) -> Self {
        command.kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let stdin = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { _process: process, stdin, lines }
    }

    async fn says(&mut self) -> String {
        timeout(LIMIT, self.lines.next_line()).await.unwrap().unwrap().unwrap()
    }

    async fn call(&mut self, word: &str) -> String {
        self.stdin.write_all(format!("{word}\n").as_bytes()).await.unwrap();
        self.says().await
    }
}

/// grpcio, run with these arguments.
fn python(arguments: [&str; 2]) -> tokio::process::Command {
    static PATH: OnceLock<String> = OnceLock::new();
    let mut command = tokio::process::Command::new("python3");
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/grpc_peer.py"))
        .args(arguments)
        .env("PYTHONPATH", PATH.get_or_init(|| installed("grpcio")));
    command
}

/// grpcio, calling a target, and saying what it holds when asked to.
fn python_with_csds(target: &str) -> tokio::process::Command {
    static PATH: OnceLock<String> = OnceLock::new();
    let path = PATH.get_or_init(|| [installed("grpcio"), installed("grpcio-csds")].join(":"));
    let mut command = tokio::process::Command::new("python3");
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/csds_peer.py"))
        .arg(target)
        .env("PYTHONPATH", path);
    command
}

/// grpc-js, calling a target.
fn node(target: &str) -> tokio::process::Command {
    static PATH: OnceLock<String> = OnceLock::new();
    let mut command = tokio::process::Command::new("node");
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grpc-js/call.js"))
        .arg(target)
        .env("NODE_PATH", PATH.get_or_init(|| installed("grpc-js")));
    command
}

/// Where a peer is; the project's own script installs it if it is not there.
async fn server(name: &str) -> (Peer, i32) {
    let mut peer = Peer::start(&mut python(["serve", name]));
    let port = peer.says().await.parse().unwrap();
    (peer, port)
}

/// A client calls a service by its name, and follows it to another endpoint.
async fn a_client_calls_and_follows(client: tokio::process::Command, software: &str) {
    follows(&Plane::start().await, &[], client, software).await;
}

/// As above, with these arguments to its bootstrap.
async fn follows(
    plane: &Plane,
    arguments: &[&str],
    mut client: tokio::process::Command,
    software: &str,
) {
    let ((_one, one), (_two, two)) = (server("one:").await, server("two:").await);
    let input =
        json!({ "name": "greeter", "ipFqdn": "127.0.0.1", "port": one, "protocol": "HTTP2" });
    let made = plane.change("createService", "CreateServiceInput", input).await;

    let arguments = [&["--format", "grpc"], arguments].concat();
    client.env("GRPC_XDS_BOOTSTRAP_CONFIG", plane.bootstrap(&arguments));
    let mut client = Peer::start(&mut client);
    assert_eq!(client.call("hello").await, "one:hello");

    // It says what it holds like any other node, and a change is waited for.
    let input = json!({ "id": made["service"]["id"], "port": two });
    let wait = json!({ "nodes": "ALL", "timeoutMs": 20000 });
    let moved = plane.change_and_wait("updateService", "UpdateServiceInput", input, wait).await;
    assert_eq!(moved["rollout"]["outcome"], "ACKED", "{moved:#}");
    let client = tokio::sync::Mutex::new(client);
    eventually("the client has moved", async || {
        let said = client.lock().await.call("hello").await;
        if said == "two:hello" { Ok(()) } else { Err(said) }
    })
    .await;
    let query = "{ xdsNodes { software protocol types { type ackedVersion nackedVersion } } }";
    let node = plane.ask(query, json!({})).await.data()["xdsNodes"][0].clone();
    assert!(node["software"].as_str().unwrap().contains(software), "{node:#}");
    assert_eq!(node["protocol"], "SOTW");
    let types = node["types"].as_array().unwrap();
    assert_eq!(types.len(), 4, "{node:#}");
    assert!(types.iter().all(|t| !t["ackedVersion"].is_null() && t["nackedVersion"].is_null()));
}

#[tokio::test]
async fn a_python_client_calls_a_service_by_its_name_and_follows_it() {
    a_client_calls_and_follows(python(["call", "xds:///greeter"]), "gRPC C-core").await;
}

#[tokio::test]
async fn a_node_client_calls_a_service_by_its_name_and_follows_it() {
    a_client_calls_and_follows(node("xds:///greeter"), "gRPC Node").await;
}

/// Not grpc-js: its bootstrap knows no TLS but that of Google.
#[tokio::test]
async fn a_python_client_proves_itself_with_a_certificate() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let authorities = dir.path().join("ca.crt").to_str().unwrap().to_owned();
    std::fs::write(&authorities, &authority.pem).unwrap();
    let [server, server_key] = authority.server().write(dir.path(), "server");
    let [certificate, key] = authority.sign(&["default"], &[]).write(dir.path(), "client");
    let plane = Plane::start_with(vec![
        ("XDS_AUTH", "mtls".to_owned()),
        ("XDS_TLS_CERT", server),
        ("XDS_TLS_KEY", server_key),
        ("XDS_TLS_CLIENT_CA", authorities.clone()),
    ]);
    let arguments = ["--tls-ca", &authorities, "--tls-cert", &certificate, "--tls-key", &key];
    let client = python(["call", "xds:///greeter"]);
    follows(&plane.await, &arguments, client, "gRPC C-core").await;
}

#[tokio::test]
async fn what_a_client_says_it_holds_is_what_the_node_is_shown_with() {
    let plane = Plane::start().await;
    let (_one, one) = server("one:").await;
    let input =
        json!({ "name": "greeter", "ipFqdn": "127.0.0.1", "port": one, "protocol": "HTTP2" });
    plane.change("createService", "CreateServiceInput", input).await;
    let mut client = python_with_csds("xds:///greeter");
    client.env("GRPC_XDS_BOOTSTRAP_CONFIG", plane.bootstrap(&["--format", "grpc"]));
    let mut client = Peer::start(&mut client);
    assert_eq!(client.call("hello").await, "one:hello");

    // Its own word, over CSDS, of each of its four resources.
    let held: Value = serde_json::from_str(&client.call("csds").await).unwrap();
    let held = held.as_array().unwrap();
    let names: Vec<_> = held.iter().map(|of| of["name"].as_str().unwrap()).collect();
    assert_eq!(held.len(), 4, "{held:#?}");
    for name in ["greeter", "marchproxy_routes", "cluster_1_service_1"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(held.iter().all(|of| of["status"] == "ACKED"), "{held:#?}");

    // And what this side made of its answers.
    let query = "{ xdsNodes { types { type ackedVersion nackedVersion } } }";
    let node = plane.ask(query, json!({})).await.data()["xdsNodes"][0].clone();
    let mut shown = BTreeMap::new();
    for status in node["types"].as_array().unwrap() {
        assert_eq!(status["nackedVersion"], Value::Null, "{node:#}");
        shown.insert(status["type"].as_str().unwrap(), status["ackedVersion"].clone());
    }
    let said = held.iter().map(|of| {
        let of_type = match of["type"].as_str().unwrap() {
            "Listener" => "LISTENER",
            "RouteConfiguration" => "ROUTE",
            "Cluster" => "CLUSTER",
            "ClusterLoadAssignment" => "ENDPOINT",
            other => panic!("{other}"),
        };
        (of_type, of["version"].clone())
    });
    assert_eq!(said.collect::<BTreeMap<_, _>>(), shown);
}
