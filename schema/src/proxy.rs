//! Proxies that registered over REST.

use sea_orm::entity::prelude::*;

/// One proxy.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "proxy")]
pub struct Model {
    /// Its identity.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// Whose it is.
    pub node_group_id: i32,
    /// Unique in its group.
    pub name: String,
    /// The name of its machine.
    pub hostname: String,
    /// An IP address.
    pub ip_address: String,
    /// The port there.
    pub port: i32,
    /// Which version of it runs.
    pub version: Option<String>,
    /// What it can do.
    pub capabilities: Option<Json>,
    /// `pending`, `active`, `degraded` or `offline`.
    pub status: String,
    /// When it was last heard of.
    pub last_seen: Option<DateTimeUtc>,
    /// When it last fetched its configuration.
    pub last_config_fetch: Option<DateTimeUtc>,
    /// Which configuration it has.
    pub config_version: Option<String>,
    /// When it registered first.
    pub registered_at: DateTimeUtc,
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
