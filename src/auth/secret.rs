//! Secrets that we make up and know again by their hash: a prefix that tells what
//! it is, and 256 random bits.
//!
//! Only their SHA-256 is kept. There is nothing to guess in 256 random bits, so a
//! slow hash would protect nothing, and looking one up by its hash takes no time
//! that depends on how much of it was right.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use secrecy::{ExposeSecret as _, SecretString};

use crate::model::TokenHash;

/// What API tokens begin with.
pub(super) const API_TOKEN: &str = "mpat_";
/// What the tokens of invitations begin with.
const INVITATION: &str = "mpi_";

/// A token for a user that was just made; to be shown this once.
#[derive(Clone, Debug)]
pub struct UserSecret(SecretString);

impl UserSecret {
    /// Makes up an API token: `mpat_...`.
    pub fn api_token() -> Self {
        Self(make(API_TOKEN))
    }

    /// Makes up the token of an invitation: `mpi_...`.
    pub fn invitation() -> Self {
        Self(make(INVITATION))
    }

    /// Takes one that came with a request.
    pub fn presented(text: SecretString) -> Self {
        Self(text)
    }

    /// The token.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it.
    pub fn hash(&self) -> TokenHash {
        hash(self.expose())
    }

    /// Whether it looks like an API token.
    pub fn is_api_token(text: &str) -> bool {
        text.starts_with(API_TOKEN)
    }
}

/// Makes one up.
pub(super) fn make(prefix: &str) -> SecretString {
    let bits: [u8; 32] = rand::random();
    format!("{prefix}{}", BASE64.encode(bits)).into()
}

/// Makes up a key as existing installations have them: 384 bits and no prefix.
pub(super) fn make_key() -> SecretString {
    let bits: [u8; 48] = rand::random();
    BASE64.encode(bits).into()
}

/// Whether this is such a key.
pub(super) fn is_key(text: &str) -> bool {
    BASE64.decode(text).is_ok_and(|bits| bits.len() == 48)
}

/// Whether this is `prefix` and 256 bits.
pub(super) fn has_form(text: &str, prefix: &str) -> bool {
    let bits = text.strip_prefix(prefix);
    bits.is_some_and(|bits| BASE64.decode(bits).is_ok_and(|bits| bits.len() == 32))
}

/// What is kept of a secret.
pub fn hash(text: &str) -> TokenHash {
    let hash = digest(&SHA256, text.as_bytes());
    TokenHash::new(hash.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_sha_256_of_the_whole_text() {
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hex: String = hash("abc").as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, of_abc);
    }

    #[test]
    fn what_is_made_up_is_new_and_never_shown_by_chance() {
        let (a, b) = (UserSecret::api_token(), UserSecret::api_token());
        assert_ne!(a.hash(), b.hash());
        assert!(UserSecret::is_api_token(a.expose()) && has_form(a.expose(), "mpat_"));
        assert!(!UserSecret::is_api_token(UserSecret::invitation().expose()));
        assert!(!format!("{a:?}").contains(a.expose()));
        assert_eq!(UserSecret::presented(a.expose().to_owned().into()).hash(), a.hash());
    }
}
