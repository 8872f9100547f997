//! Snapshots: what was compiled for a node group, revision by revision.

use sea_orm::entity::prelude::*;

/// One compiled snapshot.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "snapshot")]
pub struct Model {
    /// Its identity.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// Whose it is.
    pub node_group_id: i32,
    /// The group's revision that it was compiled from.
    pub revision: i64,
    /// A hash of its content.
    pub version: String,
    /// Version and number of resources by type.
    pub types: Json,
    /// What was done, for instance `create service api`.
    pub cause: String,
    /// Who did it; none for the control plane itself.
    pub author_id: Option<i32>,
    /// How many proxies have taken all of it.
    pub adopted: i32,
    /// How many refuse some of it.
    pub refused: i32,
    /// The first refusal of something that it changed, and whose.
    pub first_refusal: Option<Json>,
    /// When.
    pub created_at: DateTimeUtc,
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
