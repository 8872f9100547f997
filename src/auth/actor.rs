//! Who asks, from where, and what they may do.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::rights::{Needs, Operation, Scope};
use crate::error::{Error, Result};
use crate::model::{
    ApiToken, ApiTokenId, Assignments, NodeGroupId, Role, Service, ServiceId, SessionId, User,
    UserId, Username,
};

/// Who asks for something.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Which user.
    pub user: UserId,
    /// What they sign in with.
    pub username: Username,
    /// What they may do everywhere.
    pub role: Role,
    assignments: Arc<Assignments>,
    via: Via,
    limit: Option<Limit>,
    origin: Arc<Origin>,
}

/// What an actor is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// A session that was opened with a password.
    Session(SessionId),
    /// A token that was issued before there were sessions.
    OldToken,
    /// An API token.
    ApiToken(ApiTokenId),
}

/// Where a request came from, as far as its edge knows.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Over which edge.
    pub edge: Edge,
    /// From which address.
    pub address: Option<IpAddr>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// What the request is called in the log.
    pub request_id: Option<String>,
}

/// A way into the control plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edge {
    /// GraphQL.
    #[default]
    GraphQl,
    /// REST.
    Rest,
    /// The internal API.
    Internal,
    /// None: the control plane does it by itself.
    Background,
    /// None: somebody ran the program with another command than `serve`.
    Command,
}

/// What an API token takes away from its user's rights.
#[derive(Clone, Copy, Debug)]
struct Limit {
    role: Role,
    group: Option<NodeGroupId>,
}

impl Actor {
    /// A user who has just signed in to a session, or comes back to one.
    pub fn new(user: &User, assignments: Assignments, via: Via, origin: Origin) -> Self {
        Self {
            user: user.id,
            username: user.spec.username.clone(),
            role: user.spec.role,
            assignments: Arc::new(assignments),
            via,
            limit: None,
            origin: Arc::new(origin),
        }
    }

    /// The same, as far as an API token goes.
    #[must_use]
    pub fn limited(self, token: &ApiToken) -> Self {
        let (role, group) = (token.spec.role, token.spec.group);
        Self { limit: Some(Limit { role, group }), role: self.role.min(role), ..self }
    }

    /// What they are known by.
    pub fn via(&self) -> &Via {
        &self.via
    }

    /// Where they ask from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether this actor may do `operation` to what `scope` says.
    pub fn may(&self, operation: Operation, scope: impl Into<Scope>) -> Result<()> {
        let may = match operation.needs() {
            Needs::Nothing | Needs::SignIn | Needs::Seen(_) => true,
            Needs::GroupKey => false,
            Needs::Session => !matches!(self.via, Via::ApiToken(_)),
            Needs::Role(role, reach) => {
                self.role_over(scope.into().within(reach)).is_some_and(|has| has >= role)
            }
        };
        if may { Ok(()) } else { Err(Error::Forbidden) }
    }

    /// What this actor may do there; none if they may not even look.
    pub fn role_over(&self, scope: impl Into<Scope>) -> Option<Role> {
        let scope = scope.into();
        let Assignments { groups, services } = &*self.assignments;
        let in_group = scope.group().and_then(|group| groups.get(&group).copied());
        let over_service = match scope {
            Scope::Service(_, service) => services.get(&service).map(|(_, role)| *role),
            Scope::Everywhere | Scope::Group(_) => None,
        };
        let role = [Some(self.role), in_group, over_service].into_iter().flatten().max();
        let role = match self.limit {
            Some(limit) if limit.group.is_some_and(|group| scope.group() != Some(group)) => None,
            Some(limit) => role.map(|role| role.min(limit.role)),
            None => role,
        };
        role.filter(|role| *role > Role::Member)
    }

    /// Whether this actor may look at all that is in a group.
    pub fn sees_group(&self, group: NodeGroupId) -> bool {
        self.role_over(group).is_some()
    }

    /// Whether this actor may look at a service.
    pub fn sees_service(&self, service: &Service) -> bool {
        self.role_over(service).is_some()
    }

    /// Whether this actor may look at something in a group, if not at all of it: then
    /// they may know that there is this group.
    pub fn knows_group(&self, group: NodeGroupId) -> bool {
        self.sees_group(group)
            || self.services_in(group).any(|id| self.role_over(Scope::Service(group, id)).is_some())
    }

    /// Whether there is no group that this actor may not look at.
    pub fn sees_everything(&self) -> bool {
        self.role_over(Scope::Everywhere).is_some()
    }

