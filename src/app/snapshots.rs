//! Snapshots: what proxies are given, now and before.

use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::stream::{BoxStream, StreamExt as _};
use marchproxy_xds::Snapshot;
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::App;
use crate::auth::{Actor, Operation, Scope};
use crate::error::{Error, Result};
use crate::history::{self, ItemChange};
use crate::hub::Published;
use crate::model::{Invalid, Item, KeptItem, SnapshotId, SnapshotRecord, Which};
use crate::model::{NodeGroupId, Revision};

impl App {
    /// What a group's proxies are given now; none until it is published.
    pub fn current_snapshot(
        &self,
        actor: &Actor,
        group: NodeGroupId,
    ) -> Result<Option<Arc<Snapshot>>> {
        actor.may(Operation::ListSnapshots, group)?;
        Ok(self.0.hub.current(group))
    }

    /// The revision that a group's proxies are given; 0 before there is one.
    pub fn published_revision(&self, group: NodeGroupId) -> Revision {
        let current = self.0.hub.current(group);
        current.map_or_else(Revision::default, |current| current.revision().into())
    }

    /// A group's snapshots, the newest first, from before revision `before`.
    pub async fn snapshots(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        before: Option<Revision>,
        limit: u64,
    ) -> Result<Vec<SnapshotRecord>> {
        let tx = self.look(actor, Operation::ListSnapshots, group).await?;
        tx.snapshots(group, before, limit).await
    }

    /// The newest snapshot of this version, in `group` or in any.
    pub async fn snapshot_of_version(
        &self,
        actor: &Actor,
        group: Option<NodeGroupId>,
        version: &str,
    ) -> Result<SnapshotRecord> {
        let tx = self.look(actor, Operation::FollowSnapshots, Scope::Everywhere).await?;
        let groups = match (group, actor.known_groups()) {
            (Some(group), _) => vec![Some(group)],
            (None, Some(groups)) => groups.into_iter().map(Some).collect(),
            (None, None) => vec![None],
        };
        for group in groups {
            let found = tx.find_snapshot(group, version).await?;
            if let Some(found) = found.filter(|found| actor.sees_group(found.group)) {
                return Ok(found);
            }
        }
        Err(Error::not_found("snapshot of version", version))
    }

    /// What a group's proxies, or everybody's, are given: now, and each time
    /// that it changes. A follower that is slow skips to the latest.
    pub async fn follow_snapshots(
        &self,
        actor: &Actor,
        group: Option<NodeGroupId>,
    ) -> Result<BoxStream<'static, Published>> {
        actor.may(Operation::FollowSnapshots, Scope::Everywhere)?;
        let actor = actor.clone();
        let published = match group {
            Some(group) => {
                self.node_group(&actor, group).await?;
                self.0.hub.follow(group).boxed()
            }
            None => self.0.hub.follow_all().boxed(),
        };
        let seen = move |published: &Published| ready(actor.sees_group(published.group));
        let published = published.filter(seen).then(|published| async move {
            published.delivered().await; // proxies first
            published
        });
        Ok(published.boxed())
    }
}

/// A thing of a snapshot, and how it is shown.
#[derive(Clone, Debug)]
pub struct ShownItem {
    /// Which thing, and the hash of what it is made of.
    pub item: Item,
    /// Its content, without what is secret in it.
    pub json: Value,
}

/// A thing that is not the same in two snapshots, and how that is shown.
#[derive(Clone, Debug)]
pub struct ChangedItem {
    /// Which thing, what it was, and what it has become.
    pub change: ItemChange,
    /// The difference of its JSON, as `diff -u` writes it.
    pub diff: String,
}

impl App {
    /// One snapshot.
    pub async fn snapshot(&self, actor: &Actor, id: SnapshotId) -> Result<SnapshotRecord> {
        let snapshot = self.0.store.read().await?.snapshot(id).await?;
        actor.may(Operation::ReadSnapshot, snapshot.group)?;
        Ok(snapshot)
    }

