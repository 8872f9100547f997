//! Dry runs: what is told is what would be, and nothing is kept.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Authority, Kind, PASSWORD, Pair, Plane, Stores, free_port};

/// What cannot be tried: it is about a secret that one shows, and each attempt counts.
const SIGNING_IN: [&str; 8] = [
    "changePassword",
    "disableTwoFactor",
    "enableTwoFactor",
    "login",
    "logout",
    "refreshToken",
    "register",
    "verifyTwoFactor",
];

/// What is there before anything is tried.
struct Standing {
    plane: Plane,
    stores: Stores,
    authority: Authority,
    user: Value,
    assigned: Value,
    token: Value,
    invitation: Value,
    node_token: Value,
    group: Value,
    service: Value,
    unused: Value,
    route: Value,
    listener: Value,
    mapping: Value,
    uploaded: Value,
    fetched: Value,
    snapshot: Value,
}

/// Does something, and gives the id of what was made.
async fn made(plane: &Plane, mutation: &str, input_type: &str, noun: &str, input: Value) -> Value {
    let query = format!(
        "mutation($input: {input_type}!) {{ {mutation}(input: $input) {{ {noun} {{ id }} }} }}"
    );
    plane.ask(&query, json!({ "input": input })).await.data()[mutation][noun]["id"].clone()
}

impl Standing {
    async fn start() -> Self {
        let (stores, authority) = (Stores::start().await, Authority::new());
        stores.put(&authority.sign_for_days("a.example", 100), &authority.pem);
        let plane = Plane::start_with(stores.settings()).await;
        let user = async |name: &str| {
            let input = json!({ "username": name, "password": PASSWORD });
            made(&plane, "createUser", "CreateUserInput", "user", input).await
        };
        let (user, assigned) = (user("ann").await, user("bob").await);
        let service = async |name: &str| {
            let input = json!({ "name": name, "ipFqdn": "10.0.0.1", "port": 80 });
            made(&plane, "createService", "CreateServiceInput", "service", input).await
        };
        let (service, unused) = (service("api").await, service("unused").await);
        let make = async |mutation: &str, noun: &str, input: Value| {
            let (first, rest) = mutation.split_at(1);
            let input_type = format!("{}{rest}Input", first.to_uppercase());
            made(&plane, mutation, &input_type, noun, input).await
        };
        let token = json!({ "name": "t", "role": "VIEWER" });
        let token = make("createApiToken", "apiToken", token).await;
        let invitation = json!({ "role": "VIEWER" });
        let invitation = make("createInvitation", "invitation", invitation).await;
        let node_token = make("createNodeToken", "nodeToken", json!({ "name": "t" })).await;
        let group = make("createNodeGroup", "nodeGroup", json!({ "name": "blue" })).await;
        let route =
            json!({ "name": "r", "hosts": ["r.example"], "backends": [{ "service": service }] });
        let route = make("createRoute", "route", route).await;
        let listener = json!({ "name": "l", "port": free_port() });
        let listener = make("createListener", "listener", listener).await;
        let mapping = make("createMapping", "mapping", json!({ "name": "m" })).await;
        let uploaded = uploaded("up", &authority.sign_for_days("b.example", 100));
        let uploaded = make("uploadCertificate", "certificate", uploaded).await;
        let fetched = json!({ "name": "kv", "from": { "vaultKv": "secret/tls/web" } });
        let fetched = make("fetchCertificate", "certificate", fetched).await;
        let query = "{ snapshot { id } }";
        let snapshot = plane.ask(query, json!({})).await.data()["snapshot"]["id"].clone();
        stores.put(&authority.sign_for_days("a.example", 200), &authority.pem);
        Self {
            plane,
            stores,
            authority,
            user,
            assigned,
            token,
            invitation,
            node_token,
            group,
            service,
            unused,
            route,
            listener,
            mapping,
            uploaded,
            fetched,
            snapshot,
        }
    }

