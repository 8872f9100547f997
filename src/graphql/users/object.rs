//! What clients get of a user, and of what they may do.

use async_graphql::{Context, Enum, ID, Object, Result};

use crate::graphql::app_and_actor;
use crate::graphql::global_id::GlobalId as _;
use crate::graphql::loaders;
use crate::graphql::node_groups::NodeGroupObject;
use crate::graphql::scalars::Time;
use crate::graphql::services::ServiceObject;
use crate::model::{AssignedRole, Email, GroupAssignment, PersonName, ServiceAssignment, User};

/// What a user may do. A greater role may what a lesser one may.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "Role", remote = "crate::model::Role")]
pub(in crate::graphql) enum RoleEnum {
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
pub(in crate::graphql) enum AssignedRoleEnum {
    /// Looks.
    Viewer,
    /// Changes.
    Operator,
}

pub(in crate::graphql) struct UserObject(pub(in crate::graphql) User);

pub(in crate::graphql) struct GroupAssignmentObject(GroupAssignment);

pub(in crate::graphql) struct ServiceAssignmentObject(ServiceAssignment);

/// Somebody who signs in.
#[Object(name = "User")]
impl UserObject {
    /// Its global id.
    pub(in crate::graphql) async fn id(&self) -> ID {
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
