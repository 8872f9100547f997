//! The audit log.

use async_graphql::{Context, ID, InputObject, Json, Object, Result};
use serde_json::Value;

use super::app_and_actor;
use super::global_id::{GlobalId as _, optional};
use super::page::{Paged, Slice};
use super::scalars::Time;
use crate::model::{AuditEntry, AuditFilter, Invalid};

#[derive(Default)]
pub(super) struct AuditQuery;

/// Which entries; what is left out does not matter.
#[derive(Default, InputObject)]
pub(super) struct AuditFilterInput {
    /// Who did it.
    user: Option<ID>,
    /// Which operation, for instance `UpdateService`.
    operation: Option<String>,
    /// Which kind of thing it changed, for instance `service`.
    noun: Option<String>,
    /// The number of the thing.
    noun_id: Option<String>,
    /// In which node group.
    group: Option<ID>,
    /// Whether it was refused.
    refused: Option<bool>,
    /// Not before.
    since: Option<Time>,
    /// Before.
    until: Option<Time>,
}

pub(super) struct AuditEntryObject(AuditEntry);

#[Object]
impl AuditQuery {
    /// Who did what, the newest first; for administrators.
    async fn audit_entries(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those that all of this is true of.")] filter: Option<
            AuditFilterInput,
        >,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<AuditEntryObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        let filter = filter.unwrap_or_default().parse().map_err(|e| e.within("filter"))?;
        let slice = Slice::parse(first, after.as_deref())?;
        let rows = app.audit_entries(actor, &filter, slice.after(), slice.limit()).await?;
        Ok(slice.present(rows, |entry| entry.id, AuditEntryObject))
    }
}

impl AuditFilterInput {
    fn parse(self) -> Result<AuditFilter, Invalid> {
        Ok(AuditFilter {
            user: optional(self.user.as_ref(), "user")?,
            operation: self.operation,
            noun: self.noun,
            noun_id: self.noun_id,
            group: optional(self.group.as_ref(), "group")?,
            refused: self.refused,
            since: self.since.map(|since| since.0),
            until: self.until.map(|until| until.0),
        })
    }
}

/// Something that somebody did, or was refused.
#[Object(name = "AuditEntry")]
impl AuditEntryObject {
    /// Its global id.
    async fn id(&self) -> ID {
        ID(format!("{}", self.0.id))
    }

    /// When.
    async fn at(&self) -> Time {
        Time(self.0.at)
    }

    /// Who did it; null if nobody had signed in.
    async fn user_id(&self) -> Option<ID> {
        self.0.done.user.map(|user| user.global())
    }

    /// Their name then, or the one that was tried.
    async fn username(&self) -> Option<&str> {
        self.0.done.username.as_deref()
    }

    /// What they were known by: `session`, `API token 7`; `import` if they ran that command.
    async fn via(&self) -> Option<&str> {
        self.0.done.via.as_deref()
    }

    /// The edge that it came over: `graphql`, `rest`, `internal`; or `background` if the
    /// control plane did it by itself, `command` if a command of its program did.
    async fn edge(&self) -> Option<&str> {
        self.0.done.edge.as_deref()
    }

    /// The address that it came from.
    async fn address(&self) -> Option<&str> {
        self.0.done.address.as_deref()
    }

    /// What the client called itself.
    async fn user_agent(&self) -> Option<&str> {
        self.0.done.user_agent.as_deref()
    }

    /// The request that it was part of.
    async fn request_id(&self) -> Option<&str> {
        self.0.done.request_id.as_deref()
    }

    /// Which operation, for instance `UpdateService`.
    async fn operation(&self) -> &str {
        &self.0.done.operation
    }

    /// Which kind of thing it changed.
    async fn noun(&self) -> Option<&str> {
        self.0.done.noun.as_deref()
    }

    /// The number of the thing.
    async fn noun_id(&self) -> Option<&str> {
        self.0.done.noun_id.as_deref()
    }

    /// The node group that was changed; there may be no such group any more.
    async fn node_group_id(&self) -> Option<ID> {
        self.0.done.group.map(|group| group.global())
    }

    /// What was done.
    async fn summary(&self) -> &str {
        &self.0.done.summary
    }

    /// Why it was refused; null if it was done.
    async fn refused(&self) -> Option<&str> {
        self.0.done.refused.as_deref()
    }

    /// How it was before, without what is secret; null if it is new.
    async fn before(&self) -> Option<Json<&Value>> {
        self.0.done.before.as_ref().map(Json)
    }

    /// How it is since, without what is secret; null if it is gone.
    async fn after(&self) -> Option<Json<&Value>> {
        self.0.done.after.as_ref().map(Json)
    }
}
