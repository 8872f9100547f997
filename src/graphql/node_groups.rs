//! Node groups.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use super::app_and_actor;
use super::change::{ChangeObject, DeleteInput, WaitForInput};
use super::global_id::GlobalId as _;
use super::listeners::{self, ListenerObject};
use super::node_tokens::{self, NodeTokenObject};
use super::page::{Paged, Slice};
use super::parse::in_input;
use super::routes::{self, RouteObject};
use super::scalars::Time;
use super::services::{self, ServiceObject};
use super::snapshots::{self, SnapshotObject};
use super::xds_nodes::XdsNodeObject;
use crate::error::Error;
use crate::model::{
    At as _, Invalid, Name, NodeGroup, NodeGroupChange, NodeGroupId, NodeGroupSpec, RuntimeKey,
    RuntimeValue,
};

const MOST_SETTINGS: usize = 256;
const LONGEST_TEXT: usize = 1000;

#[derive(Default)]
pub(super) struct NodeGroupQuery;

#[derive(Default)]
pub(super) struct NodeGroupMutation;

/// A runtime setting of the group's Envoys, for instance
/// `upstream.healthy_panic_threshold` and `50`.
#[derive(InputObject)]
pub(super) struct RuntimeSettingInput {
    key: String,
    /// `true`, `false`, a number, or any other text.
    value: String,
}

#[derive(InputObject)]
pub(super) struct CreateNodeGroupInput {
    /// Unique; an Envoy whose `node.cluster` is this belongs to the group.
    name: String,
    #[graphql(default)]
    description: String,
    #[graphql(default)]
    runtime: Vec<RuntimeSettingInput>,
}

/// What to change; what is left out stays as it is.
#[derive(InputObject)]
pub(super) struct UpdateNodeGroupInput {
    id: ID,
    name: Option<String>,
    description: Option<String>,
    /// Takes the place of all settings.
    runtime: Option<Vec<RuntimeSettingInput>>,
}

#[derive(SimpleObject)]
pub(super) struct NodeGroupPayload {
    node_group: NodeGroupObject,
    #[graphql(flatten)]
    change: ChangeObject,
}

#[derive(SimpleObject)]
pub(super) struct DeleteNodeGroupPayload {
    deleted_id: ID,
}

/// A runtime setting.
#[derive(SimpleObject)]
#[graphql(name = "RuntimeSetting")]
pub(super) struct RuntimeSettingObject {
    key: String,
    value: String,
}

pub(super) struct NodeGroupObject(pub(super) NodeGroup);

#[Object]
impl NodeGroupQuery {
    /// The node groups.
    async fn node_groups(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 50)] first: i64,
        after: Option<String>,
    ) -> Result<Paged<NodeGroupObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        let slice = Slice::parse(first, after.as_deref())?;
        let rows = app.node_groups(actor, slice.page()).await?;
        Ok(slice.present(rows, |group| i32::from(group.id).into(), NodeGroupObject))
    }

    /// One node group, by id or by name; the default one if neither is said.
    async fn node_group(
        &self,
        ctx: &Context<'_>,
        id: Option<ID>,
        name: Option<String>,
    ) -> Result<NodeGroupObject> {
        let (app, actor) = app_and_actor(ctx)?;
        let group = match (id, name) {
            (Some(_), Some(_)) => {
                return Err(Invalid::new("name", "say an id or a name, not both").into());
            }
            (Some(id), None) => app.node_group(actor, NodeGroupId::parse(&id, "id")?).await?,
            (None, Some(name)) => {
                let name = Name::try_from(name).at("name")?;
                let group = app.find_node_group(actor, &name).await?;
                group.ok_or_else(|| Error::not_found("node group", name))?
            }
            (None, None) => app.node_group(actor, app.default_group()).await?,
        };
        Ok(NodeGroupObject(group))
    }
}

#[Object]
impl NodeGroupMutation {
    /// Creates a node group, with a default listener.
    async fn create_node_group(
        &self,
        ctx: &Context<'_>,
        input: CreateNodeGroupInput,
        wait_for: Option<WaitForInput>,
    ) -> Result<NodeGroupPayload> {
        let (app, actor) = app_and_actor(ctx)?;
        let wait = WaitForInput::parse(wait_for)?;
        let spec = in_input(input.parse())?;
        let (group, change) = in_input(app.create_node_group(actor, spec).await)?;
        let change = ChangeObject::after(ctx, change, wait).await?;
        Ok(NodeGroupPayload { node_group: NodeGroupObject(group), change })
    }

    /// Changes a node group.
    async fn update_node_group(
        &self,
        ctx: &Context<'_>,
        input: UpdateNodeGroupInput,
        wait_for: Option<WaitForInput>,
    ) -> Result<NodeGroupPayload> {
        let (app, actor) = app_and_actor(ctx)?;
        let wait = WaitForInput::parse(wait_for)?;
        let (id, change) = in_input(input.parse())?;
        let (group, change) = in_input(app.update_node_group(actor, id, change).await)?;
        let change = ChangeObject::after(ctx, change, wait).await?;
        Ok(NodeGroupPayload { node_group: NodeGroupObject(group), change })
    }

