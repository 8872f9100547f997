//! Floor 2: who is asking, and may they.

mod actor;
mod certificate_key;
mod node;
mod password;
mod rights;
mod seal;
mod secret;
mod service_secret;
mod token;
mod totp;

use std::sync::Arc;

use secrecy::SecretString;

#[cfg(test)]
pub(crate) use actor::tests::actor;
pub use actor::{Actor, Edge, Origin, Via};
pub use node::{
    ConnectionInfo, Lease, NodeAccess, NodeAuth, NodeCredential, NodeSecret, PresentedToken,
    SecretKind,
};
pub use password::{Passwords, Verdict};
pub use rights::{Needs, Operation, Reach, Scope};
pub use seal::Sealer;
pub use secret::{UserSecret, hash as secret_hash};
pub use service_secret::ServiceSecret;
pub use token::{IssuedToken, Lifetimes, SigningKeyError, Tokens, Verified};
pub use totp::{Code, TotpSecret, backup_codes};

/// What `SECRET_KEY` is good for.
#[derive(Debug)]
pub struct Keys {
    /// Signs what users sign in with.
    pub tokens: Tokens,
    /// Seals what the database keeps.
    pub sealer: Arc<Sealer>,
}

impl Keys {
    /// Derives them from `secret`.
    pub fn new(secret: &SecretString, lifetimes: Lifetimes) -> Self {
        Self { tokens: Tokens::new(secret, lifetimes), sealer: Arc::new(Sealer::new(secret)) }
    }
}
