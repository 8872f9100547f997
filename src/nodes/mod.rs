//! Floor 2: the proxies that are connected, and how far each has come.
//!
//! What stands here was observed by this process and is gone with it: a proxy
//! that reconnects is observed anew. As in the hub, the map is the truth and
//! the channels are hints; but a follower also gets each change while it keeps
//! up, and where it does not, the latest state of every node that it missed.

mod follow;
mod status;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use parking_lot::RwLock;
use tokio::sync::broadcast;

use crate::model::NodeGroupId;

pub use status::{
    Cause, Matched, NodeChange, NodeId, NodeStatus, Refusal, Settled, Standing, TypeStatus,
};

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
}

#[derive(Debug, Default)]
struct Inner {
    groups: HashMap<NodeGroupId, Group>,
    last_id: u64,
    /// Counts changes of all nodes, so that they have an order.
    last_change: u64,
}

#[derive(Debug)]
struct Group {
    nodes: BTreeMap<NodeId, Arc<NodeStatus>>,
    news: broadcast::Sender<NodeChange>,
}

impl Default for Group {
    fn default() -> Self {
        Self { nodes: BTreeMap::new(), news: broadcast::Sender::new(RING) }
    }
}

impl Nodes {
    /// Makes a registry that knows no node.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { inner: RwLock::default(), all: broadcast::Sender::new(RING) })
    }

    /// Takes note of a node that has connected; `status` is filled in with its
    /// identity here. One that went away before under the same name returns to
    /// its place; one that is still there stays, beside the new one.
    pub fn connect(&self, mut status: NodeStatus) -> NodeId {
        let mut inner = self.inner.write();
        let group = inner.groups.entry(status.group).or_default();
        let place = group
            .nodes
            .values()
            .find(|node| node.disconnected_at.is_some() && node.name == status.name);
        let id = place.map(|node| node.id);
        status.id = id.unwrap_or_else(|| inner.next_id());
        let id = status.id;
        self.store(&mut inner, status, Cause::Connected);
        id
    }

    /// Changes what is known of a node, and tells who follows it.
    ///
    /// Without a cause it is noted, but nobody is told.
    pub fn update(
        &self,
        group: NodeGroupId,
        id: NodeId,
        cause: Option<Cause>,
        change: impl FnOnce(&mut NodeStatus),
    ) {
        let mut inner = self.inner.write();
        let Some(place) = inner.groups.get_mut(&group).and_then(|g| g.nodes.get_mut(&id)) else {
            return; // the group is gone, and its nodes with it
        };
        match cause {
            None => change(Arc::make_mut(place)),
            Some(cause) => {
                let mut status = NodeStatus::clone(place);
                change(&mut status);
                self.store(&mut inner, status, cause);
            }
        }
    }

    /// Takes note of a node that has gone away.
    pub fn disconnect(&self, group: NodeGroupId, id: NodeId, now: DateTime<Utc>) {
        self.update(group, id, Some(Cause::Disconnected), |status| {
            status.disconnected_at = Some(now);
        });
        let mut inner = self.inner.write();
        if let Some(group) = inner.groups.get_mut(&group) {
            group.forget_oldest();
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
    fn store(&self, inner: &mut Inner, mut status: NodeStatus, cause: Cause) {
        inner.last_change += 1;
        status.change = inner.last_change;
        let group = inner.groups.entry(status.group).or_default();
        let node = Arc::new(status);
        group.nodes.insert(node.id, Arc::clone(&node));
        let change = NodeChange { cause, node };
        group.news.send(change.clone()).ok();
        self.all.send(change).ok();
    }
}

impl Inner {
    fn next_id(&mut self) -> NodeId {
        self.last_id += 1;
        NodeId::from(self.last_id)
    }
}

impl Group {
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
