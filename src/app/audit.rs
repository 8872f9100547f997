//! The audit log: every change, and every sign-in, also those that were refused.
//!
//! An entry is written in the transaction of what it tells of, so that neither is
//! kept without the other. What is secret does not get in by its type: passwords'
//! hashes, sealed values and tokens have no JSON form.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::forgetting::keep_forgetting;
use super::shown::{About, Shown};
use super::{App, events, now};
use crate::auth::{Actor, Operation, Origin, Scope};
use crate::error::{Error, Result};
use crate::model::{AuditEntry, AuditFilter, NewAuditEntry};
use crate::store::Tx;

/// How often it is looked what is too old.
const HOUR: Duration = Duration::from_secs(3600);
/// How many entries are forgotten in one transaction.
const BATCH: i64 = 5000;

/// How long a text of a client's is kept.
const LONGEST: usize = 256;

/// An operation under way that proxies hear nothing of: its transaction, and who
/// does it. Dropped, nothing has happened.
pub(super) struct Act<'a> {
    pub(super) tx: Tx,
    pub(super) actor: &'a Actor,
    pub(super) operation: Operation,
    pub(super) now: DateTime<Utc>,
}

/// What an operation did to one thing.
#[derive(Debug, Default)]
pub(super) struct Note {
    noun: Option<&'static str>,
    id: Option<String>,
    before: Option<Value>,
    after: Option<Value>,
    about: About,
}

impl Note {
    /// It is new.
    pub(super) fn made<T: Shown>(thing: &T) -> Self {
        Self { after: Some(thing.shown()), ..Self::of(thing) }
    }

    /// It is another one now.
    pub(super) fn changed<T: Shown>(before: &T, after: &T) -> Self {
        Self { before: Some(before.shown()), ..Self::made(after) }
    }

    /// It is gone.
    pub(super) fn gone<T: Shown>(thing: &T) -> Self {
        Self { before: Some(thing.shown()), ..Self::of(thing) }
    }

    /// Something was done with it that does not show.
    pub(super) fn of<T: Shown>(thing: &T) -> Self {
        let (noun, id) = (Some(T::NOUN), Some(thing.id()));
        Self { noun, id, about: thing.about(), ..Self::default() }
    }

    /// Whom it concerns.
    pub(super) fn about(&self) -> About {
        self.about
    }
}

impl App {
    /// Begins an operation of `actor` that proxies hear nothing of.
    pub(super) async fn act<'a>(&self, actor: &'a Actor, operation: Operation) -> Result<Act<'a>> {
        actor.may(operation, Scope::Everywhere)?;
        let tx = self.write().await?;
        Ok(Act { tx, actor, operation, now: now() })
    }

    /// The audit log, the newest entry first, from before the entry `before`.
    pub async fn audit_entries(
        &self,
        actor: &Actor,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<AuditEntry>> {
        let tx = self.look(actor, Operation::ReadAudit, Scope::Everywhere).await?;
        tx.audit_entries(filter, before, limit).await
    }

    /// Forgets entries that are older than this, now and every hour, until `stop`.
    pub async fn keep_audit(&self, age: TimeDelta, stop: CancellationToken) {
        let forget = || self.forget_audit(now() - age);
        keep_forgetting("audit entries", HOUR, forget, stop).await;
    }

    /// Forgets the entries of before `end`, a batch at a time, so that no transaction
    /// holds up others for long.
    pub(super) async fn forget_audit(&self, end: DateTime<Utc>) -> Result<u64> {
        let mut forgotten = 0;
        loop {
            let tx = self.write().await?;
            let batch = tx.forget_audit_entries(end, BATCH).await?;
            tx.commit().await?;
            if batch == 0 {
                return Ok(forgotten);
            }
            forgotten += batch;
        }
    }

    /// Takes note of an operation that was refused to somebody who is not signed in.
    ///
    /// That it cannot be noted is told to the log alone: the refusal stands. What went
    /// wrong with us is no refusal, and whoever waits for a database that is away is
    /// not to wait for it twice.
    pub(super) async fn note_refusal(
        &self,
        operation: Operation,
        username: &str,
        origin: &Origin,
        error: &Error,
    ) {
        if error.codes().http.is_server_error() {
            return;
        }
        tracing::warn!(operation = operation.name(), address = ?origin.address, "refused: {error}");
        let entry = NewAuditEntry {
            username: Some(short(username)),
            refused: Some(error.to_string()),
            ..entry(operation, origin, String::new(), Note::default())
        };
        let noted = async {
            let tx = self.write().await?;
            tx.insert_audit_entry(entry, now()).await?;
            tx.commit().await
        };
        if let Err(e) = noted.await {
            tracing::error!(error = &e as &dyn std::error::Error, "cannot write the audit log");
        }
    }
}

impl Act<'_> {
    /// Writes the audit log and commits, unless it is only tried.
    pub(super) async fn done(self, summary: String, note: Note) -> Result<()> {
        let Self { tx, actor, operation, now } = self;
        let about = note.about();
        let entry = by(actor, operation, summary.clone(), note);
        events::tell_change(&tx, &entry, about, now);
        tx.insert_audit_entry(entry, now).await?;
        let is_kept = !tx.is_tried();
        tx.commit().await?;
        if is_kept {
            tracing::info!(user.name = %actor.username, operation = operation.name(), "{summary}");
        }
        Ok(())
    }
}

/// An entry of what `actor` did.
pub(super) fn by(
    actor: &Actor,
    operation: Operation,
    summary: String,
    note: Note,
) -> NewAuditEntry {
    NewAuditEntry {
        user: Some(actor.user),
        username: Some(actor.username.to_string()),
        via: Some(actor.via().to_string()),
        ..entry(operation, actor.origin(), summary, note)
    }
}

/// An entry of what nobody in particular did.
pub(super) fn entry(
    operation: Operation,
    origin: &Origin,
    summary: String,
    note: Note,
) -> NewAuditEntry {
    NewAuditEntry {
        edge: Some(origin.edge.as_str().to_owned()),
        address: origin.address.map(|address| address.to_string()),
        user_agent: origin.user_agent.as_deref().map(short),
        request_id: origin.request_id.as_deref().map(short),
        operation: operation.name().to_owned(),
        noun: note.noun.map(ToOwned::to_owned),
        noun_id: note.id,
        summary,
        before: note.before,
        after: note.after,
        ..NewAuditEntry::default()
    }
}

/// As much of a client's text as is kept.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}
