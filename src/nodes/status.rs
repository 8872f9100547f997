//! What is known of one node.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use marchproxy_xds::{Protocol, ResourceType};

use crate::model::{Nack, NodeGroupId, Revision};

/// Names a node within this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u64);

/// One proxy, as far as this process has seen it.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// Its identity here.
    pub id: NodeId,
    /// What it calls itself (`node.id`); several may do so alike.
    pub name: String,
    /// The group whose snapshots it is given.
    pub group: NodeGroupId,
    /// Why it is in that group.
    pub matched: Matched,
    /// Where it connects from.
    pub peer: Option<SocketAddr>,
    /// How it is talked to.
    pub protocol: Protocol,
    /// What software it is, and which version.
    pub software: String,
    /// Since when it is connected, or was the last time.
    pub connected_at: DateTime<Utc>,
    /// Since when it is gone.
    pub disconnected_at: Option<DateTime<Utc>>,
    /// How far it has come with each type that it asks for.
    pub types: BTreeMap<ResourceType, TypeStatus>,
    /// The newest revision at which nothing was left to do.
    pub settled: Option<Settled>,
    /// The last revision that it was counted for, and whether it took all of it.
    pub(super) answer: Option<(Revision, bool)>,
    /// The last thing that it refused, even if that is mended by now.
    pub last_refusal: Option<Arc<Refusal>>,
    /// The place of this state among the changes of all nodes.
    pub change: u64,
}

/// Why a node is in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// Its id is `cluster-<group id>`.
    Id,
    /// Its `node.cluster` is the group's name.
    Cluster,
    /// Its `metadata.node_group` is the group's name.
    Metadata,
    /// Nothing in it names a group: it is given the default one's.
    Fallback,
    /// It has the group's key.
    GroupKey,
    /// It has a node token of the group.
    NodeToken,
    /// Its client certificate names the group.
    Certificate,
}

/// How far a node has come with one type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeStatus {
    /// What it was last sent.
    pub sent_version: Option<Arc<str>>,
    /// When.
    pub sent_at: Option<DateTime<Utc>>,
    /// What it holds.
    pub acked_version: Option<Arc<str>>,
    /// Since when.
    pub acked_at: Option<DateTime<Utc>>,
    /// What of this type it refuses at present.
    pub refused: Option<Arc<Refusal>>,
}

/// A response that a node refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The type that it was of.
    pub resource_type: ResourceType,
    /// The version that was refused.
    pub version: Arc<str>,
    /// The revision that it was compiled from.
    pub revision: Revision,
    /// The node's status code; not a stable one.
    pub code: i32,
    /// The node's own words.
    pub message: String,
    /// The resources in the refused response.
    pub resources: Vec<Arc<str>>,
    /// Those of them that the node's words name.
    pub culprits: Vec<Arc<str>>,
    /// When.
    pub at: DateTime<Utc>,
}

impl Refusal {
    /// As it is kept, with the first `most` names of each list.
    pub fn kept(&self, most: usize) -> Nack {
        let names = |names: &[Arc<str>]| names.iter().take(most).map(ToString::to_string).collect();
        Nack {
            resource_type: self.resource_type.to_string(),
            version: self.version.to_string(),
            code: self.code,
            message: self.message.clone(),
            resources: names(&self.resources),
            culprits: names(&self.culprits),
        }
    }
}

/// A revision at which nothing was left to do for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which.
    pub revision: Revision,
    /// The types with something in them that the node refuses.
    pub held: Vec<ResourceType>,
}

/// How a node stands towards one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not answered to all of it yet.
    Pending,
    /// It holds all that the revision changed.
    Acked,
    /// It refuses some of what the revision changed.
    Nacked,
}

/// What made a node's status change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing did: this is how it stood when the follower came.
    Current,
    /// It connected.
    Connected,
    /// It accepted a response.
    Acked(ResourceType),
    /// It refused a response.
    Nacked(ResourceType),
    /// It has nothing left to do at its snapshot's revision.
    Settled,
    /// It went away.
    Disconnected,
    /// Several things that the follower was too slow for.
    Missed,
}

/// A change of a node's status, and the status since.
#[derive(Clone, Debug)]
pub struct NodeChange {
    /// What happened.
    pub cause: Cause,
    /// How the node stands since.
    pub node: Arc<NodeStatus>,
}

impl From<u64> for NodeId {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

impl From<NodeId> for u64 {
    fn from(id: NodeId) -> Self {
        id.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TypeStatus {
    /// How long it took to accept what it was sent last; none until it has.
    pub fn latency(&self) -> Option<TimeDelta> {
        let (sent_at, acked_at) = (self.sent_at?, self.acked_at?);
        (self.acked_version == self.sent_version && acked_at >= sent_at).then(|| acked_at - sent_at)
    }
}

/// What there is to say of a node before it has answered anything.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// What it calls itself.
    pub name: String,
    /// The group whose snapshots it is given.
    pub group: NodeGroupId,
    /// Why it is in that group.
    pub matched: Matched,
    /// Where it connects from.
    pub peer: Option<SocketAddr>,
    /// How it is talked to.
    pub protocol: Protocol,
    /// What software it is, and which version.
    pub software: String,
    /// Since when it is connected.
    pub connected_at: DateTime<Utc>,
}

impl From<Arrival> for NodeStatus {
    fn from(arrival: Arrival) -> Self {
        let Arrival { name, group, matched, peer, protocol, software, connected_at } = arrival;
        Self {
            id: NodeId::default(),
            name,
            group,
            matched,
            peer,
            protocol,
            software,
            connected_at,
            disconnected_at: None,
            types: BTreeMap::new(),
            settled: None,
            answer: None,
            last_refusal: None,
            change: 0,
        }
    }
}

impl NodeStatus {
    /// Whether it is connected now.
    pub fn is_connected(&self) -> bool {
        self.disconnected_at.is_none()
    }

    /// What it refuses of what `revision` or a later one changed.
    pub fn refusal_since(&self, revision: Revision) -> Option<&Arc<Refusal>> {
        let refusals = self.types.values().filter_map(|status| status.refused.as_ref());
        refusals.filter(|refusal| refusal.revision >= revision).min_by_key(|refusal| refusal.at)
    }

    /// How it stands towards `revision`.
    pub fn standing(&self, revision: Revision) -> Standing {
        if self.refusal_since(revision).is_some() {
            Standing::Nacked
        } else if self.settled.as_ref().is_some_and(|settled| settled.revision >= revision) {
            Standing::Acked
        } else {
            Standing::Pending
        }
    }
}
