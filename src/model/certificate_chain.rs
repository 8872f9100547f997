//! Certificates and their keys as PEM text, read once.

use std::fmt;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use secrecy::{ExposeSecret as _, SecretString};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::{Invalid, Sealed, hex};

/// Of a chain and of a key, in bytes.
const LONGEST: usize = 1 << 16;
/// Ed25519 (RFC 8410): Envoy does not take it.
const ED25519: &str = "1.3.101.112";
/// What Envoy wants an RSA key to have, in bits.
const SHORTEST_RSA: usize = 2048;

/// A certificate and those that lead from it to an authority, as PEM text. Never
/// a private key.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateChain {
    pem: String,
    leaf: Leaf,
}

/// What stands in the first certificate of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Whom it is for: the common name, if it has one.
    pub common_name: Option<String>,
    /// Whom it is for, in full.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The DNS names, addresses and URIs that it is good for.
    pub names: Vec<String>,
    /// Its number, which its issuer gave it.
    pub serial: String,
    /// SHA-256 of the whole of it, in hexadecimal.
    pub fingerprint: String,
    /// Since when it is good.
    pub not_before: DateTime<Utc>,
    /// Until when.
    pub not_after: DateTime<Utc>,
    /// Whether Envoy can prove itself with a key of its kind.
    unsuitable: Option<&'static str>,
}

/// A private key as PEM text. Never shown.
#[derive(Clone)]
pub struct PrivateKey(SecretString);

/// A certificate's private key: of no use as the database keeps it.
#[derive(Clone, PartialEq, Eq)]
pub enum CertificateKey {
    /// Sealed, as the database keeps it.
    Sealed(Sealed),
    /// Opened, to be given to proxies.
    Opened(PrivateKey),
}

/// A chain and the key of its first certificate: they belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificates.
    pub chain: CertificateChain,
    /// The key.
    pub key: PrivateKey,
}

/// What of a [`KeyPair`] is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct KeyPairError {
    /// Which of its texts.
    pub part: KeyPairPart,
    reason: String,
}

/// One of the texts that a [`KeyPair`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPairPart {
    /// The certificate.
    Certificate,
    /// Those between it and an authority.
    Chain,
    /// The private key.
    Key,
}

/// Why a text is no chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Nothing in it starts a certificate.
    #[error("must hold a PEM certificate (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// A private key stands in it; it belongs nowhere near here.
    #[error("must not hold a private key")]
    PrivateKey,
    /// The text is larger than 64 KiB.
    #[error("must be at most {LONGEST} bytes long")]
    TooLong,
    /// One of them cannot be read.
    #[error("certificate {0} in it cannot be read")]
    Unreadable(usize),
}

impl CertificateChain {
    /// The text as Envoy takes it.
    pub fn as_str(&self) -> &str {
        &self.pem
    }

    /// What stands in its first certificate.
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    fn ders(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.pem.as_bytes()).filter_map(Result::ok).collect()
    }

    /// Its first certificate, and the others, as PEM.
    pub fn parts(&self) -> (&str, &str) {
        const END: &str = "-----END CERTIFICATE-----";
        let end = self.pem.find(END).map_or(self.pem.len(), |at| at + END.len());
        let (first, rest) = self.pem.split_at(end);
        (first.trim(), rest.trim())
    }
}

impl TryFrom<String> for CertificateChain {
    type Error = ChainError;

    fn try_from(pem: String) -> Result<Self, ChainError> {
        if pem.len() > LONGEST {
            return Err(ChainError::TooLong);
        }
        if pem.contains("PRIVATE KEY-----") {
            return Err(ChainError::PrivateKey);
        }
        let mut leaf = None;
        for (i, der) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
            let unreadable = ChainError::Unreadable(i + 1);
            let der = der.map_err(|_| unreadable.clone())?;
            let (rest, certificate) =
                parse_x509_certificate(&der).map_err(|_| unreadable.clone())?;
            let read = Leaf::read(&der, &certificate).filter(|_| rest.is_empty());
            leaf = leaf.or(Some(read.ok_or(unreadable)?));
        }
        let leaf = leaf.ok_or(ChainError::NoCertificate)?;
        Ok(Self { pem: format!("{}\n", pem.trim()), leaf })
    }
}

