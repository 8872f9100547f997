//! Events: what happened, in the order in which it was committed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Nack, NodeGroupId, Revision, SnapshotId, TypeRecord, UserId};

/// A place in a log: right after the event of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventCursor {
    /// Tells one log from another; a database has one.
    pub log: i64,
    /// The number of the event; 0 before the first.
    pub seq: i64,
}

/// Which events a log has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnds {
    /// Which log.
    pub log: i64,
    /// The number of the oldest event that is kept; one more than `last` if none is.
    pub first: i64,
    /// The number of the newest event; 0 if there was none.
    pub last: i64,
}

/// Why there is no going on from a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetReason {
    /// There was none.
    NoCursor,
    /// What came after it is not kept any more.
    Expired,
    /// It is of another log, or of what this one lost: another database is in its place.
    OtherLog,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its place in the log.
    pub cursor: EventCursor,
    /// What happened.
    pub told: NewEvent,
}

/// An event to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The node group that it is about, if it is one.
    pub group: Option<NodeGroupId>,
    /// Who did it; none for the control plane itself, and for proxies.
    pub user: Option<UserId>,
    /// Their name then.
    pub username: Option<String>,
    /// What happened.
    pub happening: Happening,
}

/// What can happen. As JSON it is what the database keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Happening {
    /// Something that people configure was made, changed or removed.
    ResourceChanged(ResourceChange),
    /// A node group has a new snapshot.
    SnapshotPublished(SnapshotNews),
    /// A proxy connected.
    NodeConnected(NodeReport),
    /// A proxy went away.
    NodeDisconnected(NodeReport),
    /// A proxy has accepted something: as it stood at the end of a quarter of a second.
    NodeAcked(NodeReport),
    /// A proxy has refused something.
    NodeNacked(NackReport),
    /// What proxies said was more than could be kept while the database was away.
    ReportsLost {
        /// How many reports.
        count: u64,
    },
    /// Something that a newer release tells of.
    #[serde(other)]
    Other,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "as in Happening")]
pub enum EventKind {
    ResourceChanged,
    SnapshotPublished,
    NodeConnected,
    NodeDisconnected,
    NodeAcked,
    NodeNacked,
    ReportsLost,
    Other,
}

/// What was done to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is another now, or something was done with it that does not show.
    Changed,
    /// It is gone.
    Removed,
}

/// Something that people configure, and what was done to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceChange {
    /// Which kind of thing, as the audit log calls it: `service`, `node group`.
    pub noun: String,
    /// Which one: its number.
    pub id: String,
    /// What was done to it.
    pub change: ChangeKind,
    /// By which operation, as the audit log calls it: `UpdateService`.
    pub operation: String,
    /// For people: `update service api`.
    pub summary: String,
    /// Whose it is, or whom it is about, if it is about an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
}

/// A snapshot that a node group has since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotNews {
    /// Its place in the history of all groups.
    pub id: SnapshotId,
    /// The group's revision that it was compiled from.
    pub revision: Revision,
    /// A hash of its content.
    pub version: String,
    /// What was done.
    pub cause: String,
    /// Each type's version and number of resources, by the type's name.
    pub types: BTreeMap<String, TypeRecord>,
}

/// A proxy, as it stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// The process that it is connected to.
    pub instance: String,
    /// Its number there.
    pub id: u64,
    /// What it calls itself.
    pub name: String,
    /// Where it connects from.
    pub address: Option<String>,
    /// What software it is.
    pub software: String,
    /// The versions that it has accepted, by the type's name.
    pub acked: BTreeMap<String, String>,
    /// The newest revision at which it had nothing left to do.
    pub revision: Option<Revision>,
}

/// A proxy, and what it has refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NackReport {
    /// Which proxy.
    pub node: NodeReport,
    /// What it has refused, with the first hundred names of each list.
    #[serde(flatten)]
    pub nack: Nack,
    /// The revision that it was compiled from.
    pub revision: Revision,
}

/// Which events to read; what is left out does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of these kinds; of any if there is none.
    pub kinds: Vec<EventKind>,
    /// About this node group.
    pub group: Option<NodeGroupId>,
}

