//! Sign-in and rights, against a real database.

mod accounts;
mod audit;
mod events;
mod rights;
mod sessions;

use chrono::{Duration, Utc};
use futures_util::FutureExt as _;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::*;
use crate::auth::{Edge, Lifetimes, NodeAuth, Origin, UserSecret, Via};
use crate::model::Labels;
use crate::model::{
    ApiTokenSpec, AssignedRole, AuditFilter, Endpoint, HttpVersion, InvitationSpec, LoadBalancing,
    Name, NewPassword, NodeGroupSpec, Page, PasswordHash, Protocol, Role, ServiceSpec, SessionId,
    Timeouts, User, UserChange, UserId, UserSpec,
};
use crate::store::DatabaseUrl;

const PASSWORD: &str = "correct horse battery staple";
const SECRET: &str = "a secret for tests, and for nothing else";

struct Plane {
    app: App,
    store: Store,
    admin: Actor,
    _dir: TempDir,
}

fn origin() -> Origin {
    Origin {
        edge: Edge::Rest,
        address: Some([192, 0, 2, 7].into()),
        user_agent: Some("curl/8".to_owned()),
        request_id: Some("r-1".to_owned()),
    }
}

fn name(name: &str) -> Name {
    name.to_owned().try_into().unwrap()
}

fn password(text: &str) -> NewPassword {
    secrecy::SecretString::from(text).try_into().unwrap()
}

fn spec(name: &str, role: Role) -> UserSpec {
    UserSpec {
        username: name.to_owned().try_into().unwrap(),
        email: Some(format!("{name}@marchproxy.local").try_into().unwrap()),
        first_name: None,
        last_name: None,
        role,
        is_active: true,
        is_verified: false,
    }
}

fn service_spec(text: &str) -> ServiceSpec {
    ServiceSpec {
        labels: Labels::NONE,
        name: name(text),
        protocol: Protocol::Http(HttpVersion::Http1),
        endpoints: vec![Endpoint {
            host: "10.0.0.1".to_owned().try_into().unwrap(),
            port: 80.try_into().unwrap(),
            weight: 1.try_into().unwrap(),
        }],
        load_balancing: LoadBalancing::RoundRobin,
        timeouts: Timeouts {
            connect: 5000.try_into().unwrap(),
            request: 15_000.try_into().unwrap(),
            idle: 3_600_000.try_into().unwrap(),
        },
        health_check: None,
        tls: None,
        collection: None,
        auth: Default::default(),
        metadata: None,
        is_active: true,
    }
}

impl Plane {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::Sqlite(dir.path().join("db"))).await.unwrap();
        let username = "admin".to_owned().try_into().unwrap();
        let admin = FirstAdmin { username, password: Some(PASSWORD.into()) };
        let keys = Keys::new(&SECRET.into(), Lifetimes::default());
        let setup = Setup::run(&store, admin, Retention::default(), &keys.sealer).await;
        let group = setup.unwrap().default_group;
        let app = App::new(
            store.clone(),
            Hub::new(),
            Nodes::new(),
            Nudge::default(),
            keys,
            Gates::without_licence(NodeAccess::new(NodeAuth::None, false)),
            Ground { default_group: group, retention: Retention::default() },
        );
        let mut plane = Self { app, store, admin: crate::auth::actor(Role::Admin), _dir: dir };
        plane.admin = plane.come("admin").await;
        plane
    }

    async fn sign_in(&self, login: &str, password: &str, code: Option<&str>) -> Result<SignIn> {
        let (login, code) = (login.to_owned(), code.map(ToOwned::to_owned));
        let credentials = Credentials { login, password: password.into(), code };
        self.app.sign_in(credentials, origin()).await
    }

    async fn signed_in(&self, login: &str) -> SignedIn {
        match self.sign_in(login, PASSWORD, None).await.unwrap() {
            SignIn::Done(signed_in) => *signed_in,
            SignIn::NeedsCode(_) => panic!("it takes a code"),
        }
    }

    /// Signs in and comes back with the token.
    async fn come(&self, login: &str) -> Actor {
        self.back(&self.signed_in(login).await).await.unwrap()
    }

    async fn back(&self, signed_in: &SignedIn) -> Result<Actor> {
        self.with(signed_in.access.token.expose_secret()).await
    }

    async fn with(&self, token: &str) -> Result<Actor> {
        Ok(self.app.authenticate(token, origin()).await?.actor)
    }

    async fn user(&self, name: &str, role: Role) -> User {
        let new = NewUser { spec: spec(name, role), password: password(PASSWORD) };
        self.app.create_user(&self.admin, new).await.unwrap()
    }

    async fn service(&self, group: Option<NodeGroupId>, text: &str) -> crate::model::Service {
        let new = NewService { group, spec: service_spec(text) };
        self.app.create_service(&self.admin, new).await.unwrap().0.service
    }

    async fn group(&self, text: &str) -> NodeGroupId {
        let spec = NodeGroupSpec::named(name(text));
        self.app.create_node_group(&self.admin, spec).await.unwrap().0.id
    }

    async fn audit(&self) -> Vec<crate::model::AuditEntry> {
        let filter = AuditFilter::default();
        self.app.audit_entries(&self.admin, &filter, None, 1000).await.unwrap()
    }
}

/// The message of a refusal, and its code on the edges.
fn refused<T: std::fmt::Debug>(result: Result<T>) -> (String, u16) {
    let error = result.unwrap_err();
    (error.to_string(), error.codes().http.as_u16())
}

fn mistaken(why: &str) -> (String, u16) {
    (why.to_owned(), 401)
}

fn unauthenticated(why: &str) -> (String, u16) {
    (format!("sign in first: {why}"), 401)
}
