//! Going back to a snapshot.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use super::super::change::{ChangeObject, ChangePayload, WaitForInput, changed};
use super::super::in_mode;
use super::super::parse::in_input;
use super::super::payload::payloads;
use super::{SnapshotObject, id};
use crate::app::{By, Rollback};
use crate::model::{Invalid, SnapshotRecord};

#[derive(Default)]
pub(in super::super) struct SnapshotMutation;

/// Where to go back to.
#[derive(InputObject)]
pub(super) struct RollbackInput {
    /// The snapshot of which everything is to be as it was.
    to_snapshot: ID,
    /// What has to be the newest snapshot of its node group; `CONFLICT` if another
    /// one is. Not looked at if not said.
    if_current_snapshot: Option<ID>,
    /// Why, for the history; at most 500 characters.
    reason: Option<String>,
    /// Whether what was configured may come to other resources than it did then,
    /// because another release compiles it otherwise. If not, that is a `CONFLICT`.
    #[graphql(default = false)]
    allow_recompiled: bool,
}

/// What came of going back.
#[derive(Default, SimpleObject)]
pub(super) struct RollbackPayload {
    /// The new snapshot, which has the content of the old one.
    snapshot: Option<SnapshotObject>,
    #[graphql(flatten)]
    change: ChangeObject,
}

payloads!(RollbackPayload.change.user_errors);

impl ChangePayload for RollbackPayload {
    type Of = SnapshotRecord;

    fn new(snapshot: SnapshotRecord, change: ChangeObject) -> Self {
        Self { snapshot: Some(SnapshotObject(snapshot)), change }
    }
}

#[Object]
impl SnapshotMutation {
    /// Makes a node group's services, routes, listeners and settings what they were
    /// at a snapshot, in one change that can itself be rolled back.
    ///
    /// The group keeps its name, and credentials that were revoked stay revoked.
    async fn rollback(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: RollbackInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<RollbackPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let rollback = in_input(input.parse())?;
            in_input(app.rollback(By::User(actor), rollback).await)
        };
        changed(ctx, wait_for, done).await
    }
}

impl RollbackInput {
    fn parse(self) -> Result<Rollback, Invalid> {
        let if_current = self.if_current_snapshot.as_ref();
        Ok(Rollback {
            to: id(&self.to_snapshot, "toSnapshot")?,
            if_current: if_current.map(|id_| id(id_, "ifCurrentSnapshot")).transpose()?,
            reason: self.reason,
            recompiled: self.allow_recompiled,
        })
    }
}
