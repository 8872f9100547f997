//! How far a group's nodes have come with what was published, and how fast.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::status::{Cause, NodeId, NodeStatus, Refusal};
use crate::model::Revision;

/// How many publications are remembered.
const PUBLICATIONS: usize = 32;
/// How many measurements are remembered.
const MEASUREMENTS: usize = 1024;

/// What is remembered of one group.
#[derive(Debug, Default)]
pub(super) struct Rollouts {
    published: VecDeque<Publication>,
    measured: VecDeque<TimeDelta>,
    /// What nobody has taken away yet.
    tallies: BTreeMap<Revision, Tally>,
}

/// One revision that was published.
#[derive(Debug)]
struct Publication {
    revision: Revision,
    at: DateTime<Utc>,
    /// When each node was first done with it, or with a later one.
    settled: HashMap<NodeId, DateTime<Utc>>,
}

/// What nodes made of one revision, since it was asked for the last time.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How many more have taken all of it.
    pub adopted: i32,
    /// How many more refuse some of it.
    pub refused: i32,
    /// The first refusal of something that it changed.
    pub first_refusal: Option<FirstRefusal>,
}

/// Which node was the first to refuse something, and what.
#[derive(Clone, Debug)]
pub struct FirstRefusal {
    /// What the node calls itself.
    pub node: String,
    /// What it refused.
    pub refusal: Arc<Refusal>,
}

/// How long nodes took from a publication until nothing was left to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Convergence {
    /// How many times that was measured.
    pub samples: usize,
    /// The time that half of them took at the most; none without a sample.
    pub p50: Option<TimeDelta>,
    /// The time that 99 of 100 took at the most.
    pub p99: Option<TimeDelta>,
}

impl Convergence {
    /// Sums up these times, by the nearest rank.
    pub fn of(times: impl IntoIterator<Item = TimeDelta>) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        let rank = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100);
            times.get(rank.checked_sub(1)?).copied()
        };
        Self { samples: times.len(), p50: rank(50), p99: rank(99) }
    }
}

impl Rollouts {
    /// Takes note of a publication, before any node can have it.
    pub(super) fn publish(&mut self, revision: Revision, at: DateTime<Utc>) {
        if self.published.back().is_some_and(|last| last.revision >= revision) {
            return;
        }
        if self.published.len() == PUBLICATIONS {
            self.published.pop_front();
        }
        self.published.push_back(Publication { revision, at, settled: HashMap::new() });
    }

    /// Takes note of how a node stands since something happened.
    pub(super) fn note(&mut self, cause: Cause, node: &mut NodeStatus, now: DateTime<Utc>) {
        match cause {
            Cause::Settled => self.settle(node, now),
            Cause::Nacked(resource_type) => {
                let status = node.types.get(&resource_type);
                if let Some(refusal) = status.and_then(|status| status.refused.clone()) {
                    let tally = self.tallies.entry(refusal.revision).or_default();
                    let first = FirstRefusal { node: node.name.clone(), refusal };
                    tally.first_refusal.get_or_insert(first);
                }
            }
            Cause::Current
            | Cause::Connected
            | Cause::Acked(_)
            | Cause::Disconnected
            | Cause::Missed => {}
        }
    }

    fn settle(&mut self, node: &mut NodeStatus, now: DateTime<Utc>) {
        let Some(settled) = &node.settled else { return };
        let (revision, adopts) = (settled.revision, settled.held.is_empty());
        let answer = (revision, adopts);
        if node.answer != Some(answer) {
            let tally = self.tallies.entry(revision).or_default();
            if node.answer == Some((revision, !adopts)) {
                *tally.count(!adopts) -= 1; // it has changed its mind
            }
            *tally.count(adopts) += 1;
            node.answer = Some(answer);
        }
        let due = self.published.iter_mut().rev().filter(|p| p.revision <= revision);
        for publication in due {
            if publication.settled.contains_key(&node.id) {
                break;
            }
            publication.settled.insert(node.id, now);
            if node.connected_at <= publication.at {
                if self.measured.len() == MEASUREMENTS {
                    self.measured.pop_front();
                }
                self.measured.push_back(now - publication.at);
            }
        }
    }

    /// How long a node took with `revision`; none if it is not done, came later, or
    /// that is too long ago.
    pub(super) fn latency(&self, node: &NodeStatus, revision: Revision) -> Option<TimeDelta> {
        let publication = self.published.iter().find(|p| p.revision >= revision)?;
        let is_first = self.published.front().is_some_and(|p| p.revision == publication.revision);
        if is_first && publication.revision > revision {
            return None; // the one that was meant may be forgotten
        }
        let settled = publication.settled.get(&node.id)?;
        (node.connected_at <= publication.at).then(|| *settled - publication.at)
    }

    pub(super) fn convergence(&self) -> Convergence {
        Convergence::of(self.measured.iter().copied())
    }

    pub(super) fn take_tallies(&mut self) -> BTreeMap<Revision, Tally> {
        std::mem::take(&mut self.tallies)
    }

    pub(super) fn tally(&self, revision: Revision) -> Tally {
        self.tallies.get(&revision).cloned().unwrap_or_default()
    }

    /// Takes back what could not be kept.
    pub(super) fn return_tally(&mut self, revision: Revision, tally: Tally) {
        self.tallies.entry(revision).or_default().add_older(tally);
    }
}

impl Tally {
    fn count(&mut self, adopts: bool) -> &mut i32 {
        if adopts { &mut self.adopted } else { &mut self.refused }
    }

    /// Adds what came before.
    pub fn add_older(&mut self, older: Self) {
        self.adopted += older.adopted;
        self.refused += older.refused;
        self.first_refusal = older.first_refusal.or(self.first_refusal.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_the_nearest_rank() {
        let millis = |all: &[i64]| Convergence::of(all.iter().map(|n| TimeDelta::milliseconds(*n)));
        let want = |samples, p50, p99| Convergence {
            samples,
            p50: Some(TimeDelta::milliseconds(p50)),
            p99: Some(TimeDelta::milliseconds(p99)),
        };
        assert_eq!(millis(&[]), Convergence::default());
        assert_eq!(millis(&[7]), want(1, 7, 7));
        assert_eq!(millis(&[4, 1, 3, 2]), want(4, 2, 4));
        assert_eq!(millis(&(1..=200).collect::<Vec<_>>()), want(200, 100, 198));
    }
}
