//! Events. Rows are added, never changed.

use sea_orm::entity::prelude::*;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    /// Its place in the log: the order of commits, without holes.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    /// When it happened.
    pub at: DateTimeUtc,
    /// What happened.
    pub kind: String,
    /// The node group that it is about. No foreign key: it may be gone.
    pub node_group_id: Option<i32>,
    /// Who did it. No foreign key: they may be gone.
    pub user_id: Option<i32>,
    /// Their name then.
    pub username: Option<String>,
    /// The rest, by kind.
    pub payload: Json,
    /// Which batch of reports it is the first of.
    pub batch: Option<i64>,
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
