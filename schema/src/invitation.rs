//! Invitations: what somebody may become a user with, once.

use sea_orm::entity::prelude::*;

/// One invitation that nobody has used yet.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invitation")]
pub struct Model {
    /// Its identity.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// SHA-256 of the token: 32 bytes. Unique.
    #[sea_orm(unique)]
    pub hash: Vec<u8>,
    /// What the new user may do: as `user.role`.
    pub role: String,
    /// The new user's address; null if it is theirs to choose.
    pub email: Option<String>,
    /// Who invites.
    pub invited_by: Option<i32>,
    /// When it ends.
    pub expires_at: DateTimeUtc,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("invitation::Model").field("id", &self.id).finish_non_exhaustive()
    }
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
