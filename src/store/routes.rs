//! Routes, and which services they send to.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use marchproxy_schema::{route, route_backend};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, Set, Unchanged,
};

use super::labels::labelled;
use super::rows::{Row, to_json};
use super::{Making, Tx, name_taken};
use crate::error::{Error, Result};
use crate::model::Labelled;
use crate::model::{NodeGroupId, Route, RouteId, RouteSpec};

const KIND: &str = "route";

impl Tx {
    /// The route of this id, or `NotFound`.
    pub async fn route(&self, id: RouteId) -> Result<Route> {
        let row = route::Entity::find_by_id(i32::from(id)).one(&self.0).await?;
        parse(row.ok_or_else(|| Error::not_found(KIND, id))?)
    }

    /// A group's routes in the order of their ids.
    pub async fn routes(
        &self,
        group: NodeGroupId,
        page: impl Into<Labelled>,
    ) -> Result<Vec<Route>> {
        let Labelled { page, labels } = page.into();
        let wanted = route::Entity::find()
            .filter(route::Column::NodeGroupId.eq(i32::from(group)))
            .filter(labelled(route::Column::Labels, &labels));
        self.page(wanted, route::Column::Id, page, parse).await
    }

    /// The routes of these ids, in any order.
    pub async fn routes_by_id(&self, ids: &[RouteId]) -> Result<Vec<Route>> {
        let wanted = route::Entity::find()
            .filter(route::Column::Id.is_in(ids.iter().map(|id| i32::from(*id))));
        self.rows(wanted, parse).await
    }

    /// Inserts a route. `AlreadyExists` if its group has one of that name.
    pub async fn insert_route(
        &self,
        group: NodeGroupId,
        spec: &RouteSpec,
        now: DateTime<Utc>,
    ) -> Result<Route> {
        let row = route::ActiveModel {
            node_group_id: Set(group.into()),
            created_at: Set(now),
            ..columns(spec, &self.1, now)
        };
        let row = row.insert(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?;
        self.insert_backends(row.id, spec).await?;
        parse(row)
    }

    /// Inserts a route that was there before, under its old id.
    pub async fn insert_route_again(&self, route: &Route, now: DateTime<Utc>) -> Result<Route> {
        let Route { id, group, spec, created_at, .. } = route;
        let row = route::ActiveModel {
            id: Set((*id).into()),
            node_group_id: Set((*group).into()),
            created_at: Set(*created_at),
            ..columns(spec, &self.1, now)
        };
        let row = row.insert(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?;
        self.insert_backends(row.id, spec).await?;
        parse(row)
    }

    /// Writes what people configured of a route.
    pub async fn update_route(
        &self,
        id: RouteId,
        spec: &RouteSpec,
        now: DateTime<Utc>,
    ) -> Result<Route> {
        let row = route::ActiveModel { id: Unchanged(id.into()), ..columns(spec, &self.1, now) };
        let row = row.update(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?;
        route_backend::Entity::delete_many()
            .filter(route_backend::Column::RouteId.eq(row.id))
            .exec(&self.0)
            .await?;
        self.insert_backends(row.id, spec).await?;
        parse(row)
    }

    /// Deletes a route.
    pub async fn delete_route(&self, route: &Route) -> Result<()> {
        route::Entity::delete_by_id(i32::from(route.id)).exec(&self.0).await?;
        Ok(())
    }

    async fn insert_backends(&self, route_id: i32, spec: &RouteSpec) -> Result<()> {
        let services: BTreeSet<i32> = spec.services().map(i32::from).collect();
        if services.is_empty() {
            return Ok(());
        }
        let rows = services.into_iter().map(|service_id| route_backend::ActiveModel {
            route_id: Set(route_id),
            service_id: Set(service_id),
        });
        route_backend::Entity::insert_many(rows).exec_without_returning(&self.0).await?;
        Ok(())
    }
}

fn columns(spec: &RouteSpec, making: &Making, now: DateTime<Utc>) -> route::ActiveModel {
    route::ActiveModel {
        listener_id: Set(spec.listener.into()),
        name: Set(spec.name.to_string()),
        priority: Set(spec.priority),
        hosts: Set(to_json(&spec.hosts)),
        path: Set(to_json(&spec.path)),
        methods: Set(to_json(&spec.methods)),
        headers: Set(to_json(&spec.headers)),
        action: Set(to_json(&spec.action)),
        labels: Set(spec.labels.to_string()),
        revision: Set(making.revision()),
        updated_at: Set(now),
        ..Default::default()
    }
}

fn parse(row: route::Model) -> Result<Route> {
    let at = Row { table: "route", id: row.id };
    Ok(Route {
        id: at.parse("id", row.id)?,
        group: at.parse("node_group_id", row.node_group_id)?,
        spec: RouteSpec {
            labels: at.parse("labels", row.labels)?,
            name: at.parse("name", row.name)?,
            listener: at.parse("listener_id", row.listener_id)?,
            hosts: at.json("hosts", row.hosts)?,
            path: at.json("path", row.path)?,
            methods: at.json("methods", row.methods)?,
            headers: at.json("headers", row.headers)?,
            priority: row.priority,
            action: at.json("action", row.action)?,
        },
        revision: row.revision.into(),
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
