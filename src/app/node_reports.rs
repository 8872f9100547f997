//! What nodes report, on its way into the event log.
//!
//! A node must not wait for the database, and each of its answers is not worth a
//! transaction. So reports are queued and written a batch at a time, by one task. That a
//! node connected, refused something or went away is told as it is; what it accepts
//! is told a quarter of a second after, as it stands then.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::Rng as _;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{App, now};
use crate::error::{Error, Result};
use crate::model::{Happening, NackReport, NewEvent, NodeReport};
use crate::nodes::{Cause, NodeChange, NodeId, NodeStatus};

/// For how long what a node accepts is put together: four times a second at the most.
const ACKS: Duration = Duration::from_millis(250);
/// How long it takes from one batch to the next, at least.
const PAUSE: Duration = Duration::from_millis(100);
/// How many reports wait while the database is away. The rest is counted.
const MOST: usize = 100_000;
/// How many reports are in a batch.
const BATCH: usize = 2000;
/// After how long to try again.
const RETRY: Duration = Duration::from_secs(1);
/// How many names of resources are kept of a refusal.
const NAMES: usize = 100;

/// What is to be written.
#[derive(Debug)]
pub(super) struct NodeReports {
    instance: String,
    queue: Mutex<Queue>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    ready: VecDeque<NewEvent>,
    /// What nodes have accepted, and when that is to be told.
    acked: HashMap<NodeId, (Instant, Arc<NodeStatus>)>,
    lost: u64,
}

impl NodeReports {
    /// Reports of what the process of this name observes.
    pub(super) fn new(instance: &str) -> Arc<Self> {
        let (instance, queue) = (instance.to_owned(), Mutex::default());
        Arc::new(Self { instance, queue, news: Notify::new() })
    }

    /// Takes in what has changed about a node.
    pub(super) fn take(&self, change: &NodeChange) {
        let node = &change.node;
        let report = || self.report(node);
        let happening = match change.cause {
            Cause::Connected => Happening::NodeConnected(report()),
            Cause::Disconnected => Happening::NodeDisconnected(report()),
            Cause::Nacked(_) => {
                let Some(refusal) = &node.last_refusal else { return };
                Happening::NodeNacked(NackReport {
                    node: report(),
                    nack: refusal.kept(NAMES),
                    revision: refusal.revision,
                })
            }
            Cause::Acked(_) | Cause::Settled => {
                let mut queue = self.queue.lock();
                let due = Instant::now() + ACKS;
                let pending = queue.acked.entry(node.id).or_insert_with(|| (due, Arc::clone(node)));
                pending.1 = Arc::clone(node);
                drop(queue);
                self.news.notify_one();
                return;
            }
            Cause::Current | Cause::Missed => return,
        };
        let mut queue = self.queue.lock();
        if change.cause == Cause::Disconnected {
            queue.acked.remove(&node.id); // what it has accepted is told with that
        }
        queue.push(event(node, happening));
        drop(queue);
        self.news.notify_one();
    }

    fn report(&self, node: &NodeStatus) -> NodeReport {
        let acked = node.types.iter().filter_map(|(resource_type, status)| {
            Some((resource_type.to_string(), status.acked_version.as_ref()?.to_string()))
        });
        NodeReport {
            instance: self.instance.clone(),
            id: node.id.into(),
            name: node.name.clone(),
            address: node.peer.map(|peer| peer.to_string()),
            software: node.software.clone(),
            acked: acked.collect(),
            revision: node.settled.as_ref().map(|settled| settled.revision),
        }
    }

    /// What is to be written now; with `all`, also what could wait.
    fn due(&self, all: bool) -> Vec<NewEvent> {
        let (mut queue, at) = (self.queue.lock(), Instant::now());
        let due = |(_, (due, _)): &(&NodeId, &mut (Instant, _))| all || *due <= at;
        let mut acked: Vec<_> = queue
            .acked
            .iter_mut()
            .filter(due)
            .map(|(id, (_, node))| (*id, Arc::clone(node)))
            .collect();
        acked.sort_by_key(|(_, node)| node.change);
        for (id, node) in acked {
            queue.acked.remove(&id);
            queue.push(event(&node, Happening::NodeAcked(self.report(&node))));
        }
        let count = queue.ready.len().min(BATCH);
        let mut events: Vec<_> = queue.ready.drain(..count).collect();
        if queue.ready.is_empty() && queue.lost > 0 {
            let happening = Happening::ReportsLost { count: std::mem::take(&mut queue.lost) };
            events.push(NewEvent { at: now(), group: None, user: None, username: None, happening });
        }
        events
    }

    /// Takes note that so many reports could not be written.
    fn lose(&self, count: usize) {
        self.queue.lock().lost += count as u64;
        self.news.notify_one();
    }

    /// Waits until there is something to write.
    async fn wait(&self) {
        loop {
            let next = {
                let queue = self.queue.lock();
                if !queue.ready.is_empty() || queue.lost > 0 {
                    return;
                }
                queue.acked.values().map(|(due, _)| *due).min()
            };
            tokio::select! {
                () = self.news.notified() => {}
                () = async {
                    match next {
                        Some(due) => sleep_until(due).await,
                        None => std::future::pending().await,
                    }
                } => return,
            }
        }
    }
}

