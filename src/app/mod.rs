//! Floor 4: every operation, once.
//!
//! An operation authorises, opens a transaction, does its work, and seals it:
//! the group's revision grows by one, the desired state is compiled inside the
//! transaction, the snapshot is recorded, all of it is committed, and only then
//! is the publisher nudged. What does not compile is never stored. The edges
//! (GraphQL, ADS) translate to and from this; they decide nothing.

mod adoption;
mod api_tokens;
mod assignments;
mod audit;
#[cfg(test)]
mod audit_tests;
mod certificates;
mod changes;
mod content;
mod dry_run;
mod events;
mod health;
#[cfg(test)]
mod history_tests;
mod import;
mod invitations;
mod licence;
mod listeners;
mod loads;
mod mappings;
mod node_groups;
mod node_reports;
mod node_tokens;
mod nodes;
mod preview;
mod proxies;
mod proxy_config;
mod rollback;
#[cfg(test)]
mod rollback_tests;
mod rollout;
mod routes;
mod search;
mod second_factor;
mod services;
mod setup;
mod shown;
mod sign_in;
mod sign_in_limit;
mod snapshots;
mod step;
mod sync;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod users;
mod xds_stats;

use std::num::NonZeroU32;
use std::sync::Arc;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use marchproxy_xds::{Clients, ResourceType, Snapshot};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::auth::{
    Actor, Edge, Keys, NodeAccess, Operation, Origin, Passwords, Scope, Sealer, Tokens,
};
use crate::compile::{CompileError, TYPES, compile};
use crate::error::{Error, Result};
use crate::events::EventLog;
use crate::history;
use crate::hub::Hub;
use crate::licence::{LicenceSettings, Licensing};
use crate::loads::Loads;
use crate::model::{
    DesiredState, KeptItem, Name, NewAuditEntry, NewSnapshot, SnapshotRecord, TypeRecord,
};
use crate::model::{NodeGroupId, Revision};
use crate::nodes::Nodes;
use crate::publish::Nudge;
use crate::secret_stores::SecretStores;
use crate::store::{Store, Tx};

use self::audit::Note;
use self::dry_run::Mode;
use self::node_reports::NodeReports;
use self::step::Done;

pub use certificates::{BatchItem, BatchOutcome, CertificateQuery, NewCertificate};
pub use changes::{
    Applied, ChangeReader, Changes, Made, NewChange, ReadChange, UploadedCertificate,
};
pub use content::{Content, ContentCertificate, ContentRoute};
pub use events::EventRetention;
pub use health::Health;
pub use import::{Import, ImportReport, Remark};
pub use invitations::Registration;
pub use listeners::NewListener;
pub use loads::{LoadAdmission, LoadRate, LoadWatcher};
pub use mappings::NewMapping;
pub use node_groups::CountedGroup;
pub use node_tokens::NewNodeToken;
pub use nodes::{Admission, Identity, Watcher};
pub use preview::{Preview, PreviewDiff, Problem, ReachedNode};
pub use proxy_config::{ProxyConfig, ServiceConfig};
pub use rollback::Rollback;
pub use rollout::{NodeProgress, Outcome, Progress, Quorum, WaitFor};
pub use routes::NewRoute;
pub use search::Found;
pub use second_factor::SecondFactorOffer;
pub use services::{NewService, Served, envoy_cluster};
pub use setup::{FirstAdmin, Setup};
pub use sign_in::{Authenticated, Credentials, SignIn, SignedIn};
pub use sign_in_limit::SignInLimit;
pub use snapshots::{ChangedItem, ShownItem};
pub use sync::{ResourceSync, rank};
pub use users::{NewUser, Removal};
pub use xds_stats::{Standing, XdsStats};

/// The control plane's state and operations; cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>, Mode);

