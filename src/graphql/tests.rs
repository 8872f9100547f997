//! Rights, from the outside: every root field has a row in the one table, and does
//! what the row says for everybody.

use std::collections::BTreeSet;
use std::time::Duration;

use async_graphql::{Request, Response};
use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use super::global_id::GlobalId;
use super::*;
use crate::app::{
    Credentials, FirstAdmin, Gates, Ground, NewUser, Retention, Setup, SignIn, SignedIn,
};
use crate::auth::{Keys, Lifetimes, Needs, NodeAccess, NodeAuth, Operation, PresentedToken, Scope};
use crate::hub::Hub;
use crate::model::{NodeGroupId, ProxySpec, Role, UserId, UserSpec};
use crate::nodes::Nodes;
use crate::publish::Publisher;
use crate::store::{DatabaseUrl, Store};

const PASSWORD: &str = "correct horse battery staple";

/// Everybody, from who may least to who may most.
const ROLES: [Option<Role>; 5] =
    [None, Some(Role::Member), Some(Role::Viewer), Some(Role::Operator), Some(Role::Admin)];

/// A control plane without sockets.
pub(super) struct Plane {
    pub(super) app: App,
    pub(super) store: Store,
    pub(super) nodes: std::sync::Arc<Nodes>,
    schema: ApiSchema,
    pub(super) admin: Authenticated,
    publisher: Publisher,
    /// What makes names unique.
    count: std::cell::Cell<u32>,
    _dir: TempDir,
}

