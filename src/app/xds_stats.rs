//! How the control plane is doing, in numbers.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::App;
use crate::error::Result;
use crate::licence::LicenceStanding;
use crate::model::{NodeGroupId, Revision};
use crate::nodes::TypeStatus;

/// How the control plane is doing. Names no node, no group and no service: it is
/// shown to whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdsStats {
    /// When something was last changed.
    pub last_update: Option<DateTime<Utc>>,
    /// How many changes the groups have seen that there are.
    pub update_count: u64,
    /// How many groups have something to give to their proxies.
    pub groups_published: usize,
    /// How many nodes are connected.
    pub nodes_connected: usize,
    /// How many of them refuse some of what they are sent.
    pub nodes_refusing: usize,
}

/// How things stand on this instance, as it is told to Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How many nodes are connected.
    pub nodes_connected: usize,
    /// How many of them refuse some of what they are sent.
    pub nodes_refusing: usize,
    /// The revision of each group that its proxies are given, by group.
    pub revisions: BTreeMap<NodeGroupId, Revision>,
    /// How the licence stands.
    pub licence: &'static str,
}

impl App {
    /// How things stand on this instance. Asks no database, so that it can be told when
    /// that is away; and it names nobody.
    pub fn standing(&self) -> Standing {
        let (nodes_connected, nodes_refusing) = self.count_nodes();
        let published = self.0.hub.revisions().into_iter();
        Standing {
            nodes_connected,
            nodes_refusing,
            revisions: published.filter_map(|(group, at)| Some((group, at?))).collect(),
            licence: match self.licence_status().standing {
                LicenceStanding::NotEnforced => "not_enforced",
                LicenceStanding::NoKey => "no_key",
                LicenceStanding::Valid => "valid",
                LicenceStanding::Grace(_) => "grace",
                LicenceStanding::Invalid(_) => "invalid",
                LicenceStanding::Unknown(_) => "unknown",
            },
        }
    }

    /// How many nodes are connected, and how many of those refuse something.
    fn count_nodes(&self) -> (usize, usize) {
        let nodes = self.0.nodes.list(None);
        let connected = || nodes.iter().filter(|node| node.is_connected());
        let refuses = |status: &TypeStatus| status.refused.is_some();
        let refusing = connected().filter(|node| node.types.values().any(refuses));
        (connected().count(), refusing.count())
    }

    /// How the control plane is doing.
    pub async fn xds_stats(&self) -> Result<XdsStats> {
        let tx = self.0.store.read().await?;
        let last_update = tx.last_snapshot_at().await?;
        let revisions = tx.revisions().await?;
        drop(tx);
        let (nodes_connected, nodes_refusing) = self.count_nodes();
        Ok(XdsStats {
            last_update,
            update_count: revisions.iter().map(|(_, revision)| revision.as_u64()).sum(),
            groups_published: self.0.hub.revisions().values().flatten().count(),
            nodes_connected,
            nodes_refusing,
        })
    }
}
