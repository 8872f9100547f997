//! Keys and tokens of nodes.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use crate::auth::secret;
use crate::model::TokenHash;

const NODE_TOKEN: &str = "mpn_";
/// How keys of groups began that were made before they were as they are now.
const OLD_GROUP_KEY: &str = "mpg_";
const FOREIGN: &str = "this is no group's key and no node token";

/// What a secret is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// Any node of a group, and any proxy that registers over REST: 64 characters,
    /// as existing installations have them, or `mpg_` and 43 more.
    GroupKey,
    /// Who holds a node token: `mpn_` and 43 characters.
    NodeToken,
}

/// A key or token that was just made; to be shown this once.
#[derive(Clone, Debug)]
pub struct NodeSecret(SecretString);

/// A key or token that came with a call, as it can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresentedToken {
    /// Which of both it is.
    pub kind: SecretKind,
    /// What is kept of it.
    pub hash: TokenHash,
}

impl NodeSecret {
    /// Makes one up.
    pub fn make(kind: SecretKind) -> Self {
        Self(match kind {
            SecretKind::GroupKey => secret::make_key(),
            SecretKind::NodeToken => secret::make(NODE_TOKEN),
        })
    }

    /// What goes into `authorization: Bearer`.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it.
    pub fn hash(&self) -> TokenHash {
        secret::hash(self.expose())
    }
}

impl PresentedToken {
    /// Reads `Bearer <token>` (RFC 6750, section 2.1).
    ///
    /// The error is fit for the client, and does not repeat what it sent.
    pub(super) fn read(authorization: &[u8]) -> Result<Self, &'static str> {
        let text = str::from_utf8(authorization).unwrap_or_default();
        let token = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            Some(_) | None => return Err("`authorization` must be `Bearer <token>`"),
        };
        Ok(Self { kind: kind(token).ok_or(FOREIGN)?, hash: secret::hash(token) })
    }

    /// What may be a group's key, whatever it looks like.
    pub fn of_group_key(key: &str) -> Self {
        Self { kind: SecretKind::GroupKey, hash: secret::hash(key) }
    }
}

/// What a token is by its looks.
fn kind(token: &str) -> Option<SecretKind> {
    if secret::is_key(token) || secret::has_form(token, OLD_GROUP_KEY) {
        Some(SecretKind::GroupKey)
    } else if secret::has_form(token, NODE_TOKEN) {
        Some(SecretKind::NodeToken)
    } else {
        None
    }
}

impl fmt::Display for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GroupKey => "key",
            Self::NodeToken => "token",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_again_by_its_hash() {
        for (kind, length) in [(SecretKind::GroupKey, 64), (SecretKind::NodeToken, 4 + 43)] {
            let secret = NodeSecret::make(kind);
            let authorization = format!("Bearer {}", secret.expose());
            let read = PresentedToken::read(authorization.as_bytes()).unwrap();
            assert_eq!(read, PresentedToken { kind, hash: secret.hash() });
            assert_eq!(secret.expose().len(), length);
            assert_ne!(NodeSecret::make(kind).hash(), secret.hash());
        }
    }

    #[test]
    fn a_key_that_was_made_before_is_still_one() {
        let bits = "A".repeat(43);
        for (token, want) in [
            (format!("mpg_{bits}"), Some(SecretKind::GroupKey)),
            (format!("mpn_{bits}"), Some(SecretKind::NodeToken)),
            (format!("mpx_{bits}"), None),
            ("A".repeat(64), Some(SecretKind::GroupKey)),
            ("A".repeat(63), None),
        ] {
            assert_eq!(kind(&token), want, "{token}");
        }
    }
}
