//! Secrets of services. What is kept is sealed.

use chrono::{DateTime, Utc};
use marchproxy_schema::{service, service_secret};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _,
    Set,
};

use super::Tx;
use super::rows::Row;
use crate::error::Result;
use crate::model::{NodeGroupId, Sealed, SecretAuth, ServiceId};

/// A service's secret, as it is kept.
#[derive(Clone, Debug)]
pub struct KeptSecret {
    /// Whose it is.
    pub service: ServiceId,
    /// Of what kind.
    pub kind: SecretAuth,
    /// The secret.
    pub sealed: Sealed,
}

impl Tx {
    /// The secret of a service, if it has one.
    pub async fn find_service_secret(&self, service: ServiceId) -> Result<Option<KeptSecret>> {
        let row = service_secret::Entity::find_by_id(i32::from(service)).one(&self.0).await?;
        row.map(parse).transpose()
    }

    /// The secrets of a group's services.
    pub async fn service_secrets(&self, group: NodeGroupId) -> Result<Vec<KeptSecret>> {
        let services = service::Entity::find()
            .select_only()
            .column(service::Column::Id)
            .filter(service::Column::NodeGroupId.eq(i32::from(group)));
        let services = sea_orm::QueryTrait::into_query(services);
        let of_group = service_secret::Column::ServiceId.in_subquery(services);
        let rows = service_secret::Entity::find().filter(of_group).all(&self.0).await?;
        rows.into_iter().map(parse).collect()
    }

    /// Gives a service a secret, in place of the one that it has.
    pub async fn replace_service_secret(
        &self,
        secret: &KeptSecret,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let kind = crate::model::AuthKind::from(secret.kind).as_str();
        let row = service_secret::ActiveModel {
            service_id: Set(secret.service.into()),
            kind: Set(kind.to_owned()),
            sealed: Set(secret.sealed.as_bytes().to_vec()),
            created_at: Set(now),
        };
        if self.find_service_secret(secret.service).await?.is_some() {
            row.update(&self.0).await?;
        } else {
            row.insert(&self.0).await?;
        }
        Ok(())
    }

    /// Takes a service's secret away, if it has one.
    pub async fn delete_service_secret(&self, service: ServiceId) -> Result<()> {
        service_secret::Entity::delete_by_id(i32::from(service)).exec(&self.0).await?;
        Ok(())
    }
}

fn parse(row: service_secret::Model) -> Result<KeptSecret> {
    let at = Row { table: "service_secret", id: row.service_id };
    Ok(KeptSecret {
        service: at.parse("service_id", row.service_id)?,
        kind: at.parse("kind", row.kind)?,
        sealed: Sealed::new(row.sealed),
    })
}
