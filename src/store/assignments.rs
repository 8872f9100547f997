//! What users may do in single node groups, and with single services.

use marchproxy_schema::{group_assignment, service, service_assignment};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, Set};

use super::Tx;
use super::rows::Row;
use crate::error::Result;
use crate::model::{
    AssignedRole, Assignments, GroupAssignment, NodeGroupId, ServiceAssignment, ServiceId, UserId,
};

impl Tx {
    /// What a user is assigned to.
    pub async fn assignments(&self, user: UserId) -> Result<Assignments> {
        let groups = self.group_assignments(user).await?;
        let services = self.service_assignments(user).await?;
        Ok(Assignments {
            groups: groups.into_iter().map(|a| (a.group, a.role.into())).collect(),
            services: services.into_iter().map(|a| (a.service, (a.group, a.role.into()))).collect(),
        })
    }

    /// The node groups that a user is assigned to.
    pub async fn group_assignments(&self, user: UserId) -> Result<Vec<GroupAssignment>> {
        let query = group_assignment::Entity::find()
            .filter(group_assignment::Column::UserId.eq(i32::from(user)))
            .order_by_asc(group_assignment::Column::NodeGroupId);
        query.all(&self.0).await?.iter().map(parse_group).collect()
    }

    /// The services that a user is assigned to.
    pub async fn service_assignments(&self, user: UserId) -> Result<Vec<ServiceAssignment>> {
        let query = service_assignment::Entity::find()
            .filter(service_assignment::Column::UserId.eq(i32::from(user)))
            .order_by_asc(service_assignment::Column::ServiceId);
        let rows = query.all(&self.0).await?;
        let ids = rows.iter().map(|row| row.service_id);
        let services = service::Entity::find().filter(service::Column::Id.is_in(ids));
        let services = services.all(&self.0).await?;
        let group = |id| services.iter().find(|s| s.id == id).map(|s| s.node_group_id);
        let rows = rows.into_iter().filter_map(|row| Some((group(row.service_id)?, row)));
        rows.map(|(group, row)| parse_service(group, &row)).collect()
    }

    /// Assigns a user to a node group, or changes what they may do there.
    pub async fn assign_group(&self, new: &GroupAssignment) -> Result<()> {
        let row = group_assignment::ActiveModel {
            user_id: Set(new.user.into()),
            node_group_id: Set(new.group.into()),
            role: Set(new.role.as_str().to_owned()),
            assigned_by: Set(new.assigned_by.map(i32::from)),
            created_at: Set(new.created_at),
        };
        let key = [group_assignment::Column::UserId, group_assignment::Column::NodeGroupId];
        let replace = [
            group_assignment::Column::Role,
            group_assignment::Column::AssignedBy,
            group_assignment::Column::CreatedAt,
        ];
        let on_conflict = OnConflict::columns(key).update_columns(replace).to_owned();
        let insert = group_assignment::Entity::insert(row).on_conflict(on_conflict);
        insert.exec_without_returning(&self.0).await?;
        Ok(())
    }

    /// Assigns a user to a service, or changes what they may do with it.
    pub async fn assign_service(&self, new: &ServiceAssignment) -> Result<()> {
        let row = service_assignment::ActiveModel {
            user_id: Set(new.user.into()),
            service_id: Set(new.service.into()),
            role: Set(new.role.as_str().to_owned()),
            assigned_by: Set(new.assigned_by.map(i32::from)),
            created_at: Set(new.created_at),
        };
        let key = [service_assignment::Column::UserId, service_assignment::Column::ServiceId];
        let replace = [
            service_assignment::Column::Role,
            service_assignment::Column::AssignedBy,
            service_assignment::Column::CreatedAt,
        ];
        let on_conflict = OnConflict::columns(key).update_columns(replace).to_owned();
        let insert = service_assignment::Entity::insert(row).on_conflict(on_conflict);
        insert.exec_without_returning(&self.0).await?;
        Ok(())
    }

    /// Takes a user off a node group; whether they were assigned to it.
    pub async fn unassign_group(&self, user: UserId, group: NodeGroupId) -> Result<bool> {
        let key = (i32::from(user), i32::from(group));
        let deleted = group_assignment::Entity::delete_by_id(key).exec(&self.0).await?;
        Ok(deleted.rows_affected == 1)
    }

    /// Takes a user off a service; whether they were assigned to it.
    pub async fn unassign_service(&self, user: UserId, service: ServiceId) -> Result<bool> {
        let key = (i32::from(user), i32::from(service));
        let deleted = service_assignment::Entity::delete_by_id(key).exec(&self.0).await?;
        Ok(deleted.rows_affected == 1)
    }
}

fn parse_group(row: &group_assignment::Model) -> Result<GroupAssignment> {
    let at = Row { table: "group_assignment", id: row.user_id };
    Ok(GroupAssignment {
        user: at.parse("user_id", row.user_id)?,
        group: at.parse("node_group_id", row.node_group_id)?,
        role: AssignedRole::parse(&row.role).ok_or_else(|| at.broken("role", &row.role))?,
        assigned_by: row.assigned_by.map(|id| at.parse("assigned_by", id)).transpose()?,
        created_at: row.created_at,
    })
}

fn parse_service(group: i32, row: &service_assignment::Model) -> Result<ServiceAssignment> {
    let at = Row { table: "service_assignment", id: row.user_id };
    Ok(ServiceAssignment {
        user: at.parse("user_id", row.user_id)?,
        group: at.parse("node_group_id", group)?,
        service: at.parse("service_id", row.service_id)?,
        role: AssignedRole::parse(&row.role).ok_or_else(|| at.broken("role", &row.role))?,
        assigned_by: row.assigned_by.map(|id| at.parse("assigned_by", id)).transpose()?,
        created_at: row.created_at,
    })
}
