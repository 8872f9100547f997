//! Nodes: which group a proxy belongs to, and how far it has come.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt as _};
use marchproxy_xds::{
    DiscoveryService, Event, Hello, NodeInfo, Observer, Protocol, ResourceType, Snapshot, UNTOLD,
};

use super::node_reports::NodeReports;
use super::{App, now};
use crate::auth::{
    Actor, Lease, NodeAuth, NodeCredential, Operation, PresentedToken, Scope, SecretKind,
};
use crate::compile::{REST_BY, Sources, TYPES};
use crate::error::{Error, Result};
use crate::metrics::{self, Open, XdsEvent};
use crate::model::{Name, NodeGroup, NodeGroupId};
use crate::nodes::{
    Arrival, Calls, Cause, Matched, NodeChange, NodeId, NodeStatus, Nodes, Place, StreamInfo,
};
use crate::store::Tx;

/// Who a node is, as far as it has proved it.
#[derive(Debug)]
pub struct Identity {
    /// The group that it belongs to.
    pub group: NodeGroup,
    /// Why it does.
    pub matched: Matched,
    /// How long that holds: whatever was opened for the node ends with it.
    pub lease: Lease,
    /// The types that it must not be given over its connection.
    pub withheld: Vec<ResourceType>,
}

/// A proxy that was let in: what it is given, and who hears what it answers.
pub struct Admission {
    /// Its group's snapshots.
    pub snapshots: BoxStream<'static, Arc<Snapshot>>,
    /// Takes note of its answers; dropped when it goes away.
    pub observer: Watcher,
    /// The types that it is not given.
    pub withheld: Vec<ResourceType>,
}

/// Takes note of what one node answers on one stream.
pub struct Watcher {
    nodes: Arc<Nodes>,
    reports: Arc<NodeReports>,
    group: NodeGroupId,
    place: Place,
    name: String,
    _open: Open,
}

/// What the cluster of this control plane is called, if a node says nothing else.
const XDS_CLUSTER: &str = "xds_cluster";

impl App {
    /// The nodes of a group, or all.
    pub fn nodes(&self, actor: &Actor, group: Option<NodeGroupId>) -> Result<Vec<Arc<NodeStatus>>> {
        actor.may(Operation::ListNodes, Scope::Everywhere)?;
        let mut nodes = self.0.nodes.list(group);
        nodes.retain(|node| actor.sees_group(node.group));
        Ok(nodes)
    }

    /// How often nodes have called.
    pub fn xds_calls(&self) -> Calls {
        self.0.nodes.calls()
    }

    /// Counts a call of this discovery method (`StreamClusters`), whatever becomes of it.
    pub fn count_call(&self, method: &str) {
        if method.starts_with("Fetch") {
            self.0.nodes.count_fetch();
        } else {
            self.0.nodes.count_stream();
        }
    }

    /// One node.
    pub fn find_node(&self, actor: &Actor, id: NodeId) -> Result<Option<Arc<NodeStatus>>> {
        let node = self.0.nodes.find(id).filter(|node| actor.sees_group(node.group));
        if let Some(node) = &node {
            actor.may(Operation::ReadNode, node.group)?;
        }
        Ok(node)
    }

