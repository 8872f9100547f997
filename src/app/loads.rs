//! Loads: how much each proxy has sent where.

use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt as _};
use marchproxy_xds::loads::{LoadAsk, LoadClusters, LoadHello, LoadObserver, LoadReport};
use marchproxy_xds::{ResourceType, Snapshot};

use super::{App, Identity, now};
use crate::auth::{Actor, NodeCredential, Operation};
use crate::error::Result;
use crate::loads::{ClusterTotals, LoadStream, Reporter};
use crate::nodes::NodeStatus;

/// How often proxies report.
const INTERVAL: Duration = Duration::from_secs(10);

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
