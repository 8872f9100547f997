//! A certificate with its key: what a listener proves itself with.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::Labels;
use super::Revision;
use super::service::set;
use super::{CertificateChain, CertificateId, CertificateKey, KeyPair, Name, NodeGroupId, UserId};

/// A certificate as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its identity.
    pub id: CertificateId,
    /// The node group whose proxies are given it; it never changes.
    pub group: NodeGroupId,
    /// Who made it, if that is known.
    pub created_by: Option<UserId>,
    /// What people configured.
    pub spec: CertificateSpec,
    /// The certificates themselves.
    pub chain: CertificateChain,
    /// The private key.
    pub key: CertificateKey,
    /// How renewing it went.
    pub renewal: Renewal,
    /// The group's revision at which it was last changed.
    pub revision: Revision,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What people configure of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSpec {
    /// Unique within the group, and what Envoy asks for it by; it never changes.
    pub name: Name,
    /// What people say of it.
    pub description: String,
    /// Where it comes from.
    pub source: CertificateSource,
    /// Whether it is fetched anew before it expires.
    pub auto_renew: bool,
    /// How long before.
    pub renew_before: RenewBefore,
    /// What people sort it by.
    pub labels: Labels,
    /// Whether it counts. No proxy is given an inactive one.
    pub is_active: bool,
}

/// Where a certificate and its key come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateSource {
    /// From whoever uploaded it.
    Upload,
    /// From a folder of Infisical.
    Infisical(InfisicalPlace),
    /// From Vault.
    Vault(VaultPlace),
}

/// Which folder of Infisical.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfisicalPlace {
    /// The folder, as in `/tls/web`.
    pub path: StorePath,
    /// Whose it is.
    pub project: StorePath,
    /// In which environment.
    pub environment: StorePath,
}

/// Where in Vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultPlace {
    /// A secret of the key-value engine, version 2: the engine's mount, `/`, and the
    /// secret's path.
    Kv(StorePath),
    /// Issued for us by the PKI engine.
    Pki {
        /// Where the engine is mounted; where it usually is if not said.
        mount: Option<StorePath>,
        /// By which role.
        role: StorePath,
        /// For which name.
        common_name: Name,
    },
}

/// A name or path in a store of secrets: segments of letters, digits, `-`, `_`, `.`
/// and spaces, none of which is `.` or `..`. Slashes at its ends do not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorePath(String);

/// A text that is no [`StorePath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a path of 1 to 255 letters, digits, '-', '_', '.', spaces and '/', without '.' or '..'"
)]
pub struct StorePathError;

/// How long before its end a certificate is renewed: 1 to 90 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewBefore(i32);

/// A number of days that is not 1 to 90.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 90 days, not {0}")]
pub struct RenewBeforeError(i32);

/// How renewing a certificate went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewal {
    /// When it was last renewed.
    pub last: Option<DateTime<Utc>>,
    /// Why that did not succeed since, if it did not.
    pub error: Option<String>,
}

/// What to change of a certificate; what is `None` stays.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "as in CertificateSpec")]
pub struct CertificateChange {
    /// The revision that it has to be at, if any: `Stale` if it is at another.
    pub if_revision: Option<Revision>,
    pub description: Option<String>,
    pub auto_renew: Option<bool>,
    pub renew_before: Option<RenewBefore>,
    pub labels: Option<Labels>,
    pub is_active: Option<bool>,
    /// Another certificate and key in the place of these.
    pub pair: Option<KeyPair>,
}

impl Certificate {
    /// Whether it is not good any more.
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.chain.leaf().not_after <= now
    }

    /// How many whole days it is still good; 0 if it is not.
    pub fn days_left(&self, now: DateTime<Utc>) -> i64 {
        (self.chain.leaf().not_after - now).num_days().max(0)
    }

    /// Whether it is to be renewed by now.
    pub fn needs_renewal(&self, now: DateTime<Utc>) -> bool {
        self.spec.auto_renew && self.chain.leaf().not_after - self.spec.renew_before.days() <= now
    }
}

impl CertificateSpec {
    /// Applies `change`, but for the certificate itself.
    #[must_use]
    pub fn changed(mut self, change: CertificateChange) -> Self {
        set(&mut self.description, change.description);
        set(&mut self.auto_renew, change.auto_renew);
        set(&mut self.renew_before, change.renew_before);
        set(&mut self.labels, change.labels);
        set(&mut self.is_active, change.is_active);
        self
    }
}

impl CertificateSource {
    /// What it is called.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Infisical(_) => "infisical",
            Self::Vault(_) => "vault",
        }
    }
}

impl StorePath {
    /// The path as text, without slashes at its ends.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is made of.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl TryFrom<String> for StorePath {
    type Error = StorePathError;

    fn try_from(path: String) -> Result<Self, StorePathError> {
        let path = path.trim_matches('/');
        let good = |c: char| c.is_ascii_alphanumeric() || "-_. ".contains(c);
        let segment = |s: &str| !s.is_empty() && s != "." && s != ".." && s.chars().all(good);
        if path.len() <= 255 && path.split('/').all(segment) {
            Ok(Self(path.to_owned()))
        } else {
            Err(StorePathError)
        }
    }
}

impl From<StorePath> for String {
    fn from(path: StorePath) -> Self {
        path.0
    }
}

impl RenewBefore {
    /// As a span of time.
    pub fn days(self) -> TimeDelta {
        TimeDelta::days(self.0.into())
    }
}

impl Default for RenewBefore {
    fn default() -> Self {
        Self(30)
    }
}

impl TryFrom<i32> for RenewBefore {
    type Error = RenewBeforeError;

    fn try_from(days: i32) -> Result<Self, RenewBeforeError> {
        if (1..=90).contains(&days) { Ok(Self(days)) } else { Err(RenewBeforeError(days)) }
    }
}

impl From<RenewBefore> for i32 {
    fn from(before: RenewBefore) -> Self {
        before.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_nowhere_else() {
        let table = [
            ("secret/tls/web", Some("secret/tls/web")),
            ("/tls/", Some("tls")),
            ("a b", Some("a b")),
            ("", None),
            ("/", None),
            ("a//b", None),
            ("../sys/seal", None),
            ("a/./b", None),
            ("a?b", None),
            ("a%2e", None),
        ];
        for (path, want) in table {
            let got = StorePath::try_from(path.to_owned()).ok();
            assert_eq!(got.as_ref().map(StorePath::as_str), want, "{path:?}");
        }
    }

    #[test]
    fn a_certificate_is_renewed_1_to_90_days_before_its_end() {
        for (days, want) in [(0, false), (1, true), (90, true), (91, false)] {
            assert_eq!(RenewBefore::try_from(days).is_ok(), want, "{days}");
        }
        assert_eq!(i32::from(RenewBefore::default()), 30);
    }
}
