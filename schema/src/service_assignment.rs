//! What users may do with single services.

use sea_orm::entity::prelude::*;

/// One user and one service.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "service_assignment")]
pub struct Model {
    /// Whose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: i32,
    /// Over what.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: i32,
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
