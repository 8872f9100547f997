//! Mappings.

use std::collections::BTreeSet;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use futures_util::future::try_join_all;

use super::change::{
    ChangeObject, ChangePayload, DeleteInput, DeletePayload, WaitForInput, changed, changed_or,
};
use super::changes::{Refers, value_mut};
use super::global_id::{GlobalId as _, optional};
use super::labels::{self, LabelInput, LabelObject};
use super::loaders;
use super::node_groups::NodeGroupObject;
use super::page::{Paged, Slice};
use super::parse::{in_input, text, texts};
use super::payload::payloads;
use super::scalars::Time;
use super::services::ServiceObject;
use super::{app_and_actor, in_mode};
use crate::app::NewMapping;
use crate::model::{
    At as _, Invalid, Mapping, MappingChange, MappingId, MappingSpec, NodeGroupId, PortRange,
    ServiceId, Services,
};

#[derive(Default)]
pub(super) struct MappingQuery;

#[derive(Default)]
pub(super) struct MappingMutation;

/// By what a mapping's destinations are reached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Enum)]
#[graphql(name = "MappingProtocol", remote = "crate::model::MappingProtocol")]
pub(super) enum MappingProtocolEnum {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
    /// Control messages, as of `ping`.
    Icmp,
    /// HTTP.
    Http,
    /// HTTP, encrypted.
    Https,
}

/// A mapping to be made.
#[derive(InputObject)]
pub(super) struct CreateMappingInput {
    /// The node group; the default one if not said.
    group: Option<ID>,
    /// Unique in its group.
    name: String,
    /// What it is for.
    #[graphql(default)]
    description: String,
    /// The services that may reach; null for whoever asks.
    source_services: Option<Vec<ID>>,
    /// The services that may be reached; null for all.
    dest_services: Option<Vec<ID>>,
    /// By what.
    #[graphql(default_with = "tcp_and_udp()")]
    protocols: Vec<MappingProtocolEnum>,
    /// As in `80` or `80-90`; any if none is said.
    #[graphql(default)]
    ports: Vec<String>,
    /// Whether who reaches must prove themselves.
    #[graphql(default = true)]
    auth_required: bool,
    /// What else people have to say of it.
    #[graphql(default)]
    comments: String,
    /// What to sort it by; up to 32 labels.
    #[graphql(default)]
    labels: Vec<LabelInput>,
}

/// What to change; what is left out stays as it is.
#[derive(InputObject)]
pub(super) struct UpdateMappingInput {
    /// The mapping.
    id: ID,
    /// The `revision` that you have seen: `CONFLICT` if it was changed since.
    if_revision: i64,
    /// Unique in its group.
    name: Option<String>,
    /// What it is for.
    description: Option<String>,
    /// Null for whoever asks.
    source_services: async_graphql::MaybeUndefined<Vec<ID>>,
    /// Null for all.
    dest_services: async_graphql::MaybeUndefined<Vec<ID>>,
    /// By what.
    protocols: Option<Vec<MappingProtocolEnum>>,
    /// As in `80` or `80-90`; any if the list is empty.
    ports: Option<Vec<String>>,
    /// Whether who reaches must prove themselves.
    auth_required: Option<bool>,
    /// What else people have to say of it.
    comments: Option<String>,
    /// Whether it counts.
    is_active: Option<bool>,
    /// Takes the place of all labels.
    labels: Option<Vec<LabelInput>>,
}

/// What became of a mapping.
#[derive(Default, SimpleObject)]
pub(super) struct MappingPayload {
    /// As it is since; with `CONFLICT`, as somebody else has made it.
    mapping: Option<MappingObject>,
    #[graphql(flatten)]
    change: ChangeObject,
}

payloads!(MappingPayload.change.user_errors);

impl ChangePayload for MappingPayload {
    type Of = Mapping;

    fn new(mapping: Mapping, change: ChangeObject) -> Self {
        Self { mapping: Some(MappingObject(mapping)), change }
    }
}

pub(super) struct MappingObject(pub(super) Mapping);