    /// Each mutation that can be tried, with an input that is good for it, in an order in
    /// which all of them can be done for real.
    fn questions(&self) -> Vec<(&'static str, Value)> {
        let pair = self.authority.sign_for_days("c.example", 100);
        let id = |id: &Value| json!({ "id": id });
        let service = json!({ "name": "new", "ipFqdn": "10.0.0.1", "port": 80 });
        let route = |name: &str, service: Value| {
            let hosts = format!("{name}.example");
            json!({ "name": name, "hosts": [hosts], "backends": [{ "service": service }] })
        };
        let applied = json!({ "changes": [
            { "createService": { "name": "two", "ipFqdn": "10.0.0.1", "port": 80 } },
            { "createRoute": route("two", json!("changes.0")) },
        ] });
        let user_and = |noun: &str, of: &Value| json!({ "user": self.assigned, noun: of });
        let kv = json!({ "name": "new-kv", "from": { "vaultKv": "secret/tls/web" } });
        vec![
            ("createUser", json!({ "username": "eve", "password": PASSWORD })),
            ("updateUser", json!({ "id": self.user, "firstName": "Ann" })),
            ("resetPassword", json!({ "id": self.user, "newPassword": "another good one" })),
            ("resetTwoFactor", id(&self.user)),
            ("assignNodeGroup", user_and("nodeGroup", &self.group)),
            ("unassignNodeGroup", user_and("nodeGroup", &self.group)),
            ("assignService", user_and("service", &self.service)),
            ("unassignService", user_and("service", &self.service)),
            ("deleteUser", json!({ "id": self.user, "permanent": true })),
            ("createApiToken", json!({ "name": "new", "role": "VIEWER" })),
            ("revokeApiToken", id(&self.token)),
            ("createInvitation", json!({ "role": "VIEWER" })),
            ("revokeInvitation", id(&self.invitation)),
            ("createNodeToken", json!({ "name": "new" })),
            ("revokeNodeToken", id(&self.node_token)),
            ("rotateNodeGroupKey", json!({ "group": self.group })),
            ("createNodeGroup", json!({ "name": "green" })),
            ("updateNodeGroup", json!({ "id": self.group, "description": "changed" })),
            ("deleteNodeGroup", id(&self.group)),
            ("createService", service),
            ("updateService", json!({ "id": self.service, "port": 81 })),
            ("createRoute", route("new", self.service.clone())),
            ("updateRoute", json!({ "id": self.route, "priority": 7 })),
            ("createListener", json!({ "name": "new", "port": free_port() })),
            ("updateListener", json!({ "id": self.listener, "port": free_port() })),
            ("createMapping", json!({ "name": "new" })),
            ("updateMapping", json!({ "id": self.mapping, "comments": "changed" })),
            ("uploadCertificate", uploaded("new", &pair)),
            ("fetchCertificate", kv),
            ("updateCertificate", json!({ "id": self.uploaded, "description": "changed" })),
            ("renewCertificate", id(&self.fetched)),
            ("applyChanges", applied),
            ("rollback", json!({ "toSnapshot": self.snapshot })),
            ("deleteRoute", id(&self.route)),
            ("deleteService", id(&self.unused)),
            ("deleteListener", id(&self.listener)),
            ("deleteMapping", id(&self.mapping)),
            ("deleteCertificate", id(&self.uploaded)),
        ]
    }

