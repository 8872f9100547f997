//! Rollouts: how far a group's proxies are with a revision.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use super::{App, Change};
use crate::auth::{Actor, Operation};
use crate::error::Result;
use crate::model::{Invalid, NodeGroupId, Revision};
use crate::nodes::{Convergence, NodeStatus, Refusal, Standing};

/// How long a caller may have itself kept waiting.
const LONGEST: i32 = 60_000;

/// What a caller wants to wait for after a change.
#[derive(Clone, Copy, Debug)]
pub struct WaitFor {
    quorum: Quorum,
    limit: Duration,
}

/// Which of the connected nodes are to have accepted a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// Every one.
    All,
    /// One of them.
    Any,
}

/// How far a group's connected nodes are with one revision.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Which revision.
    pub revision: Revision,
    /// Each connected node.
    pub nodes: Vec<NodeProgress>,
}

/// How far one node is with one revision.
#[derive(Clone, Debug)]
pub struct NodeProgress {
    /// The node.
    pub node: Arc<NodeStatus>,
    /// How it stands towards the revision.
    pub standing: Standing,
    /// What it refused of it.
    pub refusal: Option<Arc<Refusal>>,
    /// How long it took from the publication on; none until it is done, if it came
    /// later, or if that is too long ago.
    pub latency: Option<TimeDelta>,
}

/// What came of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As many nodes accepted as were waited for.
    Acked,
    /// So many refused that it cannot come to that.
    Nacked,
    /// Time was up first.
    TimedOut,
    /// No node is connected.
    NoNodes,
}

impl WaitFor {
    /// Waits for `quorum`, `millis` at the most.
    pub fn new(quorum: Quorum, millis: i32) -> Result<Self, Invalid> {
        if !(1..=LONGEST).contains(&millis) {
            let reason = format!("must be 1 to {LONGEST} milliseconds, not {millis}");
            return Err(Invalid::new("timeoutMs", reason));
        }
        Ok(Self { quorum, limit: Duration::from_millis(millis.unsigned_abs().into()) })
    }
}

impl Progress {
    /// How many nodes stand like this.
    pub fn count(&self, standing: Standing) -> usize {
        self.nodes.iter().filter(|node| node.standing == standing).count()
    }

    /// Those nodes that `actor` may see: none for who may only see a service of the group.
    /// They are told how many there are, as far as they waited for them.
    pub fn seen_by<'a>(&'a self, actor: &'a Actor) -> impl Iterator<Item = &'a NodeProgress> {
        self.nodes.iter().filter(|node| actor.sees_group(node.node.group))
    }

    /// Whether the wait for `quorum` is over, and how.
    pub fn outcome(&self, quorum: Quorum) -> Option<Outcome> {
        let [acked, nacked, all] =
            [self.count(Standing::Acked), self.count(Standing::Nacked), self.nodes.len()];
        match quorum {
            _ if all == 0 => Some(Outcome::NoNodes),
            Quorum::All if acked == all => Some(Outcome::Acked),
            Quorum::All if nacked > 0 => Some(Outcome::Nacked),
            Quorum::Any if acked > 0 => Some(Outcome::Acked),
            Quorum::Any if nacked == all => Some(Outcome::Nacked),
            Quorum::All | Quorum::Any => None,
        }
    }

    /// How long the nodes took that are done.
    pub fn convergence(&self) -> Convergence {
        Convergence::of(self.nodes.iter().filter_map(|node| node.latency))
    }

    /// Whether every node has answered, one way or the other.
    pub fn is_done(&self) -> bool {
        self.count(Standing::Pending) == 0
    }
}

impl App {
    /// How far the nodes of a group are with `revision` now.
    pub fn rollout_now(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        revision: Revision,
    ) -> Result<Progress> {
        actor.may(Operation::ReadRollout, group)?;
        Ok(self.progress(group, revision))
    }

    fn progress(&self, group: NodeGroupId, revision: Revision) -> Progress {
        let connected = self.0.nodes.list(Some(group)).into_iter().filter(|n| n.is_connected());
        let nodes = connected.map(|node| NodeProgress {
            standing: node.standing(revision),
            refusal: node.refusal_since(revision).cloned(),
            latency: self.0.nodes.latency(&node, revision),
            node,
        });
        Progress { revision, nodes: nodes.collect() }
    }

    /// How far the nodes of a group are with `revision`: now, and each time
    /// that something changes about it.
    pub async fn follow_rollout(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        revision: Revision,
    ) -> Result<BoxStream<'static, Progress>> {
        actor.may(Operation::FollowRollout, group)?;
        let changes = self.follow_nodes(actor, Some(group)).await?;
        Ok(self.clone().rollout(group, revision, changes).boxed())
    }

    fn rollout(
        self,
        group: NodeGroupId,
        revision: Revision,
        changes: impl Stream<Item = crate::nodes::NodeChange> + Send + 'static,
    ) -> impl Stream<Item = Progress> + Send + 'static {
        let app = self.clone();
        let first = stream::once(async move { app.progress(group, revision) });
        let later = changes.map(move |_| self.progress(group, revision));
        let mut last = None;
        first.chain(later).filter(move |progress| {
            // A change that leaves every node as it stood is no progress.
            let standing = |n: &NodeProgress| (n.node.id, n.standing);
            let now: Vec<_> = progress.nodes.iter().map(standing).collect();
            let news = last.as_ref() != Some(&now);
            last = Some(now);
            std::future::ready(news)
        })
    }

    /// Waits until enough of the connected nodes have answered to `change`, whoever has
    /// made it: it is committed, so this does not fail.
    pub async fn wait_for(&self, change: &Change, wait: WaitFor) -> (Outcome, Progress) {
        let Change { group, revision, .. } = *change;
        let deadline = Instant::now() + wait.limit;
        let changes = self.0.nodes.follow(Some(group));
        let mut rollout = pin!(self.clone().rollout(group, revision, changes));
        while let Ok(Some(progress)) = timeout_at(deadline, rollout.next()).await {
            if let Some(outcome) = progress.outcome(wait.quorum) {
                return (outcome, progress);
            }
        }
        (Outcome::TimedOut, self.progress(group, revision))
    }
}
