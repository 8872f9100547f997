//! Making the rows of a group what they were.

use std::collections::HashMap;
use std::hash::Hash;

use chrono::{DateTime, Utc};
use marchproxy_schema::{listener, mapping, route, service};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::Tx;
use crate::error::{Error, Result};
use crate::model::{DesiredState, Listener, Mapping, NodeGroupId, Route, Service};

impl Tx {
    /// Makes the rows of a group, which are those of `is`, those of `wanted`.
    ///
    /// What is in both keeps its row, and what is gone comes back under its old id.
    /// `InUse` if that is another group's by now, or if something that is no part
    /// of a desired state needs what is to go.
    pub async fn restore(
        &self,
        is: &DesiredState,
        wanted: &DesiredState,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.check_ids(wanted).await?;
        check_certificates(is, wanted)?;
        // What refers goes first, and what is referred to comes first.
        for route in gone(&is.routes, &wanted.routes, |route| route.id) {
            self.delete_route(route).await?;
        }
        for mapping in gone(&is.mappings, &wanted.mappings, |mapping| mapping.id) {
            self.delete_mapping(mapping).await?;
        }
        self.free_names(is, wanted).await?;
        let services = by_id(&is.services, |service| service.id);
        for wanted in &wanted.services {
            match services.get(&wanted.id) {
                None => drop(self.insert_service_again(wanted, now).await?),
                Some(is) if is.spec != wanted.spec => {
                    self.update_service(wanted.id, &wanted.spec, now).await?;
                }
                Some(_) => {}
            }
        }
        let listeners = by_id(&is.listeners, |listener| listener.id);
        for wanted in &wanted.listeners {
            match listeners.get(&wanted.id) {
                None => drop(self.insert_listener_again(wanted, now).await?),
                Some(is) if is.spec != wanted.spec => {
                    self.update_listener(wanted.id, &wanted.spec, now).await?;
                }
                Some(_) => {}
            }
        }
        let routes = by_id(&is.routes, |route| route.id);
        for wanted in &wanted.routes {
            match routes.get(&wanted.id) {
                None => drop(self.insert_route_again(wanted, now).await?),
                Some(is) if is.spec != wanted.spec => {
                    self.update_route(wanted.id, &wanted.spec, now).await?;
                }
                Some(_) => {}
            }
        }
        let mappings = by_id(&is.mappings, |mapping| mapping.id);
        for wanted in &wanted.mappings {
            match mappings.get(&wanted.id) {
                None => drop(self.insert_mapping_again(wanted, now).await?),
                Some(is) if is.spec != wanted.spec => {
                    self.update_mapping(wanted.id, &wanted.spec, now).await?;
                }
                Some(_) => {}
            }
        }
        for listener in gone(&is.listeners, &wanted.listeners, |listener| listener.id) {
            self.delete_listener(listener).await?;
        }
        for service in gone(&is.services, &wanted.services, |service| service.id) {
            self.delete_service(service).await?;
        }
        if is.group.spec != wanted.group.spec {
            self.update_node_group(wanted.group.id, &wanted.group.spec, now).await?;
        }
        Ok(())
    }

    /// Sees to it that no id is another group's.
    async fn check_ids(&self, wanted: &DesiredState) -> Result<()> {
        let own = wanted.group.id;
        let ids: Vec<_> = wanted.services.iter().map(|service| service.id).collect();
        let services = self.services_by_id(&ids).await?.into_iter();
        free_or_own("service", own, services.map(|Service { id, group, .. }| (id, group)))?;
        let ids: Vec<_> = wanted.listeners.iter().map(|listener| listener.id).collect();
        let listeners = self.listeners_by_id(&ids).await?.into_iter();
        free_or_own("listener", own, listeners.map(|Listener { id, group, .. }| (id, group)))?;
        let ids: Vec<_> = wanted.routes.iter().map(|route| route.id).collect();
        let routes = self.routes_by_id(&ids).await?.into_iter();
        free_or_own("route", own, routes.map(|Route { id, group, .. }| (id, group)))?;
        let ids: Vec<_> = wanted.mappings.iter().map(|mapping| mapping.id).collect();
        let mappings = self.mappings_by_id(&ids).await?.into_iter();
        free_or_own("mapping", own, mappings.map(|Mapping { id, group, .. }| (id, group)))
    }

