//! What every mutation answers: the group's new state, and, if asked to wait,
//! what its proxies said to it.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use futures_util::future::BoxFuture;

use super::app_and_actor;
use super::global_id::GlobalId;
use super::nacks::RefusalObject;
use super::parse::number;
use super::payload::{Payload, UserErrorObject, answer, answer_or, payloads};
use super::scalars::int;
use super::sync::{ConvergenceObject, millis};
use super::xds_nodes::XdsNodeObject;
use crate::app::{Change, NodeProgress, Outcome, Progress, Quorum, WaitFor};
use crate::error::Error;
use crate::model::{At as _, Invalid, Revision};
use crate::nodes::Standing;

/// Which of the group's connected proxies a mutation waits for.
#[derive(InputObject)]
pub(super) struct WaitForInput {
    /// Every one, or one of them.
    nodes: QuorumEnum,
    /// How long at the most, in milliseconds; 1 to 60000.
    #[graphql(default = 5000)]
    timeout_ms: i64,
}

/// How many of the proxies are waited for.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "Quorum", remote = "Quorum")]
pub(super) enum QuorumEnum {
    /// Until every one has accepted, or one has refused.
    All,
    /// Until one has accepted, or every one has refused.
    Any,
}

/// What came of waiting.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "RolloutOutcome", remote = "Outcome")]
pub(super) enum OutcomeEnum {
    /// As many proxies accepted as were waited for.
    Acked,
    /// So many refused that it cannot come to that.
    Nacked,
    /// Time was up first.
    TimedOut,
    /// No proxy is connected.
    NoNodes,
}

/// How a proxy stands towards a change.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "Standing", remote = "Standing")]
pub(super) enum StandingEnum {
    /// It has not answered to all of it yet.
    Pending,
    /// It holds all of it.
    Acked,
    /// It refuses some of it.
    Nacked,
}

/// The part that the payloads of all mutations share. Of a dry run it says what would
/// be; so do they, but what is behind that is read as it is.
#[derive(Default, SimpleObject)]
#[graphql(name = "ChangeResult")]
pub(super) struct ChangeObject {
    /// The group that the change was made in; null if there was none.
    node_group_id: Option<ID>,
    /// How many changes the group has seen.
    revision: Option<i64>,
    /// The version of the group's snapshot: a hash of its content.
    version: Option<String>,
    /// What the proxies said to it; null if the mutation was not to wait, or a dry run.
    rollout: Option<ChangeRollout>,
    /// Why nothing was changed, if you can mend it. Who does not ask for this gets it
    /// among the errors of the answer.
    pub(super) user_errors: Vec<UserErrorObject>,
}

/// What a group's proxies said to a change, as far as it was waited for.
#[derive(SimpleObject)]
pub(super) struct ChangeRollout {
    /// What came of waiting.
    outcome: OutcomeEnum,
    #[graphql(flatten)]
    progress: ProgressObject,
}

/// Something to be deleted.
#[derive(InputObject)]
pub(super) struct DeleteInput {
    /// What is to go.
    pub(super) id: ID,
    /// The `revision` that you have seen: `CONFLICT` if it was changed since.
    if_revision: i64,
}

/// Something that is to be good no more.
#[derive(InputObject)]
pub(super) struct RevokeInput {
    /// What is to be good no more.
    pub(super) id: ID,
}

/// Something that was deleted.
#[derive(Default, SimpleObject)]
pub(super) struct DeletePayload {
    /// What is gone.
    deleted_id: Option<ID>,
    #[graphql(flatten)]
    change: ChangeObject,
}

payloads!(DeletePayload.change.user_errors);

/// What a mutation answers that changes a group.
pub(super) trait ChangePayload: Payload + Send {
    /// What it was about, as it is since.
    type Of: Send;

    /// What is answered of `change`.
    fn new(of: Self::Of, change: ChangeObject) -> Self;
}

/// Answers with what was changed, once the change was waited for as asked. `done` makes
/// it; nothing is made if nobody is signed in, or `wait_for` makes no sense.
pub(super) fn changed<'a, P: ChangePayload + 'a>(
    ctx: &'a Context<'_>,
    wait_for: Option<WaitForInput>,
    done: impl Future<Output = Result<(P::Of, Change), Error>> + Send + 'a,
) -> BoxFuture<'a, Result<P>> {
    answer(ctx, waited_for(ctx, wait_for, done))
}

