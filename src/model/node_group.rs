//! A node group: the proxies that share one configuration.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::service::set;
use super::{Name, NodeGroupId, Revision};

/// A node group as it stands. Existing clients call it a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeGroup {
    /// Its identity; an Envoy whose node id is `cluster-<id>` belongs to it.
    pub id: NodeGroupId,
    /// Whether proxies that name no group belong to it.
    pub is_default: bool,
    /// How many changes it has seen.
    pub revision: Revision,
    /// What people configured.
    pub spec: NodeGroupSpec,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What people configure of a node group.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeGroupSpec {
    /// Unique; an Envoy whose `node.cluster` is this belongs to the group.
    pub name: Name,
    /// What it is for.
    pub description: String,
    /// What its Envoys' runtime is set to; see Envoy's runtime documentation.
    pub runtime: BTreeMap<RuntimeKey, RuntimeValue>,
}

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
    pub name: Option<Name>,
    pub description: Option<String>,
    pub runtime: Option<BTreeMap<RuntimeKey, RuntimeValue>>,
}

impl NodeGroupSpec {
    /// What the group is called that exists from the start.
    pub const DEFAULT_NAME: &'static str = "default";

    /// Applies `change`.
    #[must_use]
    pub fn changed(mut self, change: NodeGroupChange) -> Self {
        set(&mut self.name, change.name);
        set(&mut self.description, change.description);
        set(&mut self.runtime, change.runtime);
        self
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
