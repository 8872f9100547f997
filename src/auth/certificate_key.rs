//! Private keys of certificates, at rest and opened.

use super::Sealer;
use crate::error::Result;
use crate::model::{CertificateId, CertificateKey, DesiredState, PrivateKey, Sealed};

impl Sealer {
    /// Seals a certificate's key.
    pub fn seal_key(&self, key: &PrivateKey, of: CertificateId) -> Result<Sealed> {
        self.seal(key.expose().as_bytes(), &place(of))
    }

    /// Opens a certificate's key, if it is not open.
    pub fn open_key(&self, key: &CertificateKey, of: CertificateId) -> Result<PrivateKey> {
        match key {
            CertificateKey::Opened(key) => Ok(key.clone()),
            CertificateKey::Sealed(sealed) => {
                Ok(PrivateKey::opened(self.open_text(sealed, &place(of))?))
            }
        }
    }

    /// Opens the keys that proxies are to be given. A certificate whose key does not
    /// open (any more) is left out: it can still be replaced, or deleted.
    pub fn open_keys(&self, mut state: DesiredState) -> DesiredState {
        state.certificates.retain_mut(|certificate| {
            match self.open_key(&certificate.key, certificate.id) {
                Ok(key) => certificate.key = CertificateKey::Opened(key),
                Err(e) => {
                    let error = std::error::Error::source(&e);
                    let (name, group) = (&certificate.spec.name, certificate.group);
                    tracing::error!(error, certificate.name = %name, node_group.id = %group, "no key");
                    return false;
                }
            }
            true
        });
        state
    }
}

/// Where a certificate's key is kept: sealed for there, it opens nowhere else.
fn place(certificate: CertificateId) -> String {
    format!("certificate.sealed_key:{certificate}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_for_its_certificate_only() {
        let sealer = Sealer::new(&"secret".to_owned().into());
        let [one, two] = [1, 2].map(|id| CertificateId::try_from(id).unwrap());
        let key = PrivateKey::opened("hush".to_owned().into());
        let kept = CertificateKey::Sealed(sealer.seal_key(&key, one).unwrap());
        assert_eq!(sealer.open_key(&kept, one).unwrap(), key);
        assert!(sealer.open_key(&kept, two).is_err());
        let shown = format!("{kept:?} {:?} {key:?}", CertificateKey::Opened(key.clone()));
        assert!(!shown.contains("hush"), "{shown}");
    }
}
