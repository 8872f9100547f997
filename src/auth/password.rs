//! Passwords: hashed with Argon2id, on threads that may take their time.
//!
//! Hashes that bcrypt made verify as well: those of users who were moved here.
//! Such a hash is to be replaced at the next sign-in.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::model::PasswordHash;

/// How long a password waits for others to be hashed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Hashes and verifies passwords, as many at a time as there are processors: each
/// takes one for a while, and 19 MiB.
#[derive(Clone, Debug)]
pub struct Passwords(Arc<Semaphore>);

/// Whether a password is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not.
    Wrong,
    /// It is.
    Right,
    /// It is, and it is to be hashed anew.
    RightButOld,
}

impl Default for Passwords {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(available_parallelism().map_or(1, Into::into))))
    }
}

impl Passwords {
    /// Hashes a password with a salt of its own.
    pub async fn hash(&self, password: SecretString) -> Result<PasswordHash> {
        let permit = self.permit().await?;
        let hashed = spawn_blocking(move || {
            let _permit = permit;
            let hashed = Argon2::default().hash_password(password.expose_secret().as_bytes());
            hashed.map(|hash: phc::PasswordHash| hash.to_string())
        });
        let phc = hashed.await.map_err(Error::internal)?.map_err(Error::internal)?;
        Ok(PasswordHash::new(phc))
    }

    /// Whether `password` is what `hash` was made from.
    ///
    /// Without a hash it is wrong, but that takes as long: the time must not tell
    /// whether there is such a user.
    pub async fn verify(
        &self,
        password: SecretString,
        hash: Option<PasswordHash>,
    ) -> Result<Verdict> {
        let permit = self.permit().await?;
        let verified = spawn_blocking(move || {
            let _permit = permit;
            verify(password.expose_secret().as_bytes(), hash.as_ref())
        });
        verified.await.map_err(Error::internal)?
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        let permit = timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await;
        let permit = permit.map_err(|_| Error::TooMany { retry_after: PATIENCE })?;
        permit.map_err(Error::internal)
    }
}

fn verify(password: &[u8], hash: Option<&PasswordHash>) -> Result<Verdict> {
    let Some(hash) = hash.map(PasswordHash::expose) else {
        drop(Argon2::default().hash_password(password));
        return Ok(Verdict::Wrong);
    };
    if is_bcrypt(hash) {
        // It reads 72 bytes, no more, and so did those who made these hashes. It
        // reads none beyond a zero byte: no such password was ever let in.
        let right =
            !password.contains(&0) && bcrypt::verify(password, hash).map_err(Error::internal)?;
        return Ok(if right { Verdict::RightButOld } else { Verdict::Wrong });
    }
    let hash = phc::PasswordHash::new(hash).map_err(Error::internal)?;
    let right = Argon2::default().verify_password(password, &hash).is_ok();
    Ok(if right { Verdict::Right } else { Verdict::Wrong })
}

fn is_bcrypt(hash: &str) -> bool {
    ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let passwords = Passwords::default();
        let hashed = passwords.hash("correct horse".into()).await.unwrap();
        assert!(hashed.expose().starts_with("$argon2id$"));
        for (password, hash, want) in [
            ("correct horse", Some(hashed.clone()), Verdict::Right),
            ("battery staple", Some(hashed), Verdict::Wrong),
            ("correct horse", None, Verdict::Wrong),
        ] {
            assert_eq!(passwords.verify(password.into(), hash).await.unwrap(), want);
        }
    }

    #[test]
    fn what_bcrypt_hashed_verifies_and_is_old() {
        // As passlib writes it: a salt of its own, 4 rounds to be quick.
        let made = bcrypt::hash_with_salt("correct horse", 4, [7; 16]).unwrap();
        for version in [bcrypt::Version::TwoA, bcrypt::Version::TwoB, bcrypt::Version::TwoY] {
            let hash = PasswordHash::new(made.format_for_version(version));
            let verdict = |password: &[u8]| verify(password, Some(&hash)).unwrap();
            assert_eq!(verdict(b"correct horse"), Verdict::RightButOld, "{}", hash.expose());
            assert_eq!(verdict(b"battery staple"), Verdict::Wrong);
            assert_eq!(verdict(b"correct horse\0"), Verdict::Wrong);
        }
        // From the test vectors of crypt_blowfish: made elsewhere.
        let foreign = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        let foreign = PasswordHash::new(foreign.to_owned());
        assert_eq!(verify(b"U*U", Some(&foreign)).unwrap(), Verdict::RightButOld);
    }

    #[test]
    fn bcrypt_reads_72_bytes() {
        let long = "a".repeat(72);
        let hash = bcrypt::hash_with_salt(&long, 4, [7; 16]).unwrap().to_string();
        let hash = PasswordHash::new(hash);
        let longer = format!("{long} and more");
        assert_eq!(verify(longer.as_bytes(), Some(&hash)).unwrap(), Verdict::RightButOld);
        assert_eq!(verify(&long.as_bytes()[..71], Some(&hash)).unwrap(), Verdict::Wrong);
    }

    #[test]
    fn a_hash_that_cannot_be_read_is_our_fault() {
        for broken in ["", "plain", "$2b$12$short", "$argon2id$"] {
            let hash = PasswordHash::new(broken.to_owned());
            assert!(matches!(verify(b"plain", Some(&hash)), Err(Error::Internal(_))), "{broken}");
        }
    }
}
