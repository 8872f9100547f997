//! Users, and what they may do.

mod input;
mod object;

use async_graphql::{Context, ID, Object, Result, SimpleObject};

use self::input::{
    AssignNodeGroupInput, AssignServiceInput, CreateUserInput, DeleteUserInput, ResetPasswordInput,
    ResetTwoFactorInput, UnassignNodeGroupInput, UnassignServiceInput, UpdateUserInput,
};
pub(super) use self::input::{password, person_name};
pub(super) use self::object::{RoleEnum, UserObject};
use super::global_id::GlobalId as _;
use super::page::{Paged, Slice};
use super::parse::in_input;
use super::payload::{UserErrorObject, answer, payloads};
use super::{app_and_actor, in_mode};
use crate::app::Removal;
use crate::model::{NodeGroupId, ServiceId, UserId};

#[derive(Default)]
pub(super) struct UserQuery;

#[derive(Default)]
pub(super) struct UserMutation;

/// A user, as they are since.
#[derive(Default, SimpleObject)]
pub(super) struct UserPayload {
    /// The user, as they are since.
    user: Option<UserObject>,
    /// Why nothing was changed, if you can mend it.
    user_errors: Vec<UserErrorObject>,
}

/// What became of a user who was to go.
#[derive(Default, SimpleObject)]
pub(super) struct DeleteUserPayload {
    /// Who is gone, or deactivated.
    deleted_id: Option<ID>,
    /// Why nothing was changed, if you can mend it.
    user_errors: Vec<UserErrorObject>,
}

payloads!(UserPayload.user_errors, DeleteUserPayload.user_errors);

impl UserPayload {
    fn of(user: UserObject) -> Self {
        Self { user: Some(user), user_errors: vec![] }
    }
}

#[Object]
impl UserQuery {
    /// The users, for administrators.
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whether to leave out who is deactivated.", default)] only_active: bool,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<UserObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        let slice = Slice::parse(first, after.as_deref())?;
        let rows = app.users(actor, only_active, slice.page()).await?;
        Ok(slice.present(rows, |user| i32::from(user.id).into(), UserObject))
    }

    /// A user, for administrators.
    async fn user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A global id.")] id: ID,
    ) -> Result<UserObject> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(UserObject(app.user(actor, UserId::parse(&id, "id")?).await?))
    }
}

#[Object]
impl UserMutation {
    /// Creates a user.
    async fn create_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: CreateUserInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<UserPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let new = in_input(input.parse())?;
            let user = UserObject(in_input(app.create_user(actor, new).await)?);
            Ok(UserPayload::of(user))
        };
        answer(ctx, done).await
    }

    /// Changes a user. Who is deactivated is signed out everywhere.
    async fn update_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: UpdateUserInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<UserPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let id = in_input(UserId::parse(&input.id, "id"))?;
            let change = in_input(input.parse())?;
            let user = UserObject(in_input(app.update_user(actor, id, change).await)?);
            Ok(UserPayload::of(user))
        };
        answer(ctx, done).await
    }

    /// Deactivates a user, or deletes them for good; not oneself, and not the last
    /// active administrator.
    async fn delete_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: DeleteUserInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<DeleteUserPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let id = in_input(UserId::parse(&input.id, "id"))?;
            let removal = if input.permanent { Removal::ForGood } else { Removal::Deactivate };
            app.delete_user(actor, id, removal).await?;
            Ok(DeleteUserPayload { deleted_id: Some(input.id), ..Default::default() })
        };
        answer(ctx, done).await
    }

    /// Gives a user another password. They are signed out everywhere.
    async fn reset_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: ResetPasswordInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<UserPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let id = in_input(UserId::parse(&input.id, "id"))?;
            let new = in_input(password(input.new_password, "newPassword"))?;
            let user = UserObject(app.reset_password(actor, id, new).await?);
            Ok(UserPayload::of(user))
        };
        answer(ctx, done).await
    }

    /// Takes a user's second factor away, for when they have lost it.
    async fn reset_two_factor(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: ResetTwoFactorInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<UserPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let id = in_input(UserId::parse(&input.id, "id"))?;
            let user = UserObject(app.reset_second_factor(actor, id).await?);
            Ok(UserPayload::of(user))
        };
        answer(ctx, done).await
    }

    /// Assigns a user to a node group, or changes what they may do there.
    async fn assign_node_group(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: AssignNodeGroupInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<UserPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let user = in_input(UserId::parse(&input.user, "user"))?;
            let group = in_input(NodeGroupId::parse(&input.node_group, "nodeGroup"))?;
            app.assign_group(actor, user, group, input.role.into()).await?;
            Ok(UserPayload::of(UserObject(app.user(actor, user).await?)))
        };
        answer(ctx, done).await
    }

    /// Takes a user off a node group.
    async fn unassign_node_group(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: UnassignNodeGroupInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<UserPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let user = in_input(UserId::parse(&input.user, "user"))?;
            let group = in_input(NodeGroupId::parse(&input.node_group, "nodeGroup"))?;
            app.unassign_group(actor, user, group).await?;
            Ok(UserPayload::of(UserObject(app.user(actor, user).await?)))
        };
        answer(ctx, done).await
    }

    /// Assigns a user to a service, or changes what they may do with it.
    async fn assign_service(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: AssignServiceInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<UserPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let user = in_input(UserId::parse(&input.user, "user"))?;
            let service = in_input(ServiceId::parse(&input.service, "service"))?;
            app.assign_service(actor, user, service, input.role.into()).await?;
            Ok(UserPayload::of(UserObject(app.user(actor, user).await?)))
        };
        answer(ctx, done).await
    }

    /// Takes a user off a service.
    async fn unassign_service(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: UnassignServiceInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<UserPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let user = in_input(UserId::parse(&input.user, "user"))?;
            let service = in_input(ServiceId::parse(&input.service, "service"))?;
            app.unassign_service(actor, user, service).await?;
            Ok(UserPayload::of(UserObject(app.user(actor, user).await?)))
        };
        answer(ctx, done).await
    }
}
