//! Subscriptions. No channel and no lag in sight: those are the hub's.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use futures_util::stream::{Stream, StreamExt as _};

use super::app_and_actor;
use super::global_id::optional;
use super::node_groups::NodeGroupObject;
use super::rollout::Rollout;
use super::scalars::int;
use super::snapshots::TypeVersionObject;
use super::xds_nodes::{XdsNodeObject, XdsTypeEnum};
use crate::compile::TYPES;
use crate::hub::Published;
use crate::metrics;
use crate::model::NodeGroupId;
use crate::nodes::{Cause, NodeChange};

/// What can be followed.
pub struct Subscription;

/// What made a proxy's status change.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "NodeStatusCause")]
pub(super) enum CauseEnum {
    /// Nothing did: this is how it stood at the start of the subscription.
    Current,
    /// It connected.
    Connected,
    /// It accepted a response.
    Acked,
    /// It refused a response.
    Nacked,
    /// It has nothing left to do at the revision that it was given.
    Settled,
    /// It went away.
    Disconnected,
    /// Several things that this subscriber was too slow for.
    Missed,
}

/// A snapshot that a node group's proxies are being given.
pub(super) struct SnapshotPublished(Published);

/// A change of a proxy's status, and the status since.
#[derive(SimpleObject)]
pub(super) struct NodeStatusChanged {
    /// What made it change.
    cause: CauseEnum,
    /// The type that was accepted or refused.
    #[graphql(name = "type")]
    resource_type: Option<XdsTypeEnum>,
    /// The proxy, as it stands since.
    node: XdsNodeObject,
}

/// What can be followed.
#[async_graphql::Subscription]
impl Subscription {
    /// What a node group's proxies, or everybody's, are given: now, and each
    /// time that it changes. A slow subscriber skips to the latest.
    async fn snapshot_published<'ctx>(
        &self,
        ctx: &Context<'ctx>,
        group: Option<ID>,
    ) -> Result<impl Stream<Item = SnapshotPublished> + use<'ctx>> {
        let (app, actor) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        let snapshots = app.follow_snapshots(actor, group).await?;
        Ok(counted(snapshots.map(SnapshotPublished)))
    }

    /// How each proxy of a node group, or of all, stands: now, and each time
    /// that one connects, accepts, refuses or goes away. A slow subscriber
    /// misses changes, but not the latest state of any proxy.
    async fn node_status_changed<'ctx>(
        &self,
        ctx: &Context<'ctx>,
        group: Option<ID>,
    ) -> Result<impl Stream<Item = NodeStatusChanged> + use<'ctx>> {
        let (app, actor) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        let changes = app.follow_nodes(actor, group).await?;
        Ok(counted(changes.map(NodeStatusChanged::from)))
    }

    /// How far the connected proxies are with the snapshot of this version:
    /// now, and each time that one of them answers.
    async fn rollout<'ctx>(
        &self,
        ctx: &Context<'ctx>,
        version: String,
        group: Option<ID>,
    ) -> Result<impl Stream<Item = Rollout> + use<'ctx>> {
        let (app, actor) = app_and_actor(ctx)?;
        let group: Option<NodeGroupId> = optional(group.as_ref(), "group")?;
        let snapshot = app.snapshot_of_version(actor, group, &version).await?;
        let progress = app.follow_rollout(actor, snapshot.group, snapshot.revision).await?;
        let rollouts = progress.map(move |progress| Rollout::new(version.clone(), progress));
        Ok(counted(rollouts))
    }
}

/// A subscription that is counted as long as it is open.
fn counted<S: Stream>(subscription: S) -> impl Stream<Item = S::Item> + use<S> {
    let open = metrics::subscription();
    subscription.inspect(move |_| {
        let _ = &open; // it goes with the stream
    })
}

/// A snapshot that a node group's proxies are being given.
#[Object]
impl SnapshotPublished {
    /// Whose proxies, as it was when this was compiled.
    async fn node_group(&self) -> NodeGroupObject {
        NodeGroupObject(self.0.node_group().clone())
    }

    /// A hash of the snapshot's content.
    async fn version(&self) -> &str {
        self.0.snapshot.digest()
    }

    /// The group's revision that it was compiled from.
    async fn revision(&self) -> u64 {
        self.0.snapshot.revision()
    }

    /// What it holds of each type.
    async fn types(&self) -> Vec<TypeVersionObject> {
        let snapshot = &self.0.snapshot;
        let types = TYPES.into_iter().map(|t| TypeVersionObject {
            resource_type: t.into(),
            version: snapshot.version(t).to_string(),
            resource_count: int(snapshot.count(t)),
        });
        types.collect()
    }
}

impl From<NodeChange> for NodeStatusChanged {
    fn from(change: NodeChange) -> Self {
        let (cause, resource_type) = match change.cause {
            Cause::Current => (CauseEnum::Current, None),
            Cause::Connected => (CauseEnum::Connected, None),
            Cause::Acked(t) => (CauseEnum::Acked, Some(t.into())),
            Cause::Nacked(t) => (CauseEnum::Nacked, Some(t.into())),
            Cause::Settled => (CauseEnum::Settled, None),
            Cause::Disconnected => (CauseEnum::Disconnected, None),
            Cause::Missed => (CauseEnum::Missed, None),
        };
        Self { cause, resource_type, node: XdsNodeObject(change.node) }
    }
}
