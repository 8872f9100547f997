//! Services.

use chrono::{DateTime, Utc};
use marchproxy_schema::{listener, route, route_backend, service};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Set, Unchanged,
};

use super::rows::{Row, to_json};
use super::{Tx, name_taken};
use crate::error::{Error, Result};
use crate::model::Page;
use crate::model::{
    Endpoint, HttpVersion, NodeGroupId, Protocol, Service, ServiceId, ServiceSpec, Timeouts,
};

const KIND: &str = "service";

impl Tx {
    /// The service of this id, or `NotFound`.
    pub async fn service(&self, id: ServiceId) -> Result<Service> {
        let row = service::Entity::find_by_id(i32::from(id)).one(&self.0).await?;
        parse(row.ok_or_else(|| Error::not_found(KIND, id))?)
    }

    /// A group's services in the order of their ids.
    pub async fn services(&self, group: NodeGroupId, page: Page) -> Result<Vec<Service>> {
        service::Entity::find()
            .filter(service::Column::NodeGroupId.eq(i32::from(group)))
            .filter(service::Column::Id.gt(page.after))
            .order_by_asc(service::Column::Id)
            .limit(page.limit)
            .all(&self.0)
            .await?
            .into_iter()
            .map(parse)
            .collect()
    }

    /// The services of these ids, in any order.
    pub async fn services_by_id(&self, ids: &[ServiceId]) -> Result<Vec<Service>> {
        service::Entity::find()
            .filter(service::Column::Id.is_in(ids.iter().map(|id| i32::from(*id))))
            .all(&self.0)
            .await?
            .into_iter()
            .map(parse)
            .collect()
    }

    /// Inserts a service. `AlreadyExists` if its group has one of that name.
    pub async fn insert_service(
        &self,
        group: NodeGroupId,
        spec: &ServiceSpec,
        now: DateTime<Utc>,
    ) -> Result<Service> {
        let row = service::ActiveModel {
            node_group_id: Set(group.into()),
            created_at: Set(now),
            ..columns(spec, now)?
        };
        parse(row.insert(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// Writes what people configured of a service.
    pub async fn update_service(
        &self,
        id: ServiceId,
        spec: &ServiceSpec,
        now: DateTime<Utc>,
    ) -> Result<Service> {
        let row = service::ActiveModel { id: Unchanged(id.into()), ..columns(spec, now)? };
        parse(row.update(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// Deletes a service. `InUse` while a route or a listener names it.
    pub async fn delete_service(&self, service: &Service) -> Result<()> {
        let id = i32::from(service.id);
        let in_use =
            |by: String| Err(Error::InUse { kind: KIND, name: service.spec.name.to_string(), by });
        let backend = route_backend::Entity::find()
            .filter(route_backend::Column::ServiceId.eq(id))
            .one(&self.0)
            .await?;
        if let Some(backend) = backend
            && let Some(route) = route::Entity::find_by_id(backend.route_id).one(&self.0).await?
        {
            return in_use(format!("route {}", route.name));
        }
        let listener = listener::Entity::find()
            .filter(listener::Column::ServiceId.eq(id))
            .one(&self.0)
            .await?;
        if let Some(listener) = listener {
            return in_use(format!("listener {}", listener.name));
        }
        service::Entity::delete_by_id(id).exec(&self.0).await?;
        Ok(())
    }
}

/// What people configured, as columns; identity and birth are left open.
fn columns(spec: &ServiceSpec, now: DateTime<Utc>) -> Result<service::ActiveModel> {
    let (first, rest) = spec
        .endpoints
        .split_first()
        .ok_or_else(|| Error::internal("a service without an endpoint passed its check"))?;
    let (protocol, http_version) = match spec.protocol {
        Protocol::Http(HttpVersion::Http1) => ("http", 1),
        Protocol::Http(HttpVersion::Http2) => ("http", 2),
        Protocol::Tcp => ("tcp", 1),
    };
    Ok(service::ActiveModel {
        name: Set(spec.name.to_string()),
        protocol: Set(protocol.to_owned()),
        http_version: Set(http_version),
        ip_fqdn: Set(first.host.to_string()),
        port: Set(first.port.into()),
        weight: Set(first.weight.into()),
        endpoints: Set(to_json(&rest)),
        load_balancing: Set(to_json(&spec.load_balancing)),
        connect_timeout_ms: Set(spec.timeouts.connect.into()),
        request_timeout_ms: Set(spec.timeouts.request.into()),
        idle_timeout_ms: Set(spec.timeouts.idle.into()),
        health_check: Set(spec.health_check.as_ref().map(to_json)),
        tls: Set(spec.tls.as_ref().map(to_json)),
        updated_at: Set(now),
        ..Default::default()
    })
}

fn parse(row: service::Model) -> Result<Service> {
    let at = Row { table: "service", id: row.id };
    let protocol = match (row.protocol.as_str(), row.http_version) {
        ("http", 1) => Protocol::Http(HttpVersion::Http1),
        ("http", 2) => Protocol::Http(HttpVersion::Http2),
        ("tcp", _) => Protocol::Tcp,
        (other, _) => return Err(at.broken("protocol", other)),
    };
    let mut endpoints = vec![Endpoint {
        host: at.parse("ip_fqdn", row.ip_fqdn)?,
        port: at.parse("port", row.port)?,
        weight: at.parse("weight", row.weight)?,
    }];
    endpoints.extend(at.json::<Vec<Endpoint>>("endpoints", row.endpoints)?);
    Ok(Service {
        id: at.parse("id", row.id)?,
        group: at.parse("node_group_id", row.node_group_id)?,
        spec: ServiceSpec {
            name: at.parse("name", row.name)?,
            protocol,
            endpoints,
            load_balancing: at.json("load_balancing", row.load_balancing)?,
            timeouts: Timeouts {
                connect: at.parse("connect_timeout_ms", row.connect_timeout_ms)?,
                request: at.parse("request_timeout_ms", row.request_timeout_ms)?,
                idle: at.parse("idle_timeout_ms", row.idle_timeout_ms)?,
            },
            health_check: row.health_check.map(|v| at.json("health_check", v)).transpose()?,
            tls: row.tls.map(|v| at.json("tls", v)).transpose()?,
        },
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
