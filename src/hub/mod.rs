//! Floor 2: the latest snapshot of each node group, and the news of newer ones.
//!
//! The map is the truth; a channel only says "look again". A receiver that
//! lags behind has lost nothing: it looks once and is up to date. Each group
//! has a channel of its own, so that what happens in one wakes nobody in
//! another; ADS streams and subscriptions follow the same one.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt as _};
use marchproxy_xds::Snapshot;
use parking_lot::RwLock;
use tokio::sync::broadcast::{self, error::RecvError};

use self::delivery::{Delivery, Takers};
use self::variants::{ClusterNames, Variants};
use crate::compile::Sources;
use crate::error::Result;
use crate::model::{DesiredState, NodeGroup, NodeGroupId, Revision};

mod delivery;
mod variants;

/// How much news a channel holds; more than a follower needs to look again.
const RING: usize = 16;

/// A snapshot and the group that it is for.
#[derive(Clone, Debug)]
pub struct Published {
    /// Whose proxies are given it.
    pub group: NodeGroupId,
    /// What they are given, if they use ADS.
    pub snapshot: Arc<Snapshot>,
    /// What that was made of.
    state: Arc<DesiredState>,
    /// What the others are given.
    variants: Arc<Variants>,
    /// How far it has come with the proxies that were there.
    delivery: Delivery,
}

/// Holds the latest snapshots, and tells who follows them.
#[derive(Debug)]
pub struct Hub {
    topics: RwLock<HashMap<NodeGroupId, Topic>>,
    /// News of every group, for those who follow all of them.
    all: broadcast::Sender<NodeGroupId>,
    cluster_names: ClusterNames,
}

#[derive(Debug)]
struct Topic {
    current: Option<Published>,
    news: broadcast::Sender<()>,
    /// The proxies that follow it.
    takers: Takers,
}

impl Default for Topic {
    fn default() -> Self {
        Self { current: None, news: broadcast::Sender::new(RING), takers: Takers::default() }
    }
}

impl Published {
    /// The snapshot that `state`, the desired state of `group`, comes to over ADS.
    pub fn new(group: NodeGroupId, snapshot: Arc<Snapshot>, state: Arc<DesiredState>) -> Self {
        let variants = Arc::new(Variants::new(Arc::clone(&state)));
        let delivery = Delivery::to(&Takers::default());
        Self { group, snapshot, state, variants, delivery }
    }

    /// The group itself, as it was then.
    pub fn node_group(&self) -> &NodeGroup {
        &self.state.group
    }

    /// Comes when the proxies that were there have taken it, or that takes too long: whoever
    /// only watches is told of it then.
    pub async fn delivered(&self) {
        self.delivery.done().await;
    }

    fn revision(&self) -> Revision {
        self.snapshot.revision().into()
    }

    /// What those are given that have these sources.
    async fn snapshot_for(&self, sources: &Sources) -> Result<Arc<Snapshot>> {
        match sources {
            Sources::Aggregated => Ok(Arc::clone(&self.snapshot)),
            Sources::Separate { .. } => self.variants.get(sources).await,
        }
    }
}

