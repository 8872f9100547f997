//! What is said of a certificate, into domain types.

use async_graphql::{ID, InputObject, OneofObject};
use chrono::Utc;

use crate::app::{NewCertificate, UploadedCertificate};
use crate::graphql::global_id::{GlobalId as _, optional};
use crate::graphql::labels::{self, LabelInput};
use crate::graphql::parse::{number, text};
use crate::model::{
    At as _, CertificateChange, CertificateId, CertificateSource, CertificateSpec, InfisicalPlace,
    Invalid, KeyPair, RenewBefore, VaultPlace,
};

/// A certificate and its key.
#[derive(InputObject)]
pub(in crate::graphql) struct UploadCertificateInput {
    /// The node group; the default one if not said.
    group: Option<ID>,
    /// Unique in its group; Envoys ask for it by this name.
    name: String,
    /// What people say of it.
    #[graphql(default)]
    description: String,
    /// PEM: the certificate, and maybe those that lead from it to an authority.
    cert_data: String,
    /// PEM: those that lead from it to an authority, if they do not stand in `certData`.
    ca_chain: Option<String>,
    /// PEM: its private key. It is kept sealed, and never shown.
    key_data: String,
    /// What to sort it by; up to 32 labels.
    #[graphql(default)]
    labels: Vec<LabelInput>,
}

/// A certificate to be fetched.
#[derive(InputObject)]
pub(in crate::graphql) struct FetchCertificateInput {
    /// The node group; the default one if not said.
    group: Option<ID>,
    /// Unique in its group; Envoys ask for it by this name.
    name: String,
    /// What people say of it.
    #[graphql(default)]
    description: String,
    /// Where it and its key are.
    from: CertificatePlaceInput,
    /// Whether it is fetched anew before it expires.
    #[graphql(default)]
    auto_renew: bool,
    /// How many days before, 1 to 90.
    #[graphql(default = 30)]
    renew_before_days: i64,
    /// What to sort it by; up to 32 labels.
    #[graphql(default)]
    labels: Vec<LabelInput>,
}

/// Where a certificate and its key are. Which server that is says the control
/// plane's configuration.
#[derive(OneofObject)]
pub(in crate::graphql) enum CertificatePlaceInput {
    /// A folder of Infisical: secrets called, for instance, `certificate` and
    /// `private_key`.
    Infisical(InfisicalPlaceInput),
    /// A secret of Vault's key-value engine (version 2), as in `secret/tls/web`: with
    /// fields called, for instance, `certificate` and `private_key`.
    VaultKv(String),
    /// Issued by Vault's PKI engine.
    VaultPki(VaultPkiInput),
}

/// A folder of Infisical.
#[derive(InputObject)]
pub(in crate::graphql) struct InfisicalPlaceInput {
    /// The folder, as in `/tls/web`.
    path: String,
    /// The project's id.
    project: String,
    /// The environment's short name.
    #[graphql(default = "production")]
    environment: String,
}

/// Who Vault's PKI engine is to issue it to.
#[derive(InputObject)]
pub(in crate::graphql) struct VaultPkiInput {
    /// Where the engine is mounted; where the configuration says if not said.
    mount: Option<String>,
    /// By which role.
    role: String,
    /// For which name.
    common_name: String,
}

/// What to change; what is left out stays as it is.
#[derive(InputObject)]
pub(in crate::graphql) struct UpdateCertificateInput {
    /// The certificate.
    pub(super) id: ID,
    /// The `revision` that you have seen: `CONFLICT` if it was changed since.
    if_revision: i64,
    /// What people say of it.
    description: Option<String>,
    /// Whether it is fetched anew before it expires.
    auto_renew: Option<bool>,
    /// 1 to 90.
    renew_before_days: Option<i64>,
    /// No proxy is given an inactive one.
    is_active: Option<bool>,
    /// PEM: another certificate in the place of an uploaded one; with `keyData`.
    cert_data: Option<String>,
    /// PEM.
    ca_chain: Option<String>,
    /// PEM.
    key_data: Option<String>,
    /// Takes the place of all labels.
    labels: Option<Vec<LabelInput>>,
}

