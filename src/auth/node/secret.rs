//! Keys and tokens: a prefix that tells what it is, and 256 random bits.
//!
//! Only their SHA-256 is kept. There is nothing to guess in 256 random bits, so
//! a slow hash would protect nothing, and looking one up by its hash takes no
//! time that depends on how much of it was right.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use secrecy::{ExposeSecret as _, SecretString};

use crate::model::TokenHash;

const FOREIGN: &str = "this is no group's key and no node token";

/// What a secret is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// Any node of a group: `mpg_...`.
    GroupKey,
    /// Who holds a node token: `mpn_...`.
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

impl SecretKind {
    const ALL: [Self; 2] = [Self::GroupKey, Self::NodeToken];

    fn prefix(self) -> &'static str {
        match self {
            Self::GroupKey => "mpg_",
            Self::NodeToken => "mpn_",
        }
    }
}

impl NodeSecret {
    /// Makes one up.
    pub fn make(kind: SecretKind) -> Self {
        let bits: [u8; 32] = rand::random();
        Self(format!("{}{}", kind.prefix(), BASE64.encode(bits)).into())
    }

    /// What goes into `authorization: Bearer`.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it.
    pub fn hash(&self) -> TokenHash {
        hash(self.expose())
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
        let kind = SecretKind::ALL.into_iter().find(|kind| {
            let bits = token.strip_prefix(kind.prefix());
            bits.is_some_and(|bits| BASE64.decode(bits).is_ok_and(|bits| bits.len() == 32))
        });
        Ok(Self { kind: kind.ok_or(FOREIGN)?, hash: hash(token) })
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

fn hash(text: &str) -> TokenHash {
    let hash = digest(&SHA256, text.as_bytes());
    TokenHash::new(hash.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_again_by_its_hash() {
        for kind in SecretKind::ALL {
            let secret = NodeSecret::make(kind);
            let authorization = format!("Bearer {}", secret.expose());
            let read = PresentedToken::read(authorization.as_bytes()).unwrap();
            assert_eq!(read, PresentedToken { kind, hash: secret.hash() });
            assert_eq!(secret.expose().len(), 4 + 43);
            assert_ne!(NodeSecret::make(kind).hash(), secret.hash());
        }
    }

    #[test]
    fn a_hash_is_the_sha_256_of_the_whole_text() {
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hex: String = hash("abc").as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, of_abc);
    }
}
