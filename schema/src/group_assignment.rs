//! What users may do in single node groups.

use sea_orm::entity::prelude::*;

/// One user in one node group.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "group_assignment")]
pub struct Model {
    /// Whose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: i32,
    /// Where.
    #[sea_orm(primary_key, auto_increment = false)]
    pub node_group_id: i32,
    /// `viewer` or `operator`.
    pub role: String,
    /// Who gave it to them.
    pub assigned_by: Option<i32>,
    /// Since when.
    pub created_at: DateTimeUtc,
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
