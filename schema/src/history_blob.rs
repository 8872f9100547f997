//! What history keeps, each content once.

use sea_orm::entity::prelude::*;

/// One content.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "history_blob")]
pub struct Model {
    /// A hash of what it is of.
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: String,
    /// The content; without what is secret in it.
    pub content: Vec<u8>,
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