#[derive(Debug)]
struct Parts {
    store: Store,
    hub: Arc<Hub>,
    nodes: Arc<Nodes>,
    /// The streams of nodes, to be asked how they stand.
    clients: Clients,
    loads: Arc<Loads>,
    nudge: Nudge,
    events: Arc<EventLog>,
    reports: Arc<NodeReports>,
    tokens: Tokens,
    sealer: Arc<Sealer>,
    passwords: Passwords,
    access: NodeAccess,
    licensing: Licensing,
    stores: SecretStores,
    /// Says that accounts have changed: whoever stays connected looks again.
    accounts: watch::Sender<()>,
    /// How often somebody may fail to sign in; as often as they like if not said.
    sign_ins: Option<SignInLimit>,
    retention: Retention,
    /// The group that is meant where none is named. It cannot be deleted.
    default_group: NodeGroupId,
}

/// What lets in, what keeps out, and what is fetched from elsewhere.
#[derive(Debug)]
pub struct Gates {
    /// What nodes have to prove.
    pub nodes: NodeAccess,
    /// What the licence allows.
    pub licence: Licensing,
    /// How often somebody may fail to sign in; as often as they like if not said.
    pub sign_ins: Option<SignInLimit>,
    /// Where certificates are fetched from.
    pub stores: SecretStores,
}

impl Gates {
    /// Asks nodes for what `nodes` says, and nobody for a licence; and counts no
    /// attempts to sign in.
    pub fn without_licence(nodes: NodeAccess) -> Self {
        let licence = Licensing::new(LicenceSettings::not_enforced());
        Self { nodes, licence, sign_ins: None, stores: SecretStores::default() }
    }
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
    /// Whether that is only what would be.
    pub dry_run: bool,
}

/// Who asks for a change.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// Somebody who signed in.
    User(&'a Actor),
    /// Whoever may use the internal API, from there: its socket decides that.
    Internal(&'a Origin),
    /// The control plane itself.
    Itself,
}

/// What the start made sure of.
#[derive(Clone, Copy, Debug)]
pub struct Ground {
    /// The group that is meant where none is named.
    pub default_group: NodeGroupId,
    /// How much history is kept.
    pub retention: Retention,
}

/// A change under way: the writer's transaction on one group.
///
/// Dropped, nothing has happened.
struct Edit<'a> {
    app: &'a App,
    tx: Tx,
    by: By<'a>,
    operation: Operation,
    group: NodeGroupId,
    revision: Revision,
    note: Note,
    now: DateTime<Utc>,
}

impl App {
    /// Puts the parts together.
    pub fn new(
        store: Store,
        hub: Arc<Hub>,
        nodes: Arc<Nodes>,
        nudge: Nudge,
        keys: Keys,
        gates: Gates,
        ground: Ground,
    ) -> Self {
        let (loads, passwords) = (Loads::new(), Passwords::default());
        let events = EventLog::new(store.clone());
        let reports = NodeReports::new(events.instance());
        let accounts = watch::Sender::new(());
        let Ground { default_group, retention } = ground;
        let parts = Parts {
            store,
            hub,
            nodes,
            clients: Clients::default(),
            loads,
            nudge,
            events,
            reports,
            tokens: keys.tokens,
            sealer: keys.sealer,
            passwords,
            access: gates.nodes,
            licensing: gates.licence,
            stores: gates.stores,
            accounts,
            sign_ins: gates.sign_ins,
            retention,
            default_group,
        };
        Self(Arc::new(parts), Mode::Real)
    }

    /// The group that is meant where none is named.
    pub fn default_group(&self) -> NodeGroupId {
        self.0.default_group
    }

