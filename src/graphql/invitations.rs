//! Invitations: what somebody may become a user with, once.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use chrono::{Duration, Utc};

use super::change::RevokeInput;
use super::global_id::GlobalId as _;
use super::page::{Paged, Slice};
use super::parse::in_input;
use super::payload::{UserErrorObject, answer, payloads};
use super::scalars::Time;
use super::users::RoleEnum;
use super::{app_and_actor, in_mode};
use crate::model::{At as _, Email, Invalid, Invitation, InvitationId, InvitationSpec};

/// How many days an invitation is good for.
const DAYS: i64 = 7;

#[derive(Default)]
pub(super) struct InvitationQuery;

#[derive(Default)]
pub(super) struct InvitationMutation;

/// An invitation to be made.
#[derive(InputObject)]
pub(super) struct CreateInvitationInput {
    /// What the new user may do.
    role: RoleEnum,
    /// Their email address; theirs to choose if not said.
    email: Option<String>,
    /// When it ends; in 7 days if not said.
    expires_at: Option<Time>,
}

/// A new invitation.
#[derive(Default, SimpleObject)]
pub(super) struct CreateInvitationPayload {
    /// The invitation, without what is secret.
    invitation: Option<InvitationObject>,
    /// Goes into `register`, once. Shown this once, and not by a dry run.
    token: Option<String>,
    /// Why nothing was changed, if you can mend it.
    user_errors: Vec<UserErrorObject>,
}

/// What became of an invitation that was to be good no more.
#[derive(Default, SimpleObject)]
pub(super) struct RevokeInvitationPayload {
    /// What is good no more.
    revoked_id: Option<ID>,
    /// Why nothing was changed, if you can mend it.
    user_errors: Vec<UserErrorObject>,
}

payloads!(CreateInvitationPayload.user_errors, RevokeInvitationPayload.user_errors);

pub(super) struct InvitationObject(Invitation);

#[Object]
impl InvitationQuery {
    /// The invitations that nobody has used, also those that have expired; for
    /// administrators.
    async fn invitations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<InvitationObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        let slice = Slice::parse(first, after.as_deref())?;
        let rows = app.invitations(actor, slice.page()).await?;
        Ok(slice.present(rows, |invitation| i32::from(invitation.id).into(), InvitationObject))
    }
}

#[Object]
impl InvitationMutation {
    /// Invites somebody. Whoever has the token may become a user with it, once.
    async fn create_invitation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: CreateInvitationInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<CreateInvitationPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let spec = in_input(input.parse())?;
            let (invitation, secret) = in_input(app.create_invitation(actor, spec).await)?;
            Ok(CreateInvitationPayload {
                invitation: Some(InvitationObject(invitation)),
                token: (!dry_run).then(|| secret.expose().to_owned()),
                user_errors: vec![],
            })
        };
        answer(ctx, done).await
    }

    /// Takes an invitation back.
    async fn revoke_invitation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: RevokeInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<RevokeInvitationPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let id = in_input(InvitationId::parse(&input.id, "id"))?;
            app.revoke_invitation(actor, id).await?;
            Ok(RevokeInvitationPayload { revoked_id: Some(input.id), ..Default::default() })
        };
        answer(ctx, done).await
    }
}

impl CreateInvitationInput {
    fn parse(self) -> Result<InvitationSpec, Invalid> {
        let end = self.expires_at.map(|end| end.0);
        Ok(InvitationSpec {
            role: self.role.into(),
            email: self.email.map(|email| email.try_into().at("email")).transpose()?,
            expires_at: end.unwrap_or_else(|| Utc::now() + Duration::days(DAYS)),
        })
    }
}

/// An invitation that nobody has used yet.
#[Object(name = "Invitation")]
impl InvitationObject {
    /// Its global id.
    async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// What the new user may do.
    async fn role(&self) -> RoleEnum {
        self.0.spec.role.into()
    }

    /// Their email address; theirs to choose if null.
    async fn email(&self) -> Option<&str> {
        self.0.spec.email.as_ref().map(Email::as_str)
    }

    /// When it ends.
    async fn expires_at(&self) -> Time {
        Time(self.0.spec.expires_at)
    }

    /// When it was made.
    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }
}
