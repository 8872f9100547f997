//! Keys of node groups: what any node of a group may prove itself with.

use sea_orm::entity::prelude::*;

/// The key of one node group.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "node_group_key")]
pub struct Model {
    /// Whose it is; a group has one at the most.
    #[sea_orm(primary_key, auto_increment = false)]
    pub node_group_id: i32,
    /// SHA-256 of the key: 32 bytes. Unique.
    #[sea_orm(unique)]
    pub hash: Vec<u8>,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("node_group_key::Model")
            .field("node_group_id", &self.node_group_id)
            .finish_non_exhaustive()
    }
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