impl Plane {
    pub(super) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::Sqlite(dir.path().join("db"))).await.unwrap();
        let username = "admin".to_owned().try_into().unwrap();
        let admin = FirstAdmin { username, password: Some(PASSWORD.into()) };
        let keys = Keys::new(&"secret".into(), Lifetimes::default());
        let setup = Setup::run(&store, admin, Retention::default(), &keys.sealer).await;
        let group = setup.unwrap().default_group;
        let (hub, nodes, sealer) = (Hub::new(), Nodes::new(), keys.sealer.clone());
        let (publisher, nudge) = Publisher::new(store.clone(), hub.clone(), nodes.clone(), sealer);
        let gates = Gates::without_licence(NodeAccess::new(NodeAuth::None, false));
        let ground = Ground { default_group: group, retention: Retention::default() };
        let app = App::new(store.clone(), hub, nodes.clone(), nudge, keys, gates, ground);
        let schema = schema(app.clone(), Introspection::Everybody);
        let admin = come(&app, &sign_in(&app, "admin").await).await;
        let count = Default::default();
        let plane = Self { app, store, nodes, schema, admin, publisher, count, _dir: dir };
        plane.publisher.reconcile().await.unwrap();
        plane
    }

    /// The default group's newest snapshot.
    async fn snapshot(&self) -> String {
        let group = self.app.default_group();
        let newest = self.app.snapshots(&self.admin.actor, group, None, 1).await.unwrap();
        id(newest[0].id)
    }

    /// The version of the default group's newest snapshot.
    async fn version(&self) -> String {
        let group = self.app.default_group();
        let newest = self.app.snapshots(&self.admin.actor, group, None, 1).await.unwrap();
        newest[0].version.clone()
    }

    /// A new user, and their name.
    async fn user(&self, role: Role) -> (UserId, String) {
        let name = self.name();
        let spec = UserSpec {
            username: name.clone().try_into().unwrap(),
            email: None,
            first_name: None,
            last_name: None,
            role,
            is_active: true,
            is_verified: false,
        };
        let password = secrecy::SecretString::from(PASSWORD).try_into().unwrap();
        let new = NewUser { spec, password };
        let user = self.app.create_user(&self.admin.actor, new).await.unwrap();
        (user.id, name)
    }

    /// How many names were made.
    pub(super) fn made_so_far(&self) -> u32 {
        self.count.get()
    }

    pub(super) fn name(&self) -> String {
        self.count.set(self.count.get() + 1);
        format!("n{}", self.count.get())
    }

    pub(super) async fn ask(
        &self,
        caller: Option<Authenticated>,
        query: &str,
        input: &Value,
    ) -> Response {
        let variables = async_graphql::Variables::from_json(json!({ "input": input }));
        let mut request = Request::new(query).variables(variables);
        if let Some(caller) = caller {
            request = request.data(caller);
        }
        if query.starts_with("subscription") {
            let mut answers = self.schema.execute_stream(request);
            // Whoever is let in may be kept waiting for something to happen.
            let first = timeout(Duration::from_millis(300), answers.next()).await;
            return first.ok().flatten().unwrap_or_default();
        }
        self.schema.execute(request).await
    }

    /// Does something as the administrator, and gives what `path` leads to.
    pub(super) async fn made(&self, mutation: &str, input: Value, path: &str) -> String {
        let (name, input_type) = mutation.split_once(' ').unwrap();
        let (object, field) = path.split_once('.').unwrap_or(("", path));
        let selection =
            if object.is_empty() { field.into() } else { format!("{object} {{ {field} }}") };
        let query = format!(
            "mutation($input: {input_type}!) {{ {name}(input: $input) {{ {selection} }} }}"
        );
        let response = self.ask(Some(self.admin.clone()), &query, &input).await;
        assert!(response.errors.is_empty(), "{name}: {:?}", response.errors);
        let data = response.data.into_json().unwrap();
        let made = if object.is_empty() { &data[name][field] } else { &data[name][object][field] };
        made.as_str().unwrap().to_owned()
    }

    async fn service(&self) -> String {
        let input = json!({ "name": self.name(), "ipFqdn": "10.0.0.1", "port": 80 });
        self.made("createService CreateServiceInput", input, "service.id").await
    }

    async fn mapping(&self) -> String {
        let input = json!({ "name": self.name() });
        self.made("createMapping CreateMappingInput", input, "mapping.id").await
    }

    /// A registered proxy: always the same one, as it has always the same name.
    async fn proxy(&self) -> String {
        let (admin, group) = (&self.admin.actor, self.app.default_group());
        let (_, key) = self.app.rotate_node_group_key(admin, group).await.unwrap();
        let spec = ProxySpec {
            name: "p".to_owned().try_into().unwrap(),
            hostname: "h".to_owned().try_into().unwrap(),
            ip_address: "10.0.0.1".parse().unwrap(),
            port: 8080.try_into().unwrap(),
            version: None,
            capabilities: None,
        };
        let key = PresentedToken::of_group_key(key.expose());
        id(self.app.register_proxy(key, spec).await.unwrap().id)
    }

    async fn listener(&self) -> String {
        let port = 20_000 + self.count.get();
        let input = json!({ "name": self.name(), "port": port });
        self.made("createListener CreateListenerInput", input, "listener.id").await
    }

    fn new_certificate(&self) -> Value {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        json!({ "name": self.name(), "certData": pem, "keyData": key.serialize_pem() })
    }

    pub(super) async fn certificate(&self) -> String {
        let upload = "uploadCertificate UploadCertificateInput";
        self.made(upload, self.new_certificate(), "certificate.id").await
    }

    async fn route(&self) -> String {
        self.made("createRoute CreateRouteInput", self.new_route().await, "route.id").await
    }

    pub(super) async fn new_route(&self) -> Value {
        let backends = json!([{ "service": self.service().await }]);
        let hosts = [format!("{}.example.org", self.name())];
        json!({ "name": self.name(), "hosts": hosts, "backends": backends })
    }

    async fn group(&self) -> String {
        let input = json!({ "name": self.name() });
        self.made("createNodeGroup CreateNodeGroupInput", input, "nodeGroup.id").await
    }

    async fn token(&self) -> String {
        let input = json!({ "name": self.name() });
        self.made("createNodeToken CreateNodeTokenInput", input, "nodeToken.id").await
    }

    async fn other(&self) -> String {
        id(self.user(Role::Member).await.0)
    }

    fn default_group(&self) -> String {
        id(self.app.default_group())
    }

    /// The query that a root field is asked with, and its input: whatever it is about
    /// is there, so that only rights can be against it.
    async fn question(&self, field: &str, me: Option<&Authenticated>) -> (String, Value) {
        let page = |name: &str, of: &str| format!("{{ {name}{of} {{ nodes {{ id }} }} }}");
        let one = |name: &str, id: String| format!("{{ {name}(id: \"{id}\") {{ id }} }}");
        let group = format!("(group: \"{}\")", self.default_group());
        let (root, name) = field.split_once('.').unwrap();
        let input = match field {
            "Query.me" | "Query.viewer" => return (format!("{{ {name} {{ id }} }}"), Value::Null),
            "Query.users" | "Query.invitations" | "Query.apiTokens" | "Query.auditEntries"
            | "Query.nodeGroups" => return (page(name, ""), Value::Null),
            "Query.services" | "Query.routes" | "Query.listeners" | "Query.nodeTokens"
            | "Query.mappings" | "Query.proxies" | "Query.certificates" => {
                return (page(name, &group), Value::Null);
            }
            "Query.rollout" => {
                let version = self.version().await;
                return (format!("{{ {name}(version: \"{version}\") {{ done }} }}"), Value::Null);
            }
            "Query.snapshots" => {
                return (format!("{{ {name}{group} {{ nodes {{ version }} }} }}"), Value::Null);
            }
            "Query.preview" => {
                let changes = format!("[{{ createService: {{ name: \"{}\", ", self.name());
                let changes = format!("{changes}ipFqdn: \"10.0.0.1\", port: 80 }} }}]");
                let of = format!("(input: {{ changes: {changes} }})");
                return (format!("{{ {name}{of} {{ problems {{ code }} }} }}"), Value::Null);
            }
            "Query.serverInfo" => return ("{ serverInfo { version } }".to_owned(), Value::Null),
            "Query.events" => {
                return ("{ events { nodes { cursor } } }".to_owned(), Value::Null);
            }
            "Subscription.eventStream"
            | "Subscription.nackReceived"
            | "Subscription.resourceChanged" => {
                return (format!("subscription {{ {name} {{ __typename }} }}"), Value::Null);
            }
            "Subscription.loadReported" => {
                let query = "subscription { loadReported { node { id } } }";
                return (query.to_owned(), Value::Null);
            }
            "Query.licence" => return ("{ licence { tier } }".to_owned(), Value::Null),
            "Query.snapshot" => return (one(name, self.snapshot().await), Value::Null),
            "Query.snapshotDiff" => {
                let id = self.snapshot().await;
                let of = format!("(from: \"{id}\", to: \"{id}\")");
                return (format!("{{ {name}{of} {{ added }} }}"), Value::Null);
            }
            "Query.xdsNodes" => return ("{ xdsNodes { id } }".to_owned(), Value::Null),
            "Query.search" => {
                return ("{ search(query: \"a\") { id } }".to_owned(), Value::Null);
            }
            "Query.node" => return (one(name, self.default_group()), Value::Null),
            "Query.nodes" => {
                let ids = format!("(ids: [\"{}\"])", self.service().await);
                return (format!("{{ {name}{ids} {{ id }} }}"), Value::Null);
            }
            "Query.user" => return (one(name, self.other().await), Value::Null),
            "Query.service" => return (one(name, self.service().await), Value::Null),
            "Query.route" => return (one(name, self.route().await), Value::Null),
            "Query.mapping" => return (one(name, self.mapping().await), Value::Null),
            "Query.proxy" => return (one(name, self.proxy().await), Value::Null),
            "Query.certificate" => return (one(name, self.certificate().await), Value::Null),
            "Query.listener" => return (one(name, self.listener().await), Value::Null),
            "Query.nodeGroup" => return (one(name, self.default_group()), Value::Null),
            "Query.xdsNode" => {
                return (one(name, id(crate::nodes::NodeId::default())), Value::Null);
            }
            "Subscription.snapshotPublished" => {
                return (format!("subscription {{ {name} {{ version }} }}"), Value::Null);
            }
            "Subscription.nodeStatusChanged" => {
                return (format!("subscription {{ {name} {{ cause }} }}"), Value::Null);
            }
            "Subscription.rollout" => {
                let group = self.app.default_group();
                let snapshots = self.app.snapshots(&self.admin.actor, group, None, 1).await;
                let version = snapshots.unwrap().remove(0).version;
                let query = format!("subscription {{ {name}(version: \"{version}\") {{ done }} }}");
                return (query, Value::Null);
            }
            "Mutation.logout" | "Mutation.enableTwoFactor" => {
                let selection = if name == "logout" { "userId" } else { "uri" };
                return (format!("mutation {{ {name} {{ {selection} }} }}"), Value::Null);
            }
            "Mutation.login" => json!({ "username": "admin", "password": PASSWORD }),
            "Mutation.register" => {
                let input = json!({ "role": "VIEWER" });
                let token = self.made("createInvitation CreateInvitationInput", input, "token");
                let (name, token) = (self.name(), token.await);
                json!({ "username": name, "password": PASSWORD, "invitation": token })
            }
            "Mutation.refreshToken" => {
                let signed_in = sign_in(&self.app, "admin").await;
                json!({ "refreshToken": signed_in.refresh.token.expose_secret() })
            }
            "Mutation.changePassword" => {
                json!({ "currentPassword": PASSWORD, "newPassword": PASSWORD })
            }
            "Mutation.verifyTwoFactor" | "Mutation.disableTwoFactor" => json!({ "code": "000000" }),
            "Mutation.createApiToken" => json!({ "name": self.name(), "role": "MEMBER" }),
            "Mutation.revokeApiToken" => {
                let token = match me {
                    Some(me) => self.api_token(me).await,
                    None => id(crate::model::ApiTokenId::try_from(1).unwrap()),
                };
                json!({ "id": token })
            }
            "Mutation.createUser" => json!({ "username": self.name(), "password": PASSWORD }),
            "Mutation.updateUser" => json!({ "id": self.other().await, "firstName": "A" }),
            "Mutation.deleteUser" | "Mutation.resetTwoFactor" => {
                json!({ "id": self.other().await })
            }
            "Mutation.resetPassword" => {
                json!({ "id": self.other().await, "newPassword": PASSWORD })
            }
            "Mutation.assignNodeGroup" => {
                json!({ "user": self.other().await, "nodeGroup": self.default_group() })
            }
            "Mutation.assignService" => {
                json!({ "user": self.other().await, "service": self.service().await })
            }
            "Mutation.unassignNodeGroup" => {
                let input =
                    json!({ "user": self.other().await, "nodeGroup": self.default_group() });
                let assign = "assignNodeGroup AssignNodeGroupInput";
                self.made(assign, input.clone(), "user.id").await;
                input
            }
            "Mutation.unassignService" => {
                let input = json!({ "user": self.other().await, "service": self.service().await });
                let assign = "assignService AssignServiceInput";
                self.made(assign, input.clone(), "user.id").await;
                input
            }
            "Mutation.createInvitation" => json!({ "role": "VIEWER" }),
            "Mutation.revokeInvitation" => {
                let (made, input) =
                    ("createInvitation CreateInvitationInput", json!({ "role": "VIEWER" }));
                json!({ "id": self.made(made, input, "invitation.id").await })
            }
            "Mutation.createNodeGroup" => json!({ "name": self.name() }),
            "Mutation.updateNodeGroup" => {
                json!({ "id": self.default_group(), "description": "a node group" })
            }
            "Mutation.deleteNodeGroup" => json!({ "id": self.group().await }),
            "Mutation.rotateNodeGroupKey" => json!({ "group": self.default_group() }),
            "Mutation.createNodeToken" => json!({ "name": self.name() }),
            "Mutation.revokeNodeToken" => json!({ "id": self.token().await }),
            "Mutation.createService" => {
                json!({ "name": self.name(), "ipFqdn": "10.0.0.1", "port": 80 })
            }
            "Mutation.updateService" => json!({ "id": self.service().await, "port": 81 }),
            "Mutation.deleteService" => json!({ "id": self.service().await }),
            "Mutation.applyChanges" => {
                let service = json!({ "name": self.name(), "ipFqdn": "10.0.0.1", "port": 80 });
                json!({ "changes": [{ "createService": service }] })
            }
            "Mutation.createRoute" => self.new_route().await,
            "Mutation.updateRoute" => json!({ "id": self.route().await, "priority": 1 }),
            "Mutation.deleteRoute" => json!({ "id": self.route().await }),
            "Mutation.rollback" => json!({ "toSnapshot": self.snapshot().await }),
            "Mutation.createListener" => {
                json!({ "name": self.name(), "port": 30_000 + self.count.get() })
            }
            "Mutation.updateListener" => {
                let port = 40_000 + self.count.get();
                json!({ "id": self.listener().await, "port": port })
            }
            "Mutation.createMapping" => json!({ "name": self.name() }),
            "Mutation.updateMapping" => json!({ "id": self.mapping().await, "comments": "a" }),
            "Mutation.deleteMapping" => json!({ "id": self.mapping().await }),
            "Mutation.deleteListener" => json!({ "id": self.listener().await }),
            "Mutation.uploadCertificate" => self.new_certificate(),
            "Mutation.fetchCertificate" => {
                json!({ "name": self.name(), "from": { "vaultKv": "secret/tls/web" } })
            }
            "Mutation.updateCertificate" => {
                json!({ "id": self.certificate().await, "description": "a certificate" })
            }
            "Mutation.renewCertificate" | "Mutation.deleteCertificate" => {
                json!({ "id": self.certificate().await })
            }
            other => panic!("say here how {other} is asked, so that its rights are tested"),
        };
        assert_eq!(root, "Mutation");
        let input = self.at_its_revision(name, input).await;
        let (first, rest) = name.split_at(1);
        let input_type = match name {
            "deleteNodeGroup" | "deleteService" | "deleteRoute" | "deleteListener"
            | "deleteMapping" | "deleteCertificate" => "DeleteInput".to_owned(),
            "revokeNodeToken" | "revokeApiToken" | "revokeInvitation" => "RevokeInput".to_owned(),
            "verifyTwoFactor" | "disableTwoFactor" => "TwoFactorCodeInput".to_owned(),
            _ => format!("{}{rest}Input", first.to_uppercase()),
        };
        let query =
            format!("mutation($input: {input_type}!) {{ {name}(input: $input) {{ __typename }} }}");
        (query, input)
    }

    /// An API token of a user's.
    /// An update or a deletion has seen the latest.
    async fn at_its_revision(&self, mutation: &str, mut input: Value) -> Value {
        let noun = mutation.strip_prefix("update").or(mutation.strip_prefix("delete"));
        let Some(noun) = noun.filter(|noun| *noun != "User") else { return input };
        let noun = format!("{}{}", noun[..1].to_lowercase(), &noun[1..]);
        let settings = mutation == "updateNodeGroup";
        let revision = if settings { "settingsRevision" } else { "revision" };
        let query = format!("{{ {noun}(id: {}) {{ {revision} }} }}", input["id"]);
        let response = self.ask(Some(self.admin.clone()), &query, &Value::Null).await;
        assert!(response.errors.is_empty(), "{query}: {:?}", response.errors);
        let found = response.data.into_json().unwrap();
        input["ifRevision"] = found[noun][revision].clone();
        input
    }

    async fn api_token(&self, user: &Authenticated) -> String {
        let spec = crate::model::ApiTokenSpec {
            name: self.name().try_into().unwrap(),
            role: Role::Member,
            group: None,
            expires_at: None,
        };
        id(self.app.create_api_token(&user.actor, spec).await.unwrap().0.id)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "ids are copied")]