    async fn ask(&self, mutation: &str, input: &Value, dry_run: bool) -> Value {
        let (first, rest) = mutation.split_at(1);
        let input_type = match mutation {
            "deleteUser" => "DeleteUserInput".to_owned(),
            m if m.starts_with("delete") => "DeleteInput".to_owned(),
            m if m.starts_with("revoke") => "RevokeInput".to_owned(),
            _ => format!("{}{rest}Input", first.to_uppercase()),
        };
        let selection = selection(mutation);
        let query = format!(
            "mutation($input: {input_type}!, $dry: Boolean!) {{
                {mutation}(input: $input, dryRun: $dry) {{
                    userErrors {{ code message field }} {selection} }} }}"
        );
        let variables = json!({ "input": input, "dry": dry_run });
        let mut payload = self.plane.ask(&query, variables).await.data()[mutation].clone();
        assert_eq!(payload["userErrors"], json!([]), "{mutation}");
        // The numbers of a PostgreSQL are used up by what is only tried.
        if Kind::of_this_run() == Kind::Postgres {
            payload.as_object_mut().unwrap().remove("version");
        }
        payload
    }
}

/// What of a payload is the same whether it is done or tried.
fn selection(mutation: &str) -> &'static str {
    match mutation {
        "createUser" | "updateUser" | "resetPassword" | "resetTwoFactor" | "assignNodeGroup"
        | "unassignNodeGroup" | "assignService" | "unassignService" => {
            "user { username firstName isActive role }"
        }
        "deleteUser" | "deleteNodeGroup" => "deletedId",
        "createApiToken" => "apiToken { name role } token",
        "revokeApiToken" | "revokeInvitation" | "revokeNodeToken" => "revokedId",
        "createInvitation" => "invitation { role } token",
        "createNodeToken" => "nodeToken { name } token",
        "rotateNodeGroupKey" => "nodeGroup { name } key",
        "createNodeGroup" | "updateNodeGroup" => {
            "revision version nodeGroup { name description settingsRevision }"
        }
        "createService" | "updateService" => {
            "revision version service { name revision endpoints { port } nodeGroup { name } }"
        }
        "createRoute" | "updateRoute" => "revision version route { name revision priority }",
        "createListener" | "updateListener" => "revision version listener { name revision port }",
        "createMapping" | "updateMapping" => "revision version mapping { name revision comments }",
        "uploadCertificate" | "fetchCertificate" | "updateCertificate" | "renewCertificate" => {
            "revision version certificate { name revision fingerprint description }"
        }
        "applyChanges" => {
            "revision version results { node { __typename ... on Route { name revision } } }"
        }
        "rollback" => "revision version snapshot { revision version cause }",
        m if m.starts_with("delete") => "revision version deletedId",
        other => panic!("say here what {other} answers"),
    }
}

fn uploaded(name: &str, pair: &Pair) -> Value {
    json!({ "name": name, "certData": pair.certificate, "keyData": pair.key })
}

/// Takes the one thing out that only a real one tells, and says whether it was there.
fn take_secret(payload: &mut Value) -> Option<bool> {
    let payload = payload.as_object_mut().unwrap();
    let secret = payload.remove("token").or(payload.remove("key"))?;
    Some(secret.is_string())
}

