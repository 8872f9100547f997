//! What a snapshot is made of, and how two differ.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use serde_json::Value;

use super::super::app_and_actor;
use super::super::global_id::GlobalId;
use super::super::page::{Paged, Slice};
use super::super::scalars::int;
use super::super::xds_nodes::{self, XdsTypeEnum};
use super::SnapshotObject;
use crate::app::{ChangedItem, ShownItem};
use crate::error::Error;
use crate::history::ItemChange;
use crate::model::{
    Item, ItemKind, ListenerId, MappingId, NodeGroupId, Noun, RouteId, ServiceId, SnapshotRecord,
    Which,
};

/// A resource of a snapshot.
#[derive(SimpleObject)]
#[graphql(name = "SnapshotResource")]
pub(super) struct ResourceObject {
    /// Of which type it is.
    #[graphql(name = "type")]
    resource_type: XdsTypeEnum,
    /// Unique within the type.
    name: String,
    /// A hash of its content: what delta proxies get as its version.
    version: String,
    /// The resource as Envoy writes it in a `config_dump`, in proto3's JSON. What is
    /// secret in it is left out.
    json: async_graphql::Json<Value>,
}

/// Two snapshots of one node group, and what is not the same in them.
pub(super) struct DiffObject {
    from: SnapshotRecord,
    to: SnapshotRecord,
    resources: Vec<ItemChange>,
    objects: Vec<ItemChange>,
}

/// What became of something.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "DifferenceKind")]
pub(in super::super) enum DifferenceEnum {
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
    /// It is not what it was.
    Changed,
}

/// A resource that is not the same in two snapshots.
#[derive(SimpleObject)]
#[graphql(name = "ResourceDifference")]
pub(in super::super) struct ResourceDifference {
    /// What became of it.
    kind: DifferenceEnum,
    /// Of which type it is.
    #[graphql(name = "type")]
    resource_type: XdsTypeEnum,
    /// What it is called.
    name: String,
    /// What it was; null if it was not there.
    from_version: Option<String>,
    /// What it is since; null if it is gone.
    to_version: Option<String>,
    /// How its JSON differs, line by line, as `diff -u` writes it. Empty if all that
    /// changed is secret.
    diff: String,
}

/// Something configured that was not the same at two snapshots.
#[derive(SimpleObject)]
#[graphql(name = "ObjectDifference")]
pub(in super::super) struct ObjectDifference {
    /// What became of it.
    kind: DifferenceEnum,
    /// The id of the node group, service, listener, route or mapping; it may be gone by now.
    id: ID,
    /// How it differs, line by line, as `diff -u` writes it.
    diff: String,
}

impl From<ChangedItem> for ResourceDifference {
    fn from(ChangedItem { change, diff }: ChangedItem) -> Self {
        Self {
            kind: kind_of(&change),
            resource_type: type_of(&change.kind),
            from_version: change.from.map(|item| item.hash),
            to_version: change.to.map(|item| item.hash),
            name: change.name,
            diff,
        }
    }
}

impl TryFrom<ChangedItem> for ObjectDifference {
    type Error = Error;

    fn try_from(ChangedItem { change, diff }: ChangedItem) -> Result<Self, Error> {
        Ok(Self { kind: kind_of(&change), id: global_id(&change)?, diff })
    }
}

/// A page of the resources of a snapshot, or of those of one type.
pub(super) async fn resources(
    ctx: &Context<'_>,
    snapshot: &SnapshotRecord,
    of: Option<XdsTypeEnum>,
    slice: Slice,
) -> Result<Paged<ResourceObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let mut items = app.snapshot_items(actor, snapshot, Which::Resources).await?;
    items.retain(|item| of.is_none_or(|of| type_of(&item.kind) == of));
    let (items, places) = slice.part(items);
    let shown = app.show_items(actor, snapshot.group, items).await?;
    let rows = places.zip(shown).collect();
    Ok(slice.present(
        rows,
        |(place, _)| *place,
        |(_, ShownItem { item, json })| {
            let Item { kind, name, hash } = item;
            let resource_type = type_of(&kind);
            ResourceObject { resource_type, name, version: hash, json: async_graphql::Json(json) }
        },
    ))
}

