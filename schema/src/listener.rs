//! Listeners: where proxies accept traffic.

use sea_orm::entity::prelude::*;

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "listener")]
pub struct Model {
    /// Its identity.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// Whose it is.
    pub node_group_id: i32,
    /// Unique in its group.
    pub name: String,
    /// An IP address.
    pub address: String,
    /// The port that proxies bind.
    pub port: i32,
    /// The service that a TCP listener hands on to; none for HTTP.
    pub service_id: Option<i32>,
    /// What it proves itself with, if it speaks TLS.
    pub certificate_id: Option<i32>,
    /// Whether it is the group's first.
    pub is_default: bool,
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
