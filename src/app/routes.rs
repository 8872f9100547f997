//! Routes.

use super::audit::Note;
use super::{App, Change, Done, Edit, check_revision};
use crate::auth::{Actor, Operation};
use crate::error::{Error, Result};
use crate::model::Revision;
use crate::model::{
    Forward, HeaderMatch, HostPattern, HttpMethod, Invalid, ListenerId, ListenerProtocol, Name,
    NodeGroupId, PathMatch, Protocol, Route, RouteAction, RouteChange, RouteId, RouteSpec,
};
use crate::model::{Labelled, Labels};

/// A route to be made; see [`RouteSpec`].
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as in RouteSpec")]
pub struct NewRoute {
    /// In which group; in the default one if not said.
    pub group: Option<NodeGroupId>,
    /// On which listener; on the group's default one if not said.
    pub listener: Option<ListenerId>,
    pub name: Name,
    pub hosts: Vec<HostPattern>,
    pub path: PathMatch,
    pub methods: Vec<HttpMethod>,
    pub headers: Vec<HeaderMatch>,
    pub priority: i32,
    pub labels: Labels,
    pub action: RouteAction,
}

impl App {
    /// A group's routes.
    pub async fn routes(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        page: impl Into<Labelled>,
    ) -> Result<Vec<Route>> {
        let tx = self.look(actor, Operation::ListRoutes, group).await?;
        tx.routes(group, page).await
    }

    /// One route.
    pub async fn route(&self, actor: &Actor, id: RouteId) -> Result<Route> {
        let tx = self.0.store.read().await?;
        let route = tx.route(id).await?;
        if !actor.sees_group(route.group) {
            return Err(Error::not_found("route", id));
        }
        actor.may(Operation::ReadRoute, route.group)?;
        Ok(route)
    }

    /// Those of these routes that there are and `actor` may see, in any order.
    pub async fn routes_by_id(&self, actor: &Actor, ids: &[RouteId]) -> Result<Vec<Route>> {
        let mut routes = self.0.store.read().await?.routes_by_id(ids).await?;
        routes.retain(|route| actor.sees_group(route.group));
        routes.retain(|route| actor.may(Operation::ReadRoute, route.group).is_ok());
        Ok(routes)
    }

    /// Creates a route.
    #[tracing::instrument(skip_all, fields(route.name = %new.name))]
    pub async fn create_route(&self, actor: &Actor, new: NewRoute) -> Result<(Route, Change)> {
        let group = new.group.unwrap_or(self.default_group());
        let edit = self.begin(actor, Operation::CreateRoute, group).await?;
        let done = edit.create_route(new).await?;
        edit.finish(done).await
    }

    /// Changes a route.
    #[tracing::instrument(skip_all, fields(route.id = %id))]
    pub async fn update_route(
        &self,
        actor: &Actor,
        id: RouteId,
        change: RouteChange,
    ) -> Result<(Route, Change)> {
        let group = self.route(actor, id).await?.group; // it never changes
        let edit = self.begin(actor, Operation::UpdateRoute, group).await?;
        let done = edit.update_route(id, change).await?;
        edit.finish(done).await
    }

    /// Deletes a route.
    #[tracing::instrument(skip_all, fields(route.id = %id))]
    pub async fn delete_route(
        &self,
        actor: &Actor,
        id: RouteId,
        if_revision: Option<Revision>,
    ) -> Result<Change> {
        let group = self.route(actor, id).await?.group;
        let edit = self.begin(actor, Operation::DeleteRoute, group).await?;
        let done = edit.delete_route(id, if_revision).await?;
        Ok(edit.finish(done).await?.1)
    }
}

impl Edit<'_> {
    /// Makes a route, in the group of the change.
    pub(super) async fn create_route(&self, new: NewRoute) -> Result<Done<Route>> {
        let listener = match new.listener {
            Some(listener) => listener,
            None => self.default_listener().await?,
        };
        let spec = RouteSpec {
            labels: new.labels,
            name: new.name,
            listener,
            hosts: new.hosts,
            path: new.path,
            methods: new.methods,
            headers: new.headers,
            priority: new.priority,
            action: new.action,
        };
        let spec = self.check_route(spec).await?;
        let route = self.tx.insert_route(self.group, &spec, self.now).await?;
        let (note, cause) = (Note::made(&route), format!("create route {}", spec.name));
        Ok(Done { made: route, note, cause })
    }

    /// Changes a route of the group.
    pub(super) async fn update_route(
        &self,
        id: RouteId,
        change: RouteChange,
    ) -> Result<Done<Route>> {
        let before = self.tx.route(id).await?;
        self.check_group(before.group, "route", id)?;
        check_revision("route", &before.spec.name, before.revision, change.if_revision)?;
        let spec = before.spec.clone().changed(change);
        let spec = self.check_route(spec).await?;
        let route = self.tx.update_route(id, &spec, self.now).await?;
        let (note, cause) = (Note::changed(&before, &route), format!("update route {}", spec.name));
        Ok(Done { made: route, note, cause })
    }

    /// Deletes a route of the group.
    pub(super) async fn delete_route(
        &self,
        id: RouteId,
        if_revision: Option<Revision>,
    ) -> Result<Done<()>> {
        let route = self.tx.route(id).await?;
        self.check_group(route.group, "route", id)?;
        check_revision("route", &route.spec.name, route.revision, if_revision)?;
        self.tx.delete_route(&route).await?;
        let cause = format!("delete route {}", route.spec.name);
        Ok(Done { made: (), note: Note::gone(&route), cause })
    }

    async fn default_listener(&self) -> Result<ListenerId> {
        let listener = self.tx.find_default_listener(self.group).await?;
        let missing = || Invalid::new("listener", "this group has no default listener: name one");
        Ok(listener.ok_or_else(missing)?.id)
    }

    /// Checks a route, and that what it refers to is there for it.
    async fn check_route(&self, spec: RouteSpec) -> Result<RouteSpec> {
        let spec = spec.check()?;
        let listeners = self.tx.listeners_by_id(&[spec.listener]).await?;
        match listeners.first().filter(|listener| listener.group == self.group) {
            None => {
                return Err(Invalid::new("listener", "there is no such listener in this group"))?;
            }
            Some(l) if l.spec.protocol != ListenerProtocol::Http => {
                return Err(Invalid::new("listener", "is a TCP listener: it reads no requests"))?;
            }
            Some(_) => {}
        }
        if let RouteAction::Forward(forward) = &spec.action {
            self.check_backends(forward).await?;
        }
        Ok(spec)
    }

    async fn check_backends(&self, forward: &Forward) -> Result<()> {
        let ids: Vec<_> = forward.backends.iter().map(|backend| backend.service).collect();
        let services = self.tx.services_by_id(&ids).await?;
        for (i, id) in ids.iter().enumerate() {
            let at = |why| Invalid::new("service", why).within(i).within("backends");
            let mut known = services.iter();
            let service = known.find(|service| service.id == *id && service.group == self.group);
            let service = service.ok_or_else(|| at("there is no such service in this group"))?;
            if !service.spec.is_active {
                return Err(at("is not active"))?;
            }
            match service.spec.protocol {
                Protocol::Http(_) => {}
                Protocol::Tcp => {
                    return Err(at("is a TCP service: no requests can be routed to it"))?;
                }
                Protocol::Udp => {
                    return Err(at("is a UDP service: no requests can be routed to it"))?;
                }
            }
        }
        Ok(())
    }
}