    /// Deletes a node group. `IN_USE` while anything but its default listener
    /// stands in it; the default group stays.
    async fn delete_node_group(
        &self,
        ctx: &Context<'_>,
        input: DeleteInput,
    ) -> Result<DeleteNodeGroupPayload> {
        let (app, actor) = app_and_actor(ctx)?;
        let id = in_input(NodeGroupId::parse(&input.id, "id"))?;
        app.delete_node_group(actor, id).await?;
        Ok(DeleteNodeGroupPayload { deleted_id: input.id })
    }
}

impl CreateNodeGroupInput {
    fn parse(self) -> Result<NodeGroupSpec, Invalid> {
        Ok(NodeGroupSpec {
            name: self.name.try_into().at("name")?,
            description: text(self.description, "description")?,
            runtime: runtime(self.runtime)?,
        })
    }
}

impl UpdateNodeGroupInput {
    fn parse(self) -> Result<(NodeGroupId, NodeGroupChange), Invalid> {
        let change = NodeGroupChange {
            name: self.name.map(|name| name.try_into().at("name")).transpose()?,
            description: self.description.map(|d| text(d, "description")).transpose()?,
            runtime: self.runtime.map(runtime).transpose()?,
        };
        Ok((NodeGroupId::parse(&self.id, "id")?, change))
    }
}

fn text(text: String, field: &str) -> Result<String, Invalid> {
    if text.chars().count() > LONGEST_TEXT {
        let why = format!("must be at most {LONGEST_TEXT} characters long");
        return Err(Invalid::new(field, why));
    }
    Ok(text)
}

fn runtime(
    settings: Vec<RuntimeSettingInput>,
) -> Result<std::collections::BTreeMap<RuntimeKey, RuntimeValue>, Invalid> {
    if settings.len() > MOST_SETTINGS {
        return Err(Invalid::new("runtime", format!("at most {MOST_SETTINGS} settings")));
    }
    let mut runtime = std::collections::BTreeMap::new();
    for (i, setting) in settings.into_iter().enumerate() {
        let at = |e: Invalid| e.within(i).within("runtime");
        let key = RuntimeKey(setting.key.try_into().at("key").map_err(at)?);
        let value = RuntimeValue::parse(&text(setting.value, "value").map_err(at)?);
        if runtime.insert(key, value).is_some() {
            return Err(at(Invalid::new("key", "stands here twice")));
        }
    }
    Ok(runtime)
}

/// A set of proxies that are given one configuration.
#[Object(name = "NodeGroup")]
impl NodeGroupObject {
    async fn id(&self) -> ID {
        self.0.id.global()
    }

    async fn name(&self) -> &str {
        self.0.spec.name.as_str()
    }

    async fn description(&self) -> &str {
        &self.0.spec.description
    }

    /// Whether proxies that name no group belong to it.
    async fn is_default(&self) -> bool {
        self.0.is_default
    }

    /// An Envoy with this `node.id` belongs to the group.
    async fn envoy_node_id(&self) -> String {
        format!("cluster-{}", self.0.id)
    }

    /// How many changes the group has seen.
    async fn revision(&self) -> i64 {
        self.0.revision.into()
    }

    /// What its Envoys' runtime is set to.
    async fn runtime(&self) -> Vec<RuntimeSettingObject> {
        let settings = self.0.spec.runtime.iter();
        settings
            .map(|(key, value)| RuntimeSettingObject {
                key: key.0.to_string(),
                value: value.to_string(),
            })
            .collect()
    }

    /// The newest snapshot.
    async fn snapshot(&self, ctx: &Context<'_>) -> Result<Option<SnapshotObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        let newest = app.snapshots(actor, self.0.id, None, 1).await?.into_iter().next();
        Ok(newest.map(SnapshotObject))
    }

    /// The group's snapshots, the newest first.
    async fn snapshots(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 20)] first: i64,
        after: Option<String>,
    ) -> Result<Paged<SnapshotObject>> {
        snapshots::paged(ctx, self.0.id, first, after.as_deref()).await
    }

    async fn services(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 50)] first: i64,
        after: Option<String>,
    ) -> Result<Paged<ServiceObject>> {
        services::paged(ctx, self.0.id, first, after.as_deref()).await
    }

    async fn routes(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 50)] first: i64,
        after: Option<String>,
    ) -> Result<Paged<RouteObject>> {
        routes::paged(ctx, self.0.id, first, after.as_deref()).await
    }

    async fn listeners(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 50)] first: i64,
        after: Option<String>,
    ) -> Result<Paged<ListenerObject>> {
        listeners::paged(ctx, self.0.id, first, after.as_deref()).await
    }

    /// Since when its proxies may prove themselves with the key that it has; null
    /// if it has none.
    async fn key_created_at(&self, ctx: &Context<'_>) -> Result<Option<Time>> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(app.find_node_group_key(actor, self.0.id).await?.map(Time))
    }

    /// What else its proxies may prove themselves with.
    async fn node_tokens(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 50)] first: i64,
        after: Option<String>,
    ) -> Result<Paged<NodeTokenObject>> {
        node_tokens::paged(ctx, self.0.id, first, after.as_deref()).await
    }

    /// The proxies that are or were connected, as this process has seen them.
    async fn xds_nodes(&self, ctx: &Context<'_>) -> Result<Vec<XdsNodeObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(app.nodes(actor, Some(self.0.id))?.into_iter().map(XdsNodeObject).collect())
    }

    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }

    async fn updated_at(&self) -> Time {
        Time(self.0.updated_at)
    }
}