    /// The groups that this actor may know of, if it is not every one.
    pub fn known_groups(&self) -> Option<Vec<NodeGroupId>> {
        if self.sees_everything() {
            return None;
        }
        let Assignments { groups, services } = &*self.assignments;
        let groups = groups.keys().copied().chain(services.values().map(|(group, _)| *group));
        // The one group of an API token, of a user who sees every group.
        let limit = self.limit.and_then(|limit| limit.group);
        let groups: std::collections::BTreeSet<_> = groups.chain(limit).collect();
        Some(groups.into_iter().filter(|group| self.knows_group(*group)).collect())
    }

    /// The groups that this actor may look at all of, if it is not every one.
    pub fn seen_groups(&self) -> Option<Vec<NodeGroupId>> {
        let known = self.known_groups()?.into_iter();
        Some(known.filter(|group| self.sees_group(*group)).collect())
    }

    /// Of these groups, the services that this actor was assigned to and may look at.
    pub fn seen_services(&self, groups: &[NodeGroupId]) -> Vec<ServiceId> {
        let single = groups.iter().flat_map(|group| {
            let seen = |id: &ServiceId| self.role_over(Scope::Service(*group, *id)).is_some();
            self.services_in(*group).filter(seen)
        });
        single.collect()
    }

    /// The most that this actor may do in `group`, or anywhere.
    pub fn highest_role(&self, group: Option<NodeGroupId>) -> Role {
        let role = match group {
            Some(group) => self.role_over(group),
            None => {
                let Assignments { groups, services } = &*self.assignments;
                let assigned = services.values().map(|(_, role)| *role);
                groups.values().copied().chain(assigned).max()
            }
        };
        role.unwrap_or(Role::Member).max(self.role)
    }

    /// Whether this actor may do the same as `other`.
    pub fn has_rights_of(&self, other: &Self) -> bool {
        self.role == other.role && self.assignments == other.assignments
    }

    /// The services of a group that this actor was assigned to.
    pub fn services_in(&self, group: NodeGroupId) -> impl Iterator<Item = ServiceId> {
        let services = self.assignments.services.iter();
        services.filter(move |(_, (of, _))| *of == group).map(|(id, _)| *id)
    }

    /// Whether this actor may make and remove node groups.
    pub fn may_administer(&self) -> Result<()> {
        self.may(Operation::CreateNodeGroup, Scope::Everywhere)
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(_) => f.write_str("session"),
            Self::OldToken => f.write_str("old token"),
            Self::ApiToken(id) => write!(f, "API token {id}"),
        }
    }
}

impl Edge {
    /// The edge as the audit log keeps it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GraphQl => "graphql",
            Self::Rest => "rest",
            Self::Internal => "internal",
            Self::Background => "background",
            Self::Command => "command",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Somebody with this role everywhere.
    pub(crate) fn actor(role: Role) -> Actor {
        Actor {
            user: 1.try_into().unwrap(),
            username: "u".to_owned().try_into().unwrap(),
            role,
            assignments: Arc::default(),
            via: Via::OldToken,
            limit: None,
            origin: Arc::default(),
        }
    }

    fn group(id: i32) -> NodeGroupId {
        id.try_into().unwrap()
    }

    fn service(group_id: i32, id: i32) -> Scope {
        Scope::Service(group(group_id), id.try_into().unwrap())
    }

    fn assigned(groups: &[(i32, Role)], services: &[(i32, i32, Role)]) -> Actor {
        let assignments = Assignments {
            groups: groups.iter().map(|(id, role)| (group(*id), *role)).collect(),
            services: services
                .iter()
                .map(|(of, id, role)| ((*id).try_into().unwrap(), (group(*of), *role)))
                .collect(),
        };
        Actor { assignments: Arc::new(assignments), ..actor(Role::Member) }
    }

    fn limited(actor: Actor, role: Role, to: Option<i32>) -> Actor {
        let limit = Some(Limit { role, group: to.map(group) });
        Actor {
            limit,
            via: Via::ApiToken(1.try_into().unwrap()),
            role: actor.role.min(role),
            ..actor
        }
    }

    #[test]
    fn a_role_may_do_what_a_lesser_one_may() {
        let table = [
            (Role::Member, [false, false, false]),
            (Role::Viewer, [true, false, false]),
            (Role::Operator, [true, true, false]),
            (Role::Admin, [true, true, true]),
        ];
        for (role, want) in table {
            let actor = actor(role);
            let on = |operation| actor.may(operation, group(1));
            let got =
                [on(Operation::ReadRoute), on(Operation::CreateRoute), actor.may_administer()];
            assert_eq!(got.map(|may| may.is_ok()), want, "{role:?}");
        }
    }

