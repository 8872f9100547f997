//! Invitations: what somebody may become a user with, once.

use chrono::{DateTime, Utc};

use super::{Email, InvitationId, Role, UserId};

/// An invitation that nobody has used yet. Its token is nowhere but with whom it
/// was given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its identity.
    pub id: InvitationId,
    /// What was said of it.
    pub spec: InvitationSpec,
    /// Who invites; none if that user is gone.
    pub invited_by: Option<UserId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What people say of an invitation. It is never changed, only revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationSpec {
    /// What the new user may do.
    pub role: Role,
    /// The new user's email address; theirs to choose if there is none.
    pub email: Option<Email>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}
