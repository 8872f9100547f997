//! What clients of a service prove themselves with to MarchProxy's proxies.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};

use super::Sealer;
use crate::error::Result;
use crate::model::{Sealed, SecretAuth, ServiceId};

/// A service's secret, opened; to be shown when it is made, and to its proxies.
#[derive(Clone, Debug)]
pub struct ServiceSecret {
    kind: SecretAuth,
    secret: SecretString,
}

impl ServiceSecret {
    /// Makes one up: 256 random bits for a token, 512 to sign JWTs with.
    pub fn make(kind: SecretAuth) -> Self {
        let secret = match kind {
            SecretAuth::Base64 => BASE64_STANDARD.encode(rand::random::<[u8; 32]>()),
            SecretAuth::Jwt => BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 64]>()),
        };
        Self { kind, secret: secret.into() }
    }

    /// One that a service had before.
    pub fn of(kind: SecretAuth, secret: SecretString) -> Self {
        Self { kind, secret }
    }

    /// Opens one that is kept.
    pub fn open(sealer: &Sealer, kind: SecretAuth, sealed: &Sealed, of: ServiceId) -> Result<Self> {
        Ok(Self { kind, secret: sealer.open_text(sealed, &place(of))? })
    }

    /// The secret, to be kept.
    pub fn sealed(&self, sealer: &Sealer, of: ServiceId) -> Result<Sealed> {
        sealer.seal(self.expose().as_bytes(), &place(of))
    }

    /// Of what kind it is.
    pub fn kind(&self) -> SecretAuth {
        self.kind
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        self.secret.expose_secret()
    }
}

/// Where a service's secret is kept: sealed for there, it opens nowhere else.
fn place(service: ServiceId) -> String {
    format!("service_secret.sealed:{service}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_service_only() {
        let sealer = Sealer::new(&"secret".to_owned().into());
        let [one, two] = [1, 2].map(|id| ServiceId::try_from(id).unwrap());
        for (kind, length) in [(SecretAuth::Base64, 44), (SecretAuth::Jwt, 86)] {
            let secret = ServiceSecret::make(kind);
            assert_eq!(secret.expose().len(), length);
            let sealed = secret.sealed(&sealer, one).unwrap();
            let opened = ServiceSecret::open(&sealer, kind, &sealed, one).unwrap();
            assert_eq!(opened.expose(), secret.expose());
            assert!(ServiceSecret::open(&sealer, kind, &sealed, two).is_err());
            assert!(!format!("{opened:?}").contains(secret.expose()));
        }
    }
}
