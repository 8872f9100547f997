//! Certificates as clients read them.

use chrono::Utc;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{BatchItem, BatchOutcome};
use crate::error::Error;
use crate::model::{Certificate, CertificateSource, VaultPlace};
use crate::rest::time::Time;

/// A certificate as clients read it.
#[derive(Serialize, ToSchema)]
#[schema(as = Certificate)]
pub(super) struct CertificateOut {
    /// Its identity.
    #[schema(example = 3)]
    id: i32,
    /// Unique in its cluster; Envoys ask for it by this name.
    #[schema(example = "web")]
    name: String,
    description: Option<String>,
    /// The cluster whose proxies are given it.
    #[schema(example = 1)]
    cluster_id: i32,
    /// `upload`, `infisical` or `vault`.
    #[schema(example = "upload")]
    source_type: &'static str,
    /// Whom it is for.
    #[schema(example = "www.example")]
    common_name: Option<String>,
    /// Who signed it.
    issuer: String,
    valid_from: Time,
    valid_until: Time,
    /// Whether it is fetched anew before it expires.
    auto_renew: bool,
    /// How many days before.
    renew_before_days: i32,
    /// Whether it counts.
    is_active: bool,
    is_expired: bool,
    /// Whole days; 0 if it has expired.
    days_until_expiry: i64,
    /// Whether it is to be renewed by now.
    needs_renewal: bool,
    /// When it was last renewed.
    last_renewal: Option<Time>,
    /// Why that did not succeed since.
    renewal_error: Option<String>,
    /// The user who made it; null if that is not known.
    created_by: Option<i32>,
    created_at: Time,
    updated_at: Time,
}

/// A certificate in full, but for its key.
#[derive(Serialize, ToSchema)]
pub(super) struct CertificateDetail {
    #[serde(flatten)]
    certificate: CertificateOut,
    /// PEM.
    cert_data: String,
    /// PEM: those that lead from it to an authority.
    ca_chain: Option<String>,
    /// The DNS names, addresses and URIs that it is good for.
    subject_alt_names: Vec<String>,
    /// The number that its issuer gave it.
    serial_number: String,
    /// SHA-256, in hexadecimal.
    fingerprint: String,
    infisical_secret_path: Option<String>,
    infisical_project_id: Option<String>,
    infisical_environment: Option<String>,
    vault_path: Option<String>,
    vault_role: Option<String>,
    vault_common_name: Option<String>,
}

/// Whether a certificate is renewed.
#[derive(Serialize, ToSchema)]
pub(super) struct RenewedOut {
    certificate_id: i32,
    renewed: bool,
    #[schema(example = "Certificate renewed successfully")]
    message: &'static str,
    valid_until: Time,
    /// Why it is not.
    error: Option<String>,
}

/// What became of many.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchOut {
    total: usize,
    renewed: usize,
    failed: usize,
    skipped: usize,
    details: Vec<BatchDetail>,
}

/// What became of one.
#[derive(Serialize, ToSchema)]
struct BatchDetail {
    id: i32,
    name: String,
    /// `renewed`, `failed` or `skipped`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<Certificate> for CertificateOut {
    fn from(certificate: Certificate) -> Self {
        let (now, leaf) = (Utc::now(), certificate.chain.leaf());
        Self {
            id: certificate.id.into(),
            name: certificate.spec.name.to_string(),
            cluster_id: certificate.group.into(),
            source_type: certificate.spec.source.as_str(),
            common_name: leaf.common_name.clone(),
            issuer: leaf.issuer.clone(),
            valid_from: leaf.not_before.into(),
            valid_until: leaf.not_after.into(),
            auto_renew: certificate.spec.auto_renew,
            renew_before_days: certificate.spec.renew_before.into(),
            is_active: certificate.spec.is_active,
            is_expired: certificate.is_expired(now),
            days_until_expiry: certificate.days_left(now),
            needs_renewal: certificate.needs_renewal(now),
            last_renewal: certificate.renewal.last.map(Into::into),
            renewal_error: certificate.renewal.error,
            created_by: certificate.created_by.map(i32::from),
            created_at: certificate.created_at.into(),
            updated_at: certificate.updated_at.into(),
            description: Some(certificate.spec.description).filter(|text| !text.is_empty()),
        }
    }
}

impl From<Certificate> for CertificateDetail {
    fn from(certificate: Certificate) -> Self {
        let (leaf, (cert, chain)) = (certificate.chain.leaf(), certificate.chain.parts());
        let text = |text: &str| Some(text.to_owned());
        let mut infisical = (None, None, None);
        let mut vault = (None, None, None);
        match &certificate.spec.source {
            CertificateSource::Upload => {}
            CertificateSource::Infisical(place) => {
                infisical = (
                    Some(format!("/{}", place.path.as_str())),
                    text(place.project.as_str()),
                    text(place.environment.as_str()),
                );
            }
            CertificateSource::Vault(VaultPlace::Kv(path)) => vault.0 = text(path.as_str()),
            CertificateSource::Vault(VaultPlace::Pki { mount, role, common_name }) => {
                let mount = mount.as_ref().map(|mount| mount.as_str().to_owned());
                vault = (mount, text(role.as_str()), text(common_name.as_str()));
            }
        }
        Self {
            cert_data: cert.to_owned(),
            ca_chain: text(chain).filter(|chain| !chain.is_empty()),
            subject_alt_names: leaf.names.clone(),
            serial_number: leaf.serial.clone(),
            fingerprint: leaf.fingerprint.clone(),
            infisical_secret_path: infisical.0,
            infisical_project_id: infisical.1,
            infisical_environment: infisical.2,
            vault_path: vault.0,
            vault_role: vault.1,
            vault_common_name: vault.2,
            certificate: certificate.into(),
        }
    }
}

impl RenewedOut {
    pub(super) fn renewed(certificate: &Certificate) -> Self {
        Self {
            certificate_id: certificate.id.into(),
            renewed: true,
            message: "Certificate renewed successfully",
            valid_until: certificate.chain.leaf().not_after.into(),
            error: None,
        }
    }

    pub(super) fn failed(certificate: &Certificate, error: &Error) -> Self {
        Self {
            renewed: false,
            message: "Certificate renewal failed",
            error: Some(error.to_string()),
            ..Self::renewed(certificate)
        }
    }
}

impl BatchOut {
    pub(super) fn new(items: Vec<BatchItem>) -> Self {
        let details: Vec<BatchDetail> = items.into_iter().map(Into::into).collect();
        let count = |status| details.iter().filter(|detail| detail.status == status).count();
        Self {
            total: details.len(),
            renewed: count("renewed"),
            failed: count("failed"),
            skipped: count("skipped"),
            details,
        }
    }
}

impl From<BatchItem> for BatchDetail {
    fn from(BatchItem { certificate, outcome }: BatchItem) -> Self {
        let (status, reason, error) = match outcome {
            BatchOutcome::Renewed => ("renewed", None, None),
            BatchOutcome::Failed(error) => ("failed", None, Some(error)),
            BatchOutcome::Skipped(reason) => ("skipped", Some(reason), None),
        };
        let (id, name) = (certificate.id.into(), certificate.spec.name.into());
        Self { id, name, status, reason, error }
    }
}
