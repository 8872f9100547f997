//! A user: somebody who signs in.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{Email, PasswordHash, Sealed, UserId};

/// A user as they stand.
#[derive(Clone, Debug)]
pub struct User {
    /// Their identity; the `sub` of their tokens.
    pub id: UserId,
    /// What people said of them.
    pub spec: UserSpec,
    /// What their password is checked against.
    pub password_hash: PasswordHash,
    /// What they prove themselves with besides the password.
    pub second_factor: SecondFactor,
    /// Whether tokens that belong to no session are refused: those that were issued
    /// before there were sessions, once the user has revoked what they signed in to.
    pub refuses_old_tokens: bool,
    /// When they last signed in.
    pub last_login_at: Option<DateTime<Utc>>,
    /// When they were made.
    pub created_at: DateTime<Utc>,
    /// When they were last changed.
    pub updated_at: DateTime<Utc>,
}

/// What people say of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSpec {
    /// What they sign in with. Unique.
    pub username: Username,
    /// What they may sign in with as well. Unique.
    pub email: Option<Email>,
    /// As they are called.
    pub first_name: Option<PersonName>,
    /// As their family is called.
    pub last_name: Option<PersonName>,
    /// What they may do everywhere.
    pub role: Role,
    /// Whether they may sign in.
    pub is_active: bool,
    /// Whether somebody has made sure that they are who they say.
    pub is_verified: bool,
}

/// What to change of a user; what is `None` stays.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "as in UserSpec")]
pub struct UserChange {
    pub username: Option<Username>,
    pub email: Option<Option<Email>>,
    pub first_name: Option<Option<PersonName>>,
    pub last_name: Option<Option<PersonName>>,
    pub role: Option<Role>,
    pub is_active: Option<bool>,
    pub is_verified: Option<bool>,
}

/// What a user may do, everywhere. A greater one may what a lesser one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Only what they are assigned to.
    Member,
    /// Looks at everything, changes nothing.
    Viewer,
    /// Changes what proxies are given.
    Operator,
    /// Does everything.
    Admin,
}

/// How far a user's second factor is: codes that an app makes from a shared secret
/// (TOTP, RFC 6238).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecondFactor {
    /// They have none.
    Off,
    /// They were given a secret, and have not shown yet that they have it.
    Offered(Sealed),
    /// They have to give a code when they sign in.
    On {
        /// What their app has as well.
        secret: Sealed,
        /// The time step of the newest code that was used: it and those before it
        /// are good no more.
        last_step: Option<i64>,
    },
}

/// A name to sign in with, 1 to 128 characters, none of them a control.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Username(String);

/// A text that is no user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 128 characters long and hold no control characters")]
pub struct UsernameError;

/// A person's first or last name, 1 to 128 characters, none of them a control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonName(String);

impl UserSpec {
    /// The user as changed.
    #[must_use]
    pub fn changed(mut self, change: UserChange) -> Self {
        fn set<T>(field: &mut T, change: Option<T>) {
            if let Some(value) = change {
                *field = value;
            }
        }
        set(&mut self.username, change.username);
        set(&mut self.email, change.email);
        set(&mut self.first_name, change.first_name);
        set(&mut self.last_name, change.last_name);
        set(&mut self.role, change.role);
        set(&mut self.is_active, change.is_active);
        set(&mut self.is_verified, change.is_verified);
        self
    }

    /// Whether they are one of those without whom nobody could administer.
    pub fn is_active_admin(&self) -> bool {
        self.is_active && self.role == Role::Admin
    }
}

impl SecondFactor {
    /// Whether a code is needed to sign in.
    pub fn is_on(&self) -> bool {
        matches!(self, Self::On { .. })
    }
}

impl Role {
    const ALL: [Self; 4] = [Self::Member, Self::Viewer, Self::Operator, Self::Admin];

    /// The role as the database keeps it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Reads a role as the database keeps it.
    pub fn parse(role: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == role)
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
        if is_name(&name) { Ok(Self(name)) } else { Err(UsernameError) }
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PersonName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PersonName {
    type Error = UsernameError;

    fn try_from(name: String) -> Result<Self, UsernameError> {
        if is_name(&name) { Ok(Self(name)) } else { Err(UsernameError) }
    }
}

fn is_name(name: &str) -> bool {
    (1..=128).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}
