//! Where certificates are fetched from, and how often they are looked after.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use secrecy::SecretString;
use url::Url;

use crate::secret_stores::{InfisicalAccess, InfisicalSettings, SecretStores, VaultSettings};

/// How certificates are fetched and renewed.
#[derive(Clone, Debug, Args)]
pub struct CertificateConfig {
    /// How many seconds from one look for certificates that are to be renewed to the
    /// next, and from one attempt to renew one to the next.
    #[arg(
        long,
        env = "CERTIFICATE_RENEWAL_INTERVAL",
        default_value_t = 3600,
        value_parser = clap::value_parser!(u32).range(1..=86_400)
    )]
    pub certificate_renewal_interval: u32,

    /// Where Infisical is.
    #[arg(long, env = "INFISICAL_URL", default_value = "https://app.infisical.com")]
    pub infisical_url: String,

    /// A token that Infisical gave out; or else a machine identity signs in:
    #[arg(long, env = "INFISICAL_TOKEN", hide_env_values = true)]
    pub infisical_token: Option<SecretString>,

    /// The client id of a machine identity (universal auth).
    #[arg(long, env = "INFISICAL_CLIENT_ID")]
    pub infisical_client_id: Option<String>,

    /// Its client secret.
    #[arg(long, env = "INFISICAL_CLIENT_SECRET", hide_env_values = true)]
    pub infisical_client_secret: Option<SecretString>,

    /// Where Vault is, as in `https://vault.example:8200`.
    #[arg(long, env = "VAULT_ADDR")]
    pub vault_addr: Option<String>,

    /// The same, as it was called before.
    #[arg(long, env = "VAULT_URL")]
    pub vault_url: Option<String>,

    /// What Vault lets us in by.
    #[arg(long, env = "VAULT_TOKEN", hide_env_values = true)]
    pub vault_token: Option<SecretString>,

    /// The namespace in Vault (Enterprise).
    #[arg(long, env = "VAULT_NAMESPACE")]
    pub vault_namespace: Option<String>,

    /// Where Vault's PKI engine is mounted, if a certificate does not say.
    #[arg(long, env = "VAULT_PKI_MOUNT", default_value = "pki")]
    pub vault_pki_mount: String,
}

impl CertificateConfig {
    /// How long from one look to the next.
    pub fn renewal_interval(&self) -> Duration {
        Duration::from_secs(self.certificate_renewal_interval.into())
    }

    /// The stores that certificates are fetched from.
    pub fn stores(&self) -> anyhow::Result<SecretStores> {
        let token = present(self.infisical_token.as_ref());
        let secret = present(self.infisical_client_secret.as_ref());
        let id = self.infisical_client_id.clone().filter(|id| !id.is_empty());
        let access = match (token, id, secret) {
            (Some(token), ..) => Some(InfisicalAccess::Token(token)),
            (None, Some(id), Some(secret)) => Some(InfisicalAccess::Identity { id, secret }),
            (None, None, None) => None,
            (None, ..) => {
                bail!("INFISICAL_CLIENT_ID and INFISICAL_CLIENT_SECRET go together")
            }
        };
        let url = url(&self.infisical_url, "INFISICAL_URL")?;
        let infisical = access.map(|access| InfisicalSettings { url, access });
        let address = self.vault_addr.as_deref().filter(|url| !url.is_empty());
        let (address, variable) = match address {
            Some(address) => (Some(address), "VAULT_ADDR"),
            None => (self.vault_url.as_deref().filter(|url| !url.is_empty()), "VAULT_URL"),
        };
        let vault = match (address, present(self.vault_token.as_ref())) {
            (Some(address), Some(token)) => Some(VaultSettings {
                address: self::url(address, variable)?,
                token,
                namespace: self.vault_namespace.clone().filter(|name| !name.is_empty()),
                pki_mount: self.vault_pki_mount.clone().try_into().context("VAULT_PKI_MOUNT")?,
            }),
            (Some(address), None) => {
                self::url(address, variable)?;
                None
            }
            (None, _) => None,
        };
        Ok(SecretStores::new(infisical, vault)?)
    }
}

fn present(secret: Option<&SecretString>) -> Option<SecretString> {
    use secrecy::ExposeSecret as _;
    secret.filter(|secret| !secret.expose_secret().is_empty()).cloned()
}

fn url(text: &str, variable: &str) -> anyhow::Result<Url> {
    let url: Url = text.parse().with_context(|| format!("{variable} is no URL"))?;
    ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        "{variable} must start with http:// or https://"
    );
    Ok(url)
}
