//! Infisical: a folder of secrets, one of which is the certificate, one its key.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use super::{Fetched, address, ask, found, refused};
use crate::error::{Error, Result};
use crate::model::InfisicalPlace;

pub(super) const NAME: &str = "Infisical";

/// Where Infisical is, and what it lets us in by.
#[derive(Clone, Debug)]
pub struct InfisicalSettings {
    /// Its address.
    pub url: Url,
    /// What it lets us in by.
    pub access: InfisicalAccess,
}

/// What Infisical lets us in by.
#[derive(Clone, Debug)]
pub enum InfisicalAccess {
    /// A token that it gave out.
    Token(SecretString),
    /// A machine identity, which signs in each time (universal auth).
    Identity {
        /// Its client id.
        id: String,
        /// Its client secret.
        secret: SecretString,
    },
}

impl InfisicalSettings {
    pub(super) async fn fetch(
        &self,
        client: &reqwest::Client,
        place: &InfisicalPlace,
    ) -> Result<Fetched> {
        let token = self.token(client).await?;
        let mut url = address(&self.url, &["api", "v3", "secrets", "raw"])?;
        url.query_pairs_mut()
            .append_pair("workspaceId", place.project.as_str())
            .append_pair("environment", place.environment.as_str())
            .append_pair("secretPath", &format!("/{}", place.path.as_str()));
        let request = client.get(url).bearer_auth(token.expose_secret());
        let (status, answer) = ask(NAME, request).await?;
        if !status.is_success() {
            return Err(refused(NAME, status));
        }
        let secrets = answer["secrets"].as_array().into_iter().flatten();
        let texts: Map<String, Value> = secrets
            .filter_map(|secret| {
                Some((secret["secretKey"].as_str()?.to_owned(), secret["secretValue"].clone()))
            })
            .collect();
        found(NAME, &texts)
    }

    async fn token(&self, client: &reqwest::Client) -> Result<SecretString> {
        let (id, secret) = match &self.access {
            InfisicalAccess::Token(token) => return Ok(token.clone()),
            InfisicalAccess::Identity { id, secret } => (id, secret),
        };
        let url = address(&self.url, &["api", "v1", "auth", "universal-auth", "login"])?;
        let identity = json!({ "clientId": id, "clientSecret": secret.expose_secret() });
        let (status, answer) = ask(NAME, client.post(url).json(&identity)).await?;
        if !status.is_success() {
            return Err(refused(NAME, status));
        }
        let token = answer["accessToken"].as_str();
        let token = token.ok_or_else(|| Error::Source(format!("{NAME} gives no token")))?;
        Ok(token.to_owned().into())
    }
}
