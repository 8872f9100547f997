//! A node group: the proxies that share one configuration.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::service::set;
use super::{Line, Name, NodeGroupId, Revision, UserId};

/// A node group as it stands. Existing clients call it a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeGroup {
    /// Its identity; an Envoy whose node id is `cluster-<id>` belongs to it.
    pub id: NodeGroupId,
    /// Whether proxies that name no group belong to it.
    pub is_default: bool,
    /// How many changes it has seen.
    pub revision: Revision,
    /// Who made it, if that is known.
    pub created_by: Option<UserId>,
    /// What people configured.
    pub spec: NodeGroupSpec,
    /// The revision at which its own settings were last changed.
    pub settings_revision: Revision,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What people configure of a node group. History keeps it, so nothing secret is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeGroupSpec {
    /// Unique; an Envoy whose `node.cluster` is this belongs to the group.
    pub name: Name,
    /// What it is for.
    pub description: String,
    /// What its Envoys' runtime is set to; see Envoy's runtime documentation.
    pub runtime: BTreeMap<RuntimeKey, RuntimeValue>,
    /// What MarchProxy's proxies of the group log, and where to.
    #[serde(default)]
    pub logging: Logging,
    /// How many of those may be registered at once.
    #[serde(default)]
    pub max_proxies: MaxProxies,
    /// Whether it counts. An inactive group's Envoys are given nothing to serve,
    /// and its key opens nothing over REST.
    #[serde(default = "super::service::yes")]
    pub is_active: bool,
}

/// What MarchProxy's proxies log. Envoy is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logging {
    /// The syslog server, as in `syslog.internal:514`; none if not said.
    pub endpoint: Option<Line<255>>,
    /// Who proved themselves, and who could not.
    pub auth: bool,
    /// Which connections there were.
    pub netflow: bool,
    /// Whatever helps to find out what is wrong.
    pub debug: bool,
}

/// How many proxies may be registered: at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct MaxProxies(i32);

/// A number of proxies that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be at least 1, not {0}")]
pub struct MaxProxiesError(i32);

/// The name of a runtime setting, for instance
/// `upstream.healthy_panic_threshold`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuntimeKey(pub Name);

/// What a runtime setting is set to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RuntimeValue {
    /// A feature flag.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// What to change of a node group; what is `None` stays.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "as in NodeGroupSpec")]
pub struct NodeGroupChange {
    /// The revision that its settings have to be at, if any: `Stale` if they are at another.
    pub if_revision: Option<Revision>,
    pub name: Option<Name>,
    pub description: Option<String>,
    pub runtime: Option<BTreeMap<RuntimeKey, RuntimeValue>>,
    /// `Some(None)` logs to no server.
    pub syslog_endpoint: Option<Option<Line<255>>>,
    pub log_auth: Option<bool>,
    pub log_netflow: Option<bool>,
    pub log_debug: Option<bool>,
    pub max_proxies: Option<MaxProxies>,
    pub is_active: Option<bool>,
}

impl NodeGroupSpec {
    /// What the group is called that exists from the start.
    pub const DEFAULT_NAME: &'static str = "default";

    /// A group of this name, and all else as it is if nobody says otherwise.
    pub fn named(name: Name) -> Self {
        Self {
            name,
            description: String::new(),
            runtime: BTreeMap::new(),
            logging: Logging::default(),
            max_proxies: MaxProxies::default(),
            is_active: true,
        }
    }

    /// Applies `change`.
    #[must_use]
    pub fn changed(mut self, change: NodeGroupChange) -> Self {
        set(&mut self.name, change.name);
        set(&mut self.description, change.description);
        set(&mut self.runtime, change.runtime);
        set(&mut self.logging.endpoint, change.syslog_endpoint);
        set(&mut self.logging.auth, change.log_auth);
        set(&mut self.logging.netflow, change.log_netflow);
        set(&mut self.logging.debug, change.log_debug);
        set(&mut self.max_proxies, change.max_proxies);
        set(&mut self.is_active, change.is_active);
        self
    }
}

impl Default for Logging {
    /// To no server, but all that is not for finding out what is wrong.
    fn default() -> Self {
        Self { endpoint: None, auth: true, netflow: true, debug: false }
    }
}

impl Default for MaxProxies {
    /// Three.
    fn default() -> Self {
        Self(3)
    }
}

impl TryFrom<i32> for MaxProxies {
    type Error = MaxProxiesError;

    fn try_from(number: i32) -> Result<Self, MaxProxiesError> {
        if number > 0 { Ok(Self(number)) } else { Err(MaxProxiesError(number)) }
    }
}

impl From<MaxProxies> for i32 {
    fn from(most: MaxProxies) -> Self {
        most.0
    }
}

impl MaxProxies {
    /// The number, to count up to.
    pub fn get(self) -> u64 {
        u64::from(self.0.unsigned_abs())
    }
}

impl RuntimeValue {
    /// Reads a setting as people write it: `true`, `3.5`, or any other text.
    pub fn parse(text: &str) -> Self {
        match text {
            "true" => Self::Bool(true),
            "false" => Self::Bool(false),
            _ => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Self::Number(number),
                Ok(_) | Err(_) => Self::Text(text.to_owned()),
            },
        }
    }
}

impl fmt::Display for RuntimeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}