impl Hub {
    /// Makes a hub that holds nothing yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            topics: RwLock::default(),
            all: broadcast::Sender::new(RING),
            cluster_names: ClusterNames::default(),
        })
    }

    /// The latest snapshot of `group`, once there is one.
    pub fn current(&self, group: NodeGroupId) -> Option<Arc<Snapshot>> {
        Some(self.published(group)?.snapshot)
    }

    fn published(&self, group: NodeGroupId) -> Option<Published> {
        self.topics.read().get(&group)?.current.clone()
    }

    /// The revision of the latest snapshot of each group, once there is one;
    /// also of groups that are merely followed.
    pub fn revisions(&self) -> HashMap<NodeGroupId, Option<Revision>> {
        let topics = self.topics.read();
        let revision = |topic: &Topic| topic.current.as_ref().map(Published::revision);
        topics.iter().map(|(group, topic)| (*group, revision(topic))).collect()
    }

    /// Publishes `next`, unless the same or a newer revision is already out.
    ///
    /// Only the publisher calls this. Returns whether it was news.
    pub fn publish(&self, mut next: Published) -> bool {
        let group = next.group;
        let news = {
            let mut topics = self.topics.write();
            let topic = topics.entry(group).or_default();
            if topic.current.as_ref().is_some_and(|old| old.revision() >= next.revision()) {
                return false;
            }
            next.delivery = Delivery::to(&topic.takers);
            topic.current = Some(next);
            topic.news.clone()
        };
        // No receiver is no error.
        news.send(()).ok();
        self.all.send(group).ok();
        true
    }

    /// Forgets a group that is gone; whoever follows it comes to the end.
    pub fn forget(&self, group: NodeGroupId) {
        self.topics.write().remove(&group);
    }

    /// The current snapshot of `group`, then each newer one.
    ///
    /// Newer ones that come while nobody polls are skipped but for the last.
    pub fn follow(self: &Arc<Self>, group: NodeGroupId) -> impl Stream<Item = Published> + use<> {
        // Subscribed before the first look, so there is no gap.
        let news = self.topics.write().entry(group).or_default().news.subscribe();
        stream::unfold((Arc::clone(self), news, None), move |(hub, mut news, seen)| async move {
            loop {
                if let Some(next) = hub.published(group)
                    && seen < Some(next.revision())
                {
                    let seen = Some(next.revision());
                    return Some((next, (hub, news, seen)));
                }
                if let Err(RecvError::Closed) = news.recv().await {
                    return None;
                }
            }
        })
    }

    /// As [`Hub::follow`], but what those are given that have these sources.
    ///
    /// `Invalid` if they name the cluster of this control plane in too many ways.
    pub fn follow_as(
        self: &Arc<Self>,
        group: NodeGroupId,
        sources: Sources,
    ) -> Result<impl Stream<Item = Arc<Snapshot>> + use<>> {
        let taker = self.topics.write().entry(group).or_default().takers.enter();
        let state = Arc::new((self.cluster_names.claim(&sources)?, sources, taker));
        Ok(self.follow(group).filter_map(move |published| {
            let state = Arc::clone(&state);
            async move {
                let snapshot = published.snapshot_for(&state.1).await;
                let log = |e: &crate::error::Error| {
                    let error = e as &dyn std::error::Error;
                    tracing::error!(error, node_group.id = %group, sources = ?state.1, "no variant");
                };
                published.delivery.take();
                snapshot.inspect_err(log).ok()
            }
        }))
    }

    /// The current snapshot of every group, then each newer one.
    pub fn follow_all(self: &Arc<Self>) -> impl Stream<Item = Published> + use<> {
        let news = self.all.subscribe();
        let state = (Arc::clone(self), news, HashMap::new());
        stream::unfold(state, |(hub, mut news, mut seen)| async move {
            loop {
                if let Some(next) = hub.unseen(&seen) {
                    seen.insert(next.group, next.revision());
                    return Some((next, (hub, news, seen)));
                }
                if let Err(RecvError::Closed) = news.recv().await {
                    return None;
                }
            }
        })
    }

    /// Some group's snapshot that is newer than what was seen of it.
    fn unseen(&self, seen: &HashMap<NodeGroupId, Revision>) -> Option<Published> {
        self.topics.read().iter().find_map(|(group, topic)| {
            let current = topic.current.as_ref()?;
            let newer = seen.get(group).is_none_or(|seen| *seen < current.revision());
            newer.then(|| current.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::model::{NodeGroup, NodeGroupSpec};

    /// A group at this revision, and nothing in it.
    pub(super) fn state(group: i32, revision: i64) -> DesiredState {
        let spec = NodeGroupSpec::named("a".to_owned().try_into().unwrap());
        let group = NodeGroup {
            id: group.try_into().unwrap(),
            is_default: false,
            revision: revision.into(),
            created_by: None,
            spec,
            settings_revision: Default::default(),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        };
        DesiredState {
            group,
            services: vec![],
            routes: vec![],
            listeners: vec![],
            mappings: vec![],
            certificates: vec![],
        }
    }

    fn published(group: i32, revision: u64) -> Published {
        let snapshot = Snapshot::new(revision, []).unwrap();
        let state = state(group, revision.try_into().unwrap());
        Published::new(state.group.id, Arc::new(snapshot), Arc::new(state))
    }

    async fn next_revision(stream: &mut (impl Stream<Item = Published> + Unpin)) -> u64 {
        stream.next().await.unwrap().snapshot.revision()
    }

    #[tokio::test]
    async fn a_follower_that_lags_sees_the_latest() {
        let hub = Hub::new();
        let mut follower = Box::pin(hub.follow(1.try_into().unwrap()));
        hub.publish(published(1, 1));
        assert_eq!(next_revision(&mut follower).await, 1);
        for revision in 2..=100 {
            hub.publish(published(1, revision));
        }
        assert_eq!(next_revision(&mut follower).await, 100);
    }

    #[tokio::test]
    async fn the_hub_never_goes_back() {
        let hub = Hub::new();
        assert!(hub.publish(published(1, 2)));
        assert!(!hub.publish(published(1, 2)));
        assert!(!hub.publish(published(1, 1)));
        assert_eq!(hub.current(1.try_into().unwrap()).unwrap().revision(), 2);
    }

    #[tokio::test]
    async fn a_follower_of_all_sees_the_latest_of_each() {
        let hub = Hub::new();
        hub.publish(published(1, 1));
        let mut follower = Box::pin(hub.follow_all());
        assert_eq!(next_revision(&mut follower).await, 1);
        for revision in 1..=100 {
            hub.publish(published(2, revision));
        }
        assert_eq!(next_revision(&mut follower).await, 100);
        hub.publish(published(1, 7));
        assert_eq!(next_revision(&mut follower).await, 7);
    }

    #[tokio::test]
    async fn a_forgotten_group_ends_its_followers() {
        let hub = Hub::new();
        hub.publish(published(1, 1));
        let mut follower = Box::pin(hub.follow(1.try_into().unwrap()));
        assert_eq!(next_revision(&mut follower).await, 1);
        hub.forget(1.try_into().unwrap());
        assert!(follower.next().await.is_none());
    }
}
