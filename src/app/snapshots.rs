//! Snapshots: what proxies are given, now and before.

use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt as _};
use marchproxy_xds::Snapshot;

use super::App;
use crate::auth::Actor;
use crate::error::{Error, Result};
use crate::hub::Published;
use crate::model::SnapshotRecord;
use crate::model::{NodeGroupId, Revision};

impl App {
    /// What a group's proxies are given now; none until it is published.
    pub fn current_snapshot(
        &self,
        actor: &Actor,
        group: NodeGroupId,
    ) -> Result<Option<Arc<Snapshot>>> {
        actor.may_view()?;
        Ok(self.0.hub.current(group))
    }

    /// A group's snapshots, the newest first, from before revision `before`.
    pub async fn snapshots(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        before: Option<Revision>,
        limit: u64,
    ) -> Result<Vec<SnapshotRecord>> {
        self.view(actor).await?.snapshots(group, before, limit).await
    }

    /// The newest snapshot of this version, in `group` or in any.
    pub async fn snapshot_of_version(
        &self,
        actor: &Actor,
        group: Option<NodeGroupId>,
        version: &str,
    ) -> Result<SnapshotRecord> {
        let found = self.view(actor).await?.find_snapshot(group, version).await?;
        found.ok_or_else(|| Error::not_found("snapshot of version", version))
    }

    /// What a group's proxies, or everybody's, are given: now, and each time
    /// that it changes. A follower that is slow skips to the latest.
    pub async fn follow_snapshots(
        &self,
        actor: &Actor,
        group: Option<NodeGroupId>,
    ) -> Result<BoxStream<'static, Published>> {
        actor.may_view()?;
        Ok(match group {
            Some(group) => {
                self.node_group(actor, group).await?;
                self.0.hub.follow(group).boxed()
            }
            None => self.0.hub.follow_all().boxed(),
        })
    }
}
