//! Vault: a secret of the key-value engine, or a certificate that PKI issues.

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use super::{Fetched, address, after, ask, found, refused};
use crate::error::{Error, Result};
use crate::model::{StorePath, VaultPlace};

pub(super) const NAME: &str = "Vault";

/// Where Vault is, and what it lets us in by.
#[derive(Clone, Debug)]
pub struct VaultSettings {
    /// Its address.
    pub address: Url,
    /// A token of its.
    pub token: SecretString,
    /// The namespace, if there are any.
    pub namespace: Option<String>,
    /// Where the PKI engine is mounted if nobody says.
    pub pki_mount: StorePath,
}

impl VaultSettings {
    pub(super) async fn fetch(
        &self,
        client: &reqwest::Client,
        place: &VaultPlace,
    ) -> Result<Fetched> {
        let (request, wanted) = match place {
            VaultPlace::Kv(path) => {
                let url = address(&self.address, &data_path(path))?;
                (client.get(url), "/data/data")
            }
            VaultPlace::Pki { mount, role, common_name } => {
                let mut path = after(&["v1"], mount.as_ref().unwrap_or(&self.pki_mount));
                path.push("issue");
                path.extend(role.segments());
                let url = address(&self.address, &path)?;
                let body = json!({ "common_name": common_name, "format": "pem" });
                (client.post(url).json(&body), "/data")
            }
        };
        let (status, answer) = ask(NAME, self.signed(request)).await?;
        if !status.is_success() {
            return Err(refused(NAME, status));
        }
        let texts = answer.pointer(wanted).and_then(serde_json::Value::as_object);
        found(NAME, texts.ok_or_else(|| Error::Source(format!("{NAME} has nothing there")))?)
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header("X-Vault-Token", self.token.expose_secret());
        match &self.namespace {
            None => request,
            Some(namespace) => request.header("X-Vault-Namespace", namespace),
        }
    }
}

/// The path of a secret in the API, where `data` stands after the engine's mount.
fn data_path(path: &StorePath) -> Vec<&str> {
    let segments: Vec<&str> = path.segments().collect();
    let inner = segments.get(1..segments.len().saturating_sub(1)).unwrap_or_default();
    if inner.contains(&"data") {
        return after(&["v1"], path);
    }
    let (mount, rest) = segments.split_at(1);
    ["v1"].iter().chain(mount).chain(&["data"]).chain(rest).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_stands_after_the_mount() {
        for (path, want) in [
            ("secret/tls/web", "v1/secret/data/tls/web"),
            ("secret/data/tls/web", "v1/secret/data/tls/web"),
            ("team/kv/data/web", "v1/team/kv/data/web"),
            ("secret/data", "v1/secret/data/data"),
            ("secret", "v1/secret/data"),
        ] {
            let path = path.to_owned().try_into().unwrap();
            assert_eq!(data_path(&path).join("/"), want);
        }
    }
}
