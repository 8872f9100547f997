//! Certificates. Their keys are kept sealed.

use chrono::{DateTime, Utc};
use marchproxy_schema::{certificate, listener};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Set, Unchanged,
};

use super::labels::labelled;
use super::lists::in_groups;
use super::rows::{Row, to_json};
use super::{Making, Tx, name_taken};
use crate::error::{Error, Result};
use crate::model::Labelled;
use crate::model::{
    Certificate, CertificateChain, CertificateId, CertificateKey, CertificateSpec, NodeGroupId,
    Renewal, Sealed, UserId, Window,
};

const KIND: &str = "certificate";

/// A certificate and its key, as they are kept.
#[derive(Clone, Copy, Debug)]
pub struct KeptPair<'a> {
    /// The certificate.
    pub chain: &'a CertificateChain,
    /// The key.
    pub key: &'a Sealed,
}

/// Which certificates to list; what is `None` does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct CertificateFilter<'a> {
    /// In which group.
    pub group: Option<NodeGroupId>,
    /// In which groups at all.
    pub seen: Option<&'a [NodeGroupId]>,
    /// From where: `upload`, `infisical` or `vault`.
    pub source_type: Option<&'a str>,
    /// Those that end before.
    pub before: Option<DateTime<Utc>>,
}

impl Tx {
    /// The certificate of this id, or `NotFound`.
    pub async fn certificate(&self, id: CertificateId) -> Result<Certificate> {
        let row = certificate::Entity::find_by_id(i32::from(id)).one(&self.0).await?;
        parse(row.ok_or_else(|| Error::not_found(KIND, id))?)
    }

    /// A group's certificates in the order of their ids.
    pub async fn certificates(
        &self,
        group: NodeGroupId,
        page: impl Into<Labelled>,
    ) -> Result<Vec<Certificate>> {
        let Labelled { page, labels } = page.into();
        let wanted = certificate::Entity::find()
            .filter(certificate::Column::NodeGroupId.eq(i32::from(group)))
            .filter(labelled(certificate::Column::Labels, &labels));
        self.page(wanted, certificate::Column::Id, page, parse).await
    }

    /// The certificates of these ids, in any order.
    pub async fn certificates_by_id(&self, ids: &[CertificateId]) -> Result<Vec<Certificate>> {
        let wanted = certificate::Entity::find()
            .filter(certificate::Column::Id.is_in(ids.iter().map(|id| i32::from(*id))));
        self.rows(wanted, parse).await
    }

    /// A window on the certificates that the filter lets through, the newest first.
    pub async fn list_certificates(
        &self,
        filter: CertificateFilter<'_>,
        window: Window,
    ) -> Result<Vec<Certificate>> {
        let CertificateFilter { group, seen, source_type, before } = filter;
        let mut wanted = certificate::Entity::find().filter(in_groups(
            certificate::Column::NodeGroupId,
            group,
            seen,
        ));
        if let Some(source_type) = source_type {
            wanted = wanted.filter(certificate::Column::SourceType.eq(source_type));
        }
        if let Some(before) = before {
            wanted = wanted.filter(certificate::Column::NotAfter.lte(before));
        }
        if window.active_only {
            wanted = wanted.filter(certificate::Column::IsActive.eq(true));
        }
        let wanted =
            wanted.order_by_desc(certificate::Column::Id).offset(window.skip).limit(window.limit);
        wanted.all(&self.0).await?.into_iter().map(parse).collect()
    }

    /// The active certificates that are renewed without being asked, end
    /// before `before`, and were not tried since `tried`.
    pub async fn renewable_certificates(
        &self,
        before: DateTime<Utc>,
        tried: DateTime<Utc>,
    ) -> Result<Vec<Certificate>> {
        let query = certificate::Entity::find()
            .filter(certificate::Column::SourceType.ne("upload"))
            .filter(certificate::Column::AutoRenew.eq(true))
            .filter(certificate::Column::IsActive.eq(true))
            .filter(certificate::Column::NotAfter.lte(before))
            .filter(not_tried_since(tried))
            .order_by_asc(certificate::Column::NotAfter);
        query.all(&self.0).await?.into_iter().map(parse).collect()
    }

    /// Takes it on oneself to renew a certificate; no if somebody has since `tried`.
    pub async fn claim_renewal(
        &self,
        id: CertificateId,
        tried: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let claimed = certificate::Entity::update_many()
            .col_expr(certificate::Column::TriedAt, Expr::value(now))
            .filter(certificate::Column::Id.eq(i32::from(id)))
            .filter(not_tried_since(tried))
            .exec(&self.0)
            .await?;
        Ok(claimed.rows_affected == 1)
    }