#[Object]
impl MappingQuery {
    /// A node group's mappings; the default group's if none is named.
    async fn mappings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The node group; the default one if null.")] group: Option<ID>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
        #[graphql(desc = "Only what has all of these labels.")] labels: Option<Vec<LabelInput>>,
    ) -> Result<Paged<MappingObject>> {
        let (app, _) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        paged(ctx, group.unwrap_or(app.default_group()), first, after.as_deref(), labels).await
    }

    /// One mapping.
    async fn mapping(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A global id.")] id: ID,
    ) -> Result<MappingObject> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(MappingObject(app.mapping(actor, MappingId::parse(&id, "id")?).await?))
    }
}

/// A page of a group's mappings.
pub(super) async fn paged(
    ctx: &Context<'_>,
    group: NodeGroupId,
    first: i64,
    after: Option<&str>,
    labels: Option<Vec<LabelInput>>,
) -> Result<Paged<MappingObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let slice = Slice::parse(first, after)?;
    let rows = app.mappings(actor, group, slice.labelled(labels)?).await?;
    Ok(slice.present(rows, |mapping| i32::from(mapping.id).into(), MappingObject))
}

#[Object]
impl MappingMutation {
    /// Creates a mapping.
    async fn create_mapping(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: CreateMappingInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<MappingPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let new = in_input(input.parse())?;
            in_input(app.create_mapping(actor, new).await)
        };
        changed(ctx, wait_for, done).await
    }

    /// Changes a mapping.
    async fn update_mapping(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: UpdateMappingInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<MappingPayload> {
        let id = input.id.clone();
        let current = async { Ok(MappingQuery.mapping(ctx, id).await?.0) };
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let (id, change) = in_input(input.parse())?;
            in_input(app.update_mapping(actor, id, change).await)
        };
        changed_or(ctx, wait_for, done, current).await
    }

    /// Deletes a mapping.
    async fn delete_mapping(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: DeleteInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<DeletePayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let (id, seen) = in_input(input.parse())?;
            let change = in_input(app.delete_mapping(actor, id, Some(seen)).await)?;
            Ok((input.id, change))
        };
        changed(ctx, wait_for, done).await
    }
}

fn tcp_and_udp() -> Vec<MappingProtocolEnum> {
    vec![MappingProtocolEnum::Tcp, MappingProtocolEnum::Udp]
}

impl CreateMappingInput {
    pub(super) fn parse(self) -> Result<NewMapping, Invalid> {
        Ok(NewMapping {
            group: optional(self.group.as_ref(), "group")?,
            spec: MappingSpec {
                labels: labels::parse(self.labels)?,
                name: self.name.try_into().at("name")?,
                description: text(self.description, "description")?,
                sources: services(self.source_services, "sourceServices")?,
                destinations: services(self.dest_services, "destServices")?,
                protocols: self.protocols.into_iter().map(Into::into).collect(),
                ports: ports(self.ports)?,
                auth_required: self.auth_required,
                comments: text(self.comments, "comments")?,
                is_active: true,
            },
        })
    }
}

impl UpdateMappingInput {
    pub(super) fn parse(self) -> Result<(MappingId, MappingChange), Invalid> {
        use async_graphql::MaybeUndefined;
        let replaced = |ids, field| match ids {
            MaybeUndefined::Undefined => Ok(None),
            MaybeUndefined::Null => Ok(Some(Services::All)),
            MaybeUndefined::Value(ids) => services(Some(ids), field).map(Some),
        };
        let change = MappingChange {
            labels: self.labels.map(labels::parse).transpose()?,
            if_revision: Some(self.if_revision.into()),
            name: self.name.map(|name| name.try_into().at("name")).transpose()?,
            description: self.description.map(|d| text(d, "description")).transpose()?,
            sources: replaced(self.source_services, "sourceServices")?,
            destinations: replaced(self.dest_services, "destServices")?,
            protocols: self
                .protocols
                .map(|protocols| protocols.into_iter().map(Into::into).collect()),
            ports: self.ports.map(ports).transpose()?,
            auth_required: self.auth_required,
            comments: self.comments.map(|c| text(c, "comments")).transpose()?,
            is_active: self.is_active,
        };
        Ok((MappingId::parse(&self.id, "id")?, change))
    }
}

