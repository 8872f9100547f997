//! An App to test with: a database of its own, set up as at the first start.

use std::num::NonZeroU32;

use tempfile::TempDir;

use super::{App, FirstAdmin, Gates, Ground, Retention, Setup};
use crate::auth::{Actor, Keys, Lifetimes, NodeAccess, NodeAuth, actor};
use crate::hub::Hub;
use crate::model::Role;
use crate::nodes::Nodes;
use crate::publish::Nudge;
use crate::store::{DatabaseUrl, Store};

/// An App whose nodes have to prove themselves like this.
pub(super) async fn app(access: NodeAccess) -> (App, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (open(&dir, access, 100).await, dir)
}

/// An App that keeps so many snapshots, and its administrator.
pub(super) async fn app_that_keeps(snapshots: u32) -> (App, Actor, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let app = open(&dir, NodeAccess::new(NodeAuth::None, false), snapshots).await;
    (app, admin(), dir)
}

/// An App on the database in a directory, be it new or not.
pub(super) async fn open(dir: &TempDir, access: NodeAccess, snapshots: u32) -> App {
    let store = Store::open(&DatabaseUrl::Sqlite(dir.path().join("db"))).await.unwrap();
    let username = "admin".to_owned().try_into().unwrap();
    let admin = FirstAdmin { username, password: Some("correct horse".into()) };
    let retention = Retention::from(NonZeroU32::new(snapshots).unwrap());
    let keys = Keys::new(&"secret".into(), Lifetimes::default());
    let setup = Setup::run(&store, admin, retention, &keys.sealer).await.unwrap();
    let default_group = setup.default_group;
    let (hub, nodes) = (Hub::new(), Nodes::new());
    let ground = Ground { default_group, retention };
    let gates = Gates::without_licence(access);
    App::new(store, hub, nodes, Nudge::default(), keys, gates, ground)
}

/// The administrator that the setup makes.
pub(super) fn admin() -> Actor {
    actor(Role::Admin)
}
