//! What clients prove themselves with to a service, at MarchProxy's proxies.
//!
//! Envoy is not told: those who check it are the proxies that fetch their
//! configuration over REST.

use serde::{Deserialize, Serialize};

const SHORTEST: i32 = 300;

/// How clients of a service prove themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServiceAuth {
    /// With what.
    pub kind: AuthKind,
    /// How long a JWT is good, if it is that.
    pub jwt_expiry: JwtExpiry,
    /// How a JWT is signed, if it is that.
    pub jwt_algorithm: JwtAlgorithm,
}

/// What clients of a service prove themselves with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthKind {
    /// Nothing.
    #[default]
    None,
    /// A token that all of them share.
    Base64,
    /// JWTs that are signed with a secret.
    Jwt,
}

/// Of what kind a service's secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecretAuth {
    /// See [`AuthKind::Base64`].
    Base64,
    /// See [`AuthKind::Jwt`].
    Jwt,
}

/// How long a JWT is good: at least 300 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct JwtExpiry(i32);

/// A number that is no such time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be at least {SHORTEST} seconds, not {0}")]
pub struct JwtExpiryError(i32);

/// How a JWT is signed (RFC 7518, section 3.2): with a secret that both sides have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256.
    #[default]
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
}

/// A text that is none of the words which are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct UnknownWord(pub &'static str);

// === impl AuthKind ===

impl AuthKind {
    /// The word for it, in rows and in REST.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Base64 => "base64",
            Self::Jwt => "jwt",
        }
    }

    /// What kind of secret that takes; none if nothing is to be proved.
    pub fn secret(self) -> Option<SecretAuth> {
        match self {
            Self::None => None,
            Self::Base64 => Some(SecretAuth::Base64),
            Self::Jwt => Some(SecretAuth::Jwt),
        }
    }
}

impl TryFrom<String> for AuthKind {
    type Error = UnknownWord;

    fn try_from(word: String) -> Result<Self, UnknownWord> {
        match word.as_str() {
            "none" => Ok(Self::None),
            "base64" => Ok(Self::Base64),
            "jwt" => Ok(Self::Jwt),
            _ => Err(UnknownWord("none, base64 or jwt")),
        }
    }
}

impl From<SecretAuth> for AuthKind {
    fn from(kind: SecretAuth) -> Self {
        match kind {
            SecretAuth::Base64 => Self::Base64,
            SecretAuth::Jwt => Self::Jwt,
        }
    }
}

impl TryFrom<String> for SecretAuth {
    type Error = UnknownWord;

    fn try_from(word: String) -> Result<Self, UnknownWord> {
        let kind = AuthKind::try_from(word).ok().and_then(AuthKind::secret);
        kind.ok_or(UnknownWord("base64 or jwt"))
    }
}

// === impl JwtExpiry ===

impl Default for JwtExpiry {
    /// An hour.
    fn default() -> Self {
        Self(3600)
    }
}

impl TryFrom<i32> for JwtExpiry {
    type Error = JwtExpiryError;

    fn try_from(seconds: i32) -> Result<Self, JwtExpiryError> {
        if seconds < SHORTEST { Err(JwtExpiryError(seconds)) } else { Ok(Self(seconds)) }
    }
}

impl From<JwtExpiry> for i32 {
    fn from(expiry: JwtExpiry) -> Self {
        expiry.0
    }
}

// === impl JwtAlgorithm ===

impl JwtAlgorithm {
    /// Its name in a JWT's header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
        }
    }
}

impl TryFrom<String> for JwtAlgorithm {
    type Error = UnknownWord;

    fn try_from(word: String) -> Result<Self, UnknownWord> {
        let all = [Self::HS256, Self::HS384, Self::HS512];
        let known = all.into_iter().find(|algorithm| algorithm.as_str() == word);
        known.ok_or(UnknownWord("HS256, HS384 or HS512"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for kind in [AuthKind::None, AuthKind::Base64, AuthKind::Jwt] {
            assert_eq!(AuthKind::try_from(kind.as_str().to_owned()), Ok(kind));
        }
        let wrong = AuthKind::try_from("basic".to_owned()).unwrap_err().to_string();
        assert_eq!(wrong, "must be none, base64 or jwt");
        assert!(SecretAuth::try_from("none".to_owned()).is_err(), "nothing takes no secret");
        assert!(JwtAlgorithm::try_from("none".to_owned()).is_err(), "a JWT is signed");
        assert!(JwtAlgorithm::try_from("RS256".to_owned()).is_err(), "there is no key pair");
    }

    #[test]
    fn a_jwt_is_good_for_five_minutes_at_least() {
        let error = JwtExpiry::try_from(299).unwrap_err().to_string();
        assert_eq!(error, "must be at least 300 seconds, not 299");
        assert_eq!(i32::from(JwtExpiry::try_from(300).unwrap()), 300);
    }
}