    /// Begins `operation`, which changes the group that `scope` is in, by `actor`.
    ///
    /// The revision grows first: that locks the group's row, so that changes of one
    /// group come one after the other on any database.
    async fn begin<'a>(
        &'a self,
        actor: &'a Actor,
        operation: Operation,
        scope: impl Into<Scope>,
    ) -> Result<Edit<'a>> {
        self.begin_by(By::User(actor), operation, scope).await
    }

    /// As [`App::begin`], by whoever it is.
    async fn begin_by<'a>(
        &'a self,
        by: By<'a>,
        operation: Operation,
        scope: impl Into<Scope>,
    ) -> Result<Edit<'a>> {
        let scope = scope.into();
        by.may(operation, scope)?;
        let group = scope.group().ok_or(Error::Forbidden)?;
        let tx = self.write().await?;
        let revision = tx.bump_revision(group).await?;
        let note = Note::default();
        Ok(Edit { app: self, tx, by, operation, group, revision, note, now: now() })
    }

    /// Whether `actor` may ask for things by their ids. What they are given of each is
    /// decided where it is read.
    pub fn may_read_by_id(&self, actor: &Actor) -> Result<()> {
        actor.may(Operation::ReadById, Scope::Everywhere)
    }

    /// A transaction for what `operation` reads of `scope`.
    async fn look(
        &self,
        actor: &Actor,
        operation: Operation,
        scope: impl Into<Scope>,
    ) -> Result<Tx> {
        actor.may(operation, scope)?;
        self.0.store.read().await
    }
}

impl<'a> By<'a> {
    /// Whether they may do `operation` to what `scope` says.
    fn may(self, operation: Operation, scope: Scope) -> Result<()> {
        match self {
            Self::User(actor) => actor.may(operation, scope),
            Self::Internal(_) | Self::Itself => Ok(()),
        }
    }

    /// Whether they may hear of a group at all.
    fn knows_group(self, group: NodeGroupId) -> bool {
        match self {
            Self::User(actor) => actor.knows_group(group),
            Self::Internal(_) | Self::Itself => true,
        }
    }

    /// An entry of the audit log of what they did.
    fn entry(self, operation: Operation, summary: String, note: Note) -> NewAuditEntry {
        match self {
            Self::User(actor) => audit::by(actor, operation, summary, note),
            Self::Internal(origin) => audit::entry(operation, origin, summary, note),
            Self::Itself => {
                let origin = Origin { edge: Edge::Background, ..Default::default() };
                audit::entry(operation, &origin, summary, note)
            }
        }
    }

    /// The user, if it is one.
    fn user(self) -> Option<&'a Actor> {
        match self {
            Self::User(actor) => Some(actor),
            Self::Internal(_) | Self::Itself => None,
        }
    }
}

/// `Stale` unless something is at the revision that the caller has seen, if they say.
fn check_revision(
    kind: &'static str,
    name: &Name,
    is: Revision,
    expected: Option<Revision>,
) -> Result<()> {
    match expected {
        Some(expected) if expected != is => {
            let path = vec!["ifRevision".to_owned()];
            Err(Error::Stale { kind, name: name.to_string(), revision: is, path })
        }
        Some(_) | None => Ok(()),
    }
}