    /// Those of these snapshots that there are and `actor` may see, in any order.
    pub async fn snapshots_by_id(
        &self,
        actor: &Actor,
        ids: &[SnapshotId],
    ) -> Result<Vec<SnapshotRecord>> {
        let mut snapshots = self.0.store.read().await?.snapshots_by_id(ids).await?;
        snapshots.retain(|found| actor.may(Operation::ReadSnapshot, found.group).is_ok());
        Ok(snapshots)
    }

    /// A group's snapshot of a revision.
    pub async fn snapshot_of_revision(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        revision: Revision,
    ) -> Result<SnapshotRecord> {
        let tx = self.look(actor, Operation::ReadSnapshot, group).await?;
        let found = tx.find_snapshot_at(group, revision).await?;
        found.ok_or_else(|| Error::not_found("snapshot of revision", revision))
    }

    /// What a group's proxies were given at a time.
    pub async fn snapshot_of_time(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        time: DateTime<Utc>,
    ) -> Result<SnapshotRecord> {
        let tx = self.look(actor, Operation::ReadSnapshot, group).await?;
        let found = tx.find_snapshot_of_time(group, time).await?;
        found.ok_or_else(|| Error::not_found("snapshot of", time.to_rfc3339()))
    }

    /// What a snapshot was made of, in order.
    ///
    /// `NotFound` if that was not kept: it is from before history did so.
    pub async fn snapshot_items(
        &self,
        actor: &Actor,
        snapshot: &SnapshotRecord,
        which: Which,
    ) -> Result<Vec<Item>> {
        let tx = self.look(actor, Operation::ReadSnapshot, snapshot.group).await?;
        let items = tx.items(snapshot.group, snapshot.revision, which).await?;
        if items.is_empty() {
            return Err(Error::not_found("content kept of snapshot", snapshot.id));
        }
        Ok(items)
    }

    /// These things of a group, with how each is shown.
    pub async fn show_items(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        items: Vec<Item>,
    ) -> Result<Vec<ShownItem>> {
        let tx = self.look(actor, Operation::ReadSnapshot, group).await?;
        let kept = tx.contents(items).await?;
        let show = |kept: KeptItem| {
            let json = history::json(&kept)?;
            Ok(ShownItem { item: kept.item, json })
        };
        let shown = spawn_blocking(move || kept.into_iter().map(show).collect());
        shown.await.map_err(Error::internal)?
    }

    /// What is not the same in two snapshots of one group, in order.
    pub async fn snapshot_changes(
        &self,
        actor: &Actor,
        (from, to): (&SnapshotRecord, &SnapshotRecord),
        which: Which,
    ) -> Result<Vec<ItemChange>> {
        if from.group != to.group {
            return Err(Invalid::new("to", "is a snapshot of another node group"))?;
        }
        let before = self.snapshot_items(actor, from, which).await?;
        let after = self.snapshot_items(actor, to, which).await?;
        Ok(history::changes(before, after))
    }

    /// These changes of a group, with how each is shown.
    pub async fn show_changes(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        changes: Vec<ItemChange>,
    ) -> Result<Vec<ChangedItem>> {
        let sides = changes.iter().flat_map(|change| [change.from.clone(), change.to.clone()]);
        let tx = self.look(actor, Operation::ReadSnapshot, group).await?;
        let kept = tx.contents(sides.flatten().collect()).await?;
        let shown = spawn_blocking(move || {
            let shown = kept.into_iter().map(|kept| Ok((kept.item.clone(), history::json(&kept)?)));
            let shown: HashMap<Item, Value> = shown.collect::<Result<_>>()?;
            let side = |item: &Option<Item>| item.as_ref().and_then(|item| shown.get(item));
            let diff = |change: ItemChange| {
                let diff = history::unified_diff(side(&change.from), side(&change.to));
                ChangedItem { change, diff }
            };
            Ok(changes.into_iter().map(diff).collect())
        });
        shown.await.map_err(Error::internal)?
    }
}
