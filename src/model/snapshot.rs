//! Snapshots as a group's history keeps them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Nack, NodeGroupId, Revision, SnapshotId, UserId};

/// One snapshot as history keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// Its place in the history of all groups.
    pub id: SnapshotId,
    /// Whose it is.
    pub group: NodeGroupId,
    /// The group's revision that it was compiled from.
    pub revision: Revision,
    /// A hash of its content.
    pub version: String,
    /// Each type's version and number of resources, by the type's name.
    pub types: BTreeMap<String, TypeRecord>,
    /// What was done.
    pub cause: String,
    /// Who did it; none for the control plane itself.
    pub author: Option<UserId>,
    /// What proxies made of it, as far as that was written down.
    pub answers: Answers,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// What proxies made of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// How many have taken all of it.
    pub adopted: i32,
    /// How many refuse some of it.
    pub refused: i32,
    /// The first refusal of something that it changed.
    pub first_refusal: Option<KeptRefusal>,
}

/// A refusal as history keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRefusal {
    /// What the proxy calls itself.
    pub node: String,
    /// What it refused.
    #[serde(flatten)]
    pub nack: Nack,
    /// When.
    pub at: DateTime<Utc>,
}

/// What a snapshot holds of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeRecord {
    /// A hash of the type's resources.
    pub version: String,
    /// How many there are.
    pub count: usize,
}

/// A snapshot to be kept.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as in SnapshotRecord")]
pub struct NewSnapshot {
    pub group: NodeGroupId,
    pub revision: Revision,
    pub version: String,
    pub types: BTreeMap<String, TypeRecord>,
    pub cause: String,
    pub author: Option<UserId>,
}
