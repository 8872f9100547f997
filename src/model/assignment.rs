//! Assignments: what a user may do in one node group, or with one service.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{NodeGroupId, Role, ServiceId, UserId};

/// A user's right in one node group, on top of what their role gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupAssignment {
    /// Whose.
    pub user: UserId,
    /// Where.
    pub group: NodeGroupId,
    /// What they may do there.
    pub role: AssignedRole,
    /// Who gave it to them; none if that user is gone.
    pub assigned_by: Option<UserId>,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// A user's right over one service, on top of what their role gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAssignment {
    /// Whose.
    pub user: UserId,
    /// The group that the service is in.
    pub group: NodeGroupId,
    /// Over what.
    pub service: ServiceId,
    /// What they may do with it.
    pub role: AssignedRole,
    /// Who gave it to them; none if that user is gone.
    pub assigned_by: Option<UserId>,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// What can be assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssignedRole {
    /// To look.
    Viewer,
    /// To change. Existing clients call it `service_owner`.
    Operator,
}

/// What a user is assigned to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignments {
    /// By the group.
    pub groups: BTreeMap<NodeGroupId, Role>,
    /// By the service, with the group that it is in.
    pub services: BTreeMap<ServiceId, (NodeGroupId, Role)>,
}

impl AssignedRole {
    /// The role as the database keeps it.
    pub fn as_str(self) -> &'static str {
        Role::from(self).as_str()
    }

    /// Reads a role as the database keeps it.
    pub fn parse(role: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator].into_iter().find(|r| r.as_str() == role)
    }
}

impl From<AssignedRole> for Role {
    fn from(role: AssignedRole) -> Self {
        match role {
            AssignedRole::Viewer => Self::Viewer,
            AssignedRole::Operator => Self::Operator,
        }
    }
}
