//! Loads: how much each proxy has sent where.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use marchproxy_xds::loads::{LoadAsk, LoadClusters, LoadHello, LoadObserver, LoadReport};
use marchproxy_xds::{ResourceType, Snapshot};
use tokio::time::{MissedTickBehavior, interval};

use super::{App, Identity, now};
use crate::auth::{Actor, NodeCredential, Operation, Scope};
use crate::error::Result;
use crate::loads::{ClusterTotals, LoadStream, Reporter};
use crate::model::{Invalid, NodeGroupId};
use crate::nodes::NodeStatus;

/// How often proxies report.
const INTERVAL: Duration = Duration::from_secs(10);

/// How often loads are told at the most.
#[derive(Clone, Copy, Debug)]
pub struct LoadRate(Duration);

impl LoadRate {
    /// Every so many milliseconds: 250 to 60000.
    pub fn every(millis: i32) -> Result<Self, Invalid> {
        match u64::try_from(millis) {
            Ok(millis @ 250..=60_000) => Ok(Self(Duration::from_millis(millis))),
            Ok(_) | Err(_) => {
                Err(Invalid::new("everyMs", format!("must be 250 to 60000, not {millis}")))
            }
        }
    }
}

/// A proxy that is to report, and on what.
pub struct LoadAdmission {
    /// On its group's clusters. Ends when the group is gone: then it has to be let in
    /// anew.
    pub asks: BoxStream<'static, LoadAsk>,
    /// Takes note of its reports; dropped when it goes away.
    pub observer: LoadWatcher,
}

/// Takes note of what one proxy reports.
#[derive(Debug)]
pub struct LoadWatcher {
    stream: LoadStream,
    name: String,
    has_warned: bool,
}

impl App {
    /// What a node has sent to each cluster since it reports, by the cluster's name.
    ///
    /// Nodes that call themselves alike are told apart by their connection, over
    /// which they report as well. A node that is alone with its name may report
    /// over another one.
    pub fn loads(&self, actor: &Actor, node: &NodeStatus) -> Result<Vec<ClusterTotals>> {
        actor.may(Operation::ReadNode, node.group)?;
        let nodes = self.0.nodes.list(Some(node.group));
        let mut alike = nodes.iter().filter(|other| other.name == node.name);
        let is_alone = alike.nth(1).is_none();
        let peer = node.peer.filter(|_| !is_alone);
        Ok(self.0.loads.of(node.group, &node.name, peer))
    }

    /// What the nodes of a group, or of all, have sent to each cluster: now, and then
    /// each node again that has reported since, so often at the most.
    pub async fn follow_loads(
        &self,
        actor: &Actor,
        group: Option<NodeGroupId>,
        every: LoadRate,
    ) -> Result<BoxStream<'static, (Arc<NodeStatus>, Vec<ClusterTotals>)>> {
        actor.may(Operation::FollowLoads, Scope::Everywhere)?;
        if let Some(group) = group {
            self.node_group(actor, group).await?;
        }
        let (app, actor) = (self.clone(), actor.clone());
        let mut tick = interval(every.0);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let rounds = stream::unfold((tick, 0), move |(mut tick, seen)| {
            let (app, actor) = (app.clone(), actor.clone());
            async move {
                tick.tick().await;
                let (reporters, newest) = app.0.loads.since(seen);
                Some((stream::iter(app.reported(&actor, group, &reporters)), (tick, newest)))
            }
        });
        Ok(rounds.flatten().boxed())
    }

    /// The nodes that these reporters are, with all that they have reported.
    fn reported(
        &self,
        actor: &Actor,
        group: Option<NodeGroupId>,
        reporters: &[Reporter],
    ) -> Vec<(Arc<NodeStatus>, Vec<ClusterTotals>)> {
        if reporters.is_empty() {
            return vec![];
        }
        let have_reported: HashSet<_> =
            reporters.iter().map(|reporter| (reporter.group, &*reporter.name)).collect();
        let nodes = self.0.nodes.list(group).into_iter();
        let nodes = nodes.filter(|node| have_reported.contains(&(node.group, &*node.name)));
        let loads = nodes.filter_map(|node| {
            let loads = self.loads(actor, &node).ok()?; // else it is not theirs to see
            (!loads.is_empty()).then_some((node, loads))
        });
        loads.collect()
    }

    /// Lets a proxy report its load, as one of the group that it belongs to.
    #[tracing::instrument(skip_all, fields(node.id = hello.node.id, peer.addr = ?hello.call.peer))]
    pub async fn admit_loads(
        &self,
        hello: LoadHello,
        credential: &NodeCredential,
    ) -> Result<LoadAdmission> {
        let Identity { group, lease, .. } = self.identify(credential, &hello.node).await?;
        let group = group.id;
        let name = hello.node.id;
        let reporter = Reporter { group, name: name.clone(), peer: hello.call.peer };
        let stream = self.0.loads.open(reporter);
        tracing::info!(node_group.id = %group, "a node reports its load");
        let mut known = None;
        let snapshots = self.0.hub.follow(group).take_until(lease.ended());
        let asks = snapshots.filter_map(move |published| {
            let names = clusters(&published.snapshot);
            let is_news = known.as_ref() != Some(&names);
            known = Some(names.clone());
            let ask = LoadAsk { interval: INTERVAL, clusters: LoadClusters::Named(names) };
            std::future::ready(is_news.then_some(ask))
        });
        let observer = LoadWatcher { stream, name, has_warned: false };
        Ok(LoadAdmission { asks: asks.boxed(), observer })
    }
}

/// By their names, because an Envoy that is asked for all of its clusters leaves out
/// what it sends to a new one at first.
fn clusters(snapshot: &Snapshot) -> Vec<String> {
    let clusters = snapshot.resources(ResourceType::Cluster);
    clusters.map(|cluster| cluster.name().to_string()).collect()
}

impl LoadObserver for LoadWatcher {
    fn observe(&mut self, report: LoadReport) {
        let unread = report.left_out;
        let unkept = self.stream.add(report, now());
        if (!unread.is_nothing() || unkept > 0) && !self.has_warned {
            self.has_warned = true;
            tracing::warn!(
                node.id = self.name,
                ?unread,
                unkept,
                "a node reports on more than is kept: the rest is not counted"
            );
        }
    }
}
