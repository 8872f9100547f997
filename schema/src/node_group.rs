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
    /// Whether it counts.
    pub is_active: bool,
    /// The syslog server of its proxies.
    pub syslog_endpoint: Option<String>,
    /// Whether they log who proved themselves.
    pub log_auth: bool,
    /// Whether they log connections.
    pub log_netflow: bool,
    /// Whether they log what helps to find out what is wrong.
    pub log_debug: bool,
    /// How many of them may be registered at once.
    pub max_proxies: i32,
    /// The user who made it, if that is known; they may be gone since.
    pub created_by: Option<i32>,
    /// The revision at which its own settings were last changed.
    pub settings_revision: i64,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it was last changed.
    pub updated_at: DateTimeUtc,
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