    /// Inserts a certificate, still without its key: that is sealed for its id, and
    /// put there by [`Tx::replace_pair`]. `AlreadyExists` if its group has one of that
    /// name.
    pub async fn insert_certificate(
        &self,
        group: NodeGroupId,
        spec: &CertificateSpec,
        chain: &CertificateChain,
        created_by: Option<UserId>,
        now: DateTime<Utc>,
    ) -> Result<CertificateId> {
        let row = certificate::ActiveModel {
            node_group_id: Set(group.into()),
            name: Set(spec.name.to_string()),
            chain: Set(chain.as_str().to_owned()),
            sealed_key: Set(vec![]),
            not_after: Set(chain.leaf().not_after),
            created_by: Set(created_by.map(i32::from)),
            created_at: Set(now),
            ..columns(spec, &self.1, now)
        };
        let row = row.insert(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?;
        Row { table: "certificate", id: row.id }.parse("id", row.id)
    }

    /// Inserts a certificate under the id that it had, with its key.
    pub async fn insert_certificate_again(
        &self,
        id: CertificateId,
        group: NodeGroupId,
        spec: &CertificateSpec,
        pair: KeptPair<'_>,
        created_by: Option<UserId>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let row = certificate::ActiveModel {
            id: Set(id.into()),
            node_group_id: Set(group.into()),
            name: Set(spec.name.to_string()),
            chain: Set(pair.chain.as_str().to_owned()),
            sealed_key: Set(pair.key.as_bytes().to_vec()),
            not_after: Set(pair.chain.leaf().not_after),
            created_by: Set(created_by.map(i32::from)),
            created_at: Set(now),
            ..columns(spec, &self.1, now)
        };
        row.insert(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?;
        Ok(())
    }

    /// Writes what people configured of a certificate.
    pub async fn update_certificate(
        &self,
        id: CertificateId,
        spec: &CertificateSpec,
        now: DateTime<Utc>,
    ) -> Result<Certificate> {
        let row =
            certificate::ActiveModel { id: Unchanged(id.into()), ..columns(spec, &self.1, now) };
        parse(row.update(&self.0).await?)
    }

    /// Puts another certificate and key in the place of what is there; `renewed` if
    /// it is to count as a renewal.
    pub async fn replace_pair(
        &self,
        id: CertificateId,
        pair: KeptPair<'_>,
        renewed: bool,
        now: DateTime<Utc>,
    ) -> Result<Certificate> {
        let row = certificate::ActiveModel {
            id: Unchanged(id.into()),
            chain: Set(pair.chain.as_str().to_owned()),
            sealed_key: Set(pair.key.as_bytes().to_vec()),
            not_after: Set(pair.chain.leaf().not_after),
            renewal_error: Set(None),
            tried_at: Set(Some(now)),
            revision: Set(self.1.revision()),
            updated_at: Set(now),
            ..Default::default()
        };
        let row = if renewed {
            certificate::ActiveModel { last_renewal: Set(Some(now)), ..row }
        } else {
            row
        };
        parse(row.update(&self.0).await?)
    }

    /// Says why a certificate could not be renewed.
    pub async fn note_renewal_error(&self, id: CertificateId, error: &str) -> Result<()> {
        certificate::Entity::update_many()
            .col_expr(certificate::Column::RenewalError, Expr::value(error))
            .filter(certificate::Column::Id.eq(i32::from(id)))
            .exec(&self.0)
            .await?;
        Ok(())
    }

    /// `InUse` while a listener proves itself with it.
    pub async fn check_certificate_unused(&self, certificate: &Certificate) -> Result<()> {
        let by = listener::Entity::find()
            .filter(listener::Column::CertificateId.eq(i32::from(certificate.id)))
            .order_by_asc(listener::Column::Id)
            .one(&self.0)
            .await?;
        match by {
            None => Ok(()),
            Some(listener) => {
                let name = certificate.spec.name.to_string();
                Err(Error::InUse { kind: KIND, name, by: format!("listener {}", listener.name) })
            }
        }
    }

    /// Deletes a certificate. `InUse` while a listener proves itself with it.
    pub async fn delete_certificate(&self, certificate: &Certificate) -> Result<()> {
        self.check_certificate_unused(certificate).await?;
        certificate::Entity::delete_by_id(i32::from(certificate.id)).exec(&self.0).await?;
        Ok(())
    }
}

fn not_tried_since(tried: DateTime<Utc>) -> Condition {
    Condition::any()
        .add(certificate::Column::TriedAt.is_null())
        .add(certificate::Column::TriedAt.lte(tried))
}

fn columns(
    spec: &CertificateSpec,
    making: &Making,
    now: DateTime<Utc>,
) -> certificate::ActiveModel {
    certificate::ActiveModel {
        description: Set(spec.description.clone()),
        source_type: Set(spec.source.as_str().to_owned()),
        source: Set(to_json(&spec.source)),
        auto_renew: Set(spec.auto_renew),
        renew_before_days: Set(spec.renew_before.into()),
        is_active: Set(spec.is_active),
        labels: Set(spec.labels.to_string()),
        revision: Set(making.revision()),
        updated_at: Set(now),
        ..Default::default()
    }
}

fn parse(row: certificate::Model) -> Result<Certificate> {
    let at = Row { table: "certificate", id: row.id };
    Ok(Certificate {
        id: at.parse("id", row.id)?,
        group: at.parse("node_group_id", row.node_group_id)?,
        created_by: at.optional("created_by", row.created_by)?,
        spec: CertificateSpec {
            labels: at.parse("labels", row.labels)?,
            name: at.parse("name", row.name)?,
            description: row.description,
            source: at.json("source", row.source)?,
            auto_renew: row.auto_renew,
            renew_before: at.parse("renew_before_days", row.renew_before_days)?,
            is_active: row.is_active,
        },
        chain: at.parse("chain", row.chain)?,
        key: CertificateKey::Sealed(Sealed::new(row.sealed_key)),
        renewal: Renewal { last: row.last_renewal, error: row.renewal_error },
        revision: row.revision.into(),
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
