//! Snapshots: what proxies are given, now and before.

use async_graphql::{Context, ID, Object, Result, SimpleObject};

use super::app_and_actor;
use super::global_id::{GlobalId as _, optional};
use super::node_groups::NodeGroupObject;
use super::page::{Paged, Slice};
use super::scalars::{Time, int};
use super::xds_nodes::XdsTypeEnum;
use crate::compile::TYPES;
use crate::model::SnapshotRecord;
use crate::model::{NodeGroupId, Revision};
use marchproxy_xds::ResourceType;

#[derive(Default)]
pub(super) struct SnapshotQuery;

pub(super) struct SnapshotObject(pub(super) SnapshotRecord);

/// What a snapshot holds of one type.
#[derive(SimpleObject)]
#[graphql(name = "XdsTypeVersion")]
pub(super) struct TypeVersionObject {
    #[graphql(name = "type")]
    pub(super) resource_type: XdsTypeEnum,
    /// A hash of the resources' content: what proxies get as the version.
    pub(super) version: String,
    pub(super) resource_count: i32,
}

#[Object]
impl SnapshotQuery {
    /// A node group's snapshots, the newest first; the default group's if none
    /// is named.
    async fn snapshots(
        &self,
        ctx: &Context<'_>,
        group: Option<ID>,
        #[graphql(default = 20)] first: i64,
        after: Option<String>,
    ) -> Result<Paged<SnapshotObject>> {
        let (app, _) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        paged(ctx, group.unwrap_or(app.default_group()), first, after.as_deref()).await
    }
}

/// A page of a group's snapshots.
pub(super) async fn paged(
    ctx: &Context<'_>,
    group: NodeGroupId,
    first: i64,
    after: Option<&str>,
) -> Result<Paged<SnapshotObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let slice = Slice::parse(first, after)?;
    let before = slice.after().map(Revision::from);
    let rows = app.snapshots(actor, group, before, slice.limit()).await?;
    Ok(slice.present(rows, |snapshot| snapshot.revision.into(), SnapshotObject))
}

/// What was compiled for a node group at one revision.
#[Object(name = "Snapshot")]
impl SnapshotObject {
    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(NodeGroupObject(app.node_group(actor, self.0.group).await?))
    }

    /// A hash of its content.
    async fn version(&self) -> &str {
        &self.0.version
    }

    /// The group's revision that it was compiled from.
    async fn revision(&self) -> i64 {
        self.0.revision.into()
    }

    /// What it holds of each type.
    async fn types(&self) -> Vec<TypeVersionObject> {
        let record = |t: ResourceType| {
            let record = self.0.types.get(&t.to_string())?;
            Some(TypeVersionObject {
                resource_type: t.into(),
                version: record.version.clone(),
                resource_count: int(record.count),
            })
        };
        TYPES.into_iter().filter_map(record).collect()
    }

    /// What was done, for instance `create service api`.
    async fn cause(&self) -> &str {
        &self.0.cause
    }

    /// Who did it; null for the control plane itself.
    async fn author_id(&self) -> Option<ID> {
        self.0.author.map(|author| author.global())
    }

    /// Whether it is what proxies are given now.
    async fn is_current(&self, ctx: &Context<'_>) -> Result<bool> {
        let (app, actor) = app_and_actor(ctx)?;
        let current = app.current_snapshot(actor, self.0.group)?;
        Ok(current.is_some_and(|current| Revision::from(current.revision()) == self.0.revision))
    }

    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }
}
