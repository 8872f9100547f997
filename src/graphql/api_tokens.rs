//! API tokens: what scripts sign in with.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};

use super::change::RevokeInput;
use super::global_id::{GlobalId as _, optional};
use super::loaders;
use super::node_groups::NodeGroupObject;
use super::page::{Paged, Slice};
use super::parse::in_input;
use super::payload::{UserErrorObject, answer, payloads};
use super::scalars::Time;
use super::users::RoleEnum;
use super::{app_and_actor, in_mode};
use crate::model::{ApiToken, ApiTokenId, ApiTokenSpec, At as _, Invalid, UserId};

#[derive(Default)]
pub(super) struct ApiTokenQuery;

#[derive(Default)]
pub(super) struct ApiTokenMutation;

/// An API token to be made.
#[derive(InputObject)]
pub(super) struct CreateApiTokenInput {
    /// Unique among one's own.
    name: String,
    /// The most that it may do; no more than one's own role.
    role: RoleEnum,
    /// The one node group that it may act in; all of one's own if not said.
    group: Option<ID>,
    /// When it ends; never if not said.
    expires_at: Option<Time>,
}

/// A new API token.
#[derive(Default, SimpleObject)]
pub(super) struct CreateApiTokenPayload {
    /// The token, without what is secret.
    api_token: Option<ApiTokenObject>,
    /// Goes into `Authorization: Bearer <token>`. Shown this once, and not by a dry run.
    token: Option<String>,
    /// Why nothing was changed, if you can mend it.
    user_errors: Vec<UserErrorObject>,
}

/// What became of an API token that was to be good no more.
#[derive(Default, SimpleObject)]
pub(super) struct RevokeApiTokenPayload {
    /// What is good no more.
    revoked_id: Option<ID>,
    /// Why nothing was changed, if you can mend it.
    user_errors: Vec<UserErrorObject>,
}

payloads!(CreateApiTokenPayload.user_errors, RevokeApiTokenPayload.user_errors);

pub(super) struct ApiTokenObject(ApiToken);

#[Object]
impl ApiTokenQuery {
    /// One's own API tokens, also those that have expired; another user's for
    /// administrators.
    async fn api_tokens(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose; your own if null.")] user: Option<ID>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<ApiTokenObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        let user: Option<UserId> = optional(user.as_ref(), "user")?;
        let slice = Slice::parse(first, after.as_deref())?;
        let rows = app.api_tokens(actor, user.or(Some(actor.user)), slice.page()).await?;
        Ok(slice.present(rows, |token| i32::from(token.id).into(), ApiTokenObject))
    }
}

#[Object]
impl ApiTokenMutation {
    /// Creates an API token for oneself, with no more than one's own rights. Takes a
    /// sign-in with a password: no API token makes another one.
    async fn create_api_token(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: CreateApiTokenInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<CreateApiTokenPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let spec = in_input(input.parse())?;
            let (token, secret) = in_input(app.create_api_token(actor, spec).await)?;
            Ok(CreateApiTokenPayload {
                api_token: Some(ApiTokenObject(token)),
                token: (!dry_run).then(|| secret.expose().to_owned()),
                user_errors: vec![],
            })
        };
        answer(ctx, done).await
    }

    /// Revokes an API token, for good: one's own, or any for administrators.
    async fn revoke_api_token(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: RevokeInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<RevokeApiTokenPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let id = in_input(ApiTokenId::parse(&input.id, "id"))?;
            app.revoke_api_token(actor, id).await?;
            Ok(RevokeApiTokenPayload { revoked_id: Some(input.id), ..Default::default() })
        };
        answer(ctx, done).await
    }
}

impl CreateApiTokenInput {
    fn parse(self) -> Result<ApiTokenSpec, Invalid> {
        Ok(ApiTokenSpec {
            name: self.name.try_into().at("name")?,
            role: self.role.into(),
            group: optional(self.group.as_ref(), "group")?,
            expires_at: self.expires_at.map(|end| end.0),
        })
    }
}

/// What a script signs in with, in the name of a user.
#[Object(name = "ApiToken")]
impl ApiTokenObject {
    /// Its global id.
    async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// Unique among its user's.
    async fn name(&self) -> &str {
        self.0.spec.name.as_str()
    }

    /// In whose name it acts.
    async fn user_id(&self) -> ID {
        self.0.user.global()
    }

    /// The most that it may do.
    async fn role(&self) -> RoleEnum {
        self.0.spec.role.into()
    }

    /// The one node group that it may act in; all of its user's if null.
    async fn node_group(&self, ctx: &Context<'_>) -> Result<Option<NodeGroupObject>> {
        Ok(match self.0.spec.group {
            Some(group) => Some(loaders::node_group(ctx, group).await?),
            None => None,
        })
    }

    /// When it ends; never if null.
    async fn expires_at(&self) -> Option<Time> {
        self.0.spec.expires_at.map(Time)
    }

    /// When it was last used, to the minute.
    async fn last_used_at(&self) -> Option<Time> {
        self.0.last_used_at.map(Time)
    }

    /// When it was made.
    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }
}
