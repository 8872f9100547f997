//! Passwords: hashed with Argon2id, on a thread that may take its time.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::spawn_blocking;

use crate::error::{Error, Result};
use crate::model::PasswordHash;

/// Hashes a password with a salt of its own.
pub async fn hash(password: SecretString) -> Result<PasswordHash> {
    let hashed = spawn_blocking(move || {
        let hashed = Argon2::default().hash_password(password.expose_secret().as_bytes());
        hashed.map(|hash: phc::PasswordHash| hash.to_string())
    });
    let phc = hashed.await.map_err(Error::internal)?.map_err(Error::internal)?;
    Ok(PasswordHash::new(phc))
}

/// Whether `password` is what `hash` was made from.
///
/// Without a hash the answer is no, but it takes as long: the time must not
/// tell whether there is such a user.
pub async fn verify(password: SecretString, hash: Option<PasswordHash>) -> Result<bool> {
    let verified = spawn_blocking(move || {
        let password = password.expose_secret().as_bytes();
        let Some(hash) = hash else {
            drop(Argon2::default().hash_password(password));
            return Ok(false);
        };
        let hash = phc::PasswordHash::new(hash.expose())?;
        Ok(Argon2::default().verify_password(password, &hash).is_ok())
    });
    verified.await.map_err(Error::internal)?.map_err(|e: phc::Error| Error::internal(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let hashed = hash("correct horse".into()).await.unwrap();
        assert!(hashed.expose().starts_with("$argon2id$"));
        assert!(verify("correct horse".into(), Some(hashed.clone())).await.unwrap());
        assert!(!verify("battery staple".into(), Some(hashed)).await.unwrap());
        assert!(!verify("correct horse".into(), None).await.unwrap());
    }
}
