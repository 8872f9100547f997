//! What proxies made of each snapshot: counted in memory, and written down in batches.

use std::time::Duration;

use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::App;
use crate::auth::{Actor, Operation};
use crate::error::Result;
use crate::model::{Answers, KeptRefusal, NodeGroupId, SnapshotRecord};
use crate::nodes::{Convergence, FirstRefusal, Tally};

/// How long an answer may be kept in memory alone.
const PERIOD: Duration = Duration::from_secs(1);

impl App {
    /// What proxies made of a snapshot: those of other instances as of a second ago.
    pub fn answers(&self, actor: &Actor, snapshot: &SnapshotRecord) -> Result<Answers> {
        actor.may(Operation::ReadSnapshot, snapshot.group)?;
        let mut tally = self.0.nodes.tally(snapshot.group, snapshot.revision);
        let first_refusal = tally.first_refusal.take().map(KeptRefusal::from);
        let kept = snapshot.answers.clone();
        Ok(Answers {
            adopted: kept.adopted + tally.adopted,
            refused: kept.refused + tally.refused,
            first_refusal: kept.first_refusal.or(first_refusal),
        })
    }

    /// How long the proxies of a group took of late, as this process has seen them.
    pub fn convergence(&self, actor: &Actor, group: NodeGroupId) -> Result<Convergence> {
        actor.may(Operation::ListNodes, group)?;
        Ok(self.0.nodes.convergence(group))
    }

    /// Writes down what proxies make of snapshots, until `stop`, and what is left then.
    pub async fn keep_answers(&self, stop: CancellationToken) {
        let mut tick = time::interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let keep = async {
            loop {
                tick.tick().await;
                self.write_answers().await;
            }
        };
        stop.run_until_cancelled(keep).await;
        self.write_answers().await;
    }

    /// Writes down what there is. What cannot be written is tried again later.
    pub(super) async fn write_answers(&self) {
        let tallies = self.0.nodes.take_tallies();
        if tallies.is_empty() {
            return;
        }
        let written = async {
            let tx = self.0.store.write().await?;
            for (group, revision, tally) in &tallies {
                tx.add_answers(*group, *revision, &tally.clone().into()).await?;
            }
            tx.commit().await
        };
        if let Err(e) = written.await {
            let error = &e as &dyn std::error::Error;
            tracing::warn!(error, "cannot write down what proxies made of snapshots");
            for (group, revision, tally) in tallies {
                self.0.nodes.return_tally(group, revision, tally);
            }
        }
    }
}

impl From<Tally> for Answers {
    fn from(tally: Tally) -> Self {
        let Tally { adopted, refused, first_refusal } = tally;
        Self { adopted, refused, first_refusal: first_refusal.map(Into::into) }
    }
}

impl From<FirstRefusal> for KeptRefusal {
    fn from(first: FirstRefusal) -> Self {
        let FirstRefusal { node, refusal } = first;
        Self { node, nack: refusal.kept(usize::MAX), at: refusal.at }
    }
}
