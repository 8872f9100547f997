//! Nodes: which group a proxy belongs to, and how far it has come.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt as _};
use marchproxy_xds::{Event, Hello, NodeInfo, Observer};

use super::{App, now};
use crate::auth::Actor;
use crate::error::Result;
use crate::hub::Published;
use crate::model::{Name, NodeGroup, NodeGroupId};
use crate::nodes::{Cause, Matched, NodeChange, NodeId, NodeStatus, Nodes};

/// A proxy that was let in: what it is given, and who hears what it answers.
pub struct Admission {
    /// Its group's snapshots.
    pub snapshots: BoxStream<'static, Published>,
    /// Takes note of its answers; dropped when it goes away.
    pub observer: Watcher,
}

/// Takes note of what one node answers.
pub struct Watcher {
    nodes: Arc<Nodes>,
    group: NodeGroupId,
    id: NodeId,
    name: String,
}

impl App {
    /// The nodes of a group, or all.
    pub fn nodes(&self, actor: &Actor, group: Option<NodeGroupId>) -> Result<Vec<Arc<NodeStatus>>> {
        actor.may_view()?;
        Ok(self.0.nodes.list(group))
    }

    /// One node.
    pub fn find_node(&self, actor: &Actor, id: NodeId) -> Result<Option<Arc<NodeStatus>>> {
        actor.may_view()?;
        Ok(self.0.nodes.find(id))
    }

    /// How each node of a group, or of all, stands; then each change.
    pub async fn follow_nodes(
        &self,
        actor: &Actor,
        group: Option<NodeGroupId>,
    ) -> Result<BoxStream<'static, NodeChange>> {
        actor.may_view()?;
        if let Some(group) = group {
            self.node_group(actor, group).await?;
        }
        Ok(self.0.nodes.follow(group).boxed())
    }

    /// Lets a proxy in, to the group that it belongs to.
    #[tracing::instrument(skip_all, fields(node.id = hello.node.id, peer.addr = ?hello.peer))]
    pub async fn admit(&self, hello: Hello) -> Result<Admission> {
        let (group, matched) = self.group_of(&hello.node).await?;
        // Followed before it is announced, so that it misses nothing after.
        let snapshots = self.0.hub.follow(group.id).boxed();
        let name = hello.node.id.clone();
        let id = self.0.nodes.connect(connected(hello, group.id, matched));
        if matched == Matched::Fallback {
            tracing::warn!(
                node_group.id = %group.id, node_group.name = %group.spec.name,
                "a node names no group that there is: it is given the default one's"
            );
        }
        tracing::info!(node_group.id = %group.id, ?matched, "a node connected");
        let nodes = Arc::clone(&self.0.nodes);
        Ok(Admission { snapshots, observer: Watcher { nodes, group: group.id, id, name } })
    }

    /// Which group a node belongs to, and why.
    async fn group_of(&self, node: &NodeInfo) -> Result<(NodeGroup, Matched)> {
        let tx = self.0.store.read().await?;
        if let Some(id) = group_in(&node.id)
            && let Some(group) = tx.find_node_group_by_id(id).await?
        {
            return Ok((group, Matched::Id));
        }
        let in_metadata = node.metadata.get("node_group").map(String::as_str);
        let named = [(in_metadata, Matched::Metadata), (Some(&*node.cluster), Matched::Cluster)];
        for (name, matched) in named {
            if let Some(Ok(name)) = name.map(|name| Name::try_from(name.to_owned()))
                && let Some(group) = tx.find_node_group(&name).await?
            {
                return Ok((group, matched));
            }
        }
        Ok((tx.node_group(self.default_group()).await?, Matched::Fallback))
    }
}

/// The group in a node id of the form `cluster-<group id>`.
fn group_in(node_id: &str) -> Option<NodeGroupId> {
    let id: i32 = node_id.strip_prefix("cluster-")?.parse().ok()?;
    id.try_into().ok()
}

fn connected(hello: Hello, group: NodeGroupId, matched: Matched) -> NodeStatus {
    let Hello { node, peer, protocol, .. } = hello;
    let peer: Option<SocketAddr> = peer;
    NodeStatus {
        id: NodeId::default(),
        name: node.id,
        group,
        matched,
        peer,
        protocol,
        software: [node.user_agent, node.user_agent_version].join(" ").trim().to_owned(),
        connected_at: now(),
        disconnected_at: None,
        types: Default::default(),
        settled: None,
        last_refusal: None,
        change: 0,
    }
}

impl Observer for Watcher {
    fn observe(&mut self, event: Event) {
        if let Event::Nacked { resource_type, version, message, culprits, .. } = &event {
            tracing::warn!(
                node.id = self.name, node_group.id = %self.group, xds.type = %resource_type,
                %version, ?culprits, reason = message, "a node refused a response"
            );
        }
        if let Event::Overdue { revision } = &event {
            tracing::warn!(
                node.id = self.name, node_group.id = %self.group, revision,
                "a node has not answered to its clusters for long: its routes do not wait for that"
            );
        }
        if let Event::Withheld { resource_type } = &event {
            tracing::warn!(
                node.id = self.name, node_group.id = %self.group, xds.type = %resource_type,
                "a node asks for what it is not given on this connection"
            );
        }
        let cause = Cause::of(&event);
        self.nodes.update(self.group, self.id, cause, |status| status.observe(event, now()));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.nodes.disconnect(self.group, self.id, now());
        tracing::info!(node.id = self.name, node_group.id = %self.group, "a node disconnected");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_id_may_name_its_group() {
        let table = [
            ("cluster-1", Some(1)),
            ("cluster-42", Some(42)),
            ("cluster-0", None),
            ("cluster--1", None),
            ("cluster-", None),
            ("cluster-1a", None),
            ("my-cluster-1", None),
        ];
        for (input, want) in table {
            assert_eq!(group_in(input).map(i32::from), want, "input {input:?}");
        }
    }
}
