//! API tokens: what scripts sign in with.

use sea_orm::entity::prelude::*;

/// One API token.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_token")]
pub struct Model {
    /// Its identity.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// In whose name it acts.
    pub user_id: i32,
    /// Unique among those of its user.
    pub name: String,
    /// The most that it may do: as `user.role`.
    pub role: String,
    /// The one group that it may act in; null for all.
    pub node_group_id: Option<i32>,
    /// SHA-256 of the token: 32 bytes. Unique.
    #[sea_orm(unique)]
    pub hash: Vec<u8>,
    /// When it ends; null for never.
    pub expires_at: Option<DateTimeUtc>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTimeUtc>,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("api_token::Model").field("id", &self.id).finish_non_exhaustive()
    }
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
