//! Services.

use chrono::{DateTime, Utc};
use marchproxy_schema::{listener, route, route_backend, service};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, Set,
    Unchanged,
};

use super::labels::labelled;
use super::rows::{Row, to_json};
use super::{Making, Tx, name_taken};
use crate::error::{Error, Result};
use crate::model::Labelled;
use crate::model::{
    Endpoint, HttpVersion, NodeGroupId, Protocol, Service, ServiceAuth, ServiceId, ServiceSpec,
    Timeouts, UserId,
};
use crate::model::{Listed, Page, Window};

const KIND: &str = "service";

impl Tx {
    /// The service of this id, or `NotFound`.
    pub async fn service(&self, id: ServiceId) -> Result<Service> {
        let row = service::Entity::find_by_id(i32::from(id)).one(&self.0).await?;
        parse(row.ok_or_else(|| Error::not_found(KIND, id))?)
    }

    /// A group's services in the order of their ids.
    pub async fn services(
        &self,
        group: NodeGroupId,
        page: impl Into<Labelled>,
    ) -> Result<Vec<Service>> {
        let Labelled { page, labels } = page.into();
        let wanted = service::Entity::find()
            .filter(service::Column::NodeGroupId.eq(i32::from(group)))
            .filter(labelled(service::Column::Labels, &labels));
        self.page(wanted, service::Column::Id, page, parse).await
    }

    /// A window on the services of a group, or of all groups, the newest first.
    /// With `seen`, only on those in these groups and on these services.
    pub async fn list_services(
        &self,
        group: Option<NodeGroupId>,
        seen: Option<(&[NodeGroupId], &[ServiceId])>,
        window: Window,
    ) -> Result<Listed<Service>> {
        let mut wanted = service::Entity::find();
        if let Some(group) = group {
            wanted = wanted.filter(service::Column::NodeGroupId.eq(i32::from(group)));
        }
        if let Some((groups, services)) = seen {
            let groups = groups.iter().map(|id| i32::from(*id));
            let services = services.iter().map(|id| i32::from(*id));
            wanted = wanted.filter(
                Condition::any()
                    .add(service::Column::NodeGroupId.is_in(groups))
                    .add(service::Column::Id.is_in(services)),
            );
        }
        if window.active_only {
            wanted = wanted.filter(service::Column::IsActive.eq(true));
        }
        self.window(wanted, service::Column::Id, window, parse).await
    }

    /// The services of these ids, in any order.
    pub async fn services_by_id(&self, ids: &[ServiceId]) -> Result<Vec<Service>> {
        let wanted = service::Entity::find()
            .filter(service::Column::Id.is_in(ids.iter().map(|id| i32::from(*id))));
        self.rows(wanted, parse).await
    }

    /// Inserts a service. `AlreadyExists` if its group has one of that name.
    pub async fn insert_service(
        &self,
        group: NodeGroupId,
        spec: &ServiceSpec,
        created_by: Option<UserId>,
        now: DateTime<Utc>,
    ) -> Result<Service> {
        let row = service::ActiveModel {
            node_group_id: Set(group.into()),
            created_by: Set(created_by.map(i32::from)),
            created_at: Set(now),
            ..columns(spec, &self.1, now)?
        };
        parse(row.insert(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// Inserts a service that was there before, under its old id.
    pub async fn insert_service_again(
        &self,
        service: &Service,
        now: DateTime<Utc>,
    ) -> Result<Service> {
        let Service { id, group, created_by, spec, created_at, .. } = service;
        let row = service::ActiveModel {
            id: Set((*id).into()),
            node_group_id: Set((*group).into()),
            created_by: Set(created_by.map(i32::from)),
            created_at: Set(*created_at),
            ..columns(spec, &self.1, now)?
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
        let row = service::ActiveModel { id: Unchanged(id.into()), ..columns(spec, &self.1, now)? };
        parse(row.update(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// Deletes a service. `InUse` while a route, a listener or a mapping names it.
    pub async fn delete_service(&self, service: &Service) -> Result<()> {
        self.check_unused(service).await?;
        let mappings = self.mappings(service.group, Page::ALL).await?;
        if let Some(mapping) = mappings.iter().find(|mapping| mapping.spec.names(service.id)) {
            let (name, by) = (&service.spec.name, &mapping.spec.name);
            let (name, by) = (name.to_string(), format!("mapping {by}"));
            return Err(Error::InUse { kind: KIND, name, by });
        }
        service::Entity::delete_by_id(i32::from(service.id)).exec(&self.0).await?;
        Ok(())
    }

    /// `InUse` while a route or a listener names the service: Envoy has to know it.
    pub async fn check_unused(&self, service: &Service) -> Result<()> {
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
        Ok(())
    }
}

/// What people configured, as columns; identity and birth are left open.
fn columns(
    spec: &ServiceSpec,
    making: &Making,
    now: DateTime<Utc>,
) -> Result<service::ActiveModel> {
    let (first, rest) = spec
        .endpoints
        .split_first()
        .ok_or_else(|| Error::internal("a service without an endpoint passed its check"))?;
    let (protocol, http_version) = match spec.protocol {
        Protocol::Http(HttpVersion::Http1) => ("http", 1),
        Protocol::Http(HttpVersion::Http2) => ("http", 2),
        Protocol::Tcp => ("tcp", 1),
        Protocol::Udp => ("udp", 1),
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
        is_active: Set(spec.is_active),
        collection: Set(spec.collection.as_ref().map(ToString::to_string)),
        auth_type: Set(spec.auth.kind.as_str().to_owned()),
        jwt_expiry: Set(spec.auth.jwt_expiry.into()),
        jwt_algorithm: Set(spec.auth.jwt_algorithm.as_str().to_owned()),
        metadata: Set(spec.metadata.clone()),
        labels: Set(spec.labels.to_string()),
        revision: Set(making.revision()),
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
        ("udp", _) => Protocol::Udp,
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
        created_by: at.optional("created_by", row.created_by)?,
        spec: ServiceSpec {
            labels: at.parse("labels", row.labels)?,
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
            collection: at.optional("collection", row.collection)?,
            auth: ServiceAuth {
                kind: at.parse("auth_type", row.auth_type)?,
                jwt_expiry: at.parse("jwt_expiry", row.jwt_expiry)?,
                jwt_algorithm: at.parse("jwt_algorithm", row.jwt_algorithm)?,
            },
            metadata: row.metadata,
            is_active: row.is_active,
        },
        revision: row.revision.into(),
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