impl DiffObject {
    pub(super) async fn load(ctx: &Context<'_>, from: &ID, to: &ID) -> Result<Self> {
        let (app, actor) = app_and_actor(ctx)?;
        let from = app.snapshot(actor, super::id(from, "from")?).await?;
        let to = app.snapshot(actor, super::id(to, "to")?).await?;
        let resources = app.snapshot_changes(actor, (&from, &to), Which::Resources).await?;
        let objects = app.snapshot_changes(actor, (&from, &to), Which::Desired).await?;
        Ok(Self { from, to, resources, objects })
    }

    fn count(&self, kind: DifferenceEnum) -> i32 {
        int(self.resources.iter().filter(|change| kind_of(change) == kind).count())
    }

    async fn page(
        &self,
        ctx: &Context<'_>,
        changes: &[ItemChange],
        slice: Slice,
    ) -> Result<Vec<(i64, ChangedItem)>> {
        let (app, actor) = app_and_actor(ctx)?;
        let (changes, places) = slice.part(changes.to_vec());
        Ok(places.zip(app.show_changes(actor, self.to.group, changes).await?).collect())
    }
}

/// What is not the same in two snapshots of a node group.
#[Object(name = "SnapshotDiff")]
impl DiffObject {
    /// The one snapshot.
    async fn from(&self) -> SnapshotObject {
        SnapshotObject(self.from.clone())
    }

    /// The other one.
    async fn to(&self) -> SnapshotObject {
        SnapshotObject(self.to.clone())
    }

    /// How many resources were added.
    async fn added(&self) -> i32 {
        self.count(DifferenceEnum::Added)
    }

    /// How many resources were removed.
    async fn removed(&self) -> i32 {
        self.count(DifferenceEnum::Removed)
    }

    /// How many resources were changed.
    async fn changed(&self) -> i32 {
        self.count(DifferenceEnum::Changed)
    }

    /// The resources that are not the same.
    async fn resources(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<ResourceDifference>> {
        let slice = Slice::parse(first, after.as_deref())?;
        let rows = self.page(ctx, &self.resources, slice).await?;
        Ok(slice.present(rows, |(place, _)| *place, |(_, change)| change.into()))
    }

    /// What people had configured otherwise.
    async fn objects(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<ObjectDifference>> {
        let slice = Slice::parse(first, after.as_deref())?;
        let rows = self.page(ctx, &self.objects, slice).await?;
        let present = |(place, change)| Ok((place, ObjectDifference::try_from(change)?));
        let rows = rows.into_iter().map(present).collect::<Result<Vec<_>, Error>>()?;
        Ok(slice.present(rows, |(place, _)| *place, |(_, difference)| difference))
    }
}

pub(in super::super) fn kind_of(change: &ItemChange) -> DifferenceEnum {
    match (&change.from, &change.to) {
        (None, _) => DifferenceEnum::Added,
        (Some(_), None) => DifferenceEnum::Removed,
        (Some(_), Some(_)) => DifferenceEnum::Changed,
    }
}

fn type_of(kind: &ItemKind) -> XdsTypeEnum {
    let ItemKind::Resource(name) = kind else { return XdsTypeEnum::Other };
    resource_type(name)
}

/// The type of resources that is called so.
pub(in super::super) fn resource_type(name: &str) -> XdsTypeEnum {
    xds_nodes::resource_type(name).map_or(XdsTypeEnum::Other, Into::into)
}

/// The id of what people configured.
fn global_id(change: &ItemChange) -> Result<ID, Error> {
    fn global<I: GlobalId>(number: &str) -> Option<ID> {
        I::from_number(number).map(|id| id.global())
    }
    let id = match &change.kind {
        ItemKind::Desired(Noun::NodeGroup) => global::<NodeGroupId>(&change.name),
        ItemKind::Desired(Noun::Service) => global::<ServiceId>(&change.name),
        ItemKind::Desired(Noun::Listener) => global::<ListenerId>(&change.name),
        ItemKind::Desired(Noun::Route) => global::<RouteId>(&change.name),
        ItemKind::Desired(Noun::Mapping) => global::<MappingId>(&change.name),
        ItemKind::Resource(_) => None,
    };
    id.ok_or_else(|| Error::internal(format!("history names no id: {}", change.name)))
}
