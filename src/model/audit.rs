//! The audit log: who did what, from where, and what it changed.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{NodeGroupId, UserId};

/// One entry, as it is kept for good.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// Its place in the log.
    pub id: i64,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// What was done.
    pub done: NewAuditEntry,
}

/// An entry to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewAuditEntry {
    /// Who did it; none if nobody had signed in.
    pub user: Option<UserId>,
    /// Their name then, or the one that was tried at a sign-in.
    pub username: Option<String>,
    /// What they were known by: `session`, `api token 7`, `old token`.
    pub via: Option<String>,
    /// The edge that it came over: `graphql`, `rest`.
    pub edge: Option<String>,
    /// The address that it came from.
    pub address: Option<String>,
    /// What the client called itself.
    pub user_agent: Option<String>,
    /// The request that it was part of.
    pub request_id: Option<String>,
    /// Which operation, by its name.
    pub operation: String,
    /// Which kind of thing it changed.
    pub noun: Option<String>,
    /// Which one.
    pub noun_id: Option<String>,
    /// The node group that was changed.
    pub group: Option<NodeGroupId>,
    /// What was done, for people.
    pub summary: String,
    /// Why it was refused; none if it was done.
    pub refused: Option<String>,
    /// How the thing was before, without what is secret; none if it is new.
    pub before: Option<Value>,
    /// How it is since, without what is secret; none if it is gone.
    pub after: Option<Value>,
}

/// Which entries to read; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Who did it.
    pub user: Option<UserId>,
    /// Which operation, by its name.
    pub operation: Option<String>,
    /// Which kind of thing it changed.
    pub noun: Option<String>,
    /// Which one.
    pub noun_id: Option<String>,
    /// In which node group.
    pub group: Option<NodeGroupId>,
    /// Whether it was refused.
    pub refused: Option<bool>,
    /// Not before.
    pub since: Option<DateTime<Utc>>,
    /// Before.
    pub until: Option<DateTime<Utc>>,
}
