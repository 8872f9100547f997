//! Changes: begun on one group, and sealed with what the group comes to.

use chrono::{DateTime, Utc};

use super::audit::{self, Note};
use super::kept::{Compiled, compiled, keep};
use super::{App, events, now};
use crate::auth::{Actor, Edge, Operation, Origin, Scope};
use crate::compile::CompileError;
use crate::error::{Error, Result};
use crate::model::{Name, NewAuditEntry, NodeGroupId, Revision, SnapshotRecord};
use crate::store::Tx;

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

/// A change under way: the writer's transaction on one group.
///
/// Dropped, nothing has happened.
pub(super) struct Edit<'a> {
    pub(super) app: &'a App,
    pub(super) tx: Tx,
    pub(super) by: By<'a>,
    pub(super) operation: Operation,
    pub(super) group: NodeGroupId,
    pub(super) revision: Revision,
    pub(super) note: Note,
    pub(super) now: DateTime<Utc>,
}

impl App {
    /// Begins `operation`, which changes the group that `scope` is in, by `actor`.
    ///
    /// The revision grows first: that locks the group's row, so that changes of one
    /// group come one after the other on any database.
    pub(super) async fn begin<'a>(
        &'a self,
        actor: &'a Actor,
        operation: Operation,
        scope: impl Into<Scope>,
    ) -> Result<Edit<'a>> {
        self.begin_by(By::User(actor), operation, scope).await
    }

    /// As [`App::begin`], by whoever it is.
    pub(super) async fn begin_by<'a>(
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
}

impl<'a> By<'a> {
    /// Whether they may do `operation` to what `scope` says.
    pub(super) fn may(self, operation: Operation, scope: Scope) -> Result<()> {
        match self {
            Self::User(actor) => actor.may(operation, scope),
            Self::Internal(_) | Self::Itself => Ok(()),
        }
    }

    /// Whether they may hear of a group at all.
    pub(super) fn knows_group(self, group: NodeGroupId) -> bool {
        match self {
            Self::User(actor) => actor.knows_group(group),
            Self::Internal(_) | Self::Itself => true,
        }
    }

    /// An entry of the audit log of what they did.
    pub(super) fn entry(self, operation: Operation, summary: String, note: Note) -> NewAuditEntry {
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
    pub(super) fn user(self) -> Option<&'a Actor> {
        match self {
            Self::User(actor) => Some(actor),
            Self::Internal(_) | Self::Itself => None,
        }
    }
}

/// `Stale` unless something is at the revision that the caller has seen, if they say.
pub(super) fn check_revision(
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
    pub(super) fn noting(self, note: Note) -> Self {
        Self { note, ..self }
    }

    /// Compiles what the change made of the group, commits it, and nudges the
    /// publisher; `cause` says in the group's history what was done.
    pub(super) async fn seal(self, cause: String) -> Result<Change> {
        Ok(self.seal_if(cause, |_| Ok(())).await?.1)
    }

    /// As [`Edit::seal`], if what came of it is good.
    pub(super) async fn seal_if(
        self,
        cause: String,
        good: impl FnOnce(&SnapshotRecord) -> Result<()>,
    ) -> Result<(SnapshotRecord, Change)> {
        let compiled = self.compile().await??;
        Box::pin(self.seal_compiled(compiled, cause, good)).await
    }

    /// What the change makes of the group, or why it comes to nothing.
    pub(super) async fn compile(&self) -> Result<Result<Compiled, CompileError>> {
        let state = self.tx.desired_state(self.group).await?;
        compiled(self.app.0.sealer.open_keys(state)).await
    }

    pub(super) async fn seal_compiled(
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
