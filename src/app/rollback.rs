//! Going back to what a group was.

use std::collections::BTreeMap;

use marchproxy_xds::ResourceType;

use super::audit::Note;
use super::{App, By, Change};
use crate::auth::Operation;
use crate::error::{Error, Result};
use crate::history;
use crate::model::{Invalid, NodeGroupId, Revision, SnapshotId, SnapshotRecord, TypeRecord, Which};

const LONGEST_REASON: usize = 500;

/// Where to go back to, and on which conditions.
#[derive(Clone, Debug)]
pub struct Rollback {
    /// The snapshot of which everything is to be as it was.
    pub to: SnapshotId,
    /// What has to be the group's newest snapshot, if anything; `Conflict` if
    /// another one is.
    pub if_current: Option<SnapshotId>,
    /// Why; at most 500 characters, for the history.
    pub reason: Option<String>,
    /// Whether what people had configured may come to other resources than it did
    /// then: another release may compile it otherwise.
    pub recompiled: bool,
}

impl App {
    /// Makes a group's desired state what it was at a snapshot, and what is
    /// compiled of it what it was.
    ///
    /// It is a change like any other, with a revision of its own, and can itself
    /// be rolled back. Credentials do not come back: they are not desired state; nor do
    /// certificates, which stay what they are.
    /// `NotFound` if the snapshot is not kept (any more), `Conflict` if it does not
    /// compile to what it was, `InUse` or `Invalid` if something that it needs is
    /// gone; then nothing has changed.
    #[tracing::instrument(skip_all, fields(snapshot.id = %rollback.to))]
    pub async fn rollback(
        &self,
        by: By<'_>,
        rollback: Rollback,
    ) -> Result<(SnapshotRecord, Change)> {
        let Rollback { to, if_current, reason, recompiled } = rollback;
        let cause = cause_of(reason.as_deref())?;
        let group = self.0.store.read().await?.snapshot(to).await?.group;
        let edit = self.begin_by(by, Operation::Rollback, group).await?;
        let to = edit.tx.snapshot(to).await?;
        let newest = edit.tx.snapshots(group, None, 1).await?.into_iter().next();
        if let Some(expected) = if_current
            && newest.is_none_or(|newest| newest.id != expected)
        {
            let why = "the node group has another snapshot by now".to_owned();
            return Err(Error::Conflict(why));
        }
        let is = edit.tx.desired_state(group).await?;
        let items = edit.tx.items(group, to.revision, Which::Desired).await?;
        let items = edit.tx.contents(items).await?;
        let wanted = history::restored(is.group.clone(), &items)?;
        edit.tx.restore(&is, &wanted, edit.now).await?;
        let edit = edit.noting(Note::changed(&is.group, &wanted.group));
        let same = |record: &SnapshotRecord| {
            if is_same(record, &to) || recompiled { Ok(()) } else { Err(differs(&to)) }
        };
        edit.seal_if(format!("roll back to revision {}{cause}", to.revision), same).await
    }

    /// As [`App::rollback`], to a revision of a group.
    pub async fn rollback_to_revision(
        &self,
        by: By<'_>,
        group: NodeGroupId,
        revision: Revision,
    ) -> Result<(SnapshotRecord, Change)> {
        by.may(Operation::Rollback, group.into())?;
        let found = self.0.store.read().await?.find_snapshot_at(group, revision).await?;
        let to = found.ok_or_else(|| Error::not_found("snapshot of revision", revision))?.id;
        let rollback = Rollback { to, if_current: None, reason: None, recompiled: false };
        self.rollback(by, rollback).await
    }
}

/// What history is told beside where it went back to.
fn cause_of(reason: Option<&str>) -> Result<String, Invalid> {
    let reason = reason.unwrap_or_default().trim();
    if reason.chars().count() > LONGEST_REASON {
        let most = format!("must be at most {LONGEST_REASON} characters long");
        return Err(Invalid::new("reason", most));
    }
    Ok(if reason.is_empty() { String::new() } else { format!(": {reason}") })
}

/// Whether two snapshots are the same, but for what secrets hold: a certificate that
/// was renewed since stays renewed.
fn is_same(one: &SnapshotRecord, other: &SnapshotRecord) -> bool {
    let secret = ResourceType::Secret.to_string();
    let rest = |record: &SnapshotRecord| {
        let types = record.types.clone().into_iter();
        types.filter(|(name, _)| *name != secret).collect::<BTreeMap<String, TypeRecord>>()
    };
    one.version == other.version
        || (one.types.get(&secret) != other.types.get(&secret) && rest(one) == rest(other))
}

fn differs(to: &SnapshotRecord) -> Error {
    let why = format!(
        "what was configured at revision {} comes to other resources today than it did then: \
         this release compiles it otherwise, or what it refers to has changed",
        to.revision
    );
    Error::Conflict(why)
}
