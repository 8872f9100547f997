//! What the licence server last said yes to.

use sea_orm::entity::prelude::*;

/// The last good answer about one key.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "licence")]
pub struct Model {
    /// SHA-256 of the key: 32 bytes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_hash: Vec<u8>,
    /// The answer.
    pub answer: Json,
    /// When it was given.
    pub answered_at: DateTimeUtc,
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
