//! Services: what traffic goes to.

use sea_orm::entity::prelude::*;

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "service")]
pub struct Model {
    /// Its identity.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// Whose it is.
    pub node_group_id: i32,
    /// Unique in its group.
    pub name: String,
    /// `http`, `tcp` or `udp`.
    pub protocol: String,
    /// 1 or 2; not used by TCP.
    pub http_version: i16,
    /// Where its first endpoint is.
    pub ip_fqdn: String,
    /// The port there.
    pub port: i32,
    /// The share of that endpoint.
    pub weight: i32,
    /// The endpoints after the first.
    pub endpoints: Json,
    /// How an endpoint is chosen.
    pub load_balancing: Json,
    /// Milliseconds.
    pub connect_timeout_ms: i32,
    /// Milliseconds; 0 is no limit.
    pub request_timeout_ms: i32,
    /// Milliseconds; 0 is no limit.
    pub idle_timeout_ms: i32,
    /// How endpoints are probed, if they are.
    pub health_check: Option<Json>,
    /// How the way to the endpoints is encrypted, if it is.
    pub tls: Option<Json>,
    /// Whether it counts.
    pub is_active: bool,
    /// What it belongs to.
    pub collection: Option<String>,
    /// `none`, `base64` or `jwt`.
    pub auth_type: String,
    /// Seconds.
    pub jwt_expiry: i32,
    /// As in a JWT's header.
    pub jwt_algorithm: String,
    /// What else proxies are told, if anything.
    pub metadata: Option<Json>,
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