    /// Gives what changes its name, or goes, a name that nobody can choose: two
    /// may have changed names with each other.
    async fn free_names(&self, is: &DesiredState, wanted: &DesiredState) -> Result<()> {
        let services = by_id(&wanted.services, |service| service.id);
        for is in &is.services {
            if services.get(&is.id).is_none_or(|wanted| wanted.spec.name != is.spec.name) {
                service::Entity::update_many()
                    .col_expr(service::Column::Name, Expr::value(format!("~{}", is.id)))
                    .filter(service::Column::Id.eq(i32::from(is.id)))
                    .exec(&self.0)
                    .await?;
            }
        }
        let listeners = by_id(&wanted.listeners, |listener| listener.id);
        for is in &is.listeners {
            if listeners.get(&is.id).is_none_or(|wanted| wanted.spec.name != is.spec.name) {
                listener::Entity::update_many()
                    .col_expr(listener::Column::Name, Expr::value(format!("~{}", is.id)))
                    .filter(listener::Column::Id.eq(i32::from(is.id)))
                    .exec(&self.0)
                    .await?;
            }
        }
        let routes = by_id(&wanted.routes, |route| route.id);
        for is in &is.routes {
            // Those that go are gone.
            if routes.get(&is.id).is_some_and(|wanted| wanted.spec.name != is.spec.name) {
                route::Entity::update_many()
                    .col_expr(route::Column::Name, Expr::value(format!("~{}", is.id)))
                    .filter(route::Column::Id.eq(i32::from(is.id)))
                    .exec(&self.0)
                    .await?;
            }
        }
        let mappings = by_id(&wanted.mappings, |mapping| mapping.id);
        for is in &is.mappings {
            if mappings.get(&is.id).is_some_and(|wanted| wanted.spec.name != is.spec.name) {
                mapping::Entity::update_many()
                    .col_expr(mapping::Column::Name, Expr::value(format!("~{}", is.id)))
                    .filter(mapping::Column::Id.eq(i32::from(is.id)))
                    .exec(&self.0)
                    .await?;
            }
        }
        Ok(())
    }
}

/// Sees to it that the certificates are there which listeners refer to: a key does
/// not come back.
fn check_certificates(is: &DesiredState, wanted: &DesiredState) -> Result<()> {
    for Listener { spec, .. } in &wanted.listeners {
        let Some(id) = spec.certificate else { continue };
        if !is.certificates.iter().any(|known| known.id == id && known.spec.is_active) {
            let why = format!("listener {} needs certificate {id}, which is gone", spec.name);
            return Err(Error::Conflict(why));
        }
    }
    Ok(())
}

/// What of `is` is not in `wanted`.
fn gone<'a, T, I: Eq + Hash>(
    is: &'a [T],
    wanted: &'a [T],
    id: impl Fn(&T) -> I + Copy,
) -> Vec<&'a T> {
    let wanted = by_id(wanted, id);
    is.iter().filter(|is| !wanted.contains_key(&id(is))).collect()
}

fn by_id<T, I: Eq + Hash>(items: &[T], id: impl Fn(&T) -> I) -> HashMap<I, &T> {
    items.iter().map(|item| (id(item), item)).collect()
}

fn free_or_own<I: ToString>(
    kind: &'static str,
    own: NodeGroupId,
    taken: impl Iterator<Item = (I, NodeGroupId)>,
) -> Result<()> {
    let mut taken = taken.filter(|(_, group)| *group != own);
    taken.next().map_or(Ok(()), |(id, group)| {
        Err(Error::InUse { kind, name: id.to_string(), by: format!("node group {group}") })
    })
}
