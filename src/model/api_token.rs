//! API tokens: what scripts sign in with, in the name of a user.

use chrono::{DateTime, Utc};

use super::{ApiTokenId, Name, NodeGroupId, Role, UserId};

/// An API token as it stands. The token itself is nowhere but with its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its identity.
    pub id: ApiTokenId,
    /// In whose name it acts.
    pub user: UserId,
    /// What they said of it.
    pub spec: ApiTokenSpec,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What people say of an API token. It is never changed, only revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiTokenSpec {
    /// Unique among those of its user.
    pub name: Name,
    /// The most that it may do; never more than its user may.
    pub role: Role,
    /// The one group that it may act in; all of its user's if there is none.
    pub group: Option<NodeGroupId>,
    /// When it ends; never if there is none.
    pub expires_at: Option<DateTime<Utc>>,
}

impl ApiToken {
    /// Whether it is past its end.
    pub fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.spec.expires_at.is_some_and(|end| end <= now)
    }
}
