//! Several changes of a node group at once, and what they would come to.

mod input;
mod preview;

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use self::input::ChangeInput;
pub(super) use self::input::{Refers, value_mut};
pub(super) use self::preview::PreviewQuery;
use super::certificates::CertificateObject;
use super::change::{ChangeObject, ChangePayload, WaitForInput, changed};
use super::global_id::optional;
use super::in_mode;
use super::listeners::ListenerObject;
use super::mappings::MappingObject;
use super::node::NodeObject;
use super::parse::in_input;
use super::payload::payloads;
use super::routes::RouteObject;
use super::services::ServiceObject;
use crate::app::{Changes, Made};
use crate::model::Invalid;

#[derive(Default)]
pub(super) struct ChangesMutation;

/// Changes of a node group that are to be made together.
#[derive(InputObject)]
pub(super) struct ApplyChangesInput {
    /// The node group that all of them are made in; the default one if not said.
    group: Option<ID>,
    /// 1 to 100, made in this order. Where one of them takes the id of a service, a
    /// listener or a certificate to refer to, `changes.0` stands for what the first one
    /// has made, and so on.
    changes: Vec<ChangeInput>,
    /// What they are for; at most 500 characters, for the history.
    message: Option<String>,
}

/// What came of several changes.
#[derive(Default, SimpleObject)]
pub(super) struct ApplyChangesPayload {
    /// What came of each, in their order.
    results: Option<Vec<ChangeOutcome>>,
    #[graphql(flatten)]
    change: ChangeObject,
}

payloads!(ApplyChangesPayload.change.user_errors);

impl ChangePayload for ApplyChangesPayload {
    type Of = Vec<ChangeOutcome>;

    fn new(results: Vec<ChangeOutcome>, change: ChangeObject) -> Self {
        Self { results: Some(results), change }
    }
}

/// What came of one of several changes.
#[derive(SimpleObject)]
pub(super) struct ChangeOutcome {
    /// What was made or changed, as it stood right after that; null if it is gone.
    node: Option<NodeObject>,
    /// What is gone.
    deleted_id: Option<ID>,
}

#[Object]
impl ChangesMutation {
    /// Makes several changes of a node group: all of them, or none. It is one transaction,
    /// one revision and one snapshot, so that no proxy is ever given a part of them. What
    /// is wrong with one of them is told in `userErrors` with its place, as in
    /// `["input", "changes", "3", "updateRoute", "path", "regex"]`.
    async fn apply_changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: ApplyChangesInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<ApplyChangesPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let deleted: Vec<_> = input.changes.iter().map(ChangeInput::deleted).collect();
            let changes = in_input(input.parse())?;
            let applied = in_input(app.apply_changes(actor, changes).await)?;
            let results = applied.made.into_iter().zip(deleted);
            let results = results
                .map(|(made, deleted_id)| ChangeOutcome { node: made.map(shown), deleted_id });
            Ok((results.collect(), applied.change))
        };
        changed(ctx, wait_for, done).await
    }
}

impl ApplyChangesInput {
    fn parse(self) -> Result<Changes, Invalid> {
        Ok(Changes {
            group: optional(self.group.as_ref(), "group")?,
            changes: self.changes.into_iter().map(ChangeInput::read).collect(),
            message: self.message,
        })
    }
}

fn shown(made: Made) -> NodeObject {
    match made {
        Made::Service(service) => ServiceObject(service).into(),
        Made::Route(route) => RouteObject(route).into(),
        Made::Listener(listener) => ListenerObject(listener).into(),
        Made::Mapping(mapping) => MappingObject(mapping).into(),
        Made::Certificate(certificate) => CertificateObject(certificate).into(),
    }
}