impl Edit<'_> {
    /// What the change does, for the audit log.
    fn noting(self, note: Note) -> Self {
        Self { note, ..self }
    }

    /// Compiles what the change made of the group, commits it, and nudges the
    /// publisher; `cause` says in the group's history what was done.
    async fn seal(self, cause: String) -> Result<Change> {
        Ok(self.seal_if(cause, |_| Ok(())).await?.1)
    }

    /// As [`Edit::seal`], if what came of it is good.
    async fn seal_if(
        self,
        cause: String,
        good: impl FnOnce(&SnapshotRecord) -> Result<()>,
    ) -> Result<(SnapshotRecord, Change)> {
        let compiled = self.compile().await??;
        Box::pin(self.seal_compiled(compiled, cause, good)).await
    }

    /// What the change makes of the group, or why it comes to nothing.
    async fn compile(&self) -> Result<Result<Compiled, CompileError>> {
        let state = self.tx.desired_state(self.group).await?;
        compiled(self.app.0.sealer.open_keys(state)).await
    }

    async fn seal_compiled(
        self,
        compiled: Compiled,
        cause: String,
        good: impl FnOnce(&SnapshotRecord) -> Result<()>,
    ) -> Result<(SnapshotRecord, Change)> {
        let Self { app, tx, by, operation, group, revision, note, now } = self;
        let before = Box::pin(events::before(&tx, operation, group, revision)).await?;
        let record = keep(&tx, compiled, cause.clone(), by.user(), now, app.0.retention).await?;
        good(&record)?;
        let about = note.about();
        let entry = NewAuditEntry { group: Some(group), ..by.entry(operation, cause, note) };
        events::tell_change(&tx, &entry, about, now);
        Box::pin(events::tell_changes(&tx, &entry, before, revision, now)).await?;
        tx.insert_audit_entry(entry, now).await?;
        tx.commit().await?;
        let change =
            Change { group, revision, version: record.version.clone(), dry_run: app.is_dry_run() };
        if change.dry_run {
            return Ok((record, change));
        }
        app.nudge();
        let user = by.user().map(|actor| &actor.username);
        tracing::info!(
            node_group.id = %group, %revision, version = record.version,
            user.name = user.map_or("(internal)", |name| name.as_str()),
            cause = record.cause, "committed a change"
        );
        Ok((record, change))
    }
}

/// How many snapshots of a group are kept; the oldest go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention(NonZeroU32);

impl From<NonZeroU32> for Retention {
    fn from(snapshots: NonZeroU32) -> Self {
        Self(snapshots)
    }
}

impl Default for Retention {
    /// As much as is kept if nobody says otherwise.
    fn default() -> Self {
        Self(NonZeroU32::MIN.saturating_add(999))
    }
}

impl Retention {
    /// The oldest revision that is kept when `newest` is the newest.
    fn oldest(self, newest: Revision) -> Revision {
        (i64::from(newest) - i64::from(self.0.get()) + 1).into()
    }
}

/// What a group comes to.
struct Compiled {
    group: NodeGroupId,
    revision: Revision,
    snapshot: Snapshot,
    /// What history keeps of it.
    items: Vec<KeptItem>,
}

/// Compiles the group as the transaction sees it, and keeps what came out in
/// the group's history. An error leaves nothing behind but a rollback.
async fn record(
    tx: &Tx,
    group: NodeGroupId,
    cause: String,
    actor: Option<&Actor>,
    now: DateTime<Utc>,
    retention: Retention,
    sealer: &Sealer,
) -> Result<SnapshotRecord> {
    let compiled = compiled(sealer.open_keys(tx.desired_state(group).await?)).await??;
    keep(tx, compiled, cause, actor, now, retention).await
}

/// Keeps what a group comes to in its history.
async fn keep(
    tx: &Tx,
    compiled: Compiled,
    cause: String,
    actor: Option<&Actor>,
    now: DateTime<Utc>,
    retention: Retention,
) -> Result<SnapshotRecord> {
    let Compiled { group, revision, snapshot, items } = compiled;
    let new = NewSnapshot {
        group,
        revision,
        version: snapshot.digest().to_string(),
        types: types(&snapshot),
        cause,
        author: actor.map(|actor| actor.user),
    };
    let record = tx.insert_snapshot(new, now).await?;
    events::tell_snapshot(tx, &record, actor, now);
    tx.keep(group, revision, items).await?;
    tx.forget_before(group, retention.oldest(revision)).await?;
    Ok(record)
}

/// What a desired state comes to, or why it comes to nothing.
async fn compiled(state: DesiredState) -> Result<Result<Compiled, CompileError>> {
    let compiled = spawn_blocking(move || {
        let snapshot = compile(&state)?;
        let items = history::items(&state, &snapshot);
        let (group, revision) = (state.group.id, state.group.revision);
        Ok(Compiled { group, revision, snapshot, items })
    });
    compiled.await.map_err(Error::internal)
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