/// In which order to read events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOrder {
    /// As they happened.
    OldestFirst,
    /// The newest first.
    NewestFirst,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::ResourceChanged,
        Self::SnapshotPublished,
        Self::NodeConnected,
        Self::NodeDisconnected,
        Self::NodeAcked,
        Self::NodeNacked,
        Self::ReportsLost,
        Self::Other,
    ];

    /// What it is called in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResourceChanged => "resource_changed",
            Self::SnapshotPublished => "snapshot_published",
            Self::NodeConnected => "node_connected",
            Self::NodeDisconnected => "node_disconnected",
            Self::NodeAcked => "node_acked",
            Self::NodeNacked => "node_nacked",
            Self::ReportsLost => "reports_lost",
            Self::Other => "other",
        }
    }
}

impl Happening {
    /// What kind of thing it is.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::ResourceChanged(_) => EventKind::ResourceChanged,
            Self::SnapshotPublished(_) => EventKind::SnapshotPublished,
            Self::NodeConnected(_) => EventKind::NodeConnected,
            Self::NodeDisconnected(_) => EventKind::NodeDisconnected,
            Self::NodeAcked(_) => EventKind::NodeAcked,
            Self::NodeNacked(_) => EventKind::NodeNacked,
            Self::ReportsLost { .. } => EventKind::ReportsLost,
            Self::Other => EventKind::Other,
        }
    }

    /// The proxy that it is about, if it is one.
    pub fn node(&self) -> Option<&NodeReport> {
        match self {
            Self::NodeConnected(node) | Self::NodeDisconnected(node) | Self::NodeAcked(node) => {
                Some(node)
            }
            Self::NodeNacked(nack) => Some(&nack.node),
            Self::ResourceChanged(_)
            | Self::SnapshotPublished(_)
            | Self::ReportsLost { .. }
            | Self::Other => None,
        }
    }
}

impl EventFilter {
    /// Whether an event is one of those.
    pub fn wants(&self, event: &NewEvent) -> bool {
        let of_kind = self.kinds.is_empty() || self.kinds.contains(&event.happening.kind());
        of_kind && self.group.is_none_or(|group| event.group == Some(group))
    }
}

impl LogEnds {
    /// Before the oldest event that is kept.
    pub fn start(self) -> EventCursor {
        EventCursor { log: self.log, seq: self.first - 1 }
    }

    /// After the newest event.
    pub fn end(self) -> EventCursor {
        EventCursor { log: self.log, seq: self.last }
    }

    /// Why what comes after `cursor` cannot be told, if it cannot.
    pub fn lost_since(self, cursor: EventCursor) -> Option<ResetReason> {
        if cursor.log != self.log || cursor.seq > self.last || cursor.seq < 0 {
            Some(ResetReason::OtherLog)
        } else if cursor.seq + 1 < self.first {
            Some(ResetReason::Expired)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_as_long_as_all_that_came_after_is_kept() {
        let ends = LogEnds { log: 7, first: 11, last: 20 };
        for (log, seq, want) in [
            (7, 20, None),
            (7, 10, None),
            (7, 9, Some(ResetReason::Expired)),
            (7, 0, Some(ResetReason::Expired)),
            (7, 21, Some(ResetReason::OtherLog)),
            (7, -1, Some(ResetReason::OtherLog)),
            (8, 15, Some(ResetReason::OtherLog)),
        ] {
            assert_eq!(ends.lost_since(EventCursor { log, seq }), want, "{log} {seq}");
        }
        let none_kept = LogEnds { log: 7, first: 21, last: 20 };
        assert_eq!(none_kept.start(), none_kept.end());
        assert_eq!(none_kept.lost_since(none_kept.start()), None);
    }

    #[test]
    fn an_event_is_kept_under_its_kind_and_a_newer_release_s_is_not_fatal() {
        let happening = Happening::ReportsLost { count: 3 };
        let kept = serde_json::to_value(&happening).unwrap();
        assert_eq!(kept["kind"], happening.kind().as_str());
        assert_eq!(serde_json::from_value::<Happening>(kept).unwrap(), happening);
        let newer = serde_json::json!({ "kind": "moon_landed", "at": "sea" });
        assert_eq!(serde_json::from_value::<Happening>(newer).unwrap(), Happening::Other);
        let names: std::collections::BTreeSet<_> = EventKind::ALL.map(EventKind::as_str).into();
        assert_eq!(names.len(), EventKind::ALL.len());
    }
}
