//! A user: somebody who signs in.

use std::fmt;

use chrono::{DateTime, Utc};

use super::UserId;

/// A user as they stand.
#[derive(Clone, Debug)]
pub struct User {
    /// Their identity; the `sub` of their tokens.
    pub id: UserId,
    /// What they sign in with.
    pub username: Username,
    /// What their password is checked against.
    pub password_hash: PasswordHash,
    /// What they may do.
    pub role: Role,
    /// When they were made.
    pub created_at: DateTime<Utc>,
}

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks at everything, changes nothing.
    Viewer,
    /// Changes what proxies are given.
    Operator,
    /// Does everything.
    Admin,
}

/// A name to sign in with, 1 to 128 characters, none of them a control.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Username(String);

/// A text that is no user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 128 characters long and hold no control characters")]
pub struct UsernameError;

/// A hashed password in PHC format. Never shown.
#[derive(Clone)]
pub struct PasswordHash(String);

impl Role {
    /// The role as the database keeps it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Reads a role as the database keeps it.
    pub fn parse(role: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator, Self::Admin].into_iter().find(|r| r.as_str() == role)
    }
}

impl Username {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Username {
    type Error = UsernameError;

    fn try_from(name: String) -> Result<Self, UsernameError> {
        let good = (1..=128).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        if good { Ok(Self(name)) } else { Err(UsernameError) }
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PasswordHash {
    /// Takes a hash in PHC format.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The hash in PHC format, for the database and for verification.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}
