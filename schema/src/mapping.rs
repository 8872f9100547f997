//! Mappings: which services may reach which.

use sea_orm::entity::prelude::*;

/// One mapping.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mapping")]
pub struct Model {
    /// Its identity.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// Whose it is.
    pub node_group_id: i32,
    /// Unique in its group.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Who may reach.
    pub source_services: Json,
    /// Whom.
    pub dest_services: Json,
    /// By what.
    pub protocols: Json,
    /// Ranges of ports; any if it is empty.
    pub ports: Json,
    /// Whether who reaches must prove themselves.
    pub auth_required: bool,
    /// What people have to say of it.
    pub comments: String,
    /// Whether it counts.
    pub is_active: bool,
    /// The user who made it, if that is known; they may be gone since.
    pub created_by: Option<i32>,
    /// Labels, as `;key=value;key=value;`; empty without any.
    #[sea_orm(column_type = "Text")]
    pub labels: String,
    /// The group's revision at which it was last changed.
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
