//! How often somebody may fail to sign in.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::App;
use crate::auth::Origin;
use crate::error::{Error, Result};
use crate::limits::{Bucket, Limiter};
use crate::model::UserId;

/// How often a minute may see attempts from one address to sign in by one name,
/// unless the last one was good.
#[derive(Debug)]
pub struct SignInLimit {
    /// Who counts.
    pub limiter: Arc<Limiter>,
    /// How many attempts a minute may have.
    pub attempts: NonZeroU32,
}

impl App {
    /// Counts an attempt, before it is made: those that are made at once count, too.
    /// `TooMany` if it is one too many.
    pub(super) async fn count_sign_in(&self, login: &str, origin: &Origin) -> Result<()> {
        let Some(SignInLimit { limiter, attempts }) = &self.0.sign_ins else { return Ok(()) };
        let standing = limiter.hit(&bucket(login, origin), *attempts).await;
        if standing.is_over {
            tracing::warn!(client.address = ?origin.address, "too many attempts to sign in");
            return Err(Error::TooMany { retry_after: Duration::from_secs(standing.reset.into()) });
        }
        Ok(())
    }

    /// Counts an attempt to give a code of a user's second factor, before it is looked at.
    /// Whoever guesses has the password already, and may have many addresses: so this
    /// counts by the user alone. `TooMany` if it is one too many.
    pub(super) async fn count_code(&self, user: UserId) -> Result<()> {
        let Some(SignInLimit { limiter, .. }) = &self.0.sign_ins else { return Ok(()) };
        let standing = limiter.hit(&codes_of(user), CODES).await;
        if standing.is_over {
            tracing::warn!(user.id = %user, "too many codes of a second factor");
            return Err(Error::TooMany { retry_after: Duration::from_secs(standing.reset.into()) });
        }
        Ok(())
    }

    /// Counts an attempt of somebody who is signed in to show that they know their password,
    /// before it is looked at: whoever has taken over their session must not guess it.
    /// `TooMany` if it is one too many.
    pub(super) async fn count_password(&self, user: UserId) -> Result<()> {
        let Some(SignInLimit { limiter, attempts }) = &self.0.sign_ins else { return Ok(()) };
        let standing = limiter.hit(&passwords_of(user), *attempts).await;
        if standing.is_over {
            tracing::warn!(user.id = %user, "too many wrong passwords of somebody signed in");
            return Err(Error::TooMany { retry_after: Duration::from_secs(standing.reset.into()) });
        }
        Ok(())
    }

    /// Forgets the attempts before one that was good.
    pub(super) async fn forget_passwords(&self, user: UserId) {
        if let Some(SignInLimit { limiter, .. }) = &self.0.sign_ins {
            limiter.forget(&passwords_of(user)).await;
        }
    }

    /// Forgets the codes before one that was good.
    pub(super) async fn forget_codes(&self, user: UserId) {
        if let Some(SignInLimit { limiter, .. }) = &self.0.sign_ins {
            limiter.forget(&codes_of(user)).await;
        }
    }

    /// Forgets the attempts before one that was good.
    pub(super) async fn forget_sign_ins(&self, login: &str, origin: &Origin) {
        if let Some(SignInLimit { limiter, .. }) = &self.0.sign_ins {
            limiter.forget(&bucket(login, origin)).await;
        }
    }
}

/// How many codes of one second factor may be tried in a minute, wherever from. One in
/// 300,000 guesses is good.
const CODES: NonZeroU32 = NonZeroU32::new(5).expect("5 is not 0");

fn codes_of(user: UserId) -> Bucket {
    Bucket::new("code", user.to_string())
}

fn passwords_of(user: UserId) -> Bucket {
    Bucket::new("password", user.to_string())
}

fn bucket(login: &str, origin: &Origin) -> Bucket {
    let address = origin.address.map(|address| address.to_string()).unwrap_or_default();
    Bucket::new("sign-in", format!("{address} {}", login.to_lowercase()))
}
