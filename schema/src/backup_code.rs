//! Backup codes: each stands in for a second factor, once.

use sea_orm::entity::prelude::*;

/// One backup code.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "backup_code")]
pub struct Model {
    /// Its identity.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// Whose.
    pub user_id: i32,
    /// HMAC-SHA256 of the code: 32 bytes. Unique.
    #[sea_orm(unique)]
    pub hash: Vec<u8>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("backup_code::Model").field("id", &self.id).finish_non_exhaustive()
    }
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
