//! What registered proxies measured.

use sea_orm::entity::prelude::*;

/// One report of one proxy.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "proxy_metric")]
pub struct Model {
    /// Its place among all reports.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Whose it is.
    pub proxy_id: i32,
    /// When it came.
    pub reported_at: DateTimeUtc,
    /// Percent.
    pub cpu_usage: Option<f64>,
    /// Percent.
    pub memory_usage: Option<f64>,
    /// How many are open.
    pub connections_active: Option<i64>,
    /// How many there have been.
    pub connections_total: Option<i64>,
    /// Bytes.
    pub bytes_sent: Option<i64>,
    /// Bytes.
    pub bytes_received: Option<i64>,
    /// A second.
    pub requests_per_second: Option<f64>,
    /// Milliseconds.
    pub latency_avg: Option<f64>,
    /// Milliseconds.
    pub latency_p95: Option<f64>,
    /// A second.
    pub errors_per_second: Option<f64>,
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
