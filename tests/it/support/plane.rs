//! A control plane: the real binary, with a database of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::contents::contents;
use super::process::Process;
use super::{Kind, Subscription, eventually, free_port};

/// What tokens are signed with, so that a test can sign its own.
pub(crate) const SECRET_KEY: &str = "a secret for tests, and for nothing else";
/// What the administrator signs in with.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A running control plane, signed in as its administrator.
pub(crate) struct Plane {
    process: Process,
    dir: TempDir,
    http: u16,
    xds: u16,
    internal: u16,
    /// Where the default group's Envoys accept traffic.
    pub(crate) listener: u16,
    client: reqwest::Client,
    token: String,
    settings: Settings,
}

/// Variables of the environment.
type Settings = Vec<(&'static str, String)>;

/// What GraphQL answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer(pub(crate) Value);

impl Plane {
    /// Starts a control plane whose default listener is on a free port.
    pub(crate) async fn start() -> Self {
        Self::start_with(vec![]).await
    }

    /// As [`Plane::start`], with these variables of the environment.
    pub(crate) async fn start_with(settings: Settings) -> Self {
        let mut plane = Self::start_unchanged(settings).await;
        let listeners = plane.ask("{ listeners { nodes { id } } }", json!({})).await.data();
        let id = &listeners["listeners"]["nodes"][0]["id"];
        plane.listener = free_port();
        let input = json!({ "id": id, "address": "127.0.0.1", "port": plane.listener });
        plane.change("updateListener", "UpdateListenerInput", input).await;
        plane.wait_until_published().await;
        plane
    }

    /// A change is answered once it is committed; whoever connects right after that
    /// may still be given what was there before, and the change next.
    async fn wait_until_published(&self) {
        eventually("the last change is what proxies are given", async || {
            let found = self.ask("{ snapshot { isCurrent } }", json!({})).await.data();
            if found["snapshot"]["isCurrent"] == true { Ok(()) } else { Err(found.to_string()) }
        })
        .await;
    }

    /// Starts a control plane as it comes.
    pub(crate) async fn start_as_newcomers_do() -> Self {
        Self::start_unchanged(vec![]).await
    }

    /// Starts a control plane with these variables, as it comes.
    pub(crate) async fn start_as_it_is(settings: Settings) -> Self {
        Self::start_unchanged(settings).await
    }

    async fn start_unchanged(mut settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let kind = Kind::of_this_run();
        if kind == Kind::Postgres && settings.iter().all(|(name, _)| *name != "DATABASE_URL") {
            settings.push(("DATABASE_URL", kind.database(dir.path()).await));
        }
        let [http, xds, internal] = [(); 3].map(|()| free_port());
        let mut command = serve(&dir, [http, xds, internal], &settings);
        let process = Process::start(&mut command, &dir.path().join("log"));
        let (client, token) = (reqwest::Client::new(), String::new());
        let mut plane =
            Self { process, dir, http, xds, internal, listener: 10_000, client, token, settings };
        plane.wait_until_healthy().await;
        plane.sign_in().await;
        plane
    }

    async fn wait_until_healthy(&self) {
        let url = format!("http://127.0.0.1:{}/healthz", self.http);
        eventually("the server is healthy", async || {
            let answer = self.client.get(&url).send().await.map_err(|e| e.to_string())?;
            let status = answer.status();
            if status.is_success() { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }

    async fn sign_in(&mut self) {
        let login = "mutation($input: LoginInput!) { login(input: $input) { token } }";
        let input = json!({ "input": { "username": "admin", "password": PASSWORD } });
        let data = self.ask_as(None, login, input).await.data();
        data["login"]["token"].as_str().unwrap().clone_into(&mut self.token);
    }

    /// Kills the server (SIGKILL), as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// The number of the server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Asks the server to stop (SIGTERM), and says how it ended.
    pub(crate) fn terminate(&mut self) -> std::process::ExitStatus {
        self.process.terminate()
    }

    /// Starts the server again, on the same ports and database.
    pub(crate) async fn start_again(&mut self) {
        let mut command = serve(&self.dir, [self.http, self.xds, self.internal], &self.settings);
        self.process = Process::start(&mut command, &self.dir.path().join("log"));
        self.wait_until_healthy().await;
    }

    /// Has the server stop in its time, and starts it again.
    pub(crate) async fn restart_gently(&mut self) {
        assert!(self.terminate().success());
        self.start_again().await;
    }

    /// Waits until the proxy that calls itself `name` has nothing left to do.
    pub(crate) async fn wait_until_settled(&self, name: &str) {
        let query = "{ xdsNodes { nodeId connected revision } snapshot { revision } }";
        eventually(&format!("{name} has settled"), async || {
            let data = self.ask(query, json!({})).await.data();
            let nodes = data["xdsNodes"].as_array().unwrap();
            let settled = nodes.iter().any(|node| {
                node["nodeId"] == name && node["revision"] == data["snapshot"]["revision"]
            });
            if settled { Ok(()) } else { Err(data.to_string()) }
        })
        .await;
    }

    /// Where its subscriptions are.
    pub(crate) fn socket_url(&self) -> String {
        format!("ws://127.0.0.1:{}/graphql/ws", self.http)
    }

    /// The URL of its database.
    pub(crate) fn database(&self) -> String {
        let said = self.settings.iter().find(|(name, _)| *name == "DATABASE_URL");
        let file = || format!("sqlite://{}/data/marchproxy.db", self.dir.path().display());
        said.map_or_else(file, |(_, url)| url.clone())
    }

    /// Asks GraphQL as the administrator.
    pub(crate) async fn ask(&self, query: &str, variables: Value) -> Answer {
        self.ask_as(Some(&format!("Bearer {}", self.token)), query, variables).await
    }

    /// Asks GraphQL with this `Authorization`, or none. Where an update or a deletion
    /// has to say which revision it has seen, and does not, it has seen the latest.
    pub(crate) async fn ask_as(
        &self,
        authorization: Option<&str>,
        query: &str,
        mut variables: Value,
    ) -> Answer {
        if let Some((noun, revision)) = seen_by(query)
            && variables["input"].is_object()
            && variables["input"]["ifRevision"].is_null()
        {
            let look = format!("query($id: ID!) {{ {noun}(id: $id) {{ {revision} }} }}");
            let id = json!({ "id": variables["input"]["id"] });
            let found = self.post(authorization, &look, id).await;
            let found = &found.0["data"][noun][revision];
            variables["input"]["ifRevision"] = json!(found.as_i64().unwrap_or_default());
        }
        self.post(authorization, query, variables).await
    }

    async fn post(&self, authorization: Option<&str>, query: &str, variables: Value) -> Answer {
        let url = format!("http://127.0.0.1:{}/graphql", self.http);
        let body = json!({ "query": query, "variables": variables });
        let mut request = self.client.post(url).json(&body);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        Answer(request.send().await.unwrap().json().await.unwrap())
    }

    /// Asks REST as the administrator; the status, and the body (null if it has none).
    pub(crate) async fn rest(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = self.http_request(method, path).bearer_auth(&self.token);
        answered(if body.is_null() { request } else { request.json(&body) }).await
    }

    /// A request of this plane, without a token.
    pub(crate) fn http_request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://127.0.0.1:{}{path}", self.http);
        self.client.request(method.parse().unwrap(), url)
    }

    /// Runs a mutation that must succeed, and returns its payload.
    pub(crate) async fn change(&self, mutation: &str, input_type: &str, input: Value) -> Value {
        self.change_and_wait(mutation, input_type, input, Value::Null).await
    }

    /// As [`Plane::change`], once the Envoys have answered as `wait_for` says.
    pub(crate) async fn change_and_wait(
        &self,
        mutation: &str,
        input_type: &str,
        input: Value,
        wait_for: Value,
    ) -> Value {
        let noun = match mutation {
            m if m.starts_with("delete") => "deletedId".to_owned(),
            m => {
                let noun = m.trim_start_matches("create").trim_start_matches("update");
                let (first, rest) = noun.split_at(1);
                format!("{}{rest} {{ id }}", first.to_lowercase())
            }
        };
        let query = format!(
            "mutation($input: {input_type}!, $wait: WaitForInput) {{
               {mutation}(input: $input, waitFor: $wait) {{
                 {noun} revision version
                 rollout {{ outcome total acked nacked pending
                   nodes {{ standing node {{ nodeId }} nack {{ type message culprits {{ resourceName field object {{ __typename id }} }} }} }} }}
               }}
             }}"
        );
        let variables = json!({ "input": input, "wait": wait_for });
        self.ask(&query, variables).await.data()[mutation].clone()
    }

    /// Creates a service for an upstream, once every Envoy has it; its id.
    pub(crate) async fn create_service(&self, name: &str, port: u16) -> Value {
        let input = json!({ "name": name, "ipFqdn": "127.0.0.1", "port": port });
        let wait = json!({ "nodes": "ALL", "timeoutMs": 20000 });
        let payload =
            self.change_and_wait("createService", "CreateServiceInput", input, wait).await;
        payload["service"]["id"].clone()
    }

    /// Follows a subscription as the administrator.
    pub(crate) async fn subscribe(&self, query: &str, variables: Value) -> Subscription {
        Subscription::open(self.http, &self.token, query, variables).await
    }

    /// Has the server told something else from its next start on.
    pub(crate) fn set(&mut self, variable: &'static str, value: &str) {
        self.settings.push((variable, value.to_owned()));
    }

    /// What the administrator is signed in with.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Waits until an Envoy that calls itself `name` has all that it asks for.
    pub(crate) async fn wait_for_node(&self, name: &str) {
        let query = "subscription { nodeStatusChanged { node {
            nodeId connected revision types { type ackedVersion } } } }";
        let mut changes = self.subscribe(query, json!({})).await;
        changes
            .until(&format!("{name} is up"), |change| {
                let node = &change["nodeStatusChanged"]["node"];
                let routed = node["types"].as_array().is_some_and(|types| {
                    types.iter().any(|t| t["type"] == "ROUTE" && !t["ackedVersion"].is_null())
                });
                node["nodeId"] == name && node["connected"] == true && routed
            })
            .await;
    }

    /// Prints an Envoy bootstrap, as the command does.
    pub(crate) fn bootstrap(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_marchproxy"))
            .args(["bootstrap", "--xds-port", &self.xds.to_string()])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The default group: its id, revision and the version of its snapshot.
    pub(crate) async fn state(&self) -> Value {
        let query = "{ nodeGroups { nodes { id name revision snapshot { revision version } } }
            services(first: 200) { nodes { id name endpoints { host port weight } } }
            routes(first: 200) { nodes { id name hosts } }
            listeners(first: 200) { nodes { id name port } }
            nodeTokens(first: 200) { nodes { id name } } nodeGroup { keyCreatedAt } }";
        self.ask(query, json!({})).await.data()
    }

    /// Creates a node group whose default listener is on a free port; its id.
    pub(crate) async fn create_group(&self, name: &str) -> Value {
        let made = self.change("createNodeGroup", "CreateNodeGroupInput", json!({ "name": name }));
        let id = made.await["nodeGroup"]["id"].clone();
        let query = "query($id: ID!) { listeners(group: $id) { nodes { id } } }";
        let listeners = self.ask(query, json!({ "id": id })).await.data();
        let listener = &listeners["listeners"]["nodes"][0]["id"];
        let input = json!({ "id": listener, "address": "127.0.0.1", "port": free_port() });
        self.change("updateListener", "UpdateListenerInput", input).await;
        id
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// Where this plane's files are.
    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Every row of every table of its database, as text.
    pub(crate) async fn contents(&self) -> Vec<String> {
        contents(&self.database()).await
    }

    /// The port of HTTP.
    pub(crate) fn http_port(&self) -> u16 {
        self.http
    }

    /// The port of the internal API.
    pub(crate) fn internal_port(&self) -> u16 {
        self.internal
    }

    /// The port of xDS.
    pub(crate) fn xds_port(&self) -> u16 {
        self.xds
    }
}

