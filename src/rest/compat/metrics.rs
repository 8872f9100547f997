//! What registered proxies measure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Invalid, Metrics, Report};
use crate::rest::time::Time;

/// What a proxy measured; what it did not is null, or left out.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MetricsIn {
    /// Percent.
    #[schema(minimum = 0, maximum = 100)]
    cpu_usage: Option<f64>,
    /// Percent.
    #[schema(minimum = 0, maximum = 100)]
    memory_usage: Option<f64>,
    /// How many connections are open.
    #[schema(minimum = 0)]
    connections_active: Option<i64>,
    /// How many there have been.
    #[schema(minimum = 0)]
    connections_total: Option<i64>,
    /// Bytes.
    #[schema(minimum = 0)]
    bytes_sent: Option<i64>,
    /// Bytes.
    #[schema(minimum = 0)]
    bytes_received: Option<i64>,
    #[schema(minimum = 0)]
    requests_per_second: Option<f64>,
    /// Milliseconds.
    #[schema(minimum = 0)]
    latency_avg: Option<f64>,
    /// Milliseconds.
    #[schema(minimum = 0)]
    latency_p95: Option<f64>,
    #[schema(minimum = 0)]
    errors_per_second: Option<f64>,
}

/// The same, reported alone.
#[derive(Deserialize, ToSchema)]
pub(super) struct MetricsReport {
    /// The cluster's key, if no header has it.
    pub(super) cluster_api_key: Option<String>,
    /// It is in the path already.
    #[expect(dead_code, reason = "existing proxies send it, and it says nothing new")]
    proxy_id: Option<i32>,
    #[schema(minimum = 0, maximum = 100)]
    cpu_usage: Option<f64>,
    #[schema(minimum = 0, maximum = 100)]
    memory_usage: Option<f64>,
    #[schema(minimum = 0)]
    connections_active: Option<i64>,
    #[schema(minimum = 0)]
    connections_total: Option<i64>,
    #[schema(minimum = 0)]
    bytes_sent: Option<i64>,
    #[schema(minimum = 0)]
    bytes_received: Option<i64>,
    #[schema(minimum = 0)]
    requests_per_second: Option<f64>,
    #[schema(minimum = 0)]
    latency_avg: Option<f64>,
    #[schema(minimum = 0)]
    latency_p95: Option<f64>,
    #[schema(minimum = 0)]
    errors_per_second: Option<f64>,
}

/// What a proxy measured, and when it said so.
#[derive(Serialize, ToSchema)]
pub(super) struct MetricsOut {
    timestamp: Time,
    cpu_usage: Option<f64>,
    memory_usage: Option<f64>,
    connections_active: Option<i64>,
    connections_total: Option<i64>,
    bytes_sent: Option<i64>,
    bytes_received: Option<i64>,
    requests_per_second: Option<f64>,
    latency_avg: Option<f64>,
    latency_p95: Option<f64>,
    errors_per_second: Option<f64>,
}

impl MetricsIn {
    pub(super) fn parse(self) -> Result<Metrics, Invalid> {
        Ok(Metrics {
            cpu_usage: percent(self.cpu_usage, "cpu_usage")?,
            memory_usage: percent(self.memory_usage, "memory_usage")?,
            connections_active: count(self.connections_active, "connections_active")?,
            connections_total: count(self.connections_total, "connections_total")?,
            bytes_sent: count(self.bytes_sent, "bytes_sent")?,
            bytes_received: count(self.bytes_received, "bytes_received")?,
            requests_per_second: amount(self.requests_per_second, "requests_per_second")?,
            latency_avg: amount(self.latency_avg, "latency_avg")?,
            latency_p95: amount(self.latency_p95, "latency_p95")?,
            errors_per_second: amount(self.errors_per_second, "errors_per_second")?,
        })
    }
}

impl MetricsReport {
    pub(super) fn parse(self) -> Result<Metrics, Invalid> {
        MetricsIn {
            cpu_usage: self.cpu_usage,
            memory_usage: self.memory_usage,
            connections_active: self.connections_active,
            connections_total: self.connections_total,
            bytes_sent: self.bytes_sent,
            bytes_received: self.bytes_received,
            requests_per_second: self.requests_per_second,
            latency_avg: self.latency_avg,
            latency_p95: self.latency_p95,
            errors_per_second: self.errors_per_second,
        }
        .parse()
    }
}

impl From<Report> for MetricsOut {
    fn from(Report { at, metrics }: Report) -> Self {
        Self {
            timestamp: at.into(),
            cpu_usage: metrics.cpu_usage,
            memory_usage: metrics.memory_usage,
            connections_active: metrics.connections_active,
            connections_total: metrics.connections_total,
            bytes_sent: metrics.bytes_sent,
            bytes_received: metrics.bytes_received,
            requests_per_second: metrics.requests_per_second,
            latency_avg: metrics.latency_avg,
            latency_p95: metrics.latency_p95,
            errors_per_second: metrics.errors_per_second,
        }
    }
}

fn percent(value: Option<f64>, field: &str) -> Result<Option<f64>, Invalid> {
    checked(value, field, "must be 0 to 100", |value| (0.0..=100.0).contains(value))
}

fn amount(value: Option<f64>, field: &str) -> Result<Option<f64>, Invalid> {
    checked(value, field, "must be 0 or more", |value| *value >= 0.0)
}

fn count(value: Option<i64>, field: &str) -> Result<Option<i64>, Invalid> {
    checked(value, field, "must be 0 or more", |value| *value >= 0)
}

fn checked<T>(
    value: Option<T>,
    field: &str,
    rule: &str,
    holds: impl Fn(&T) -> bool,
) -> Result<Option<T>, Invalid> {
    if value.as_ref().is_none_or(holds) { Ok(value) } else { Err(Invalid::new(field, rule)) }
}
