//! For which revisions of a group something was as it was.

use sea_orm::entity::prelude::*;

/// One thing of a node group, as it was for some of its revisions.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "history_span")]
pub struct Model {
    /// Its identity.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// Whose it is.
    pub node_group_id: i32,
    /// What it is: something configured, or a resource of some type.
    pub kind: String,
    /// Which one of these.
    pub name: String,
    /// The first revision that had it so.
    pub from_revision: i64,
    /// The first one after that which had it otherwise, or not any more; none
    /// while it is so.
    pub to_revision: Option<i64>,
    /// Its content.
    pub hash: String,
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
