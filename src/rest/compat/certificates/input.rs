//! What is said of a certificate, into domain types.

use std::fmt;

use axum::http::StatusCode;
use chrono::Utc;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app;
use crate::model::Labels;
use crate::model::{
    At as _, CertificateChange, CertificateSource, CertificateSpec, InfisicalPlace, Invalid,
    KeyPair, NodeGroupId, RenewBefore, StorePath, VaultPlace,
};
use crate::rest::error::{Failure, Result};
use crate::rest::input::{parsed, text};
use crate::rest::list::optional_id;

/// A certificate to be made. Without `Debug`: a private key is in it.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewCertificate {
    /// Unique in its cluster; Envoys ask for it by this name.
    #[schema(min_length = 1, max_length = 100, example = "web")]
    name: String,
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// The cluster whose proxies are given it; the default one if not said.
    #[schema(minimum = 1)]
    cluster_id: Option<i32>,
    /// `upload`, `infisical` or `vault`.
    #[schema(example = "upload")]
    source_type: String,
    /// Whether it is fetched anew before it expires.
    #[schema(default = false)]
    auto_renew: Option<bool>,
    /// How many days before.
    #[schema(minimum = 1, maximum = 90, default = 30)]
    renew_before_days: Option<i32>,
    /// PEM: the certificate, if it is uploaded.
    cert_data: Option<String>,
    /// PEM: its private key, if it is uploaded. It is never shown.
    key_data: Option<String>,
    /// PEM: those that lead from it to an authority.
    ca_chain: Option<String>,
    /// The folder in Infisical.
    infisical_secret_path: Option<String>,
    /// The project's id in Infisical.
    infisical_project_id: Option<String>,
    /// The environment in Infisical.
    #[schema(default = "production")]
    infisical_environment: Option<String>,
    /// A secret of Vault's key-value engine, as in `secret/tls/web`; with `vault_role`
    /// the PKI engine's mount.
    vault_path: Option<String>,
    /// The PKI role by which Vault issues it.
    vault_role: Option<String>,
    /// The name that Vault issues it for.
    vault_common_name: Option<String>,
}

/// What to change of a certificate; what is left out stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct CertificatePatch {
    #[schema(max_length = 1000)]
    description: Option<String>,
    auto_renew: Option<bool>,
    #[schema(minimum = 1, maximum = 90)]
    renew_before_days: Option<i32>,
    /// No proxy is given an inactive one.
    is_active: Option<bool>,
    /// PEM: another certificate in the place of an uploaded one; with `key_data`.
    cert_data: Option<String>,
    /// PEM.
    key_data: Option<String>,
    /// PEM.
    ca_chain: Option<String>,
}

impl NewCertificate {
    pub(super) fn parse(self) -> Result<app::NewCertificate> {
        let source_type = source_type(&self.source_type)?;
        let (source, pair) = match source_type {
            "upload" => {
                let certificate = needed(self.cert_data.as_ref(), "cert_data", source_type)?;
                let key = needed(self.key_data.as_ref(), "key_data", source_type)?;
                let pair = pair(certificate, self.ca_chain.as_deref(), key)?;
                (CertificateSource::Upload, Some(pair))
            }
            "infisical" => (CertificateSource::Infisical(self.infisical()?), None),
            _ => (CertificateSource::Vault(self.vault()?), None),
        };
        let group: Option<NodeGroupId> = optional_id(self.cluster_id, "cluster_id")?;
        let days: Option<RenewBefore> = parsed(self.renew_before_days, "renew_before_days")?;
        let spec = CertificateSpec {
            labels: Labels::NONE,
            name: self.name.try_into().at("name")?,
            description: text(self.description.unwrap_or_default(), "description")?,
            source,
            auto_renew: self.auto_renew.unwrap_or(false),
            renew_before: days.unwrap_or_default(),
            is_active: true,
        };
        Ok(app::NewCertificate { group, spec, pair })
    }

    fn infisical(&self) -> Result<InfisicalPlace> {
        let path = |text: &str, field| StorePath::try_from(text.to_owned()).at(field);
        let folder =
            needed(self.infisical_secret_path.as_ref(), "infisical_secret_path", "infisical")?;
        let project =
            needed(self.infisical_project_id.as_ref(), "infisical_project_id", "infisical")?;
        let environment = self.infisical_environment.as_deref().unwrap_or("production");
        Ok(InfisicalPlace {
            path: path(folder, "infisical_secret_path")?,
            project: path(project, "infisical_project_id")?,
            environment: path(environment, "infisical_environment")?,
        })
    }

    /// A role and a name mean that it is issued; otherwise it is read.
    fn vault(&self) -> Result<VaultPlace> {
        let path = self.vault_path.clone().filter(|path| !path.is_empty());
        let mut path: Option<StorePath> = parsed(path, "vault_path")?;
        let role = self.vault_role.as_ref().filter(|role| !role.is_empty());
        let name = self.vault_common_name.as_ref().filter(|name| !name.is_empty());
        if role.is_none() && name.is_none() {
            return match path.take() {
                Some(path) => Ok(VaultPlace::Kv(path)),
                None => Err(missing("vault_path", "vault")),
            };
        }
        let role = needed(role, "vault_role", "vault")?.to_owned();
        let name = needed(name, "vault_common_name", "vault")?.to_owned();
        Ok(VaultPlace::Pki {
            mount: path,
            role: role.try_into().at("vault_role")?,
            common_name: name.try_into().at("vault_common_name")?,
        })
    }
}

impl CertificatePatch {
    pub(super) fn parse(self) -> Result<CertificateChange> {
        let pair = match (&self.cert_data, &self.key_data) {
            (None, None) if self.ca_chain.is_none() => None,
            (certificate, key) => {
                let certificate = needed(certificate.as_ref(), "cert_data", "upload")?;
                let key = needed(key.as_ref(), "key_data", "upload")?;
                Some(pair(certificate, self.ca_chain.as_deref(), key)?)
            }
        };
        Ok(CertificateChange {
            labels: None,
            if_revision: None,
            description: self.description.map(|d| text(d, "description")).transpose()?,
            auto_renew: self.auto_renew,
            renew_before: parsed(self.renew_before_days, "renew_before_days")?,
            is_active: self.is_active,
            pair,
        })
    }
}

/// Reads what a certificate comes from.
pub(super) fn source_type(text: &str) -> Result<&'static str, Invalid> {
    let known = ["upload", "infisical", "vault"];
    let found = known.into_iter().find(|known| *known == text);
    found.ok_or_else(|| Invalid::new("source_type", "must be upload, infisical or vault"))
}

fn needed<'a>(value: Option<&'a String>, field: &str, source: &str) -> Result<&'a str> {
    let value = value.map(String::as_str).filter(|text| !text.is_empty());
    value.ok_or_else(|| missing(field, source))
}

/// Where others say 422, existing clients look for this.
fn missing(field: &str, source: &str) -> Failure {
    bad(&format!("{field} is required for source_type {source}"))
}

fn pair(certificate: &str, chain: Option<&str>, key: &str) -> Result<KeyPair> {
    let pair = KeyPair::read(certificate, chain, key, Utc::now());
    pair.map_err(|e| {
        let wrong = e.at("cert_data", "ca_chain", "key_data");
        bad(&format!("Invalid certificate: {wrong}"))
    })
}

fn bad(why: &dyn fmt::Display) -> Failure {
    Failure::refused(StatusCode::BAD_REQUEST, why.to_string())
}