fn id(id: impl GlobalId) -> String {
    id.global().to_string()
}

async fn sign_in(app: &App, login: &str) -> SignedIn {
    let (login, password) = (login.to_owned(), PASSWORD.into());
    let credentials = Credentials { login, password, code: None };
    match app.sign_in(credentials, Origin::default()).await.unwrap() {
        SignIn::Done(signed_in) => *signed_in,
        SignIn::NeedsCode(_) => panic!("it takes a code"),
    }
}

async fn come(app: &App, signed_in: &SignedIn) -> Authenticated {
    app.authenticate(signed_in.access.token.expose_secret(), Origin::default()).await.unwrap()
}

/// The first error's code.
fn code(response: &Response) -> Option<String> {
    let error = response.errors.first()?;
    let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
    Some(code.map(ToString::to_string).unwrap_or_default().replace('"', ""))
}

/// Every root field, as `Query.services`.
async fn root_fields(schema: &ApiSchema) -> BTreeSet<String> {
    let roots = ["Query", "Mutation", "Subscription"];
    let fields = roots.map(|root| {
        let field = root.to_lowercase();
        format!("{root}: __type(name: \"{root}\") {{ {field}: fields {{ name }} }}")
    });
    let response = schema.execute(format!("{{ {} }}", fields.join(" "))).await;
    assert!(response.errors.is_empty(), "{:?}", response.errors);
    let data = response.data.into_json().unwrap();
    let names = roots.into_iter().flat_map(|root| {
        let fields = data[root][root.to_lowercase()].as_array().unwrap();
        fields.iter().map(move |field| format!("{root}.{}", field["name"].as_str().unwrap()))
    });
    names.collect()
}

