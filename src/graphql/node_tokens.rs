//! What nodes prove themselves with: keys of groups, and node tokens.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use super::change::RevokeInput;
use super::global_id::{GlobalId as _, optional};
use super::loaders;
use super::node_groups::NodeGroupObject;
use super::page::{Paged, Slice};
use super::parse::in_input;
use super::payload::{UserErrorObject, answer, payloads};
use super::scalars::Time;
use super::{app_and_actor, in_mode};
use crate::app::NewNodeToken;
use crate::model::{At as _, Invalid, NodeGroupId, NodeToken, NodeTokenId, NodeTokenSpec};

#[derive(Default)]
pub(super) struct NodeTokenQuery;

#[derive(Default)]
pub(super) struct NodeTokenMutation;

/// Whose key is to be another.
#[derive(InputObject)]
pub(super) struct RotateNodeGroupKeyInput {
    /// The node group; the default one if not said.
    group: Option<ID>,
}

/// A node token to be made.
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

/// A new key of a node group.
#[derive(Default, SimpleObject)]
pub(super) struct NodeGroupKeyPayload {
    /// Whose key it is.
    node_group: Option<NodeGroupObject>,
    /// Goes into `authorization: Bearer <key>`. Shown this once, and not by a dry run.
    key: Option<String>,
    /// Why nothing was changed, if you can mend it.
    user_errors: Vec<UserErrorObject>,
}

/// A new node token.
#[derive(Default, SimpleObject)]
pub(super) struct NodeTokenPayload {
    /// The token, without what is secret.
    node_token: Option<NodeTokenObject>,
    /// Goes into `authorization: Bearer <token>`. Shown this once, and not by a dry run.
    token: Option<String>,
    /// Why nothing was changed, if you can mend it.
    user_errors: Vec<UserErrorObject>,
}

/// What became of a node token that was to be good no more.
#[derive(Default, SimpleObject)]
pub(super) struct RevokeNodeTokenPayload {
    /// What is good no more.
    revoked_id: Option<ID>,
    /// Why nothing was changed, if you can mend it.
    user_errors: Vec<UserErrorObject>,
}

payloads!(
    NodeGroupKeyPayload.user_errors,
    NodeTokenPayload.user_errors,
    RevokeNodeTokenPayload.user_errors
);

pub(super) struct NodeTokenObject(NodeToken);

#[Object]
impl NodeTokenQuery {
    /// A node group's tokens, also those that have expired; the default group's
    /// if none is named.
    async fn node_tokens(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The node group; the default one if null.")] group: Option<ID>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
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
        #[graphql(desc = "What to do.")] input: RotateNodeGroupKeyInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<NodeGroupKeyPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let group = in_input(optional(input.group.as_ref(), "group"))?;
            let group = group.unwrap_or(app.default_group());
            let (group, secret) = app.rotate_node_group_key(actor, group).await?;
            Ok(NodeGroupKeyPayload {
                node_group: Some(NodeGroupObject(group)),
                key: (!dry_run).then(|| secret.expose().to_owned()),
                user_errors: vec![],
            })
        };
        answer(ctx, done).await
    }

    /// Creates a token that proxies of a node group may prove themselves with.
    async fn create_node_token(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: CreateNodeTokenInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<NodeTokenPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let new = in_input(input.parse())?;
            let (token, secret) = in_input(app.create_node_token(actor, new).await)?;
            Ok(NodeTokenPayload {
                node_token: Some(NodeTokenObject(token)),
                token: (!dry_run).then(|| secret.expose().to_owned()),
                user_errors: vec![],
            })
        };
        answer(ctx, done).await
    }

    /// Revokes a node token, for good. Streams that were opened with it end.
    async fn revoke_node_token(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: RevokeInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<RevokeNodeTokenPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let id = in_input(NodeTokenId::parse(&input.id, "id"))?;
            app.revoke_node_token(actor, id).await?;
            Ok(RevokeNodeTokenPayload { revoked_id: Some(input.id), ..Default::default() })
        };
        answer(ctx, done).await
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

/// What proxies of a node group may prove themselves with.
#[Object(name = "NodeToken")]
impl NodeTokenObject {
    /// Its global id.
    async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// Unique in its group.
    async fn name(&self) -> &str {
        self.0.spec.name.as_str()
    }

    /// The node group that it belongs to.
    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        Ok(loaders::node_group(ctx, self.0.group).await?)
    }

    /// The one `node.id` that may use it; any may if null.
    async fn node_id(&self) -> Option<&str> {
        self.0.spec.node.as_ref().map(|node| node.as_str())
    }

    /// When it ends, and the streams that were opened with it; never if null.
    async fn expires_at(&self) -> Option<Time> {
        self.0.spec.expires_at.map(Time)
    }

    /// When it was made.
    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }
}
