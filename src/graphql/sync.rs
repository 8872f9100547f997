//! The truth per proxy: how each type, and each resource of it, stands.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use chrono::TimeDelta;
use marchproxy_xds::ResourceType;

use super::node::NodeObject;
use super::page::{Paged, Slice};
use super::scalars::{Time, int};
use super::xds_nodes::XdsTypeEnum;
use super::{app_and_actor, loaders, nacks};
use crate::app::{ResourceSync, rank};
use crate::compile::blame;
use crate::model::NodeGroupId;
use crate::nodes::{Convergence, NodeStatus, TypeStatus};

/// How something stands with a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "SyncState", remote = "marchproxy_xds::ResourceState")]
pub(super) enum SyncStateEnum {
    /// Due, and not sent yet.
    Pending,
    /// Sent, and not answered yet.
    Sent,
    /// Sent, and the proxy waits for something before it answers: a new cluster for its
    /// endpoints.
    Warming,
    /// Accepted.
    Acked,
    /// Refused.
    Nacked,
    /// Asked for by the proxy, and there is none of that name.
    Absent,
}

/// How one type stands with a proxy.
pub(super) struct TypeSyncObject {
    resource_type: ResourceType,
    status: TypeStatus,
    resources: Vec<ResourceSync>,
    group: NodeGroupId,
}

/// How one resource stands with a proxy.
pub(super) struct ResourceSyncObject {
    sync: ResourceSync,
    group: NodeGroupId,
}

/// Why a proxy refuses a resource.
#[derive(SimpleObject)]
#[graphql(name = "ResourceNack")]
pub(super) struct ResourceNackObject {
    /// The version that it refuses.
    version: String,
    /// Its own words.
    message: String,
    /// When it said so.
    at: Time,
}

/// How long proxies took from the publication of a snapshot until nothing was left to do.
#[derive(SimpleObject)]
#[graphql(name = "Convergence")]
pub(super) struct ConvergenceObject {
    /// How many times that was measured.
    samples: i32,
    /// Milliseconds that half of them took at the most; null without a sample.
    p50_ms: Option<f64>,
    /// Milliseconds that 99 of 100 took at the most; null without a sample.
    p99_ms: Option<f64>,
}

/// A time in milliseconds, to the microsecond.
pub(super) fn millis(time: TimeDelta) -> f64 {
    (time.as_seconds_f64() * 1e6).round() / 1000.0
}

impl From<Convergence> for ConvergenceObject {
    fn from(Convergence { samples, p50, p99 }: Convergence) -> Self {
        Self { samples: int(samples), p50_ms: p50.map(millis), p99_ms: p99.map(millis) }
    }
}

/// How each type stands with a proxy that it asks for.
pub(super) fn of_node(ctx: &Context<'_>, node: &NodeStatus) -> Result<Vec<TypeSyncObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let resources = app.node_sync(actor, node)?;
    let mut types: Vec<_> = node
        .types
        .iter()
        .map(|(resource_type, status)| TypeSyncObject {
            resource_type: *resource_type,
            status: status.clone(),
            resources: vec![],
            group: node.group,
        })
        .collect();
    for sync in resources {
        let place = types.iter().position(|known| known.resource_type == sync.resource_type);
        let place = place.unwrap_or_else(|| {
            types.push(TypeSyncObject {
                resource_type: sync.resource_type,
                status: TypeStatus::default(),
                resources: vec![],
                group: node.group,
            });
            types.len() - 1
        });
        types[place].resources.push(sync);
    }
    types.sort_by_key(|known| known.resource_type);
    Ok(types)
}

/// How one type stands with a proxy.
#[Object(name = "XdsTypeSync")]
impl TypeSyncObject {
    /// Which type.
    #[graphql(name = "type")]
    async fn resource_type(&self) -> XdsTypeEnum {
        self.resource_type.into()
    }

    /// How the resource stands that has the farthest to go; null if the proxy is not
    /// connected, or asks for nothing.
    async fn state(&self) -> Option<SyncStateEnum> {
        let states = self.resources.iter().map(|sync| sync.state);
        states.max_by_key(|state| rank(*state)).map(Into::into)
    }

    /// What it was last sent; null if it held everything already.
    async fn sent_version(&self) -> Option<&str> {
        self.status.sent_version.as_deref()
    }

    /// When.
    async fn sent_at(&self) -> Option<Time> {
        self.status.sent_at.map(Time)
    }

    /// What it holds.
    async fn acked_version(&self) -> Option<&str> {
        self.status.acked_version.as_deref()
    }

    /// When it accepted that.
    async fn acked_at(&self) -> Option<Time> {
        self.status.acked_at.map(Time)
    }

    /// Milliseconds that it took to accept what it was last sent; null until it has.
    async fn latency_ms(&self) -> Option<f64> {
        self.status.latency().map(millis)
    }

    /// How many resources it asks for, or how many of them stand like this.
    async fn resource_count(
        &self,
        #[graphql(desc = "Counts those that stand like this.")] state: Option<SyncStateEnum>,
    ) -> i32 {
        int(self.in_state(state).count())
    }

    /// The resources that it asks for, by name, or those that stand like this.
    async fn resources(
        &self,
        #[graphql(desc = "Lists those that stand like this.")] state: Option<SyncStateEnum>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<ResourceSyncObject>> {
        let slice = Slice::parse(first, after.as_deref())?;
        let (resources, places) = slice.part(self.in_state(state).cloned().collect());
        let group = self.group;
        let rows = places.zip(resources).collect();
        let present = |(_, sync)| ResourceSyncObject { sync, group };
        Ok(slice.present(rows, |(place, _)| *place, present))
    }
}

impl TypeSyncObject {
    fn in_state(&self, state: Option<SyncStateEnum>) -> impl Iterator<Item = &ResourceSync> {
        let is_it =
            move |sync: &&ResourceSync| state.is_none_or(|state| sync.state == state.into());
        self.resources.iter().filter(is_it)
    }
}

/// How one resource stands with a proxy.
#[Object(name = "ResourceSync")]
impl ResourceSyncObject {
    /// What it is called.
    async fn name(&self) -> &str {
        &self.sync.name
    }

    /// The version that the proxy holds or was last sent; null if there is none.
    async fn version(&self) -> Option<&str> {
        self.sync.version.as_deref()
    }

    /// How it stands.
    async fn state(&self) -> SyncStateEnum {
        self.sync.state.into()
    }

    /// When it came to stand so, or not later; null if that is not known.
    async fn since(&self) -> Option<Time> {
        self.sync.since.map(Time)
    }

    /// When that version was sent; null for what the proxy may have had before.
    async fn sent_at(&self) -> Option<Time> {
        self.sync.sent_at.map(Time)
    }

    /// Milliseconds that the proxy took to answer to that version; null until it has.
    async fn latency_ms(&self) -> Option<f64> {
        self.sync.latency().map(millis)
    }

    /// Why the proxy refuses it, if it does.
    async fn nack(&self) -> Option<ResourceNackObject> {
        self.sync.refusal.as_ref().map(|refusal| ResourceNackObject {
            version: refusal.version.to_string(),
            message: refusal.message.to_string(),
            at: Time(refusal.at.into()),
        })
    }

    /// What it comes of; null if that is gone, or cannot be told.
    async fn object(&self, ctx: &Context<'_>) -> Result<Option<NodeObject>> {
        let nouns = loaders::nouns(ctx, self.group).await?;
        let ResourceSync { resource_type, name, .. } = &self.sync;
        let owner = blame::owner(self.group, &nouns, *resource_type, name);
        Ok(nacks::object(ctx, owner).await?)
    }
}
