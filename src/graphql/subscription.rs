//! Subscriptions. No channel and no lag in sight: those are the hub's.

use std::future::ready;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use futures_util::stream::{BoxStream, Stream, StreamExt as _, iter};

use super::app_and_actor;
use super::events::{expired, read, written};
use super::global_id::optional;
use super::loaders;
use super::node_groups::NodeGroupObject;
use super::rollout::Rollout;
use super::scalars::int;
use super::snapshots::{TypeVersionObject, type_versions};
use super::xds_nodes::{XdsNodeObject, XdsTypeEnum};
use crate::compile::TYPES;
use crate::events::Told;
use crate::hub::Published;
use crate::metrics;
use crate::model::{
    Event, EventCursor, EventFilter, EventKind, Happening, NodeGroupId, SnapshotNews,
};
use crate::nodes::{Cause, NodeChange};

#[derive(Default)]
pub(super) struct StateSubscription;

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
pub(super) enum SnapshotPublished {
    /// As the hub has it.
    Given(Published),
    /// As the event log has it.
    Logged(NodeGroupId, EventCursor, SnapshotNews),
}

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

#[async_graphql::Subscription]
impl StateSubscription {
    /// What a node group's proxies, or everybody's, are given: now, and each
    /// time that it changes. A slow subscriber skips to the latest.
    ///
    /// With `after`, the cursor of an event: each snapshot since, as the event log has it,
    /// in order and each once. It ends with the error `CURSOR_EXPIRED` where some are not
    /// kept any more; `extensions.cursor` says from where to go on.
    async fn snapshot_published<'ctx>(
        &self,
        ctx: &Context<'ctx>,
        #[graphql(desc = "The node group; all of them if null.")] group: Option<ID>,
        #[graphql(desc = "The cursor of the last event that you have.")] after: Option<String>,
    ) -> Result<impl Stream<Item = Result<SnapshotPublished>> + use<'ctx>> {
        let (app, actor) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        let Some(after) = after else {
            let snapshots = app.follow_snapshots(actor, group).await?;
            return Ok(counted(snapshots.map(|given| Ok(SnapshotPublished::Given(given))).boxed()));
        };
        let kinds = vec![EventKind::SnapshotPublished];
        let told = app.follow_events(actor, Some(read(&after)?), EventFilter { kinds, group });
        Ok(counted(until_reset(told.await?)))
    }

    /// How each proxy of a node group, or of all, stands: now, and each time
    /// that one connects, accepts, refuses or goes away. A slow subscriber
    /// misses changes, but not the latest state of any proxy.
    async fn node_status_changed<'ctx>(
        &self,
        ctx: &Context<'ctx>,
        #[graphql(desc = "The node group; all of them if null.")] group: Option<ID>,
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
        #[graphql(desc = "The version of a snapshot.")] version: String,
        #[graphql(desc = "The node group; all of them if null.")] group: Option<ID>,
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
pub(super) fn counted<S: Stream>(subscription: S) -> impl Stream<Item = S::Item> + use<S> {
    let open = metrics::subscription();
    subscription.inspect(move |_| {
        let _ = &open; // it goes with the stream
    })
}

/// The snapshots that are told, up to the first that are not: that is an error, and the
/// end.
fn until_reset(
    told: impl Stream<Item = Told> + Send + 'static,
) -> BoxStream<'static, Result<SnapshotPublished>> {
    let snapshots = told.flat_map(|told| {
        iter(match told {
            Told::Reset(reset) => vec![Some(Err(expired(reset.cursor))), None],
            Told::Event(event) => vec![SnapshotPublished::logged(&event).map(Ok)],
        })
    });
    // An event of another kind would end it as well; there is none, by the filter.
    snapshots.take_while(|next| ready(next.is_some())).filter_map(ready).boxed()
}

/// A snapshot that a node group's proxies are being given.
#[Object]
impl SnapshotPublished {
    /// Whose proxies: as it was when this was compiled, or, of what the event log has, as
    /// it is.
    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        match self {
            Self::Given(given) => Ok(NodeGroupObject(given.node_group().clone())),
            Self::Logged(group, ..) => Ok(loaders::node_group(ctx, *group).await?),
        }
    }

    /// Its place in the event log, if there was an `after`.
    async fn cursor(&self) -> Option<String> {
        match self {
            Self::Given(_) => None,
            Self::Logged(_, cursor, _) => Some(written(*cursor)),
        }
    }

    /// A hash of the snapshot's content.
    async fn version(&self) -> &str {
        match self {
            Self::Given(given) => given.snapshot.digest(),
            Self::Logged(.., news) => &news.version,
        }
    }

    /// The group's revision that it was compiled from.
    async fn revision(&self) -> u64 {
        match self {
            Self::Given(given) => given.snapshot.revision(),
            Self::Logged(.., news) => news.revision.as_u64(),
        }
    }

    /// What it holds of each type.
    async fn types(&self) -> Vec<TypeVersionObject> {
        let snapshot = match self {
            Self::Given(given) => &given.snapshot,
            Self::Logged(.., news) => return type_versions(&news.types),
        };
        let types = TYPES.into_iter().map(|t| TypeVersionObject {
            resource_type: t.into(),
            version: snapshot.version(t).to_string(),
            resource_count: int(snapshot.count(t)),
        });
        types.collect()
    }
}

impl SnapshotPublished {
    fn logged(event: &Event) -> Option<Self> {
        match (&event.told.happening, event.told.group) {
            (Happening::SnapshotPublished(news), Some(group)) => {
                Some(Self::Logged(group, event.cursor, news.clone()))
            }
            _ => None,
        }
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
