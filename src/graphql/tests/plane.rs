//! A control plane to ask, and what stands in it.

use std::time::Duration;

use async_graphql::{Request, Response};
use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::app::{
    App, Authenticated, Credentials, FirstAdmin, Gates, Ground, NewUser, Retention, Setup, SignIn,
    SignedIn,
};
use crate::auth::{Keys, Lifetimes, NodeAccess, NodeAuth, Origin, PresentedToken};
use crate::graphql::global_id::GlobalId;
use crate::graphql::{ApiSchema, Introspection, schema};
use crate::hub::Hub;
use crate::model::{ProxySpec, Role, UserId, UserSpec};
use crate::nodes::Nodes;
use crate::publish::Publisher;
use crate::store::{DatabaseUrl, Store};

pub(super) const PASSWORD: &str = "correct horse battery staple";

/// A control plane without sockets.
pub(in crate::graphql) struct Plane {
    pub(in crate::graphql) app: App,
    pub(in crate::graphql) store: Store,
    pub(in crate::graphql) nodes: std::sync::Arc<Nodes>,
    pub(super) schema: ApiSchema,
    pub(in crate::graphql) admin: Authenticated,
    publisher: Publisher,
    /// What makes names unique.
    pub(super) count: std::cell::Cell<u32>,
    _dir: TempDir,
}

impl Plane {
    pub(in crate::graphql) async fn start() -> Self {
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
    pub(super) async fn snapshot(&self) -> String {
        let group = self.app.default_group();
        let newest = self.app.snapshots(&self.admin.actor, group, None, 1).await.unwrap();
        id(newest[0].id)
    }

    /// The version of the default group's newest snapshot.
    pub(super) async fn version(&self) -> String {
        let group = self.app.default_group();
        let newest = self.app.snapshots(&self.admin.actor, group, None, 1).await.unwrap();
        newest[0].version.clone()
    }

    /// A new user, and their name.
    pub(super) async fn user(&self, role: Role) -> (UserId, String) {
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
    pub(in crate::graphql) fn made_so_far(&self) -> u32 {
        self.count.get()
    }

    pub(in crate::graphql) fn name(&self) -> String {
        self.count.set(self.count.get() + 1);
        format!("n{}", self.count.get())
    }

    pub(in crate::graphql) async fn ask(
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
    pub(in crate::graphql) async fn made(
        &self,
        mutation: &str,
        input: Value,
        path: &str,
    ) -> String {
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

    pub(super) async fn service(&self) -> String {
        let input = json!({ "name": self.name(), "ipFqdn": "10.0.0.1", "port": 80 });
        self.made("createService CreateServiceInput", input, "service.id").await
    }

    pub(super) async fn mapping(&self) -> String {
        let input = json!({ "name": self.name() });
        self.made("createMapping CreateMappingInput", input, "mapping.id").await
    }

    /// A registered proxy: always the same one, as it has always the same name.
    pub(super) async fn proxy(&self) -> String {
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

    pub(super) async fn listener(&self) -> String {
        let port = 20_000 + self.count.get();
        let input = json!({ "name": self.name(), "port": port });
        self.made("createListener CreateListenerInput", input, "listener.id").await
    }

    pub(super) fn new_certificate(&self) -> Value {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        json!({ "name": self.name(), "certData": pem, "keyData": key.serialize_pem() })
    }

    pub(in crate::graphql) async fn certificate(&self) -> String {
        let upload = "uploadCertificate UploadCertificateInput";
        self.made(upload, self.new_certificate(), "certificate.id").await
    }

    pub(super) async fn route(&self) -> String {
        self.made("createRoute CreateRouteInput", self.new_route().await, "route.id").await
    }

    pub(in crate::graphql) async fn new_route(&self) -> Value {
        let backends = json!([{ "service": self.service().await }]);
        let hosts = [format!("{}.example.org", self.name())];
        json!({ "name": self.name(), "hosts": hosts, "backends": backends })
    }

    pub(super) async fn group(&self) -> String {
        let input = json!({ "name": self.name() });
        self.made("createNodeGroup CreateNodeGroupInput", input, "nodeGroup.id").await
    }

    pub(super) async fn token(&self) -> String {
        let input = json!({ "name": self.name() });
        self.made("createNodeToken CreateNodeTokenInput", input, "nodeToken.id").await
    }

    pub(super) async fn other(&self) -> String {
        id(self.user(Role::Member).await.0)
    }

    pub(super) fn default_group(&self) -> String {
        id(self.app.default_group())
    }

    /// An API token of a user's.
    pub(super) async fn api_token(&self, user: &Authenticated) -> String {
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
pub(super) fn id(id: impl GlobalId) -> String {
    id.global().to_string()
}

pub(super) async fn sign_in(app: &App, login: &str) -> SignedIn {
    let (login, password) = (login.to_owned(), PASSWORD.into());
    let credentials = Credentials { login, password, code: None };
    match app.sign_in(credentials, Origin::default()).await.unwrap() {
        SignIn::Done(signed_in) => *signed_in,
        SignIn::NeedsCode(_) => panic!("it takes a code"),
    }
}

pub(super) async fn come(app: &App, signed_in: &SignedIn) -> Authenticated {
    app.authenticate(signed_in.access.token.expose_secret(), Origin::default()).await.unwrap()
}
