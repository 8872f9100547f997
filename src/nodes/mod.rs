//! Floor 2: the proxies that are connected, and how far each has come.
//!
//! What stands here was observed by this process and is gone with it: a proxy
//! that reconnects is observed anew. As in the hub, the map is the truth and
//! the channels are hints; but a follower also gets each change while it keeps
//! up, and where it does not, the latest state of every node that it missed.

mod follow;
mod rollouts;
mod status;
mod streams;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use marchproxy_xds::Event;
use parking_lot::RwLock;
use tokio::sync::broadcast;

use crate::model::{NodeGroupId, Revision};

use rollouts::Rollouts;
use streams::{StreamId, Streams};

pub use rollouts::{Convergence, FirstRefusal, Tally};
pub use status::{
    Arrival, Cause, Matched, NodeChange, NodeId, NodeStatus, Refusal, Settled, Standing, TypeStatus,
};
pub use streams::StreamInfo;

/// How many changes a channel holds before a follower has to look again.
const RING: usize = 1024;
/// How many nodes of a group are remembered after they went away.
const MOST_GONE: usize = 1000;

/// The nodes that are or were connected.
#[derive(Debug)]
pub struct Nodes {
    inner: RwLock<Inner>,
    /// Changes in every group, for those who follow all of them.
    all: broadcast::Sender<NodeChange>,
    requests: AtomicU64,
    fetches: AtomicU64,
}

/// How often nodes have called since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Requests that opened a stream, or answered a response on one.
    pub requests: u64,
    /// Fetches.
    pub fetches: u64,
}

#[derive(Debug, Default)]
struct Inner {
    groups: HashMap<NodeGroupId, Group>,
    last_id: u64,
    last_stream: StreamId,
    /// Counts changes of all nodes, so that they have an order.
    last_change: u64,
}

/// A stream's place in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    group: NodeGroupId,
    node: NodeId,
    stream: StreamId,
}

#[derive(Debug)]
struct Group {
    nodes: BTreeMap<NodeId, Arc<NodeStatus>>,
    /// The streams of those that are connected.
    streams: HashMap<NodeId, Streams>,
    /// Those again, by what they call themselves and where they connect from.
    connected: HashMap<(String, SocketAddr), NodeId>,
    rollouts: Rollouts,
    news: broadcast::Sender<NodeChange>,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            nodes: BTreeMap::new(),
            streams: HashMap::new(),
            connected: HashMap::new(),
            rollouts: Rollouts::default(),
            news: broadcast::Sender::new(RING),
        }
    }
}

