//! Sessions: one for each sign-in, until its end or sign-out.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{TokenHash, UserId};

/// A session as it stands.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its identity; the `sid` of its tokens.
    pub id: SessionId,
    /// Who signed in.
    pub user: UserId,
    /// What is kept of the refresh token that is good now.
    pub refresh: TokenHash,
    /// When it ends, unless it is refreshed before.
    pub expires_at: DateTime<Utc>,
    /// Since when its tokens are good no more.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When somebody signed in.
    pub created_at: DateTime<Utc>,
}

/// Names a session: 128 random bits as text, so that no two are ever the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(String);

/// A text that names no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 22 letters, digits, '-' and '_'")]
pub struct SessionIdError;

impl Session {
    /// Whether its tokens are good.
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at > now
    }
}

impl SessionId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SessionId {
    type Error = SessionIdError;

    fn try_from(id: String) -> Result<Self, SessionIdError> {
        let good = id.len() == 22 // base64url of 16 bytes
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if good { Ok(Self(id)) } else { Err(SessionIdError) }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
