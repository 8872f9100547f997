//! Users, and what they may do.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use secrecy::SecretString;

use super::global_id::GlobalId as _;
use super::loaders;
use super::node_groups::NodeGroupObject;
use super::page::{Paged, Slice};
use super::parse::{in_input, replaced};
use super::payload::{UserErrorObject, answer, payloads};
use super::scalars::Time;
use super::services::ServiceObject;
use super::{app_and_actor, in_mode};
use crate::app::{NewUser, Removal};
use crate::model::{
    AssignedRole, At as _, Email, GroupAssignment, Invalid, NewPassword, NodeGroupId, PersonName,
    ServiceAssignment, ServiceId, User, UserChange, UserId, UserSpec,
};

#[derive(Default)]
pub(super) struct UserQuery;

#[derive(Default)]
pub(super) struct UserMutation;

/// What a user may do. A greater role may what a lesser one may.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "Role", remote = "crate::model::Role")]
pub(super) enum RoleEnum {
    /// Only what they are assigned to.
    Member,
    /// Looks at everything, changes nothing.
    Viewer,
    /// Changes what proxies are given.
    Operator,
    /// Does everything.
    Admin,
}

/// What a user may do where they are assigned to.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "AssignedRole", remote = "AssignedRole")]
pub(super) enum AssignedRoleEnum {
    /// Looks.
    Viewer,
    /// Changes.
    Operator,
}

/// A user to be made.
#[derive(InputObject)]
pub(super) struct CreateUserInput {
    /// Unique.
    username: String,
    /// 8 characters or more.
    #[graphql(secret)]
    password: String,
    /// Unique; they may sign in with it as well.
    email: Option<String>,
    /// Their first name.
    first_name: Option<String>,
    /// Their last name.
    last_name: Option<String>,
    /// What they may do.
    #[graphql(default_with = "RoleEnum::Member")]
    role: RoleEnum,
    /// Whether they may sign in.
    #[graphql(default = true)]
    is_active: bool,
}

/// What is left out stays, null takes away.
#[derive(InputObject)]
pub(super) struct UpdateUserInput {
    /// The user.
    id: ID,
    /// Unique.
    username: Option<String>,
    /// Unique; null takes it away.
    email: MaybeUndefined<String>,
    /// Their first name; null takes it away.
    first_name: MaybeUndefined<String>,
    /// Their last name; null takes it away.
    last_name: MaybeUndefined<String>,
    /// What they may do.
    role: Option<RoleEnum>,
    /// Whether they may sign in.
    is_active: Option<bool>,
    /// Whether they are known to be who they say.
    is_verified: Option<bool>,
}

/// A user who is to go.
#[derive(InputObject)]
pub(super) struct DeleteUserInput {
    /// The user.
    id: ID,
    /// Whether they are to be gone, and not only deactivated.
    #[graphql(default)]
    permanent: bool,
}

/// A user, and their new password.
#[derive(InputObject)]
pub(super) struct ResetPasswordInput {
    /// The user.
    id: ID,
    /// 8 characters or more.
    #[graphql(secret)]
    new_password: String,
}

/// A user whose second factor is to go.
#[derive(InputObject)]
pub(super) struct ResetTwoFactorInput {
    /// The user.
    id: ID,
}

/// A user, and the node group that they are assigned to.
#[derive(InputObject)]
pub(super) struct AssignNodeGroupInput {
    /// The user.
    user: ID,
    /// The node group.
    node_group: ID,
    /// What they may do there.
    #[graphql(default_with = "AssignedRoleEnum::Operator")]
    role: AssignedRoleEnum,
}

/// A user, and the node group that they are taken off.
#[derive(InputObject)]
pub(super) struct UnassignNodeGroupInput {
    /// The user.
    user: ID,
    /// The node group.
    node_group: ID,
}

/// A user, and the service that they are assigned to.
#[derive(InputObject)]
pub(super) struct AssignServiceInput {
    /// The user.
    user: ID,
    /// The service.
    service: ID,
    /// What they may do with it.
    #[graphql(default_with = "AssignedRoleEnum::Operator")]
    role: AssignedRoleEnum,
}

/// A user, and the service that they are taken off.
#[derive(InputObject)]
pub(super) struct UnassignServiceInput {
    /// The user.
    user: ID,
    /// The service.
    service: ID,
}

pub(super) struct UserObject(pub(super) User);

pub(super) struct GroupAssignmentObject(GroupAssignment);

pub(super) struct ServiceAssignmentObject(ServiceAssignment);

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

