//! Signing in.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result};
use secrecy::ExposeSecret as _;

use super::global_id::GlobalId as _;
use super::scalars::Time;
use super::{app, app_and_actor};
use crate::app::SignedIn;
use crate::auth::Actor;

#[derive(Default)]
pub(super) struct SignInQuery;

#[derive(Default)]
pub(super) struct SignInMutation;

/// What a user may do.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "Role", remote = "crate::model::Role")]
pub(super) enum RoleEnum {
    /// Looks at everything, changes nothing.
    Viewer,
    /// Changes what proxies are given.
    Operator,
    /// Does everything.
    Admin,
}

/// Name and password.
#[derive(InputObject)]
pub(super) struct LoginInput {
    username: String,
    #[graphql(secret)]
    password: String,
}

pub(super) struct UserObject(Actor);

pub(super) struct LoginPayload(SignedIn);

#[Object]
impl SignInQuery {
    /// Who is signed in.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<UserObject> {
        let (_, actor) = app_and_actor(ctx)?;
        Ok(UserObject(actor.clone()))
    }
}

#[Object]
impl SignInMutation {
    /// Signs in. Needs no token; `UNAUTHENTICATED` does not tell what was wrong.
    async fn login(&self, ctx: &Context<'_>, input: LoginInput) -> Result<LoginPayload> {
        let signed_in = app(ctx).sign_in(input.username, input.password.into()).await?;
        Ok(LoginPayload(signed_in))
    }
}

/// Somebody who signs in.
#[Object(name = "User")]
impl UserObject {
    async fn id(&self) -> ID {
        self.0.user.global()
    }

    async fn username(&self) -> &str {
        self.0.username.as_str()
    }

    async fn role(&self) -> RoleEnum {
        self.0.role.into()
    }
}

/// What signing in gives.
#[Object]
impl LoginPayload {
    /// Goes into `Authorization: Bearer <token>`, and for subscriptions into
    /// `connection_init` as `{"authorization": "Bearer <token>"}`.
    async fn token(&self) -> &str {
        self.0.access.token.expose_secret()
    }

    /// When the token ends, and with it the subscriptions it opened.
    async fn expires_at(&self) -> Time {
        Time(self.0.access.expires_at)
    }

    async fn user(&self) -> UserObject {
        UserObject(self.0.actor.clone())
    }
}