/// What a mutation changes or deletes, and the field with the revision that it asks for.
fn seen_by(query: &str) -> Option<(&'static str, &'static str)> {
    const NOUNS: [(&str, &str); 6] = [
        ("service", "Service("),
        ("route", "Route("),
        ("listener", "Listener("),
        ("mapping", "Mapping("),
        ("certificate", "Certificate("),
        ("nodeGroup", "NodeGroup("),
    ];
    let is = |verb: &str, noun: &str| query.contains(&format!("{verb}{noun}"));
    let updated = NOUNS.iter().find(|(_, noun)| is("update", noun));
    let deleted = || NOUNS.iter().find(|(_, noun)| is("delete", noun));
    match updated {
        Some(("nodeGroup", _)) => Some(("nodeGroup", "settingsRevision")),
        updated => updated.or_else(deleted).map(|(noun, _)| (*noun, "revision")),
    }
}

/// The status of an answer, and its body as JSON.
async fn answered(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
    let body = if text.is_empty() { Ok(Value::Null) } else { serde_json::from_str(&text) };
    (status, body.unwrap_or_else(|e| panic!("{status}, and not JSON ({e}): {text}")))
}

fn serve(dir: &TempDir, ports: [u16; 3], settings: &Settings) -> Command {
    let [http, xds, internal] = ports.map(|port| port.to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_marchproxy"));
    command.arg("serve").env_clear();
    command.envs([
        ("DATA_DIR", dir.path().join("data").to_str().unwrap()),
        ("PORT", &http),
        ("XDS_GRPC_PORT", &xds),
        ("XDS_HTTP_PORT", &internal),
        ("SECRET_KEY", SECRET_KEY),
        ("ADMIN_PASSWORD", PASSWORD),
        // Tests are quick; those of the limits set their own.
        ("RATE_LIMIT_PER_IP", "0"),
        ("RATE_LIMIT_PER_USER", "0"),
        ("RATE_LIMIT_SIGN_IN", "0"),
    ]);
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command
}

impl Drop for Plane {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what the server logged:\n{}", self.log());
        }
    }
}

impl Answer {
    /// The data of an answer that must have no errors.
    pub(crate) fn data(self) -> Value {
        assert!(self.0["errors"].is_null(), "GraphQL refused: {:#}", self.0["errors"]);
        self.0["data"].clone()
    }

    /// The first error, which must be there.
    pub(crate) fn error(&self) -> &Value {
        assert!(self.0["errors"][0].is_object(), "GraphQL did not refuse: {:#}", self.0);
        &self.0["errors"][0]
    }
}