impl Queue {
    fn push(&mut self, event: NewEvent) {
        // What comes once one was lost is lost as well, so that these are at one place.
        if self.ready.len() >= MOST || self.lost > 0 {
            self.lost += 1;
        } else {
            self.ready.push_back(event);
        }
    }
}

fn event(node: &NodeStatus, happening: Happening) -> NewEvent {
    NewEvent { at: now(), group: Some(node.group), user: None, username: None, happening }
}

impl App {
    /// Writes what nodes report until `stop`, and then what is left.
    pub async fn write_node_reports(&self, stop: CancellationToken) {
        let reports = &self.0.reports;
        loop {
            let is_over = tokio::select! {
                biased;
                () = stop.cancelled() => true,
                () = reports.wait() => false,
            };
            let events = reports.due(is_over);
            if events.is_empty() && is_over {
                return;
            }
            if !events.is_empty() {
                self.write_batch(events, &stop).await;
            }
            if !is_over {
                sleep(PAUSE).await;
            }
        }
    }

    /// Writes a batch, once, however long the database is away; what was queued by the
    /// time of `stop` is tried once more then.
    async fn write_batch(&self, events: Vec<NewEvent>, stop: &CancellationToken) {
        let batch = i64::try_from(rand::rng().random::<u64>() >> 1).unwrap_or(i64::MAX);
        let mut warned = false;
        loop {
            let was_over = stop.is_cancelled();
            let Err(e) = self.tell_batch(batch, &events).await else { return };
            if was_over || !warned {
                let error = &e as &dyn std::error::Error;
                let reports = events.len();
                tracing::warn!(error, reports, again = !was_over, "cannot write what nodes report");
            }
            if was_over {
                return;
            }
            if !matches!(e, Error::Unavailable { .. }) {
                // It will not be over soon, and what comes after must not wait for it.
                self.0.reports.lose(events.len());
                stop.run_until_cancelled(sleep(RETRY)).await;
                return;
            }
            warned = true;
            stop.run_until_cancelled(sleep(RETRY)).await;
        }
    }

    async fn tell_batch(&self, batch: i64, events: &[NewEvent]) -> Result<()> {
        let tx = self.0.store.write().await?;
        tx.tell_batch(batch, events.to_vec()).await?;
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::{Arrival, Matched};

    fn status(id: u64, change: u64) -> Arc<NodeStatus> {
        let arrival = Arrival {
            name: format!("n{id}"),
            group: 1.try_into().unwrap(),
            matched: Matched::Id,
            peer: None,
            protocol: marchproxy_xds::Protocol::Delta,
            software: String::new(),
            connected_at: now(),
        };
        let mut status = NodeStatus::from(arrival);
        (status.id, status.change) = (id.into(), change);
        Arc::new(status)
    }

    fn take(reports: &NodeReports, id: u64, change: u64, cause: Cause) {
        reports.take(&NodeChange { cause, node: status(id, change) });
    }

    fn kinds(events: &[NewEvent]) -> Vec<(String, &'static str)> {
        let kind = |event: &NewEvent| {
            let name = event.happening.node().map(|node| node.name.clone());
            (name.unwrap_or_default(), event.happening.kind().as_str())
        };
        events.iter().map(kind).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_node_accepts_is_told_four_times_a_second_at_the_most() {
        let reports = NodeReports::new("i");
        let (mut told, began) = (0, Instant::now());
        for change in 0..400 {
            take(&reports, 1, change, Cause::Settled);
            tokio::time::advance(Duration::from_millis(5)).await;
            told += reports.due(false).len();
        }
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        assert!((7..=8).contains(&told), "{told}");
        take(&reports, 1, 400, Cause::Settled);
        reports.wait().await; // for the last
        assert_eq!(reports.due(false).len(), 1);
        assert!(reports.due(true).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_and_coming_and_going_are_told_at_once() {
        let reports = NodeReports::new("i");
        take(&reports, 1, 1, Cause::Connected);
        take(&reports, 2, 2, Cause::Settled);
        take(&reports, 1, 3, Cause::Settled);
        take(&reports, 1, 4, Cause::Disconnected);
        reports.wait().await;
        let n1 = "n1".to_owned();
        let want = [(n1.clone(), "node_connected"), (n1, "node_disconnected")];
        assert_eq!(kinds(&reports.due(false)), want);
        assert_eq!(kinds(&reports.due(true)), [("n2".to_owned(), "node_acked")]);
    }

    #[tokio::test]
    async fn what_is_too_much_is_counted() {
        let reports = NodeReports::new("i");
        let change = u64::try_from(MOST).unwrap();
        (0..change + 5).for_each(|change| take(&reports, 1, change, Cause::Connected));
        let mut told = 0;
        loop {
            let events = reports.due(false);
            if let Some(Happening::ReportsLost { count }) = events.last().map(|e| &e.happening) {
                assert_eq!((told + events.len() - 1, *count), (MOST, 5));
                break;
            }
            told += events.len();
        }
        assert!(reports.due(true).is_empty());
    }
}
