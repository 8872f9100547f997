//! What users may do in single node groups, and with single services.

use super::App;
use super::audit::Note;
use crate::auth::{Actor, Operation, Scope};
use crate::error::{Error, Result};
use crate::model::{
    AssignedRole, GroupAssignment, NodeGroupId, ServiceAssignment, ServiceId, UserId,
};
use crate::store::Tx;

impl App {
    /// The node groups that a user is assigned to: oneself, or anybody for
    /// administrators.
    pub async fn group_assignments(
        &self,
        actor: &Actor,
        user: UserId,
    ) -> Result<Vec<GroupAssignment>> {
        self.look_at_user(actor, user).await?.group_assignments(user).await
    }

    /// The services that a user is assigned to: oneself, or anybody for
    /// administrators.
    pub async fn service_assignments(
        &self,
        actor: &Actor,
        user: UserId,
    ) -> Result<Vec<ServiceAssignment>> {
        self.look_at_user(actor, user).await?.service_assignments(user).await
    }

    async fn look_at_user(&self, actor: &Actor, user: UserId) -> Result<Tx> {
        let operation = if user == actor.user { Operation::Me } else { Operation::ReadUser };
        self.look(actor, operation, Scope::Everywhere).await
    }

    /// Assigns a user to a node group, or changes what they may do there.
    #[tracing::instrument(skip_all, fields(user.id = %user, node_group.id = %group))]
    pub async fn assign_group(
        &self,
        actor: &Actor,
        user: UserId,
        group: NodeGroupId,
        role: AssignedRole,
    ) -> Result<GroupAssignment> {
        let act = self.act(actor, Operation::AssignGroup).await?;
        let name = act.tx.user(user).await?.spec.username;
        let group_name = act.tx.node_group(group).await?.spec.name;
        let assigned_by = Some(actor.user);
        let new = GroupAssignment { user, group, role, assigned_by, created_at: act.now };
        act.tx.assign_group(&new).await?;
        act.done(format!("assign {name} to node group {group_name}"), Note::made(&new)).await?;
        self.look_again();
        Ok(new)
    }

    /// Takes a user off a node group.
    #[tracing::instrument(skip_all, fields(user.id = %user, node_group.id = %group))]
    pub async fn unassign_group(
        &self,
        actor: &Actor,
        user: UserId,
        group: NodeGroupId,
    ) -> Result<()> {
        let act = self.act(actor, Operation::UnassignGroup).await?;
        let old = act.tx.group_assignments(user).await?;
        let old = old.into_iter().find(|old| old.group == group);
        let old = old.ok_or_else(|| Error::not_found("node group assignment", group))?;
        act.tx.unassign_group(user, group).await?;
        act.done(format!("take user {user} off node group {group}"), Note::gone(&old)).await?;
        self.look_again();
        Ok(())
    }

    /// Assigns a user to a service, or changes what they may do with it.
    #[tracing::instrument(skip_all, fields(user.id = %user, service.id = %service))]
    pub async fn assign_service(
        &self,
        actor: &Actor,
        user: UserId,
        service: ServiceId,
        role: AssignedRole,
    ) -> Result<ServiceAssignment> {
        let act = self.act(actor, Operation::AssignService).await?;
        let name = act.tx.user(user).await?.spec.username;
        let found = act.tx.service(service).await?;
        let new = ServiceAssignment {
            user,
            group: found.group,
            service,
            role,
            assigned_by: Some(actor.user),
            created_at: act.now,
        };
        act.tx.assign_service(&new).await?;
        let summary = format!("assign {name} to service {}", found.spec.name);
        act.done(summary, Note::made(&new)).await?;
        self.look_again();
        Ok(new)
    }

    /// Takes a user off a service.
    #[tracing::instrument(skip_all, fields(user.id = %user, service.id = %service))]
    pub async fn unassign_service(
        &self,
        actor: &Actor,
        user: UserId,
        service: ServiceId,
    ) -> Result<()> {
        let act = self.act(actor, Operation::UnassignService).await?;
        let old = act.tx.service_assignments(user).await?;
        let old = old.into_iter().find(|old| old.service == service);
        let old = old.ok_or_else(|| Error::not_found("service assignment", service))?;
        act.tx.unassign_service(user, service).await?;
        act.done(format!("take user {user} off service {service}"), Note::gone(&old)).await?;
        self.look_again();
        Ok(())
    }
}