impl fmt::Debug for CertificateChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateChain({})", self.leaf.fingerprint)
    }
}

impl Leaf {
    fn read(der: &[u8], certificate: &X509Certificate<'_>) -> Option<Self> {
        let time = |at: i64| DateTime::from_timestamp(at, 0);
        let common_name = certificate.subject().iter_common_name().next();
        let names = certificate.subject_alternative_name().ok()?;
        let names = names.iter().flat_map(|names| &names.value.general_names);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
        Some(Self {
            common_name: common_name.and_then(|name| name.as_str().ok()).map(str::to_owned),
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            names: names.filter_map(shown).collect(),
            serial: certificate.raw_serial_as_string(),
            fingerprint: hex(digest.as_ref()),
            not_before: time(certificate.validity().not_before.timestamp())?,
            not_after: time(certificate.validity().not_after.timestamp())?,
            unsuitable: unsuitable(certificate),
        })
    }
}

/// What Envoy does not take: it would refuse the certificate, and all that uses it.
fn unsuitable(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    let key = certificate.public_key();
    if key.algorithm.algorithm.to_id_string() == ED25519 {
        return Some("has an Ed25519 key, which Envoy does not take: use ECDSA or RSA");
    }
    match key.parsed() {
        Ok(x509_parser::public_key::PublicKey::RSA(key)) if key.key_size() < SHORTEST_RSA => {
            Some("has an RSA key of less than 2048 bits, which Envoy does not take")
        }
        Ok(_) | Err(_) => None, // the private key is of a kind that is known
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "nobody asks for a server by the others")]
fn shown(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => {
            Some((*name).to_owned())
        }
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

// === impl PrivateKey ===

impl PrivateKey {
    /// The text, to be sealed, and as Envoy takes it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Takes what was sealed: it was checked before that.
    pub fn opened(pem: SecretString) -> Self {
        Self(pem)
    }
}

impl PartialEq for PrivateKey {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for PrivateKey {}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl fmt::Debug for CertificateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateKey(..)")
    }
}

// === impl KeyPair ===

impl KeyPair {
    /// Reads a certificate, what lies between it and an authority, and its key, and
    /// sees to it that they belong together and are good at `now`.
    pub fn read(
        certificate: &str,
        rest: Option<&str>,
        key: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, KeyPairError> {
        use KeyPairPart::{Certificate, Chain, Key};
        let chain = CertificateChain::try_from(certificate.to_owned());
        let mut chain = chain.map_err(|e| wrong(Certificate, e))?;
        if let Some(rest) = rest.map(str::trim).filter(|rest| !rest.is_empty()) {
            let rest = CertificateChain::try_from(rest.to_owned()).map_err(|e| wrong(Chain, e))?;
            let joined = CertificateChain::try_from(chain.pem + rest.as_str());
            chain = joined.map_err(|e| wrong(Chain, e))?;
        }
        let leaf = &chain.leaf;
        if leaf.not_after <= now {
            let at = leaf.not_after.format("%Y-%m-%d %H:%M:%S UTC");
            return Err(wrong(Certificate, format!("has expired, at {at}")));
        }
        if let Some(why) = leaf.unsuitable {
            return Err(wrong(Certificate, why));
        }
        if key.len() > LONGEST {
            return Err(wrong(Key, ChainError::TooLong));
        }
        let no_key = "must hold a PEM private key that is not encrypted";
        let der = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| wrong(Key, no_key))?;
        let no_kind = "is no RSA or ECDSA (P-256, P-384, P-521) key";
        let signing = any_supported_type(&der).map_err(|_| wrong(Key, no_kind))?;
        let pair = CertifiedKey::new(chain.ders(), signing);
        pair.keys_match().map_err(|_| wrong(Key, "is not the key of the certificate"))?;
        let key = PrivateKey(format!("{}\n", key.trim()).into());
        Ok(Self { chain, key })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "errors, passed on by map_err")]
