//! Floor 3: the only writer of the hub.
//!
//! The publisher is a reconciler: whenever it is nudged, and every half minute
//! all the same, it looks which groups have a newer revision in the database
//! than in the hub, and publishes those. It is told nothing that it would have
//! to believe, so there is one path for a change made here, for one made by
//! another process, and for start-up.

mod peers;

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::auth::Sealer;
use crate::compile::compile;
use crate::error::{Error, Result};
use crate::hub::{Hub, Published};
use crate::metrics;
use crate::model::{NodeGroupId, Revision};
use crate::nodes::Nodes;
use crate::store::Store;

pub use peers::{Peers, RedisUrl, RedisUrlError};

const TICK: Duration = Duration::from_secs(30);

/// After how long to look again if that failed.
const RETRY: Duration = Duration::from_secs(1);

/// Wakes the publisher, here and in the other instances. Says nothing but "look
/// again".
#[derive(Clone, Debug, Default)]
pub struct Nudge(Arc<Ways>);

/// Where a nudge goes.
#[derive(Debug, Default)]
struct Ways {
    here: Notify,
    peers: Notify,
    events: Notify,
    events_of_peers: Notify,
}

/// Brings what is committed into the hub.
#[derive(Debug)]
pub struct Publisher {
    store: Store,
    hub: Arc<Hub>,
    nodes: Arc<Nodes>,
    nudge: Nudge,
    sealer: Arc<Sealer>,
}

impl Nudge {
    /// Wakes the publishers now, or, those that are at work, once more after that.
    pub fn nudge(&self) {
        self.0.here.notify_one();
        self.0.peers.notify_one(); // many of these are one; nobody may be waiting
    }

    /// Has the other instances look for events, without a change to publish.
    pub fn tell_peers(&self) {
        self.0.events.notify_one();
    }

    /// Comes when another instance may have told something.
    pub async fn for_events(&self) {
        self.0.events_of_peers.notified().await;
    }

    /// Wakes what looks around in this process alone.
    fn here(&self) {
        self.0.here.notify_one();
        self.events_here();
    }

    /// Wakes who looks for events in this process.
    fn events_here(&self) {
        self.0.events_of_peers.notify_one();
    }

    /// Comes when the other instances are to look for events.
    async fn events_for_peers(&self) {
        self.0.events.notified().await;
    }

    /// Comes when the other instances are to be told.
    async fn for_peers(&self) {
        self.0.peers.notified().await;
    }
}

impl Publisher {
    /// Makes a publisher, and what wakes it.
    ///
    /// `sealer` opens the keys of certificates.
    pub fn new(
        store: Store,
        hub: Arc<Hub>,
        nodes: Arc<Nodes>,
        sealer: Arc<Sealer>,
    ) -> (Self, Nudge) {
        let nudge = Nudge::default();
        (Self { store, hub, nodes, nudge: nudge.clone(), sealer }, nudge)
    }

    /// Publishes until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut tick = time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.nudge.0.here.notified() => {}
                _ = tick.tick() => {}
            }
            let reconciled = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                reconciled = self.reconcile() => reconciled,
            };
            if let Err(e) = reconciled {
                tracing::error!(error = &e as &dyn std::error::Error, "cannot publish");
                tick.reset_after(RETRY);
            }
        }
    }

    /// Publishes what the database has and the hub does not; once.
    pub async fn reconcile(&self) -> Result<()> {
        // In this order: who follows a group has seen it in the database.
        let published = self.hub.revisions();
        let committed = self.store.read().await?.revisions().await?;
        for group in published.keys() {
            if !committed.iter().any(|(id, _)| id == group) {
                self.hub.forget(*group);
                self.nodes.forget(*group);
                tracing::info!(node_group.id = %group, "forgot a deleted node group");
            }
        }
        for (group, revision) in committed {
            if published.get(&group).copied().flatten() < Some(revision)
                && let Err(e) = self.publish(group, revision).await
            {
                // One group's trouble is not another's.
                let error = &e as &dyn std::error::Error;
                tracing::error!(error, node_group.id = %group, %revision, "cannot publish");
            }
        }
        Ok(())
    }

    async fn publish(&self, group: NodeGroupId, revision: Revision) -> Result<()> {
        let _timed = metrics::publishing();
        let state = match self.store.read().await?.desired_state(group).await {
            Err(Error::NotFound { .. }) => return Ok(()), // deleted since; the next look forgets it
            state => Arc::new(self.sealer.open_keys(state?)),
        };
        let desired = Arc::clone(&state);
        let compiled = spawn_blocking(move || compile(&desired)).await.map_err(Error::internal)?;
        // It did compile when it was committed, so this is our fault.
        let snapshot = compiled.map_err(Error::internal)?;
        let snapshot = Arc::new(match self.hub.current(group) {
            Some(before) => snapshot.sharing(&before),
            None => snapshot,
        });
        let version = Arc::clone(snapshot.digest());
        self.nodes.publish(group, revision, Utc::now());
        if self.hub.publish(Published::new(group, snapshot, state)) {
            tracing::info!(node_group.id = %group, %revision, %version, "published an xDS snapshot");
        }
        Ok(())
    }
}
