//! Listeners.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use marchproxy_schema::{listener, route};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, Set, Unchanged,
};

use super::labels::labelled;
use super::rows::Row;
use super::{Making, Tx, name_taken};
use crate::error::{Error, Result};
use crate::model::Labelled;
use crate::model::{Listener, ListenerId, ListenerProtocol, ListenerSpec, NodeGroupId};

const KIND: &str = "listener";

impl Tx {
    /// The listener of this id, or `NotFound`.
    pub async fn listener(&self, id: ListenerId) -> Result<Listener> {
        let row = listener::Entity::find_by_id(i32::from(id)).one(&self.0).await?;
        parse(row.ok_or_else(|| Error::not_found(KIND, id))?)
    }

    /// A group's default listener, unless it was deleted.
    pub async fn find_default_listener(&self, group: NodeGroupId) -> Result<Option<Listener>> {
        listener::Entity::find()
            .filter(listener::Column::NodeGroupId.eq(i32::from(group)))
            .filter(listener::Column::IsDefault.eq(true))
            .one(&self.0)
            .await?
            .map(parse)
            .transpose()
    }

    /// A group's listeners in the order of their ids.
    pub async fn listeners(
        &self,
        group: NodeGroupId,
        page: impl Into<Labelled>,
    ) -> Result<Vec<Listener>> {
        let Labelled { page, labels } = page.into();
        let wanted = listener::Entity::find()
            .filter(listener::Column::NodeGroupId.eq(i32::from(group)))
            .filter(labelled(listener::Column::Labels, &labels));
        self.page(wanted, listener::Column::Id, page, parse).await
    }

    /// The listeners of these ids, in any order.
    pub async fn listeners_by_id(&self, ids: &[ListenerId]) -> Result<Vec<Listener>> {
        let wanted = listener::Entity::find()
            .filter(listener::Column::Id.is_in(ids.iter().map(|id| i32::from(*id))));
        self.rows(wanted, parse).await
    }

    /// Inserts a listener. `AlreadyExists` if its group has one of that name.
    pub async fn insert_listener(
        &self,
        group: NodeGroupId,
        spec: &ListenerSpec,
        is_default: bool,
        now: DateTime<Utc>,
    ) -> Result<Listener> {
        let row = listener::ActiveModel {
            node_group_id: Set(group.into()),
            is_default: Set(is_default),
            created_at: Set(now),
            ..columns(spec, &self.1, now)
        };
        parse(row.insert(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// Inserts a listener that was there before, under its old id.
    pub async fn insert_listener_again(
        &self,
        listener: &Listener,
        now: DateTime<Utc>,
    ) -> Result<Listener> {
        let Listener { id, group, is_default, spec, created_at, .. } = listener;
        let row = listener::ActiveModel {
            id: Set((*id).into()),
            node_group_id: Set((*group).into()),
            is_default: Set(*is_default),
            created_at: Set(*created_at),
            ..columns(spec, &self.1, now)
        };
        parse(row.insert(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// Writes what people configured of a listener.
    pub async fn update_listener(
        &self,
        id: ListenerId,
        spec: &ListenerSpec,
        now: DateTime<Utc>,
    ) -> Result<Listener> {
        let row = listener::ActiveModel { id: Unchanged(id.into()), ..columns(spec, &self.1, now) };
        parse(row.update(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// Deletes a listener. `InUse` while a route is on it.
    pub async fn delete_listener(&self, listener: &Listener) -> Result<()> {
        let id = i32::from(listener.id);
        let route = route::Entity::find().filter(route::Column::ListenerId.eq(id));
        if let Some(route) = route.one(&self.0).await? {
            let name = listener.spec.name.to_string();
            return Err(Error::InUse { kind: KIND, name, by: format!("route {}", route.name) });
        }
        listener::Entity::delete_by_id(id).exec(&self.0).await?;
        Ok(())
    }
}

fn columns(spec: &ListenerSpec, making: &Making, now: DateTime<Utc>) -> listener::ActiveModel {
    listener::ActiveModel {
        name: Set(spec.name.to_string()),
        address: Set(spec.address.to_string()),
        port: Set(spec.port.into()),
        service_id: Set(match spec.protocol {
            ListenerProtocol::Http => None,
            ListenerProtocol::Tcp(service) => Some(service.into()),
        }),
        certificate_id: Set(spec.certificate.map(i32::from)),
        labels: Set(spec.labels.to_string()),
        revision: Set(making.revision()),
        updated_at: Set(now),
        ..Default::default()
    }
}

fn parse(row: listener::Model) -> Result<Listener> {
    let at = Row { table: "listener", id: row.id };
    Ok(Listener {
        id: at.parse("id", row.id)?,
        group: at.parse("node_group_id", row.node_group_id)?,
        is_default: row.is_default,
        spec: ListenerSpec {
            labels: at.parse("labels", row.labels)?,
            name: at.parse("name", row.name)?,
            address: row.address.parse::<IpAddr>().map_err(|e| at.broken("address", e))?,
            port: at.parse("port", row.port)?,
            protocol: match row.service_id {
                None => ListenerProtocol::Http,
                Some(service) => ListenerProtocol::Tcp(at.parse("service_id", service)?),
            },
            certificate: at.optional("certificate_id", row.certificate_id)?,
        },
        revision: row.revision.into(),
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