#[tokio::test]
async fn every_root_field_has_one_row_among_the_rights() {
    let plane = Plane::start().await;
    let fields = root_fields(&plane.schema).await;
    assert!(fields.len() > 50, "only {} fields", fields.len());
    let rows: Vec<_> = Operation::ALL.iter().flat_map(|operation| operation.graphql()).collect();
    let unique: BTreeSet<_> = rows.iter().map(|row| (**row).to_owned()).collect();
    assert_eq!(rows.len(), unique.len(), "a field has two rows");
    assert_eq!(fields, unique, "left: fields of the schema; right: rows of auth/rights.rs");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_does_what_its_row_says_for_everybody() {
    let plane = Plane::start().await;
    let mut everybody = vec![];
    for role in ROLES {
        let caller = match role {
            Some(role) => {
                let (_, name) = plane.user(role).await;
                Some(come(&plane.app, &sign_in(&plane.app, &name).await).await)
            }
            None => None,
        };
        everybody.push((role, caller));
    }
    let mut wrong = vec![];
    for operation in Operation::ALL {
        for field in operation.graphql() {
            for (role, caller) in &everybody {
                if let Err(e) = check(&plane, *operation, field, *role, caller.as_ref()).await {
                    wrong.push(format!("{field} as {role:?}: {e}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

async fn check(
    plane: &Plane,
    operation: Operation,
    field: &str,
    role: Option<Role>,
    caller: Option<&Authenticated>,
) -> Result<(), String> {
    let (query, input) = plane.question(field, caller).await;
    let before = done(plane).await;
    let response = plane.ask(caller.cloned(), &query, &input).await;
    let code = code(&response);
    let may = match (operation.needs(), role) {
        (Needs::Nothing, _) | (Needs::SignIn | Needs::Session | Needs::Seen(_), Some(_)) => true,
        (Needs::Role(least, _), Some(role)) => role >= least,
        (Needs::GroupKey, Some(_)) | (_, None) => false,
    };
    if may {
        // What is about something that cannot be there: a node, a wrong code.
        let expected = match field {
            "Query.xdsNode" => Some("NOT_FOUND"),
            "Mutation.verifyTwoFactor" => Some("UNAUTHENTICATED"),
            "Mutation.disableTwoFactor"
            // No store is set up, and an uploaded one is not fetched anew.
            | "Mutation.fetchCertificate"
            | "Mutation.renewCertificate" => Some("REFUSED"),
            "Query.nodeGroup" if role == Some(Role::Member) => Some("NOT_FOUND"),
            _ => None,
        };
        let good = code.as_deref() == expected;
        return if good { Ok(()) } else { Err(format!("{:?}", response.errors)) };
    }
    // What somebody may not see is not there for them.
    let refused = match (role, code.as_deref()) {
        (None, Some("UNAUTHENTICATED")) | (Some(_), Some("FORBIDDEN" | "NOT_FOUND")) => true,
        (None | Some(_), _) => false,
    };
    match (refused, done(plane).await == before) {
        (true, true) => Ok(()),
        (true, false) => Err("it was refused, and done".to_owned()),
        (false, _) => Err(format!("it was not refused: {code:?} {:?}", response.data)),
    }
}

/// How many changes there were.
async fn done(plane: &Plane) -> usize {
    let filter = crate::model::AuditFilter { refused: Some(false), ..Default::default() };
    let entries = plane.app.audit_entries(&plane.admin.actor, &filter, None, 100_000).await;
    entries.unwrap().len()
}

#[tokio::test]
async fn an_operation_without_rights_over_everything_has_none_over_a_group() {
    for operation in Operation::ALL {
        if let Needs::Role(least, _) = operation.needs() {
            let scope = Scope::Group(NodeGroupId::try_from(1).unwrap());
            for role in ROLES.into_iter().flatten() {
                let may = crate::auth::actor(role).may(*operation, scope).is_ok();
                assert_eq!(may, role >= least, "{operation:?} {role:?}");
            }
        }
    }
}
