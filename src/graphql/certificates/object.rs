//! What clients get of a certificate.

use async_graphql::{Context, Enum, ID, Object, Result};
use chrono::Utc;

use crate::graphql::global_id::GlobalId as _;
use crate::graphql::labels::{self, LabelObject};
use crate::graphql::loaders;
use crate::graphql::node_groups::NodeGroupObject;
use crate::graphql::scalars::{Time, int};
use crate::model::{Certificate, CertificateSource};

/// Where a certificate comes from.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "CertificateSourceType")]
pub(in crate::graphql) enum SourceTypeEnum {
    /// Somebody uploaded it.
    Upload,
    /// A folder of Infisical.
    Infisical,
    /// Vault.
    Vault,
}

pub(in crate::graphql) struct CertificateObject(pub(in crate::graphql) Certificate);

/// What a listener proves itself with.
#[Object(name = "Certificate")]
impl CertificateObject {
    /// Its global id.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// Envoys ask for it by this name.
    async fn name(&self) -> &str {
        self.0.spec.name.as_str()
    }

    /// What people say of it.
    async fn description(&self) -> &str {
        &self.0.spec.description
    }

    /// The node group that it belongs to.
    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        Ok(loaders::node_group(ctx, self.0.group).await?)
    }

    /// Where it comes from.
    async fn source(&self) -> SourceTypeEnum {
        match self.0.spec.source {
            CertificateSource::Upload => SourceTypeEnum::Upload,
            CertificateSource::Infisical(_) => SourceTypeEnum::Infisical,
            CertificateSource::Vault(_) => SourceTypeEnum::Vault,
        }
    }

    /// PEM: the certificate, and those that lead from it to an authority.
    async fn chain(&self) -> &str {
        self.0.chain.as_str()
    }

    /// Whom it is for, in short.
    async fn common_name(&self) -> Option<&str> {
        self.0.chain.leaf().common_name.as_deref()
    }

    /// Whom it is for.
    async fn subject(&self) -> &str {
        &self.0.chain.leaf().subject
    }

    /// Who signed it.
    async fn issuer(&self) -> &str {
        &self.0.chain.leaf().issuer
    }

    /// The DNS names, addresses and URIs that it is good for.
    async fn subject_alt_names(&self) -> &[String] {
        &self.0.chain.leaf().names
    }

    /// The number that its issuer gave it.
    async fn serial(&self) -> &str {
        &self.0.chain.leaf().serial
    }

    /// SHA-256 of it, in hexadecimal.
    async fn fingerprint(&self) -> &str {
        &self.0.chain.leaf().fingerprint
    }

    /// Since when it is good.
    async fn not_before(&self) -> Time {
        Time(self.0.chain.leaf().not_before)
    }

    /// Until when.
    async fn not_after(&self) -> Time {
        Time(self.0.chain.leaf().not_after)
    }

    /// Whether it has ended.
    async fn is_expired(&self) -> bool {
        self.0.is_expired(Utc::now())
    }

    /// How many whole days it is still good.
    async fn days_left(&self) -> i32 {
        int(usize::try_from(self.0.days_left(Utc::now())).unwrap_or_default())
    }

    /// Whether it is fetched anew before it expires.
    async fn auto_renew(&self) -> bool {
        self.0.spec.auto_renew
    }

    /// How many days before.
    async fn renew_before_days(&self) -> i32 {
        self.0.spec.renew_before.into()
    }

    /// Whether it is to be renewed by now.
    async fn needs_renewal(&self) -> bool {
        self.0.needs_renewal(Utc::now())
    }

    /// When it was last renewed.
    async fn last_renewal(&self) -> Option<Time> {
        self.0.renewal.last.map(Time)
    }

    /// Why that did not succeed since, if it did not.
    async fn renewal_error(&self) -> Option<&str> {
        self.0.renewal.error.as_deref()
    }

    /// Whether it counts. No proxy is given an inactive one.
    async fn is_active(&self) -> bool {
        self.0.spec.is_active
    }

    /// What people sort it by, by key.
    async fn labels(&self) -> Vec<LabelObject> {
        labels::shown(&self.0.spec.labels)
    }

    /// The group's revision at which it was last changed; goes into `ifRevision`.
    async fn revision(&self) -> i64 {
        self.0.revision.into()
    }

    /// When it was made.
    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }

    /// When it was last changed.
    async fn updated_at(&self) -> Time {
        Time(self.0.updated_at)
    }
}