/// A certificate to be fetched anew.
#[derive(InputObject)]
pub(in crate::graphql) struct RenewCertificateInput {
    /// The certificate.
    pub(super) id: ID,
}

impl UploadCertificateInput {
    pub(in crate::graphql) fn parse(self) -> Result<UploadedCertificate, Invalid> {
        let pair = pair(&self.cert_data, self.ca_chain.as_deref(), &self.key_data)?;
        Ok(UploadedCertificate {
            group: optional(self.group.as_ref(), "group")?,
            spec: CertificateSpec {
                labels: labels::parse(self.labels)?,
                name: self.name.try_into().at("name")?,
                description: text(self.description, "description")?,
                source: CertificateSource::Upload,
                auto_renew: false,
                renew_before: RenewBefore::default(),
                is_active: true,
            },
            pair,
        })
    }
}

impl FetchCertificateInput {
    pub(super) fn parse(self) -> Result<NewCertificate, Invalid> {
        Ok(NewCertificate {
            group: optional(self.group.as_ref(), "group")?,
            spec: CertificateSpec {
                labels: labels::parse(self.labels)?,
                name: self.name.try_into().at("name")?,
                description: text(self.description, "description")?,
                source: self.from.parse().map_err(|e| e.within("from"))?,
                auto_renew: self.auto_renew,
                renew_before: number(self.renew_before_days).at("renewBeforeDays")?,
                is_active: true,
            },
            pair: None,
        })
    }
}

impl CertificatePlaceInput {
    fn parse(self) -> Result<CertificateSource, Invalid> {
        Ok(match self {
            Self::Infisical(place) => {
                let parse = || {
                    Ok(InfisicalPlace {
                        path: place.path.try_into().at("path")?,
                        project: place.project.try_into().at("project")?,
                        environment: place.environment.try_into().at("environment")?,
                    })
                };
                let place = parse().map_err(|e: Invalid| e.within("infisical"))?;
                CertificateSource::Infisical(place)
            }
            Self::VaultKv(path) => {
                CertificateSource::Vault(VaultPlace::Kv(path.try_into().at("vaultKv")?))
            }
            Self::VaultPki(place) => {
                let parse = || {
                    Ok(VaultPlace::Pki {
                        mount: place.mount.map(|m| m.try_into().at("mount")).transpose()?,
                        role: place.role.try_into().at("role")?,
                        common_name: place.common_name.try_into().at("commonName")?,
                    })
                };
                CertificateSource::Vault(parse().map_err(|e: Invalid| e.within("vaultPki"))?)
            }
        })
    }
}

impl UpdateCertificateInput {
    pub(in crate::graphql) fn parse(self) -> Result<(CertificateId, CertificateChange), Invalid> {
        let pair = match (self.cert_data, self.key_data) {
            (None, None) if self.ca_chain.is_none() => None,
            (Some(certificate), Some(key)) => {
                Some(pair(&certificate, self.ca_chain.as_deref(), &key)?)
            }
            (None, _) => return Err(Invalid::new("certData", "is missing: a key goes with it")),
            (Some(_), None) => return Err(Invalid::new("keyData", "is missing")),
        };
        let days = self.renew_before_days.map(|days| number(days).at("renewBeforeDays"));
        let change = CertificateChange {
            labels: self.labels.map(labels::parse).transpose()?,
            if_revision: Some(self.if_revision.into()),
            description: self.description.map(|d| text(d, "description")).transpose()?,
            auto_renew: self.auto_renew,
            renew_before: days.transpose()?,
            is_active: self.is_active,
            pair,
        };
        Ok((CertificateId::parse(&self.id, "id")?, change))
    }
}

fn pair(certificate: &str, chain: Option<&str>, key: &str) -> Result<KeyPair, Invalid> {
    let pair = KeyPair::read(certificate, chain, key, Utc::now());
    pair.map_err(|e| e.at("certData", "caChain", "keyData"))
}