#[tokio::test]
async fn whatever_can_be_changed_can_be_tried_and_leaves_nothing_behind() {
    let standing = Standing::start().await;
    let plane = &standing.plane;
    let query = "{ __type(name: \"Mutation\") { fields { name args { name } } } }";
    let fields = plane.ask(query, json!({})).await.data()["__type"]["fields"].clone();
    let (mut triable, mut others) = (BTreeSet::new(), BTreeSet::new());
    for field in fields.as_array().unwrap() {
        let arguments = field["args"].as_array().unwrap();
        let is_triable = arguments.iter().any(|argument| argument["name"] == "dryRun");
        let set = if is_triable { &mut triable } else { &mut others };
        set.insert(field["name"].as_str().unwrap().to_owned());
    }
    assert_eq!(others, SIGNING_IN.map(ToOwned::to_owned).into());
    let questions = standing.questions();
    let asked: BTreeSet<_> = questions.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(triable, asked, "left: what the schema has; right: what is tried here");

    for (mutation, input) in questions {
        let before = plane.contents().await;
        let mut tried = standing.ask(mutation, &input, true).await;
        assert_eq!(plane.contents().await, before, "{mutation} was only tried");
        let mut done = standing.ask(mutation, &input, false).await;
        assert_ne!(plane.contents().await, before, "{mutation} does nothing");
        let secrets = (take_secret(&mut tried), take_secret(&mut done));
        let is_told = matches!(secrets, (None, None) | (Some(false), Some(true)));
        assert!(is_told, "{mutation}: {secrets:?}");
        assert_eq!(tried, done, "{mutation}: what was tried, and what came of it");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_of_what_is_tried_too() {
    let standing = Standing::start().await;
    let plane = &standing.plane;
    let before = plane.contents().await;
    let create = "mutation($input: CreateServiceInput!) {
        createService(input: $input, dryRun: true) {
            service { id } userErrors { code field } } }";
    let input = json!({ "name": "api", "ipFqdn": "127.0.0.1", "port": 80 });
    let payload = plane.ask(create, json!({ "input": input })).await.data();
    let error = &payload["createService"]["userErrors"][0];
    assert_eq!(error, &json!({ "code": "ALREADY_EXISTS", "field": ["input", "name"] }));
    // What does not compile with the rest.
    let taken = plane.listener;
    let create = "mutation($input: CreateListenerInput!) {
        createListener(input: $input, dryRun: true) {
            listener { id } userErrors { code field } } }";
    let input = json!({ "name": "taken", "address": "127.0.0.1", "port": taken });
    let payload = plane.ask(create, json!({ "input": input })).await.data();
    let error = &payload["createListener"]["userErrors"][0];
    assert_eq!(error, &json!({ "code": "INVALID", "field": ["input", "port"] }));
    // Who has not seen the latest, and whoever may not do it.
    let delete = "mutation($input: DeleteInput!) {
        deleteRoute(input: $input, dryRun: true) { userErrors { code currentRevision } } }";
    let input = json!({ "id": standing.route, "ifRevision": 1 });
    let payload = plane.ask(delete, json!({ "input": input })).await.data();
    assert_eq!(payload["deleteRoute"]["userErrors"][0]["code"], "CONFLICT");
    let input = json!({ "id": standing.route, "ifRevision": 1 });
    let answer = plane.ask_as(None, delete, json!({ "input": input })).await;
    assert_eq!(answer.error()["extensions"]["code"], "UNAUTHENTICATED");
    // What is issued is issued: Vault's PKI engine is not even asked.
    let asked = standing.stores.asked().len();
    let fetch = "mutation($input: FetchCertificateInput!) {
        fetchCertificate(input: $input, dryRun: true) { userErrors { code message } } }";
    let pki = json!({ "vaultPki": { "role": "web", "commonName": "a.example" } });
    let input = json!({ "name": "pki", "from": pki });
    let payload = plane.ask(fetch, json!({ "input": input })).await.data();
    assert_eq!(payload["fetchCertificate"]["userErrors"][0]["code"], "REFUSED");
    assert_eq!(standing.stores.asked().len(), asked);
    assert_eq!(plane.contents().await, before);
}

#[tokio::test]
async fn what_is_tried_is_not_waited_for() {
    let plane = Plane::start().await;
    let query = "mutation { createMapping(
        input: { name: \"m\" }, waitFor: { nodes: ALL }, dryRun: true) {
            mapping { name nodeGroup { name } } revision rollout { outcome } } }";
    let before = plane.ask("{ nodeGroup { revision } }", json!({})).await.data();
    let tried = plane.ask(query, json!({})).await.data()["createMapping"].clone();
    assert_eq!(tried["rollout"], Value::Null);
    assert_eq!(tried["mapping"], json!({ "name": "m", "nodeGroup": { "name": "default" } }));
    let next = before["nodeGroup"]["revision"].as_i64().unwrap() + 1;
    assert_eq!(tried["revision"], next, "that which it would have");
}
