//! Certificates with their keys.

use sea_orm::entity::prelude::*;

/// One certificate.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "certificate")]
pub struct Model {
    /// Its identity.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// Whose it is.
    pub node_group_id: i32,
    /// Unique in its group.
    pub name: String,
    /// What people say of it.
    #[sea_orm(column_type = "Text")]
    pub description: String,
    /// `upload`, `infisical` or `vault`.
    pub source_type: String,
    /// Where it comes from.
    pub source: Json,
    /// PEM: the certificate, and those that lead from it to an authority.
    #[sea_orm(column_type = "Text")]
    pub chain: String,
    /// Its private key as PEM, sealed.
    #[sea_orm(column_type = "Blob")]
    pub sealed_key: Vec<u8>,
    /// When it ends.
    pub not_after: DateTimeUtc,
    /// Whether it is renewed before that.
    pub auto_renew: bool,
    /// How many days before.
    pub renew_before_days: i32,
    /// Whether it counts.
    pub is_active: bool,
    /// When it was last renewed.
    pub last_renewal: Option<DateTimeUtc>,
    /// Why that did not succeed since.
    #[sea_orm(column_type = "Text", nullable)]
    pub renewal_error: Option<String>,
    /// When some instance last set about renewing it.
    pub tried_at: Option<DateTimeUtc>,
    /// The user who made it.
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

/// Without the key.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("id", &self.id)
            .field("node_group_id", &self.node_group_id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