impl Nodes {
    /// Makes a registry that knows no node.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: RwLock::default(),
            all: broadcast::Sender::new(RING),
            requests: AtomicU64::new(0),
            fetches: AtomicU64::new(0),
        })
    }

    /// How often nodes have called.
    pub fn calls(&self) -> Calls {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Calls { requests: read(&self.requests), fetches: read(&self.fetches) }
    }

    /// Counts a stream that is opened, whatever becomes of it.
    pub fn count_stream(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a fetch, whatever becomes of it.
    pub fn count_fetch(&self) {
        self.fetches.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes note of a stream that was opened, and says whether its node is new.
    ///
    /// It is another stream of a node that is there if both call themselves the
    /// same and are on one connection, unless both are aggregated. Otherwise a
    /// node has connected; `status` is filled in with its identity here. One
    /// that went away before under the same name returns to its place; one that
    /// is still there stays, beside the new one.
    pub fn connect(&self, arrival: Arrival, stream: StreamInfo) -> (Place, bool) {
        let mut status = NodeStatus::from(arrival);
        let mut inner = self.inner.write();
        inner.last_stream += 1;
        let (id, of_group) = (inner.last_stream, status.group);
        let group = inner.groups.entry(of_group).or_default();
        if let Some(node) = group.joined(&status, &stream) {
            group.streams.entry(node).or_default().open(id, stream);
            return (Place { group: of_group, node, stream: id }, false);
        }
        let place = group
            .nodes
            .values()
            .find(|node| node.disconnected_at.is_some() && node.name == status.name);
        // What it answered then counts once, even if it answers the same again.
        status.answer = place.and_then(|node| node.answer);
        let node = place.map(|node| node.id);
        let node = node.unwrap_or_else(|| inner.next_id());
        status.id = node;
        let group = inner.groups.entry(of_group).or_default();
        if let Some(peer) = status.peer {
            group.connected.insert((status.name.clone(), peer), node);
        }
        group.streams.entry(node).or_default().open(id, stream);
        self.store(&mut inner, status, Cause::Connected);
        (Place { group: of_group, node, stream: id }, true)
    }

    /// How the node of a stream stands.
    pub fn at(&self, place: Place) -> Option<Arc<NodeStatus>> {
        self.inner.read().groups.get(&place.group)?.nodes.get(&place.node).cloned()
    }

    /// Takes note of what happened on a stream, and tells who follows its node
    /// if that changes how it stands; the change, then.
    pub fn observe(&self, place: Place, event: Event, now: DateTime<Utc>) -> Option<NodeChange> {
        if matches!(event, Event::Acked { .. } | Event::Nacked { .. }) {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
        self.update(place, now, |streams, status| streams.observe(place.stream, event, status, now))
    }

    /// Takes note of a stream that has ended, and says whether its node has gone
    /// away with it.
    pub fn disconnect(&self, place: Place, now: DateTime<Utc>) -> bool {
        let mut is_gone = false;
        self.update(place, now, |streams, status| {
            is_gone = streams.len() == 1;
            if is_gone {
                status.disconnected_at = Some(now);
                return Some(Cause::Disconnected);
            }
            streams.close(place.stream, status, now)
        });
        if is_gone && let Some(group) = self.inner.write().groups.get_mut(&place.group) {
            group.forget_streams(place.node);
            group.forget_oldest();
        }
        is_gone
    }

    /// Changes what is known of a node, and tells who follows it.
    ///
    /// Without a cause it is noted, but nobody is told.
    fn update(
        &self,
        place: Place,
        now: DateTime<Utc>,
        change: impl FnOnce(&mut Streams, &mut NodeStatus) -> Option<Cause>,
    ) -> Option<NodeChange> {
        let mut inner = self.inner.write();
        // Else the group is gone, and its nodes with it.
        let group = inner.groups.get_mut(&place.group)?;
        let known = (group.streams.get_mut(&place.node), group.nodes.get_mut(&place.node));
        let (Some(streams), Some(status)) = known else { return None };
        // Followers may still hold the last state: this is a copy then.
        let known = Arc::make_mut(status);
        let cause = change(streams, known)?;
        group.rollouts.note(cause, known, now);
        let status = NodeStatus::clone(status);
        Some(self.store(&mut inner, status, cause))
    }

    /// Takes note that `revision` of `group` is about to be published here.
    pub fn publish(&self, group: NodeGroupId, revision: Revision, at: DateTime<Utc>) {
        self.inner.write().groups.entry(group).or_default().rollouts.publish(revision, at);
    }

    /// How long a node took from the publication of `revision` until nothing was left
    /// to do; none if it is not done, came later, or that is too long ago.
    pub fn latency(&self, node: &NodeStatus, revision: Revision) -> Option<TimeDelta> {
        self.inner.read().groups.get(&node.group)?.rollouts.latency(node, revision)
    }

    /// How long the nodes of a group took of late.
    pub fn convergence(&self, group: NodeGroupId) -> Convergence {
        let inner = self.inner.read();
        inner.groups.get(&group).map_or_else(Convergence::default, |g| g.rollouts.convergence())
    }

    /// What nodes made of a revision and nobody has taken away yet.
    pub fn tally(&self, group: NodeGroupId, revision: Revision) -> Tally {
        let inner = self.inner.read();
        inner.groups.get(&group).map_or_else(Tally::default, |g| g.rollouts.tally(revision))
    }

    /// Takes away what nodes made of revisions since the last time.
    pub fn take_tallies(&self) -> Vec<(NodeGroupId, Revision, Tally)> {
        let mut inner = self.inner.write();
        let of_groups = inner.groups.iter_mut().flat_map(|(group, known)| {
            let tallies = known.rollouts.take_tallies().into_iter();
            tallies.map(|(revision, tally)| (*group, revision, tally))
        });
        of_groups.collect()
    }

    /// Takes back a tally that could not be kept.
    pub fn return_tally(&self, group: NodeGroupId, revision: Revision, tally: Tally) {
        if let Some(known) = self.inner.write().groups.get_mut(&group) {
            known.rollouts.return_tally(revision, tally);
        }
    }

    /// Forgets the nodes of a group that is gone.
    pub fn forget(&self, group: NodeGroupId) {
        self.inner.write().groups.remove(&group);
    }

    /// What is known of one node.
    pub fn find(&self, id: NodeId) -> Option<Arc<NodeStatus>> {
        self.inner.read().groups.values().find_map(|group| group.nodes.get(&id).cloned())
    }

    /// What is known of the nodes of one group, or of all, by identity.
    pub fn list(&self, group: Option<NodeGroupId>) -> Vec<Arc<NodeStatus>> {
        let inner = self.inner.read();
        let wanted = |id: &NodeGroupId| group.is_none_or(|group| group == *id);
        let groups = inner.groups.iter().filter(|(id, _)| wanted(id));
        let mut nodes: Vec<_> = groups.flat_map(|(_, g)| g.nodes.values().cloned()).collect();
        nodes.sort_by_key(|node| node.id);
        nodes
    }

    /// Keeps `status` as a change of its own, and tells who follows it.
    ///
    /// Sent under the lock, so that changes arrive in their order; sending to a
    /// broadcast channel does not wait for anybody.
    fn store(&self, inner: &mut Inner, mut status: NodeStatus, cause: Cause) -> NodeChange {
        inner.last_change += 1;
        status.change = inner.last_change;
        let group = inner.groups.entry(status.group).or_default();
        let node = Arc::new(status);
        group.nodes.insert(node.id, Arc::clone(&node));
        let change = NodeChange { cause, node };
        group.news.send(change.clone()).ok();
        self.all.send(change.clone()).ok();
        change
    }
}

impl Place {
    /// The node that the stream is of.
    pub fn node(self) -> NodeId {
        self.node
    }
}

impl Inner {
    fn next_id(&mut self) -> NodeId {
        self.last_id += 1;
        NodeId::from(self.last_id)
    }
}

impl Group {
    /// The node that a stream joins which introduces itself like this.
    fn joined(&self, status: &NodeStatus, stream: &StreamInfo) -> Option<NodeId> {
        let node = *self.connected.get(&(status.name.clone(), status.peer?))?;
        let is_second = stream.is_aggregated() && self.streams.get(&node)?.has_aggregated();
        (!is_second).then_some(node)
    }

    /// Forgets the streams of a node that has gone away.
    fn forget_streams(&mut self, node: NodeId) {
        self.streams.remove(&node);
        let status = self.nodes.get(&node);
        if let Some((name, peer)) = status.and_then(|n| Some((n.name.clone(), n.peer?)))
            && self.connected.get(&(name.clone(), peer)) == Some(&node)
        {
            self.connected.remove(&(name, peer));
        }
    }

    fn forget_oldest(&mut self) {
        let gone = |node: &&Arc<NodeStatus>| node.disconnected_at.is_some();
        if self.nodes.values().filter(gone).count() > MOST_GONE {
            let oldest = self.nodes.values().filter(gone).min_by_key(|node| node.disconnected_at);
            if let Some(id) = oldest.map(|node| node.id) {
                self.nodes.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
