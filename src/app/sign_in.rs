//! Signing in, and who a token stands for.

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use super::{App, now};
use crate::auth::{AccessToken, Actor, password};
use crate::error::{Error, Result};
use crate::model::Username;

/// Somebody who has just signed in.
#[derive(Clone)]
pub struct SignedIn {
    /// Who.
    pub actor: Actor,
    /// What they prove it with from now on.
    pub access: AccessToken,
}

impl App {
    /// Signs a user in by name and password.
    ///
    /// What was wrong is not told: not even whether there is such a user.
    pub async fn sign_in(&self, username: String, password: SecretString) -> Result<SignedIn> {
        let user = match Username::try_from(username) {
            Ok(name) => self.0.store.read().await?.find_user_by_name(&name).await?,
            Err(_) => None,
        };
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        let good = password::verify(password, hash).await?;
        let Some(user) = user.filter(|_| good) else {
            tracing::warn!("refused a sign-in");
            return Err(Error::Unauthenticated("incorrect username or password"));
        };
        let access = self.0.tokens.issue(user.id, now())?;
        tracing::info!(user.name = %user.username, "signed in");
        Ok(SignedIn { actor: user.into(), access })
    }

    /// Whom a token stands for, as of now, and when it ends.
    pub async fn authenticate(&self, token: &str) -> Result<(Actor, DateTime<Utc>)> {
        let (user, expires_at) = self.0.tokens.verify(token)?;
        let user = self.0.store.read().await?.find_user(user).await?;
        let user = user.ok_or(Error::Unauthenticated("this user is gone"))?;
        Ok((user.into(), expires_at))
    }
}
