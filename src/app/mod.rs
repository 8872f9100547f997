//! Floor 4: every operation, once.
//!
//! An operation authorises, opens a transaction, does its work, and seals it:
//! the group's revision grows by one, the desired state is compiled inside the
//! transaction, the snapshot is recorded, all of it is committed, and only then
//! is the publisher nudged. What does not compile is never stored. The edges
//! (GraphQL, ADS) translate to and from this; they decide nothing.

mod health;
mod listeners;
mod loads;
mod node_groups;
mod node_tokens;
mod nodes;
mod rollout;
mod routes;
mod services;
mod setup;
mod sign_in;
mod snapshots;

use std::sync::Arc;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use marchproxy_xds::{ResourceType, Snapshot};
use tokio::task::spawn_blocking;

use crate::auth::{Actor, NodeAccess, Tokens};
use crate::compile::{TYPES, compile};
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::loads::Loads;
use crate::model::{NewSnapshot, SnapshotRecord, TypeRecord};
use crate::model::{NodeGroupId, Revision};
use crate::nodes::Nodes;
use crate::publish::Nudge;
use crate::store::{Store, Tx};

pub use health::Health;
pub use listeners::NewListener;
pub use loads::{LoadAdmission, LoadWatcher};
pub use node_tokens::NewNodeToken;
pub use nodes::{Admission, Identity, Watcher};
pub use rollout::{NodeProgress, Outcome, Progress, Quorum, WaitFor};
pub use routes::NewRoute;
pub use services::{NewService, envoy_cluster};
pub use setup::{FirstAdmin, Setup};
pub use sign_in::SignedIn;

/// The control plane's state and operations; cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    store: Store,
    hub: Arc<Hub>,
    nodes: Arc<Nodes>,
    loads: Arc<Loads>,
    nudge: Nudge,
    tokens: Tokens,
    access: NodeAccess,
    /// The group that is meant where none is named. It cannot be deleted.
    default_group: NodeGroupId,
}

/// What became of a change: the group's new state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose proxies are given it.
    pub group: NodeGroupId,
    /// The group's revision since.
    pub revision: Revision,
    /// The version of the group's snapshot since.
    pub version: String,
}

/// A change under way: the writer's transaction on one group.
///
/// Dropped, nothing has happened.
struct Edit<'a> {
    app: &'a App,
    tx: Tx,
    actor: &'a Actor,
    group: NodeGroupId,
    revision: Revision,
    now: DateTime<Utc>,
}

impl App {
    /// Puts the parts together.
    pub fn new(
        store: Store,
        hub: Arc<Hub>,
        nodes: Arc<Nodes>,
        nudge: Nudge,
        tokens: Tokens,
        access: NodeAccess,
        default_group: NodeGroupId,
    ) -> Self {
        let loads = Loads::new();
        Self(Arc::new(Parts { store, hub, nodes, loads, nudge, tokens, access, default_group }))
    }

    /// The group that is meant where none is named.
    pub fn default_group(&self) -> NodeGroupId {
        self.0.default_group
    }

    /// Begins a change of `group` by `actor`.
    ///
    /// The revision grows first: that locks the group's row, so that changes
    /// of one group come one after the other on any database.
    async fn edit<'a>(&'a self, actor: &'a Actor, group: NodeGroupId) -> Result<Edit<'a>> {
        actor.may_edit()?;
        let tx = self.0.store.write().await?;
        let revision = tx.bump_revision(group).await?;
        Ok(Edit { app: self, tx, actor, group, revision, now: now() })
    }

    /// A transaction for `actor` to look around in.
    async fn view(&self, actor: &Actor) -> Result<Tx> {
        actor.may_view()?;
        self.0.store.read().await
    }
}

impl Edit<'_> {
    /// Compiles what the change made of the group, commits it, and nudges the
    /// publisher; `cause` says in the group's history what was done.
    async fn seal(self, cause: String) -> Result<Change> {
        let Self { app, tx, actor, group, revision, now } = self;
        let record = record(&tx, group, cause, Some(actor), now).await?;
        tx.commit().await?;
        app.0.nudge.nudge();
        tracing::info!(
            node_group.id = %group, %revision, version = record.version,
            user.name = %actor.username, cause = record.cause, "committed a change"
        );
        Ok(Change { group, revision, version: record.version })
    }
}

/// Compiles the group as the transaction sees it, and keeps what came out in
/// the group's history. An error leaves nothing behind but a rollback.
async fn record(
    tx: &Tx,
    group: NodeGroupId,
    cause: String,
    actor: Option<&Actor>,
    now: DateTime<Utc>,
) -> Result<SnapshotRecord> {
    let state = tx.desired_state(group).await?;
    let revision = state.group.revision;
    let snapshot = spawn_blocking(move || compile(&state)).await.map_err(Error::internal)??;
    let new = NewSnapshot {
        group,
        revision,
        version: snapshot.digest().to_string(),
        types: types(&snapshot),
        cause,
        author: actor.map(|actor| actor.user),
    };
    tx.insert_snapshot(new, now).await
}

/// What a snapshot holds of each type, as history keeps it.
fn types(snapshot: &Snapshot) -> std::collections::BTreeMap<String, TypeRecord> {
    let record = |t: ResourceType| TypeRecord {
        version: snapshot.version(t).to_string(),
        count: snapshot.count(t),
    };
    TYPES.into_iter().map(|t| (t.to_string(), record(t))).collect()
}

/// The present, to the microsecond, as every database keeps it.
fn now() -> DateTime<Utc> {
    let now = Utc::now();
    now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(now)
}
