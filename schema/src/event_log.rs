//! What events there are: one row.

use sea_orm::entity::prelude::*;

/// The log.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_log")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// Tells this log from any other.
    pub log_id: i64,
    /// The number of the oldest event that is kept; one more than `last_seq` if none is.
    pub first_seq: i64,
    /// The number of the newest event; 0 if there was none.
    pub last_seq: i64,
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
