//! Secrets at rest: AES-256-GCM, under a key that is derived from `SECRET_KEY`.
//!
//! The key comes by HKDF-SHA256 (RFC 5869), with a purpose of its own, so that it
//! is no key that tokens are signed with. What is sealed is bound to its place by
//! associated data: a sealed value that is moved to another row does not open.
//!
//! Layout: one byte for the version, 12 for the nonce, the ciphertext, 16 for the
//! tag. Nonces are random: with 96 bits some 2^32 values may be sealed.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hkdf, hmac};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use crate::error::{Error, Result};
use crate::model::{Sealed, TokenHash, UserId};

const VERSION: u8 = 1;
const SEALING: &[u8] = b"marchproxy: secrets at rest, 1";
const BACKUP_CODES: &[u8] = b"marchproxy: backup codes, 1";

/// Seals secrets for the database, and opens them again.
pub struct Sealer {
    sealing: RandomizedNonceKey,
    backup_codes: hmac::Key,
}

/// A sealed value that does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum NotOpened {
    #[error("is sealed in a way that this version does not know")]
    Version,
    #[error("does not open: was SECRET_KEY changed, or the row?")]
    Key,
    #[error("is sealed, and not a text")]
    Text,
}

impl Sealer {
    /// Derives the keys from `secret`.
    pub fn new(secret: &SecretString) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]);
        let secret = salt.extract(secret.expose_secret().as_bytes());
        let derive = |purpose: &[u8]| {
            let mut key = [0; 32];
            secret
                .expand(&[purpose], &AES_256_GCM)
                .and_then(|derived| derived.fill(&mut key))
                .expect("HKDF-SHA256 gives 32 bytes");
            key
        };
        let sealing = RandomizedNonceKey::new(&AES_256_GCM, &derive(SEALING));
        Self {
            sealing: sealing.expect("AES-256 takes 32 bytes"),
            backup_codes: hmac::Key::new(hmac::HMAC_SHA256, &derive(BACKUP_CODES)),
        }
    }

    /// What is kept of a user's backup code. It takes the key to check a guess:
    /// the codes alone are short enough to be guessed all.
    pub fn hash_backup_code(&self, user: UserId, code: &SecretString) -> TokenHash {
        let code = code.expose_secret().replace('-', "");
        let tag = hmac::sign(&self.backup_codes, format!("{user}:{code}").as_bytes());
        TokenHash::new(tag.as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes"))
    }

    /// Seals `secret` for the place that `place` names, for instance
    /// `user.totp_secret:7`.
    pub fn seal(&self, secret: &[u8], place: &str) -> Result<Sealed> {
        let mut body = secret.to_vec();
        let nonce = self.sealing.seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut body);
        let nonce = nonce.map_err(Error::internal)?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + body.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut body);
        Ok(Sealed::new(sealed))
    }

    /// Opens what was sealed for `place`. Whatever else it is given is our fault.
    pub fn open(&self, sealed: &Sealed, place: &str) -> Result<SecretSlice<u8>> {
        let opened = self.opened(sealed.as_bytes(), place);
        opened.map_err(|why| Error::internal(format!("{place} {why}")))
    }

    /// As [`Sealer::open`], for a text.
    pub fn open_text(&self, sealed: &Sealed, place: &str) -> Result<SecretString> {
        let opened = self.open(sealed, place)?;
        let text = str::from_utf8(opened.expose_secret());
        let text = text.map_err(|_| Error::internal(format!("{place} {}", NotOpened::Text)))?;
        Ok(text.to_owned().into())
    }

    fn opened(&self, sealed: &[u8], place: &str) -> Result<SecretSlice<u8>, NotOpened> {
        let (&version, rest) = sealed.split_first().ok_or(NotOpened::Version)?;
        if version != VERSION {
            return Err(NotOpened::Version);
        }
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(NotOpened::Key)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotOpened::Key)?;
        let mut body = body.to_vec();
        let aad = Aad::from(place.as_bytes());
        let opened =
            self.sealing.open_in_place(nonce, aad, &mut body).map_err(|_| NotOpened::Key)?;
        let length = opened.len();
        body.truncate(length);
        Ok(body.into())
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(secret: &str) -> Sealer {
        Sealer::new(&secret.to_owned().into())
    }

    #[test]
    fn what_is_sealed_opens_again_at_its_place() {
        let sealed = sealer("secret").seal(b"JBSWY3DP", "user.totp_secret:7").unwrap();
        let again = sealer("secret"); // as after a restart
        let opened = again.open_text(&sealed, "user.totp_secret:7").unwrap();
        assert_eq!(opened.expose_secret(), "JBSWY3DP");
        let other = sealer("secret").seal(b"JBSWY3DP", "user.totp_secret:7").unwrap();
        assert_ne!(sealed.as_bytes(), other.as_bytes(), "the nonce is new each time");
        assert!(!sealed.as_bytes().windows(8).any(|w| w == b"JBSWY3DP"));
        assert_eq!(again.open(&again.seal(b"", "a").unwrap(), "a").unwrap().expose_secret(), b"");
    }

    #[test]
    fn nothing_else_opens() {
        let sealer_1 = sealer("secret");
        let sealed = sealer_1.seal(b"JBSWY3DP", "user.totp_secret:7").unwrap();
        let opened = |sealer: &Sealer, bytes: &[u8], place: &str| {
            sealer.opened(bytes, place).map(|_| ()).unwrap_err()
        };
        let good = sealed.as_bytes();
        assert_eq!(opened(&sealer_1, good, "user.totp_secret:8"), NotOpened::Key);
        assert_eq!(opened(&sealer("another"), good, "user.totp_secret:7"), NotOpened::Key);
        for at in 1..good.len() {
            let mut bent = good.to_vec();
            bent[at] ^= 1;
            assert_eq!(opened(&sealer_1, &bent, "user.totp_secret:7"), NotOpened::Key, "{at}");
        }
        for (bytes, want) in [
            (&good[..good.len() - 1], NotOpened::Key),
            (&good[..5], NotOpened::Key),
            (&[2, 0, 0], NotOpened::Version),
            (&[], NotOpened::Version),
        ] {
            assert_eq!(opened(&sealer_1, bytes, "user.totp_secret:7"), want, "{bytes:?}");
        }
        let error = sealer_1.open(&sealed, "user.totp_secret:8").unwrap_err();
        assert_eq!(error.to_string(), "internal error");
    }
}