impl CreateUserInput {
    fn parse(self) -> Result<NewUser, Invalid> {
        Ok(NewUser {
            spec: UserSpec {
                username: self.username.try_into().at("username")?,
                email: self.email.map(|email| email.try_into().at("email")).transpose()?,
                first_name: person_name(self.first_name, "firstName")?,
                last_name: person_name(self.last_name, "lastName")?,
                role: self.role.into(),
                is_active: self.is_active,
                is_verified: false,
            },
            password: password(self.password, "password")?,
        })
    }
}

impl UpdateUserInput {
    fn parse(self) -> Result<UserChange, Invalid> {
        let name = |name, field| replaced(name, |name: String| name.try_into().at(field));
        Ok(UserChange {
            username: self.username.map(|name| name.try_into().at("username")).transpose()?,
            email: replaced(self.email, |email| email.try_into().at("email"))?,
            first_name: name(self.first_name, "firstName")?,
            last_name: name(self.last_name, "lastName")?,
            role: self.role.map(Into::into),
            is_active: self.is_active,
            is_verified: self.is_verified,
        })
    }
}

/// Reads a password that somebody chooses.
pub(super) fn password(text: String, field: &str) -> Result<NewPassword, Invalid> {
    NewPassword::try_from(SecretString::from(text)).at(field)
}

/// Reads a first or last name; an empty one is none.
pub(super) fn person_name(
    name: Option<String>,
    field: &str,
) -> Result<Option<PersonName>, Invalid> {
    let name = name.filter(|name| !name.is_empty());
    name.map(|name| name.try_into().at(field)).transpose()
}

/// Somebody who signs in.
#[Object(name = "User")]
impl UserObject {
    /// Its global id.
    pub(super) async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// Unique; what they sign in with.
    async fn username(&self) -> &str {
        self.0.spec.username.as_str()
    }

    /// They may sign in with it as well.
    async fn email(&self) -> Option<&str> {
        self.0.spec.email.as_ref().map(Email::as_str)
    }

    /// Their first name.
    async fn first_name(&self) -> Option<&str> {
        self.0.spec.first_name.as_ref().map(PersonName::as_str)
    }

    /// Their last name.
    async fn last_name(&self) -> Option<&str> {
        self.0.spec.last_name.as_ref().map(PersonName::as_str)
    }

    /// What they may do everywhere.
    async fn role(&self) -> RoleEnum {
        self.0.spec.role.into()
    }

    /// Whether they may sign in.
    async fn is_active(&self) -> bool {
        self.0.spec.is_active
    }

    /// Whether somebody has made sure that they are who they say.
    async fn is_verified(&self) -> bool {
        self.0.spec.is_verified
    }

    /// Whether it takes a code to sign in as them.
    async fn two_factor_enabled(&self) -> bool {
        self.0.second_factor.is_on()
    }

    /// When they last signed in; null if never.
    async fn last_login_at(&self) -> Option<Time> {
        self.0.last_login_at.map(Time)
    }

    /// When it was made.
    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }

    /// When it was last changed.
    async fn updated_at(&self) -> Time {
        Time(self.0.updated_at)
    }

    /// The node groups that they are assigned to.
    async fn node_group_assignments(
        &self,
        ctx: &Context<'_>,
    ) -> Result<Vec<GroupAssignmentObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        let groups = app.group_assignments(actor, self.0.id).await?;
        Ok(groups.into_iter().map(GroupAssignmentObject).collect())
    }

    /// The services that they are assigned to.
    async fn service_assignments(&self, ctx: &Context<'_>) -> Result<Vec<ServiceAssignmentObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        let services = app.service_assignments(actor, self.0.id).await?;
        Ok(services.into_iter().map(ServiceAssignmentObject).collect())
    }
}

/// A user's right in one node group.
#[Object(name = "NodeGroupAssignment")]
impl GroupAssignmentObject {
    /// Where.
    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        Ok(loaders::node_group(ctx, self.0.group).await?)
    }

    /// What they may do there.
    async fn role(&self) -> AssignedRoleEnum {
        self.0.role.into()
    }

    /// Since when.
    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }
}

/// A user's right over one service.
#[Object(name = "ServiceAssignment")]
impl ServiceAssignmentObject {
    /// With which service.
    async fn service(&self, ctx: &Context<'_>) -> Result<ServiceObject> {
        Ok(loaders::service(ctx, self.0.service).await?)
    }

    /// What they may do with it.
    async fn role(&self) -> AssignedRoleEnum {
        self.0.role.into()
    }

    /// Since when.
    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }
}