    /// How each node of a group, or of all, stands; then each change.
    pub async fn follow_nodes(
        &self,
        actor: &Actor,
        group: Option<NodeGroupId>,
    ) -> Result<BoxStream<'static, NodeChange>> {
        actor.may(Operation::FollowNodes, Scope::Everywhere)?;
        if let Some(group) = group {
            self.node_group(actor, group).await?;
        }
        let actor = actor.clone();
        let seen = move |change: &NodeChange| ready(actor.sees_group(change.node.group));
        Ok(self.0.nodes.follow(group).filter(seen).boxed())
    }

    /// Lets a proxy in, to the group that it belongs to.
    #[tracing::instrument(skip_all, fields(node.id = hello.node.id))]
    pub async fn admit(&self, mut hello: Hello, credential: &NodeCredential) -> Result<Admission> {
        hello.peer = hello.peer.or(credential.connection().peer);
        let identity = self.identify(credential, &hello.node).await?;
        let Identity { group, matched, lease, withheld } = identity;
        // Followed before it is announced, so that it misses nothing after.
        let snapshots = self.0.hub.follow_as(group.id, sources(&hello))?;
        let snapshots = snapshots.take_until(lease.ended()).boxed();
        let (name, peer) = (hello.node.id.clone(), hello.peer);
        let stream = StreamInfo::new(hello.service, &hello.names);
        let (place, is_new) = self.0.nodes.connect(arrival(hello, group.id, matched), stream);
        if is_new {
            announce(&group, matched, peer);
            let connected = self.0.nodes.at(place);
            let connected = connected.map(|node| NodeChange { cause: Cause::Connected, node });
            connected.into_iter().for_each(|change| self.0.reports.take(&change));
        }
        if is_new && !withheld.is_empty() {
            tracing::warn!(
                node_group.id = %group.id, ?peer, ?withheld,
                "a node is given no secrets: others could read along (see XDS_TLS_CERT, or \
                 XDS_ALLOW_PLAINTEXT_SECRETS)"
            );
        }
        let (nodes, reports) = (Arc::clone(&self.0.nodes), Arc::clone(&self.0.reports));
        let observer =
            Watcher { nodes, reports, group: group.id, place, name, _open: metrics::xds_stream() };
        Ok(Admission { snapshots, observer, withheld })
    }

    /// Whether a caller of the xDS port may see how all clients stand (CSDS): one on
    /// this machine, as long as nobody has to prove anything. Others ask GraphQL.
    pub fn may_inspect(&self, credential: &NodeCredential) -> Result<()> {
        let peer = credential.connection().peer;
        let is_local = peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback());
        match self.0.access.auth() {
            NodeAuth::None if is_local => Ok(()),
            NodeAuth::None | NodeAuth::Token | NodeAuth::Mtls => {
                let why = "the status of clients is told to this machine only, without XDS_AUTH";
                Err(Error::ForbiddenNode(why.to_owned()))
            }
        }
    }

    /// Which group a node belongs to, by what it proves or, if it has to prove
    /// nothing, by what it says.
    ///
    /// For every service that nodes call. `UnprovenNode` without a good
    /// credential, `ForbiddenNode` if the credential is not for what `node` says.
    pub async fn identify(&self, credential: &NodeCredential, node: &NodeInfo) -> Result<Identity> {
        let identified = match self.0.access.auth() {
            NodeAuth::None => self.by_word(node).await,
            NodeAuth::Token => self.by_token(*credential.token()?, node).await,
            NodeAuth::Mtls => self.by_certificate(&credential.certificate_names()?, node).await,
        };
        let connection = credential.connection();
        match identified {
            Ok((group, matched, lease)) => {
                let private = self.0.access.gives_secrets(connection);
                let withheld = if private { vec![] } else { vec![ResourceType::Secret] };
                Ok(Identity { group, matched, lease, withheld })
            }
            // The edge tells of it.
            Err(error @ (Error::Internal(_) | Error::Unavailable { .. })) => Err(error),
            Err(error) => {
                let peer = connection.peer;
                tracing::warn!(node.id, ?peer, reason = %error, "refused a node");
                Err(error)
            }
        }
    }

    async fn by_word(&self, node: &NodeInfo) -> Result<(NodeGroup, Matched, Lease)> {
        let tx = self.0.store.read().await?;
        for matched in NAMING {
            if let Some(group) = named(&tx, node, matched).await? {
                return Ok((group, matched, Lease::for_good()));
            }
        }
        let group = tx.node_group(self.default_group()).await?;
        Ok((group, Matched::Fallback, Lease::for_good()))
    }

    async fn by_token(
        &self,
        token: PresentedToken,
        node: &NodeInfo,
    ) -> Result<(NodeGroup, Matched, Lease)> {
        const UNKNOWN: Error = Error::UnprovenNode("this token is unknown, or was revoked");
        // Before the token is looked up, so that no revocation is missed.
        let revoked = self.0.access.revocations();
        let tx = self.0.store.read().await?;
        let PresentedToken { kind, hash } = token;
        let (group, matched, expires_at) = match kind {
            SecretKind::GroupKey => {
                let group = tx.find_node_group_of_key(hash).await?.ok_or(UNKNOWN)?;
                (group, Matched::GroupKey, None)
            }
            SecretKind::NodeToken => {
                let token = tx.find_node_token(hash).await?.ok_or(UNKNOWN)?;
                if token.has_expired(now()) {
                    return Err(Error::UnprovenNode("this token has expired"));
                }
                if token.spec.node.is_some_and(|bound| bound.as_str() != node.id) {
                    let why = "its token is bound to another `node.id`";
                    return Err(Error::ForbiddenNode(why.to_owned()));
                }
                (token.group, Matched::NodeToken, token.spec.expires_at)
            }
        };
        let group = tx.node_group(group).await?;
        check_word(&tx, node, &group, &format!("its {kind}")).await?;
        Ok((group, matched, Lease::of_token(hash, expires_at, revoked)))
    }

    async fn by_certificate(
        &self,
        names: &[Name],
        node: &NodeInfo,
    ) -> Result<(NodeGroup, Matched, Lease)> {
        let tx = self.0.store.read().await?;
        let mut groups = vec![];
        for name in names {
            groups.extend(tx.find_node_group(name).await?);
        }
        let mut groups = groups.into_iter();
        let group = match (groups.next(), groups.next()) {
            (Some(group), None) => group,
            (None, _) => {
                let why = "its certificate names no node group that there is";
                return Err(Error::ForbiddenNode(why.to_owned()));
            }
            (Some(a), Some(b)) => {
                let (a, b) = (a.spec.name, b.spec.name);
                let why = format!("its certificate names more than one node group: {a}, {b}");
                return Err(Error::ForbiddenNode(why));
            }
        };
        check_word(&tx, node, &group, "its certificate").await?;
        Ok((group, Matched::Certificate, Lease::for_good()))
    }
}

/// How a node can name a group; the first that names one counts.
const NAMING: [Matched; 3] = [Matched::Id, Matched::Metadata, Matched::Cluster];

