//! The document from its *Quick Start* to its *Security*, in its own order.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use jsonwebtoken::{EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

use super::Ground;
use crate::support::{Process, Traffic, Upstream, eventually, installed};

const BASE: &str = "http://localhost:8000";
const INTERNAL: &str = "http://localhost:19000";
const PASSWORD: &str = "not in the document";

/// *Envoy Integration*, with nothing changed. It says no version of xDS, no timeout, and
/// no sources but that of listeners.
pub(crate) const BOOTSTRAP: &str = r#"# Envoy bootstrap.yaml
node:
  id: "cluster-1"

dynamic_resources:
  lds_config:
    api_config_source:
      api_type: GRPC
      grpc_services:
        - envoy_grpc:
            cluster_name: xds_cluster

static_resources:
  clusters:
    - name: xds_cluster
      type: STRICT_DNS
      load_assignment:
        cluster_name: xds_cluster
        endpoints:
          - lb_endpoints:
              - endpoint:
                  address:
                    socket_address:
                      address: api-server
                      port_value: 18000
      http2_protocol_options: {}
"#;

/// *Check Envoy admin: `http://envoy:9901/config_dump`*: which the bootstrap above has not.
const ADMIN: &str = "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}";

/// What is under the walker's feet: the server, and somebody signed in.
struct Walk<'a> {
    ground: &'a Ground,
    dir: &'a Path,
    client: reqwest::Client,
    token: String,
}

pub(super) async fn walk(ground: &Ground) {
    let dir = tempfile::tempdir().unwrap();
    let mut walk =
        Walk { ground, dir: dir.path(), client: reqwest::Client::new(), token: String::new() };
    let server = walk.docker_run();
    walk.verify().await;
    walk.token = walk.sign_in().await;
    walk.core().await;
    walk.services_with_envoy().await;
    walk.security().await;
    drop(server);
    walk.xds_server().await;
}

