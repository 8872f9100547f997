//! Secrets of services: what their clients prove themselves with.

use sea_orm::entity::prelude::*;

/// The secret of one service.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "service_secret")]
pub struct Model {
    /// Whose it is; a service has one at the most.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: i32,
    /// `base64` or `jwt`.
    pub kind: String,
    /// The secret, sealed.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: DateTimeUtc,
}

/// Without the secret.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("service_id", &self.service_id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
