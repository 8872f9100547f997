//! What a group comes to, and what its history keeps of that.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use marchproxy_xds::{ResourceType, Snapshot};
use tokio::task::spawn_blocking;

use super::events;
use crate::auth::{Actor, Sealer};
use crate::compile::{CompileError, TYPES, compile};
use crate::error::{Error, Result};
use crate::history;
use crate::model::{
    DesiredState, KeptItem, NewSnapshot, NodeGroupId, Revision, SnapshotRecord, TypeRecord,
};
use crate::store::Tx;

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
    pub(super) fn oldest(self, newest: Revision) -> Revision {
        (i64::from(newest) - i64::from(self.0.get()) + 1).into()
    }
}

/// What a group comes to.
pub(super) struct Compiled {
    pub(super) group: NodeGroupId,
    pub(super) revision: Revision,
    pub(super) snapshot: Snapshot,
    /// What history keeps of it.
    pub(super) items: Vec<KeptItem>,
}

/// Compiles the group as the transaction sees it, and keeps what came out in
/// the group's history. An error leaves nothing behind but a rollback.
pub(super) async fn record(
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
pub(super) async fn keep(
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
pub(super) async fn compiled(state: DesiredState) -> Result<Result<Compiled, CompileError>> {
    let compiled = spawn_blocking(move || {
        let snapshot = compile(&state)?;
        let items = history::items(&state, &snapshot);
        let (group, revision) = (state.group.id, state.group.revision);
        Ok(Compiled { group, revision, snapshot, items })
    });
    compiled.await.map_err(Error::internal)
}

/// What a snapshot holds of each type, as history keeps it.
fn types(snapshot: &Snapshot) -> BTreeMap<String, TypeRecord> {
    let record = |t: ResourceType| TypeRecord {
        version: snapshot.version(t).to_string(),
        count: snapshot.count(t),
    };
    TYPES.into_iter().map(|t| (t.to_string(), record(t))).collect()
}