    #[test]
    fn an_assignment_reaches_as_far_as_it_says() {
        use Operation::{
            CreateNodeGroup, CreateService, DeleteService, ReadRoute, ReadService, UpdateService,
        };
        let of_group = assigned(&[(1, Role::Operator), (2, Role::Viewer)], &[]);
        let of_service = assigned(&[], &[(1, 7, Role::Operator), (1, 8, Role::Viewer)]);
        let here = Scope::Group(group(1));
        let there = Scope::Group(group(2));
        let table: [(&str, &Actor, Operation, Scope, bool); 17] = [
            ("its group", &of_group, CreateService, here, true),
            ("its service", &of_group, UpdateService, service(1, 7), true),
            ("only to look", &of_group, ReadRoute, there, true),
            ("only to look", &of_group, CreateService, there, false),
            ("only to look", &of_group, UpdateService, service(2, 9), false),
            ("another", &of_group, ReadRoute, Scope::Group(group(3)), false),
            ("no group", &of_group, CreateNodeGroup, Scope::Everywhere, false),
            ("everywhere", &of_group, CreateService, Scope::Everywhere, false),
            ("its service", &of_service, UpdateService, service(1, 7), true),
            ("its service", &of_service, ReadService, service(1, 7), true),
            ("only to look", &of_service, ReadService, service(1, 8), true),
            ("only to look", &of_service, UpdateService, service(1, 8), false),
            ("a group's matter", &of_service, DeleteService, service(1, 7), false),
            ("a group's matter", &of_service, CreateService, here, false),
            ("a group's matter", &of_service, ReadRoute, here, false),
            ("another", &of_service, ReadService, service(1, 9), false),
            ("everywhere", &of_service, ReadService, Scope::Everywhere, false),
        ];
        for (why, actor, operation, scope, want) in table {
            let may = actor.may(operation, scope).is_ok();
            assert_eq!(may, want, "{why}: {operation:?} {scope:?}");
        }
        assert_eq!(of_service.known_groups(), Some(vec![group(1)]));
        assert_eq!(of_group.known_groups(), Some(vec![group(1), group(2)]));
        assert!(of_service.knows_group(group(1)) && !of_service.sees_group(group(1)));
        assert_eq!(actor(Role::Viewer).known_groups(), None);
        assert_eq!(actor(Role::Member).known_groups(), Some(vec![]));
    }

    #[test]
    fn an_api_token_takes_rights_away_and_gives_none() {
        use Operation::{
            ChangePassword, CreateApiToken, CreateNodeGroup, CreateService, Me, ReadRoute,
        };
        let (here, there) = (Scope::Group(group(1)), Scope::Group(group(2)));
        let admin = || actor(Role::Admin);
        let viewer = || actor(Role::Viewer);
        let table: [(Actor, Operation, Scope, bool); 11] = [
            (limited(admin(), Role::Admin, None), CreateNodeGroup, Scope::Everywhere, true),
            (limited(admin(), Role::Operator, None), CreateNodeGroup, Scope::Everywhere, false),
            (limited(admin(), Role::Operator, None), CreateService, here, true),
            (limited(viewer(), Role::Admin, None), CreateService, here, false),
            (limited(admin(), Role::Admin, Some(1)), CreateService, here, true),
            (limited(admin(), Role::Admin, Some(1)), ReadRoute, there, false),
            (limited(admin(), Role::Admin, Some(1)), CreateNodeGroup, Scope::Everywhere, false),
            (
                limited(assigned(&[(1, Role::Operator)], &[]), Role::Viewer, None),
                ReadRoute,
                here,
                true,
            ),
            (
                limited(assigned(&[(1, Role::Operator)], &[]), Role::Viewer, None),
                CreateService,
                here,
                false,
            ),
            (limited(admin(), Role::Admin, None), ChangePassword, Scope::Everywhere, false),
            (limited(admin(), Role::Admin, None), CreateApiToken, Scope::Everywhere, false),
        ];
        for (actor, operation, scope, want) in table {
            assert_eq!(actor.may(operation, scope).is_ok(), want, "{operation:?} {scope:?}");
            assert!(actor.may(Me, Scope::Everywhere).is_ok());
        }
        assert_eq!(limited(admin(), Role::Admin, Some(1)).known_groups(), Some(vec![group(1)]));
    }
}