/// The group that a node names in one of these ways, if there is such a group.
async fn named(tx: &Tx, node: &NodeInfo, how: Matched) -> Result<Option<NodeGroup>> {
    let name = match how {
        Matched::Id => {
            return match group_in(&node.id) {
                Some(id) => tx.find_node_group_by_id(id).await,
                None => Ok(None),
            };
        }
        Matched::Metadata => node.metadata.get("node_group"),
        Matched::Cluster => Some(&node.cluster),
        Matched::Fallback | Matched::GroupKey | Matched::NodeToken | Matched::Certificate => None,
    };
    match name.map(|name| Name::try_from(name.clone())) {
        Some(Ok(name)) => tx.find_node_group(&name).await,
        Some(Err(_)) | None => Ok(None),
    }
}

/// Refuses a node that names another group than the one it has proved.
async fn check_word(tx: &Tx, node: &NodeInfo, proved: &NodeGroup, by: &str) -> Result<()> {
    for how in NAMING {
        let Some(said) = named(tx, node, how).await? else { continue };
        if said.id != proved.id {
            let field = match how {
                Matched::Metadata => "node.metadata.node_group",
                Matched::Cluster => "node.cluster",
                Matched::Id
                | Matched::Fallback
                | Matched::GroupKey
                | Matched::NodeToken
                | Matched::Certificate => "node.id",
            };
            let (said, proved) = (&said.spec.name, &proved.spec.name);
            let why = format!("its `{field}` names the group {said}, and {by} is for {proved}");
            return Err(Error::ForbiddenNode(why));
        }
    }
    Ok(())
}

fn announce(group: &NodeGroup, matched: Matched, peer: Option<SocketAddr>) {
    if matched == Matched::Fallback {
        tracing::warn!(
            node_group.id = %group.id, node_group.name = %group.spec.name,
            "a node names no group that there is: it is given the default one's"
        );
    }
    tracing::info!(node_group.id = %group.id, ?peer, ?matched, "a node connected over xDS");
}

/// Where a client gets what the resources refer to that it is given.
fn sources(hello: &Hello) -> Sources {
    match hello.service {
        DiscoveryService::Aggregated => Sources::Aggregated,
        DiscoveryService::Of(_) => {
            let name = hello.node.metadata.get("xds_cluster").cloned();
            let name = name
                .and_then(|name| Name::try_from(name).ok())
                .unwrap_or_else(|| Name::try_from(XDS_CLUSTER.to_owned()).expect("this is a name"));
            let rest_by = hello.headers.get(REST_BY).map(http::HeaderValue::as_bytes);
            let protocol = match rest_by {
                Some(b"sotw") => Protocol::Sotw,
                Some(b"delta") => Protocol::Delta,
                Some(_) | None => hello.protocol,
            };
            Sources::Separate { cluster: name, protocol }
        }
    }
}

/// The group in a node id of the form `cluster-<group id>`.
fn group_in(node_id: &str) -> Option<NodeGroupId> {
    let id: i32 = node_id.strip_prefix("cluster-")?.parse().ok()?;
    id.try_into().ok()
}

fn arrival(hello: Hello, group: NodeGroupId, matched: Matched) -> Arrival {
    let Hello { node, peer, protocol, .. } = hello;
    Arrival {
        name: node.id,
        group,
        matched,
        peer,
        protocol,
        software: [node.user_agent, node.user_agent_version].join(" ").trim().to_owned(),
        connected_at: now(),
    }
}

/// Counts what was sent and what came of it.
fn count(event: &Event) {
    let (resource_type, event) = match event {
        Event::Sent { resource_type, .. } => (resource_type, XdsEvent::Push),
        Event::Acked { resource_type, .. } => (resource_type, XdsEvent::Ack),
        Event::Nacked { resource_type, .. } => (resource_type, XdsEvent::Nack),
        Event::Withheld { .. }
        | Event::Overdue { .. }
        | Event::Needs { .. }
        | Event::Settled { .. } => return,
    };
    // A client may ask for types that it makes up.
    match TYPES.contains(resource_type) {
        true => metrics::xds_event(&resource_type.to_string(), event),
        false => metrics::xds_event("other", event),
    }
}

/// The event without what a node says of a secret: it may quote it.
fn discreet(mut event: Event) -> Event {
    if let Event::Nacked { resource_type: ResourceType::Secret, message, .. } = &mut event {
        *message = UNTOLD.into();
    }
    event
}

impl Watcher {
    /// The node that it watches.
    pub fn node(&self) -> NodeId {
        self.place.node()
    }
}

impl Observer for Watcher {
    fn observe(&mut self, event: Event) {
        let event = discreet(event);
        count(&event);
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
        if let Some(change) = self.nodes.observe(self.place, event, now()) {
            self.reports.take(&change);
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if self.nodes.disconnect(self.place, now()) {
            let name = &self.name;
            tracing::info!(node.id = name, node_group.id = %self.group, "a node disconnected");
            if let Some(node) = self.nodes.at(self.place) {
                self.reports.take(&NodeChange { cause: Cause::Disconnected, node });
            }
        }
    }
}

#[cfg(test)]
mod tests;