/// As [`changed`]; what somebody else has changed since the caller looked is shown as it
/// is now, which `current` finds out.
pub(super) fn changed_or<'a, P: ChangePayload + 'a>(
    ctx: &'a Context<'_>,
    wait_for: Option<WaitForInput>,
    done: impl Future<Output = Result<(P::Of, Change), Error>> + Send + 'a,
    current: impl Future<Output = Result<P::Of>> + Send + 'a,
) -> BoxFuture<'a, Result<P>> {
    let current = async { Ok(P::new(current.await?, ChangeObject::default())) };
    answer_or(ctx, waited_for(ctx, wait_for, done), current)
}

async fn waited_for<P: ChangePayload>(
    ctx: &Context<'_>,
    wait_for: Option<WaitForInput>,
    done: impl Future<Output = Result<(P::Of, Change), Error>>,
) -> Result<P> {
    app_and_actor(ctx)?;
    let wait = WaitForInput::parse(wait_for)?;
    let (of, change) = done.await?;
    Ok(P::new(of, ChangeObject::after(ctx, change, wait).await?))
}

impl ChangePayload for DeletePayload {
    type Of = ID;

    fn new(id: ID, change: ChangeObject) -> Self {
        Self { deleted_id: Some(id), change }
    }
}

impl DeleteInput {
    /// What is to go, and at which revision the caller has seen it.
    pub(super) fn parse<T: GlobalId>(&self) -> Result<(T, Revision), Invalid> {
        Ok((T::parse(&self.id, "id")?, self.if_revision.into()))
    }
}

/// How far a group's connected proxies are with a revision.
pub(super) struct ProgressObject(pub(super) Progress);

/// How far one proxy is with a revision.
pub(super) struct NodeProgressObject(NodeProgress);

impl WaitForInput {
    pub(super) fn parse(input: Option<Self>) -> Result<Option<WaitFor>, Invalid> {
        let parse = |input: Self| {
            let millis = number(input.timeout_ms).at("timeoutMs");
            let wait = millis.and_then(|millis| WaitFor::new(input.nodes.into(), millis));
            wait.map_err(|e| e.within("waitFor"))
        };
        input.map(parse).transpose()
    }
}

impl ChangeObject {
    /// Presents a change, once it was waited for as asked.
    async fn after(ctx: &Context<'_>, change: Change, wait: Option<WaitFor>) -> Result<Self> {
        let (app, _) = app_and_actor(ctx)?;
        let rollout = match wait {
            Some(wait) if !change.dry_run => {
                let (outcome, progress) = app.wait_for(&change, wait).await;
                let progress = ProgressObject(progress);
                Some(ChangeRollout { outcome: outcome.into(), progress })
            }
            Some(_) | None => None,
        };
        Ok(Self {
            node_group_id: Some(change.group.global()),
            revision: Some(change.revision.into()),
            version: Some(change.version),
            rollout,
            user_errors: vec![],
        })
    }
}

#[Object(name = "RolloutProgress")]
impl ProgressObject {
    /// How many proxies are connected.
    async fn total(&self) -> i32 {
        int(self.0.nodes.len())
    }

    /// How many hold all of it.
    async fn acked(&self) -> i32 {
        int(self.0.count(Standing::Acked))
    }

    /// How many refuse some of it.
    async fn nacked(&self) -> i32 {
        int(self.0.count(Standing::Nacked))
    }

    /// How many have not answered to all of it yet.
    async fn pending(&self) -> i32 {
        int(self.0.count(Standing::Pending))
    }

    /// How long those took that are done.
    async fn convergence(&self) -> ConvergenceObject {
        self.0.convergence().into()
    }

    /// Each connected proxy that you may see.
    async fn nodes(&self, ctx: &Context<'_>) -> Result<Vec<NodeProgressObject>> {
        let (_, actor) = app_and_actor(ctx)?;
        Ok(self.0.seen_by(actor).cloned().map(NodeProgressObject).collect())
    }
}

/// How far one proxy is with a change.
#[Object(name = "NodeProgress")]
impl NodeProgressObject {
    /// The proxy.
    async fn node(&self) -> XdsNodeObject {
        XdsNodeObject(self.0.node.clone())
    }

    /// How it stands towards the change.
    async fn standing(&self) -> StandingEnum {
        self.0.standing.into()
    }

    /// Milliseconds that it took from the publication on; null until it is done, if it
    /// connected later, or if that is too long ago.
    async fn latency_ms(&self) -> Option<f64> {
        self.0.latency.map(millis)
    }

    /// What it refused of the change, in its own words.
    async fn nack(&self) -> Option<RefusalObject> {
        let refusal = self.0.refusal.clone();
        refusal.map(|refusal| RefusalObject::new(self.0.node.group, refusal))
    }
}
