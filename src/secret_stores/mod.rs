//! Floor 2: stores of secrets that certificates are fetched from.
//!
//! Each is asked by its HTTP API, within `PATIENCE`. One that does not answer is
//! `Unavailable`; one that says no, or has nothing that helps, is `Source`, with a
//! reason that is fit for a client. What a store holds is in neither.

mod infisical;
mod vault;

use std::fmt;
use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode, redirect};
use secrecy::SecretString;
use serde_json::{Map, Value};
use tokio::time::timeout;
use url::Url;

use crate::error::{Error, Result};
use crate::model::{CertificateSource, StorePath};

pub use infisical::{InfisicalAccess, InfisicalSettings};
pub use vault::VaultSettings;

/// How long fetching may take, all in all.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long opening a connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// Of an answer, in bytes.
const LONGEST: usize = 1 << 20;

/// What stores call a certificate, its chain and its key, whatever the case.
const CERTIFICATE: [&str; 6] =
    ["certificate", "cert", "cert_data", "tls.crt", "tls_crt", "fullchain"];
const CHAIN: [&str; 4] = ["ca_chain", "chain", "ca", "issuing_ca"];
const KEY: [&str; 5] = ["private_key", "key", "key_data", "tls.key", "tls_key"];

/// The stores that are set up.
#[derive(Debug, Default)]
pub struct SecretStores {
    client: reqwest::Client,
    infisical: Option<InfisicalSettings>,
    vault: Option<VaultSettings>,
}

/// What was fetched, unread.
pub struct Fetched {
    /// The certificate, PEM.
    pub certificate: String,
    /// Those that lead from it to an authority, PEM.
    pub chain: Option<String>,
    /// Its key, PEM.
    pub key: SecretString,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetched(..)")
    }
}

impl SecretStores {
    /// Those that are set up.
    pub fn new(
        infisical: Option<InfisicalSettings>,
        vault: Option<VaultSettings>,
    ) -> reqwest::Result<Self> {
        // A redirect could lead a token elsewhere.
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self { client, infisical, vault })
    }

    /// Fetches a certificate and its key from where they come from.
    pub async fn fetch(&self, source: &CertificateSource) -> Result<Fetched> {
        let fetch = async {
            match source {
                CertificateSource::Upload => Err(Error::Refused(
                    "an uploaded certificate is not fetched: upload another one in its place",
                )),
                CertificateSource::Infisical(place) => {
                    let missing = "Infisical is not set up: set INFISICAL_TOKEN, or \
                                   INFISICAL_CLIENT_ID and INFISICAL_CLIENT_SECRET";
                    let settings = self.infisical.as_ref().ok_or(Error::Refused(missing))?;
                    settings.fetch(&self.client, place).await
                }
                CertificateSource::Vault(place) => {
                    let missing = "Vault is not set up: set VAULT_ADDR and VAULT_TOKEN";
                    let settings = self.vault.as_ref().ok_or(Error::Refused(missing))?;
                    settings.fetch(&self.client, place).await
                }
            }
        };
        let name = match source {
            CertificateSource::Upload | CertificateSource::Infisical(_) => infisical::NAME,
            CertificateSource::Vault(_) => vault::NAME,
        };
        timeout(PATIENCE, fetch).await.map_err(|late| Error::unavailable(name, late))?
    }
}

/// Asks `store`, and reads what it says as JSON.
async fn ask(store: &'static str, request: RequestBuilder) -> Result<(StatusCode, Value)> {
    let away = |e: reqwest::Error| Error::unavailable(store, e.without_url());
    let mut response = request.send().await.map_err(away)?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Error::unavailable(store, format!("it answers {status}")));
    }
    let mut body = vec![];
    while let Some(chunk) = response.chunk().await.map_err(away)? {
        if body.len() + chunk.len() > LONGEST {
            return Err(Error::Source(format!("{store} says more than 1 MiB")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

/// What is said of a `store` that says no.
fn refused(store: &str, status: StatusCode) -> Error {
    let why = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "does not let this control plane in",
        StatusCode::NOT_FOUND => "has nothing there",
        StatusCode::BAD_REQUEST => "does not take the request",
        _ => return Error::Source(format!("{store} answers {status}")),
    };
    Error::Source(format!("{store} {why} ({status})"))
}

/// The address of a path, each segment as one.
fn address(base: &Url, segments: &[&str]) -> Result<Url> {
    let mut url = base.clone();
    let mut path =
        url.path_segments_mut().map_err(|()| Error::internal("a store's URL has no path"))?;
    path.pop_if_empty().extend(segments);
    drop(path);
    Ok(url)
}

/// A path's segments after others.
fn after<'a>(first: &[&'a str], path: &'a StorePath) -> Vec<&'a str> {
    first.iter().copied().chain(path.segments()).collect()
}

/// Finds certificate and key among named texts.
fn found(store: &str, texts: &Map<String, Value>) -> Result<Fetched> {
    let named = |names: &[&str]| {
        let named = names.iter().find_map(|name| {
            texts.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, text)| text)
        });
        named.and_then(joined)
    };
    let missing = |what: &str| Error::Source(format!("{store} has no {what} there"));
    Ok(Fetched {
        certificate: named(&CERTIFICATE).ok_or_else(|| missing("certificate"))?,
        chain: named(&CHAIN),
        key: named(&KEY).ok_or_else(|| missing("private key"))?.into(),
    })
}

/// A text, or several as one.
fn joined(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(texts) => {
            texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    Some(text).filter(|text| !text.trim().is_empty())
}
