//! Node groups.

mod input;
mod object;

use async_graphql::{Context, ID, Object, Result, SimpleObject};

use self::input::{CreateNodeGroupInput, UpdateNodeGroupInput};
pub(super) use self::object::NodeGroupObject;
use super::change::{ChangeObject, ChangePayload, DeleteInput, WaitForInput, changed, changed_or};
use super::global_id::GlobalId as _;
use super::page::{Paged, Slice};
use super::parse::in_input;
use super::payload::{UserErrorObject, answer, payloads};
use super::{app_and_actor, in_mode};
use crate::error::Error;
use crate::model::{At as _, Invalid, Name, NodeGroup, NodeGroupId};

#[derive(Default)]
pub(super) struct NodeGroupQuery;

#[derive(Default)]
pub(super) struct NodeGroupMutation;

/// What became of a node group.
#[derive(Default, SimpleObject)]
pub(super) struct NodeGroupPayload {
    /// As it is since; with `CONFLICT`, as somebody else has made it.
    node_group: Option<NodeGroupObject>,
    #[graphql(flatten)]
    change: ChangeObject,
}

payloads!(NodeGroupPayload.change.user_errors);

impl ChangePayload for NodeGroupPayload {
    type Of = NodeGroup;

    fn new(node_group: NodeGroup, change: ChangeObject) -> Self {
        Self { node_group: Some(NodeGroupObject(node_group)), change }
    }
}

/// What became of a node group that was to go.
#[derive(Default, SimpleObject)]
pub(super) struct DeleteNodeGroupPayload {
    /// What is gone.
    deleted_id: Option<ID>,
    /// Why it did nothing.
    user_errors: Vec<UserErrorObject>,
}

payloads!(DeleteNodeGroupPayload.user_errors);

#[Object]
impl NodeGroupQuery {
    /// The node groups.
    async fn node_groups(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
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
        #[graphql(desc = "A global id.")] id: Option<ID>,
        #[graphql(desc = "Its name.")] name: Option<String>,
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
        #[graphql(desc = "What to do.")] input: CreateNodeGroupInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<NodeGroupPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let spec = in_input(input.parse())?;
            in_input(app.create_node_group(actor, spec).await)
        };
        changed(ctx, wait_for, done).await
    }

    /// Changes a node group.
    async fn update_node_group(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: UpdateNodeGroupInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<NodeGroupPayload> {
        let id = input.id.clone();
        let current = async { Ok(NodeGroupQuery.node_group(ctx, Some(id), None).await?.0) };
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let (id, change) = in_input(input.parse())?;
            in_input(app.update_node_group(actor, id, change).await)
        };
        changed_or(ctx, wait_for, done, current).await
    }

    /// Deletes a node group. `IN_USE` while anything but its default listener and
    /// proxies that are offline stands in it; the default group stays.
    async fn delete_node_group(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: DeleteInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<DeleteNodeGroupPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let (id, seen) = in_input(input.parse())?;
            in_input(app.delete_node_group(actor, id, Some(seen)).await)?;
            Ok(DeleteNodeGroupPayload { deleted_id: Some(input.id), ..Default::default() })
        };
        answer(ctx, done).await
    }
}
