//! What nodes prove themselves with: keys of groups, and node tokens.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use super::app_and_actor;
use super::change::DeleteInput;
use super::global_id::{GlobalId as _, optional};
use super::node_groups::NodeGroupObject;
use super::page::{Paged, Slice};
use super::parse::in_input;
use super::scalars::Time;
use crate::app::NewNodeToken;
use crate::auth::NodeSecret;
use crate::model::{
    At as _, Invalid, NodeGroup, NodeGroupId, NodeToken, NodeTokenId, NodeTokenSpec,
};

#[derive(Default)]
pub(super) struct NodeTokenQuery;

#[derive(Default)]
pub(super) struct NodeTokenMutation;

#[derive(InputObject)]
pub(super) struct RotateNodeGroupKeyInput {
    /// The node group; the default one if not said.
    group: Option<ID>,
}

#[derive(InputObject)]
pub(super) struct CreateNodeTokenInput {
    /// The node group; the default one if not said.
    group: Option<ID>,
    /// Unique in its group.
    name: String,
    /// The one `node.id` that may use it; any may if not said.
    node_id: Option<String>,
    /// When it ends, and the streams that were opened with it; never if not said.
    expires_at: Option<Time>,
}

pub(super) struct NodeGroupKeyPayload(NodeGroup, NodeSecret);

pub(super) struct NodeTokenPayload(NodeToken, NodeSecret);

#[derive(SimpleObject)]
pub(super) struct RevokeNodeTokenPayload {
    revoked_id: ID,
}

pub(super) struct NodeTokenObject(NodeToken);

#[Object]
impl NodeTokenQuery {
    /// A node group's tokens, also those that have expired; the default group's
    /// if none is named.
    async fn node_tokens(
        &self,
        ctx: &Context<'_>,
        group: Option<ID>,
        #[graphql(default = 50)] first: i64,
        after: Option<String>,
    ) -> Result<Paged<NodeTokenObject>> {
        let (app, _) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        paged(ctx, group.unwrap_or(app.default_group()), first, after.as_deref()).await
    }
}

/// A page of a group's node tokens.
pub(super) async fn paged(
    ctx: &Context<'_>,
    group: NodeGroupId,
    first: i64,
    after: Option<&str>,
) -> Result<Paged<NodeTokenObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let slice = Slice::parse(first, after)?;
    let rows = app.node_tokens(actor, group, slice.page()).await?;
    Ok(slice.present(rows, |token| i32::from(token.id).into(), NodeTokenObject))
}

#[Object]
impl NodeTokenMutation {
    /// Gives a node group a new key, which any of its proxies may prove itself
    /// with. The old one is good no more, and streams that were opened with it
    /// end.
    async fn rotate_node_group_key(
        &self,
        ctx: &Context<'_>,
        input: RotateNodeGroupKeyInput,
    ) -> Result<NodeGroupKeyPayload> {
        let (app, actor) = app_and_actor(ctx)?;
        let group = in_input(optional(input.group.as_ref(), "group"))?;
        let group = group.unwrap_or(app.default_group());
        let (group, secret) = app.rotate_node_group_key(actor, group).await?;
        Ok(NodeGroupKeyPayload(group, secret))
    }

    /// Creates a token that proxies of a node group may prove themselves with.
    async fn create_node_token(
        &self,
        ctx: &Context<'_>,
        input: CreateNodeTokenInput,
    ) -> Result<NodeTokenPayload> {
        let (app, actor) = app_and_actor(ctx)?;
        let new = in_input(input.parse())?;
        let (token, secret) = in_input(app.create_node_token(actor, new).await)?;
        Ok(NodeTokenPayload(token, secret))
    }

    /// Revokes a node token, for good. Streams that were opened with it end.
    async fn revoke_node_token(
        &self,
        ctx: &Context<'_>,
        input: DeleteInput,
    ) -> Result<RevokeNodeTokenPayload> {
        let (app, actor) = app_and_actor(ctx)?;
        let id = in_input(NodeTokenId::parse(&input.id, "id"))?;
        app.revoke_node_token(actor, id).await?;
        Ok(RevokeNodeTokenPayload { revoked_id: input.id })
    }
}

impl CreateNodeTokenInput {
    fn parse(self) -> Result<NewNodeToken, Invalid> {
        Ok(NewNodeToken {
            group: optional(self.group.as_ref(), "group")?,
            spec: NodeTokenSpec {
                name: self.name.try_into().at("name")?,
                node: self.node_id.map(|id| id.try_into().at("nodeId")).transpose()?,
                expires_at: self.expires_at.map(|end| end.0),
            },
        })
    }
}

/// A new key of a node group.
#[Object]
impl NodeGroupKeyPayload {
    async fn node_group(&self) -> NodeGroupObject {
        NodeGroupObject(self.0.clone())
    }

    /// Goes into `authorization: Bearer <key>`. Shown this once.
    async fn key(&self) -> &str {
        self.1.expose()
    }
}

/// A new node token.
#[Object]
impl NodeTokenPayload {
    async fn node_token(&self) -> NodeTokenObject {
        NodeTokenObject(self.0.clone())
    }

    /// Goes into `authorization: Bearer <token>`. Shown this once.
    async fn token(&self) -> &str {
        self.1.expose()
    }
}

/// What proxies of a node group may prove themselves with.
#[Object(name = "NodeToken")]
impl NodeTokenObject {
    async fn id(&self) -> ID {
        self.0.id.global()
    }

    async fn name(&self) -> &str {
        self.0.spec.name.as_str()
    }

    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(NodeGroupObject(app.node_group(actor, self.0.group).await?))
    }

    /// The one `node.id` that may use it; any may if null.
    async fn node_id(&self) -> Option<&str> {
        self.0.spec.node.as_ref().map(|node| node.as_str())
    }

    /// When it ends, and the streams that were opened with it; never if null.
    async fn expires_at(&self) -> Option<Time> {
        self.0.spec.expires_at.map(Time)
    }

    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }
}
