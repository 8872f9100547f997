//! How the way from a proxy to a service is encrypted.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Host;

/// How the way to the endpoints is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UpstreamTls {
    /// Whether it is done. What is said of TLS that is not is only kept.
    #[serde(default = "super::service::yes")]
    pub enabled: bool,
    /// The name asked for (SNI) and expected in the certificate; without one,
    /// the service's first host. An IP address is expected, and not asked for.
    pub sni: Option<Host>,
    /// Whose certificates are believed.
    pub verification: Verification,
}

/// Whose certificates a proxy believes when it speaks TLS to a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// Those signed by an authority that the proxy's system trusts.
    System,
    /// Those signed by this authority.
    Authority(Pem),
    /// Any: the way is encrypted, but who is at its end is not known.
    Off,
}

/// One or more certificates as PEM text. Never a private key.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pem(String);

/// Why a text is not PEM certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// Nothing in it starts a certificate.
    #[error("must hold a PEM certificate (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// A private key stands in it; it belongs nowhere near here.
    #[error("must not hold a private key")]
    PrivateKey,
    /// The text is larger than 64 KiB.
    #[error("must be at most 65536 bytes long")]
    TooLong,
}

impl Pem {
    /// The text as Envoy takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Pem {
    type Error = PemError;

    fn try_from(pem: String) -> Result<Self, PemError> {
        if pem.len() > 1 << 16 {
            Err(PemError::TooLong)
        } else if pem.contains("PRIVATE KEY-----") {
            Err(PemError::PrivateKey)
        } else if !(pem.contains("-----BEGIN CERTIFICATE-----")
            && pem.contains("-----END CERTIFICATE-----"))
        {
            Err(PemError::NoCertificate)
        } else {
            Ok(Self(pem))
        }
    }
}

impl From<Pem> for String {
    fn from(pem: Pem) -> Self {
        pem.0
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_not_keys() {
        let cert = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        assert!(Pem::try_from(cert.to_owned()).is_ok());
        let key = format!("{cert}-----BEGIN PRIVATE KEY-----\n");
        assert_eq!(Pem::try_from(key), Err(PemError::PrivateKey));
        assert_eq!(Pem::try_from("hello".to_owned()), Err(PemError::NoCertificate));
    }
}
