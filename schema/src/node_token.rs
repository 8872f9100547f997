//! Node tokens: what one node, or some, of a group prove themselves with.

use sea_orm::entity::prelude::*;

/// One node token.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "node_token")]
pub struct Model {
    /// Its identity.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// The group that its bearer belongs to.
    pub node_group_id: i32,
    /// Unique in its group.
    pub name: String,
    /// The one `node.id` that may use it; null for any.
    pub node_id: Option<String>,
    /// SHA-256 of the token: 32 bytes. Unique.
    #[sea_orm(unique)]
    pub hash: Vec<u8>,
    /// When it ends; null for never.
    pub expires_at: Option<DateTimeUtc>,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("node_token::Model").field("id", &self.id).finish_non_exhaustive()
    }
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