fn wrong(part: KeyPairPart, reason: impl ToString) -> KeyPairError {
    KeyPairError { part, reason: reason.to_string() }
}

impl KeyPairError {
    /// The same, with the field in which the part stands.
    pub fn at(self, certificate: &str, chain: &str, key: &str) -> Invalid {
        let field = match self.part {
            KeyPairPart::Certificate => certificate,
            KeyPairPart::Chain => chain,
            KeyPairPart::Key => key,
        };
        Invalid::new(field, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair as Made, PKCS_ED25519, date_time_ymd};

    use super::*;

    fn made(change: impl FnOnce(&mut CertificateParams), key: &Made) -> String {
        let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "a");
        change(&mut params);
        params.self_signed(key).unwrap().pem()
    }

    #[test]
    fn a_certificate_is_read() {
        let key = Made::generate().unwrap();
        let pem = made(|params| params.not_after = date_time_ymd(2999, 1, 2), &key);
        let pair = KeyPair::read(&pem, Some(&pem), &key.serialize_pem(), Utc::now()).unwrap();
        let leaf = pair.chain.leaf();
        assert_eq!(leaf.common_name.as_deref(), Some("a"));
        assert_eq!(leaf.names, ["a.example"]);
        assert_eq!(leaf.not_after.to_rfc3339(), "2999-01-02T00:00:00+00:00");
        assert_eq!(leaf.fingerprint.len(), 64);
        assert!(leaf.issuer.contains("CN=a") && !leaf.serial.is_empty());
        assert_eq!(pair.chain.ders().len(), 2);
        let (first, rest) = pair.chain.parts();
        assert_eq!((first, rest), (pem.trim(), pem.trim()));
        assert!(!format!("{pair:?}").contains("BEGIN"), "{pair:?}");
    }

    #[test]
    fn what_is_no_pair_names_the_part() {
        use KeyPairPart::{Certificate, Chain, Key};
        let (key, other) = (Made::generate().unwrap(), Made::generate().unwrap());
        let pem = made(|_| {}, &key);
        let old = made(|params| params.not_after = date_time_ymd(2001, 1, 1), &key);
        let edwards = Made::generate_for(&PKCS_ED25519).unwrap();
        let unsuitable = made(|_| {}, &edwards);
        let (key, other, edwards) =
            (key.serialize_pem(), other.serialize_pem(), edwards.serialize_pem());
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let both = format!("{pem}{key}");
        let table = [
            ("", None, key.as_str(), Certificate, "must hold a PEM certificate"),
            (cut, None, &key, Certificate, "certificate 1 in it cannot be read"),
            (&both, None, &key, Certificate, "must not hold a private key"),
            (&old, None, &key, Certificate, "has expired, at 2001-01-01"),
            (&unsuitable, None, &edwards, Certificate, "has an Ed25519 key"),
            (&pem, Some("x"), &key, Chain, "must hold a PEM certificate"),
            (&pem, Some(cut), &key, Chain, "certificate 1 in it cannot be read"),
            (&pem, None, "", Key, "must hold a PEM private key"),
            (&pem, None, &pem, Key, "must hold a PEM private key"),
            (&pem, None, &other, Key, "is not the key of the certificate"),
        ];
        for (certificate, chain, key, part, why) in table {
            let error = KeyPair::read(certificate, chain, key, Utc::now()).unwrap_err();
            assert_eq!(error.part, part, "{error}");
            assert!(error.to_string().starts_with(why), "{error}");
        }
    }
}
