//! A proxy of MarchProxy's own that registers over REST.
//!
//! Not to be taken for a *node*, which is an Envoy that is seen on xDS.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::service_auth::UnknownWord;
use super::{Line, NodeGroupId, Port, ProxyId};

/// After how long without a heartbeat a proxy is taken to be in trouble.
pub const DEGRADED_AFTER: TimeDelta = TimeDelta::seconds(90);
/// After how long it is taken to be gone.
pub const OFFLINE_AFTER: TimeDelta = TimeDelta::minutes(5);
/// How many reports are kept of each proxy.
pub const METRICS_KEPT: u64 = 1000;

/// A registered proxy as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    /// Its identity.
    pub id: ProxyId,
    /// The node group that it registered in.
    pub group: NodeGroupId,
    /// What it said of itself.
    pub spec: ProxySpec,
    /// How it stands.
    pub status: ProxyStatus,
    /// When it was last heard of.
    pub last_seen: Option<DateTime<Utc>>,
    /// When it last fetched its configuration.
    pub last_config_fetch: Option<DateTime<Utc>>,
    /// Which configuration it has.
    pub config_version: Option<ConfigVersion>,
    /// When it registered first.
    pub registered_at: DateTime<Utc>,
}

/// Which configuration a proxy has: the `config_version` that came with it.
pub type ConfigVersion = Line<64>;

/// What a proxy says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxySpec {
    /// Unique in its group: who registers again by it is the same proxy.
    pub name: Line<100>,
    /// The name of its machine.
    pub hostname: Line<255>,
    /// Where it is.
    pub ip_address: IpAddr,
    /// The port there.
    pub port: Port,
    /// Which version of it runs.
    pub version: Option<Line<50>>,
    /// What it can do; an object.
    pub capabilities: Option<Value>,
}

/// How a proxy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyStatus {
    /// It is not at work yet.
    Pending,
    /// All is well.
    Active,
    /// It is in trouble, or has not been heard of for 90 seconds.
    Degraded,
    /// It said goodbye, or has not been heard of for 5 minutes.
    Offline,
}

/// A sign of life.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Whose.
    pub proxy: ProxyId,
    /// How it says that it stands.
    pub status: ProxyStatus,
    /// Which configuration it has; as before if not said.
    pub config_version: Option<ConfigVersion>,
    /// What it measured, if it did.
    pub metrics: Option<Metrics>,
}

/// What a proxy measured; what is `None` it did not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Percent, 0 to 100.
    pub cpu_usage: Option<f64>,
    /// Percent, 0 to 100.
    pub memory_usage: Option<f64>,
    /// How many connections are open.
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
    /// Milliseconds; 95 of 100 requests took no longer.
    pub latency_p95: Option<f64>,
    /// A second.
    pub errors_per_second: Option<f64>,
}

/// What a proxy measured, and when it said so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub metrics: Metrics,
}

impl ProxyStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Active, Self::Degraded, Self::Offline];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Degraded => "degraded",
            Self::Offline => "offline",
        }
    }
}

impl TryFrom<String> for ProxyStatus {
    type Error = UnknownWord;

    fn try_from(word: String) -> Result<Self, UnknownWord> {
        let known = Self::ALL.into_iter().find(|status| status.as_str() == word);
        known.ok_or(UnknownWord("pending, active, degraded or offline"))
    }
}
