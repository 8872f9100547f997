//! Following nodes without losing their latest state.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::stream::{self, Stream};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{Cause, NodeChange, NodeId, Nodes};
use crate::model::NodeGroupId;

/// One follower: what it has seen, and what it is still to be told.
struct Follower {
    nodes: Arc<Nodes>,
    group: Option<NodeGroupId>,
    news: Receiver<NodeChange>,
    seen: HashMap<NodeId, u64>,
    queue: VecDeque<NodeChange>,
}

impl Nodes {
    /// How each node of `group`, or of all, stands now; then each change.
    ///
    /// A follower that is too slow for that misses changes, but no node's
    /// latest state: it gets that, with [`Cause::Missed`].
    pub fn follow(
        self: &Arc<Self>,
        group: Option<NodeGroupId>,
    ) -> impl Stream<Item = NodeChange> + use<> {
        // Subscribed before the first look, so there is no gap.
        let news = match group {
            Some(group) => self.inner.write().groups.entry(group).or_default().news.subscribe(),
            None => self.all.subscribe(),
        };
        let mut follower = Follower {
            nodes: Arc::clone(self),
            group,
            news,
            seen: HashMap::new(),
            queue: VecDeque::new(),
        };
        follower.look(Cause::Current);
        stream::unfold(follower, |mut follower| async move {
            let change = follower.next().await?;
            Some((change, follower))
        })
    }
}

impl Follower {
    async fn next(&mut self) -> Option<NodeChange> {
        loop {
            if let Some(change) = self.queue.pop_front() {
                return Some(change);
            }
            match self.news.recv().await {
                Ok(change) => self.take(change),
                Err(RecvError::Lagged(_)) => {
                    // What is still in the ring is older than what is looked at now.
                    self.news = self.news.resubscribe();
                    self.look(Cause::Missed);
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Queues how the nodes stand that have changed since they were seen.
    fn look(&mut self, cause: Cause) {
        let mut nodes = self.nodes.list(self.group);
        nodes.sort_by_key(|node| node.change);
        for node in nodes {
            self.take(NodeChange { cause, node });
        }
    }

    /// Queues a change, unless that state or a later one was seen already.
    fn take(&mut self, change: NodeChange) {
        let seen = self.seen.entry(change.node.id).or_default();
        if *seen < change.node.change {
            *seen = change.node.change;
            self.queue.push_back(change);
        }
    }
}