impl Refers for CreateMappingInput {
    fn ids(&mut self) -> Vec<&mut ID> {
        let lists = [&mut self.source_services, &mut self.dest_services];
        lists.into_iter().flatten().flatten().collect()
    }
}

impl Refers for UpdateMappingInput {
    fn ids(&mut self) -> Vec<&mut ID> {
        let lists = [&mut self.source_services, &mut self.dest_services];
        lists.into_iter().filter_map(value_mut).flatten().collect()
    }
}

fn services(ids: Option<Vec<ID>>, field: &str) -> Result<Services, Invalid> {
    let Some(ids) = ids else { return Ok(Services::All) };
    let mut parsed = BTreeSet::new();
    for (i, id) in ids.iter().enumerate() {
        // The id of a place in a list has no name but its number.
        let id = ServiceId::parse(id, &i.to_string()).map_err(|e| e.within(field))?;
        parsed.insert(id);
    }
    Ok(Services::These(parsed))
}

fn ports(ports: Vec<String>) -> Result<Vec<PortRange>, Invalid> {
    texts(ports, "ports")
}

/// Which services may reach which, and how. For Envoy it is a route for each
/// source: what is asked of the source's host goes to the first destination that
/// speaks HTTP.
#[Object(name = "Mapping")]
impl MappingObject {
    /// Its global id.
    pub(super) async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// Unique in its group.
    async fn name(&self) -> &str {
        self.0.spec.name.as_str()
    }

    /// What it is for.
    async fn description(&self) -> &str {
        &self.0.spec.description
    }

    /// The node group that it belongs to.
    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        Ok(loaders::node_group(ctx, self.0.group).await?)
    }

    /// The services that may reach; null for whoever asks.
    async fn source_services(&self, ctx: &Context<'_>) -> Result<Option<Vec<ServiceObject>>> {
        named(ctx, &self.0.spec.sources).await
    }

    /// The services that may be reached; null for all.
    async fn dest_services(&self, ctx: &Context<'_>) -> Result<Option<Vec<ServiceObject>>> {
        named(ctx, &self.0.spec.destinations).await
    }

    /// By what.
    async fn protocols(&self) -> Vec<MappingProtocolEnum> {
        self.0.spec.protocols.iter().copied().map(Into::into).collect()
    }

    /// As in `80` or `80-90`; any if there is none.
    async fn ports(&self) -> Vec<String> {
        self.0.spec.ports.iter().map(ToString::to_string).collect()
    }

    /// Whether who reaches must prove themselves.
    async fn auth_required(&self) -> bool {
        self.0.spec.auth_required
    }

    /// What else people have to say of it.
    async fn comments(&self) -> &str {
        &self.0.spec.comments
    }

    /// Whether it counts.
    async fn is_active(&self) -> bool {
        self.0.spec.is_active
    }

    /// What people sort it by, by key.
    async fn labels(&self) -> Vec<LabelObject> {
        labels::shown(&self.0.spec.labels)
    }

    /// The group's revision at which it was last changed; goes into `ifRevision`.
    async fn revision(&self) -> i64 {
        self.0.revision.into()
    }

    /// When it was made.
    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }

    /// When it was last changed.
    async fn updated_at(&self) -> Time {
        Time(self.0.updated_at)
    }
}

/// The services that are named, in the order of their ids; none if it is all.
async fn named(ctx: &Context<'_>, services: &Services) -> Result<Option<Vec<ServiceObject>>> {
    let Services::These(ids) = services else { return Ok(None) };
    let asked = ids.iter().map(|id| loaders::find_service(ctx, *id));
    let mut found: Vec<_> = try_join_all(asked).await?.into_iter().flatten().collect();
    found.sort_by_key(|service| service.0.id);
    Ok(Some(found))
}
