//! Node groups: the proxies that share one configuration.

use sea_orm::entity::prelude::*;

/// One node group.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "node_group")]
pub struct Model {
    /// Its identity.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// Unique.
    #[sea_orm(unique)]
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Runtime settings by name.
    pub runtime: Json,
    /// Whether proxies that name no group belong to it; true for one row.
    pub is_default: bool,
    /// How many changes it has seen.
    pub revision: i64,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it was last changed.
    pub updated_at: DateTimeUtc,
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