impl Walk<'_> {
    /// *Run*: the environment of the image, and that of the command.
    fn docker_run(&self) -> Process {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_marchproxy"));
        serve.arg("serve").env_clear();
        let image = include_str!("../../../Dockerfile");
        let variables = image.lines().find_map(|line| line.strip_prefix("ENV ")).unwrap();
        for (name, value) in variables.split(' ').map(|v| v.split_once('=').unwrap()) {
            serve.env(name, if self.ground.is_own { value } else { "127.0.0.1" });
        }
        assert!(image.contains("\nEXPOSE 8000 18000 19000\n"));
        serve.env("DATABASE_URL", self.database());
        serve.env("SECRET_KEY", "your-secret-key");
        serve.env("XDS_SERVER_URL", INTERNAL);
        // The image's is a volume; and somebody has to be able to sign in.
        serve.env("DATA_DIR", self.dir.join("data")).env("ADMIN_PASSWORD", PASSWORD);
        Process::start(&mut serve, &self.dir.join("log"))
    }

    fn database(&self) -> String {
        let port = if self.ground.is_own { "5432" } else { &self.ground.database_port };
        format!("postgresql://user:pass@{}:{port}/marchproxy", self.ground.host("postgres"))
    }

    /// *Verify*, and *Health Checks*: the commands as they stand.
    async fn verify(&self) {
        let health = eventually("the API is healthy", async || {
            shell("curl -sS http://localhost:8000/healthz").and_then(|said| json_of(&said))
        })
        .await;
        assert_eq!(health["status"], "healthy");
        assert_eq!(health["xds_server"], "healthy");
        assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
        for key in ["status", "version", "xds_server"] {
            assert!(health[key].is_string(), "{health}");
        }
        let xds = json_of(&shell("curl -sS http://localhost:19000/healthz").unwrap()).unwrap();
        assert_eq!(xds, json!({ "status": "healthy", "service": "marchproxy-xds-server" }));
        let stats = json_of(&shell("curl -sS http://localhost:8000/xds/stats").unwrap()).unwrap();
        for key in ["last_update", "update_count", "xds_server_url", "last_error"] {
            assert!(stats.get(key).is_some(), "{stats}");
        }
        assert_eq!(stats["xds_server_url"], INTERNAL);
        let docs = shell("curl -sS --fail http://localhost:8000/api/docs").unwrap();
        assert!(docs.contains("swagger-ui"), "{docs}");
        // A published port 19000 says how the server is doing, and nothing else.
        let version = self.client.get(format!("{INTERNAL}/v1/version")).send().await.unwrap();
        let (status, text) = (version.status().as_u16(), version.text().await.unwrap());
        if self.ground.is_own {
            assert!(status == 403 && text.contains("XDS_HTTP_TOKEN"), "{status} {text}");
        } else {
            assert_eq!(status, 200, "{text}");
        }
    }

    async fn sign_in(&self) -> String {
        let body = json!({ "username": "admin", "password": PASSWORD });
        let (status, signed_in) = self.ask(Method::POST, "/api/v1/auth/login", body).await;
        assert_eq!(status, 200, "{signed_in}");
        signed_in["access_token"].as_str().unwrap().to_owned()
    }

    /// *Core*, and *Metrics*.
    async fn core(&self) {
        let (status, about) = self.ask(Method::GET, "/", Value::Null).await;
        assert_eq!((status, &about["service"]), (200, &json!("MarchProxy API Server")));
        for path in ["/healthz", "/readyz"] {
            assert_eq!(self.ask(Method::GET, path, Value::Null).await.0, 200, "{path}");
        }
        let metrics = self.text("/metrics").await;
        for series in ["# TYPE ", "process_open_fds "] {
            assert!(metrics.contains(series), "{series}: {metrics}");
        }
        assert!(self.text("/api/docs").await.contains("swagger-ui"));
        assert!(self.text("/api/redoc").await.contains("redoc"));
        let (_, document) = self.ask(Method::GET, "/api/openapi.json", Value::Null).await;
        for (path, methods) in [
            ("/api/v1/services", &["get", "post"][..]),
            ("/api/v1/services/{service_id}", &["get", "put", "delete"]),
            ("/api/v1/services/{service_id}/reload-xds", &["post"]),
            ("/xds/stats", &["get"]),
        ] {
            for method in methods {
                assert!(document["paths"][path][method].is_object(), "{method} {path}");
            }
        }
    }

    /// *Services (with xDS integration)* and *How It Works*: each change reaches the
    /// Envoy that was started with *Envoy Integration*'s bootstrap.
    async fn services_with_envoy(&self) {
        let (one, two) = (Upstream::start("one").await, Upstream::start("two").await);
        let mut envoy = self.envoy(&[]);
        let services = "/api/v1/services";
        let mut made = vec![];
        for name in ["hello", "other"] {
            let input = json!({ "name": name, "ip_fqdn": "127.0.0.1", "port": one.port(),
                "protocol": "http", "cluster_id": 1 });
            let (status, service) = self.ask(Method::POST, services, input).await;
            assert_eq!(status, 201, "{service}");
            Traffic::until(10_000, name, "one").await;
            made.push(service);
        }
        let (status, list) = self.ask(Method::GET, services, Value::Null).await;
        assert_eq!((status, &list["total"]), (200, &json!(2)), "{list}");
        let path = format!("{services}/{}", made[0]["id"]);
        let (status, hello) = self.ask(Method::GET, &path, Value::Null).await;
        assert_eq!((status, &hello["name"]), (200, &json!("hello")));

        let input = json!({ "port": two.port() });
        let (status, moved) = self.ask(Method::PUT, &path, input).await;
        assert_eq!((status, &moved["port"]), (200, &json!(two.port())), "{moved}");
        Traffic::until(10_000, "hello", "two").await;

        let before = self.ask(Method::GET, "/xds/stats", Value::Null).await.1;
        let reload = format!("{path}/reload-xds");
        let (status, reloaded) = self.ask(Method::POST, &reload, Value::Null).await;
        let want = json!({ "status": "success", "message": "xDS configuration reloaded" });
        assert_eq!((status, reloaded), (200, want));
        let after = self.ask(Method::GET, "/xds/stats", Value::Null).await.1;
        assert!(after["update_count"].as_u64() > before["update_count"].as_u64(), "{after}");
        assert_eq!((&after["nodes_connected"], &after["nodes_refusing"]), (&json!(1), &json!(0)));
        assert_eq!(Traffic::get(10_000, "hello", "/").await.as_deref(), Ok("two"));

        let (status, _) = self.ask(Method::DELETE, &path, Value::Null).await;
        assert_eq!(status, 204);
        eventually("the deleted service is gone from the Envoy", async || {
            match Traffic::status(10_000, "hello").await {
                Ok(404) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        assert_eq!(Traffic::get(10_000, "other", "/").await.as_deref(), Ok("one"));

        // *Follow xDS updates*: `docker logs -f marchproxy-api | grep xDS`.
        let log = fs::read_to_string(self.dir.join("log")).unwrap();
        let lines = log.lines().filter(|line| line.contains("xDS"));
        let lines = lines.collect::<Vec<_>>().join("\n");
        for what in ["published an xDS snapshot", "a node connected over xDS"] {
            assert!(lines.contains(what), "{what}: {log}");
        }

        // *Check Envoy admin*: the same bootstrap, and an admin page.
        envoy.kill();
        let _envoy = self.envoy(&["--config-yaml", ADMIN]);
        let dump = format!("http://{}:9901/config_dump", self.ground.host("envoy"));
        eventually("the admin page shows the listener", async || {
            let said = self.client.get(&dump).send().await.map_err(|e| e.to_string())?;
            let said = said.text().await.map_err(|e| e.to_string())?;
            if said.contains("marchproxy_listener") { Ok(()) } else { Err(said) }
        })
        .await;
        Traffic::until(10_000, "other", "one").await;
    }

    fn envoy(&self, more: &[&str]) -> Process {
        let mut bootstrap = BOOTSTRAP.to_owned();
        if !self.ground.is_own {
            bootstrap = bootstrap.replace("api-server", "127.0.0.1");
        }
        let path = self.dir.join("bootstrap.yaml");
        fs::write(&path, bootstrap).unwrap();
        let mut envoy = Command::new(installed("envoy"));
        envoy.arg("-c").arg(path).args(["--service-cluster", "marchproxy"]);
        envoy.args(["--disable-hot-restart", "--concurrency", "1"]).args(more);
        Process::start(&mut envoy, &self.dir.join("envoy.log"))
    }

    /// *Security*.
    async fn security(&self) {
        // JWT: signed with SECRET_KEY, by HS256, also by somebody else who has it.
        let claims = json!({ "sub": "1", "type": "access", "exp": 4_000_000_000_u64 });
        let signed = |key: &str| {
            let key = EncodingKey::from_secret(key.as_bytes());
            jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap()
        };
        for (key, want) in [("your-secret-key", 200), ("another-secret-key", 401)] {
            let me = self.client.get(format!("{BASE}/api/v1/auth/me")).bearer_auth(signed(key));
            assert_eq!(me.send().await.unwrap().status(), want, "{key}");
        }
        // All API endpoints are protected: without a token nobody gets further than
        // the sign-in, or than being told which key is missing.
        let (_, document) = self.ask(Method::GET, "/api/openapi.json", Value::Null).await;
        let mut protected = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let is_public = operation["security"].as_array().is_some_and(|needs| {
                    needs.iter().any(|need| need.as_object().is_some_and(|need| need.is_empty()))
                });
                if is_public || !path.starts_with("/api/v1/") {
                    continue;
                }
                let path =
                    path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
                let url = format!("{BASE}{}", path.collect::<Vec<_>>().join("/"));
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let answer = self.client.request(method.clone(), &url).send().await.unwrap();
                let status = answer.status().as_u16();
                assert!(matches!(status, 401 | 422), "{method} {url}: {status}");
                protected += 1;
            }
        }
        assert!(protected > 40, "{protected}");
        // Input validation.
        let input = json!({ "name": "a b", "ip_fqdn": "127.0.0.1", "port": 80, "cluster_id": 1 });
        let (status, said) = self.ask(Method::POST, "/api/v1/services", input).await;
        assert_eq!((status, &said["detail"][0]["loc"]), (422, &json!(["body", "name"])), "{said}");
        // Rate limiting, which was to be done; and CORS.
        let services = format!("{BASE}/api/v1/services");
        let answer = self.client.get(&services).send().await.unwrap();
        assert!(answer.headers().contains_key("x-ratelimit-limit"), "{answer:?}");
        let ask = self.client.request(Method::OPTIONS, &services);
        let ask = ask.header("origin", "http://localhost:3000");
        let ask = ask.header("access-control-request-method", "PUT");
        let answer = ask.send().await.unwrap();
        assert_eq!(answer.headers()["access-control-allow-origin"], "http://localhost:3000");
    }

    /// *xDS Server Not Starting*: its binary and flags; and *xDS Control Plane*: the
    /// internal endpoints, which are for this machine.
    async fn xds_server(&self) {
        let binary = self.dir.join("xds-server");
        symlink(env!("CARGO_BIN_EXE_marchproxy"), &binary).unwrap();
        let help = Command::new(&binary).arg("-help").output().unwrap();
        assert!(help.status.success(), "{help:?}");
        let help = String::from_utf8(help.stdout).unwrap();
        assert!(help.contains("-port") && help.contains("-debug"), "{help}");

        let mut server = Command::new(&binary);
        server.args(["-port", "18000", "-debug"]).env_clear().env("DATABASE_URL", self.database());
        server.env("SECRET_KEY", "your-secret-key").env("DATA_DIR", self.dir.join("data"));
        let log = self.dir.join("xds-server.log");
        let _server = Process::start(&mut server, &log);
        let version = eventually("it tells its version", async || {
            shell("curl -sS --fail http://localhost:19000/v1/version").and_then(|v| json_of(&v))
        })
        .await;
        assert!(version["version"].is_i64(), "{version}");
        let upstream = Upstream::start("posted").await;
        let _envoy = self.envoy(&[]);
        let config = json!({
            "version": "1",
            "services": [{ "name": "web", "hosts": ["127.0.0.1"], "port": upstream.port(),
                "protocol": "http" }],
            "routes": [{ "name": "r", "prefix": "/", "cluster_name": "web",
                "hosts": ["web.example"] }],
        });
        let posted = self.client.post(format!("{INTERNAL}/v1/config")).json(&config);
        let posted: Value = posted.send().await.unwrap().json().await.unwrap();
        assert_eq!(posted["status"], "success", "{posted}");
        Traffic::until(10_000, "web.example", "posted").await;
        let log = fs::read_to_string(log).unwrap();
        assert!(log.contains("DEBUG"), "{log}");
    }

    /// A request with the token, if there is one; the status, and the body as JSON.
    async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let mut request = self.client.request(method, format!("{BASE}{path}"));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    async fn text(&self, path: &str) -> String {
        let answer = self.client.get(format!("{BASE}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for log in ["log", "xds-server.log", "envoy.log"] {
                let said = fs::read_to_string(self.dir.join(log)).unwrap_or_default();
                eprintln!("--- {log}:\n{said}");
            }
        }
    }
}

/// What a command of the document says.
fn shell(command: &str) -> Result<String, String> {
    let output = Command::new("sh").args(["-c", command]).output().map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|e| e.to_string())
}

fn json_of(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|e| format!("{e}: {text}"))
}
