//! Sessions: one for each sign-in.

use sea_orm::entity::prelude::*;

/// One session.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub struct Model {
    /// Its identity: 128 random bits as base64url.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Who signed in.
    pub user_id: i32,
    /// SHA-256 of the refresh token that is good now: 32 bytes. Unique.
    #[sea_orm(unique)]
    pub refresh_hash: Vec<u8>,
    /// When it ends.
    pub expires_at: DateTimeUtc,
    /// Since when its tokens are good no more; null while they are.
    pub revoked_at: Option<DateTimeUtc>,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("session::Model").field("id", &self.id).finish_non_exhaustive()
    }
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
