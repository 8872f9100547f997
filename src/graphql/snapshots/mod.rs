//! Snapshots: what proxies are given, now and before.

mod content;
mod rollback;

use std::collections::BTreeMap;

use async_graphql::{Context, ID, Object, Result, SimpleObject};

use super::app_and_actor;
use super::global_id::{GlobalId as _, optional};
use super::nacks::FirstNackObject;
use super::node_groups::NodeGroupObject;
use super::page::{Paged, Slice};
use super::scalars::{Time, int};
use super::xds_nodes::XdsTypeEnum;
use crate::compile::TYPES;
use crate::error::Error;
use crate::graphql::loaders;
use crate::model::{
    Answers, Invalid, NodeGroupId, Revision, SnapshotId, SnapshotRecord, TypeRecord,
};
use marchproxy_xds::ResourceType;

pub(super) use rollback::SnapshotMutation;

use self::content::{DiffObject, ResourceObject};
pub(super) use self::content::{
    DifferenceEnum, ObjectDifference, ResourceDifference, kind_of, resource_type,
};

#[derive(Default)]
pub(super) struct SnapshotQuery;

pub(super) struct SnapshotObject(pub(super) SnapshotRecord);

/// What a snapshot holds of one type.
#[derive(SimpleObject)]
#[graphql(name = "XdsTypeVersion")]
pub(super) struct TypeVersionObject {
    /// Which type.
    #[graphql(name = "type")]
    pub(super) resource_type: XdsTypeEnum,
    /// A hash of the resources' content: what proxies get as the version.
    pub(super) version: String,
    /// How many resources there are of it.
    pub(super) resource_count: i32,
}

#[Object]
impl SnapshotQuery {
    /// A node group's snapshots, the newest first; the default group's if none
    /// is named.
    async fn snapshots(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The node group; the default one if null.")] group: Option<ID>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 20)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<SnapshotObject>> {
        let (app, _) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        paged(ctx, group.unwrap_or(app.default_group()), first, after.as_deref()).await
    }

    /// One snapshot: by its id; or, of a node group (the default one if none is
    /// named), what was given out at a time, or at a revision, or the newest.
    async fn snapshot(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A global id.")] id: Option<ID>,
        #[graphql(desc = "The node group; the default one if null.")] group: Option<ID>,
        #[graphql(desc = "What was given out then.")] at: Option<Time>,
        #[graphql(desc = "What the group was at this revision.")] revision: Option<i64>,
    ) -> Result<SnapshotObject> {
        let (app, actor) = app_and_actor(ctx)?;
        let of: Option<NodeGroupId> = optional(group.as_ref(), "group")?;
        let group = of.unwrap_or(app.default_group());
        let record = match (id, at, revision) {
            (Some(id), None, None) if of.is_none() => {
                app.snapshot(actor, self::id(&id, "id")?).await?
            }
            (None, Some(at), None) => app.snapshot_of_time(actor, group, at.0).await?,
            (None, None, Some(revision)) => {
                app.snapshot_of_revision(actor, group, revision.into()).await?
            }
            (None, None, None) => {
                let newest = app.snapshots(actor, group, None, 1).await?.into_iter().next();
                newest.ok_or_else(|| Error::not_found("snapshot of node group", group))?
            }
            (Some(_), _, _) | (None, Some(_), Some(_)) => {
                let why = "name a snapshot by its id, or by a time or a revision of a group";
                return Err(Invalid::new("id", why).into());
            }
        };
        Ok(SnapshotObject(record))
    }

    /// What is not the same in two snapshots of one node group.
    async fn snapshot_diff(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the one snapshot.")] from: ID,
        #[graphql(desc = "The id of the other one.")] to: ID,
    ) -> Result<DiffObject> {
        DiffObject::load(ctx, &from, &to).await
    }
}

/// What a snapshot holds of each type, by the types' names.
pub(super) fn type_versions(types: &BTreeMap<String, TypeRecord>) -> Vec<TypeVersionObject> {
    let record = |t: ResourceType| {
        let record = types.get(&t.to_string())?;
        Some(TypeVersionObject {
            resource_type: t.into(),
            version: record.version.clone(),
            resource_count: int(record.count),
        })
    };
    TYPES.into_iter().filter_map(record).collect()
}

/// Reads the id of a snapshot that a client sent in `field`.
fn id(id: &ID, field: &str) -> Result<SnapshotId, Invalid> {
    SnapshotId::parse(id, field)
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
    /// Its global id.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// The node group that it belongs to.
    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        Ok(loaders::node_group(ctx, self.0.group).await?)
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
        type_versions(&self.0.types)
    }

    /// The resources, by type and name. `NOT_FOUND` for one from before they were kept.
    async fn resources(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those of this type.", name = "type")] of: Option<XdsTypeEnum>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<ResourceObject>> {
        content::resources(ctx, &self.0, of, Slice::parse(first, after.as_deref())?).await
    }

    /// How many proxies have taken all of it, over time; one that comes back to another
    /// instance of the control plane may count again.
    async fn adopted(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(self.answers(ctx)?.adopted)
    }

    /// How many proxies came to refuse some of it, counted as `adopted` is.
    async fn refused(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(self.answers(ctx)?.refused)
    }

    /// The first refusal of something that it changed, or that a proxy was sent anew, coming
    /// back while this was the newest; null if there was none.
    async fn first_nack(&self, ctx: &Context<'_>) -> Result<Option<FirstNackObject>> {
        let first = self.answers(ctx)?.first_refusal;
        Ok(first.and_then(|kept| FirstNackObject::new(self.0.group, self.0.revision, kept)))
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

    /// When it was made.
    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }
}

impl SnapshotObject {
    fn answers(&self, ctx: &Context<'_>) -> Result<Answers> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(app.answers(actor, &self.0)?)
    }
}
