//! Nodes: which group a proxy belongs to, and how far it has come.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt as _};
use marchproxy_xds::{
    DiscoveryService, Event, Hello, NodeInfo, Observer, Protocol, ResourceType, Snapshot,
};

use super::{App, now};
use crate::auth::{Actor, Lease, NodeAuth, NodeCredential, PresentedToken, SecretKind};
use crate::compile::{REST_BY, Sources};
use crate::error::{Error, Result};
use crate::model::{Name, NodeGroup, NodeGroupId};
use crate::nodes::{Matched, NodeChange, NodeId, NodeStatus, Nodes, Place, StreamInfo};
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
    group: NodeGroupId,
    place: Place,
    name: String,
}

/// What the cluster of this control plane is called, if a node says nothing else.
const XDS_CLUSTER: &str = "xds_cluster";

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
        let (place, is_new) = self.0.nodes.connect(connected(hello, group.id, matched), stream);
        if is_new {
            announce(&group, matched, peer);
        }
        if is_new && !withheld.is_empty() {
            tracing::warn!(
                node_group.id = %group.id, ?peer, ?withheld,
                "a node is given no secrets: others could read along (see XDS_TLS_CERT, or \
                 XDS_ALLOW_PLAINTEXT_SECRETS)"
            );
        }
        let nodes = Arc::clone(&self.0.nodes);
        let observer = Watcher { nodes, group: group.id, place, name };
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
            Err(error @ Error::Internal(_)) => Err(error), // the edge tells of it
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
    tracing::info!(node_group.id = %group.id, ?peer, ?matched, "a node connected");
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
        self.nodes.observe(self.place, event, now());
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if self.nodes.disconnect(self.place, now()) {
            tracing::info!(node.id = self.name, node_group.id = %self.group, "a node disconnected");
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::app::{FirstAdmin, NewNodeToken, Setup};
    use crate::auth::{ConnectionInfo, NodeAccess, Tokens};
    use crate::hub::Hub;
    use crate::model::{NodeTokenSpec, Role};
    use crate::publish::Nudge;
    use crate::store::{DatabaseUrl, Store};

    async fn app(access: NodeAccess) -> (App, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::Sqlite(dir.path().join("db"))).await.unwrap();
        let username = "admin".to_owned().try_into().unwrap();
        let admin = FirstAdmin { username, password: Some("correct horse".into()) };
        let group = Setup::run(&store, admin).await.unwrap().default_group;
        let tokens = Tokens::new(&"secret".into());
        let (hub, nodes) = (Hub::new(), Nodes::new());
        (App::new(store, hub, nodes, Nudge::default(), tokens, access, group), dir)
    }

    fn hello(peer: Option<&str>, secure: bool) -> Hello {
        let peer = peer.map(|peer| peer.parse().unwrap());
        let mut extensions = http::Extensions::new();
        extensions.insert(ConnectionInfo { peer, secure, ..Default::default() });
        Hello {
            node: NodeInfo { id: "me".to_owned(), ..Default::default() },
            peer: None,
            protocol: Protocol::Delta,
            service: DiscoveryService::Aggregated,
            names: vec![],
            headers: http::HeaderMap::new(),
            extensions,
        }
    }

    #[tokio::test]
    async fn secrets_are_withheld_where_others_could_read_along() {
        let secret = vec![ResourceType::Secret];
        for (plaintext_secrets, peer, secure, want) in [
            (false, Some("127.0.0.1:7"), false, vec![]),
            (false, Some("192.0.2.7:7"), true, vec![]),
            (false, Some("192.0.2.7:7"), false, secret.clone()),
            (false, None, false, secret),
            (true, Some("192.0.2.7:7"), false, vec![]),
        ] {
            let (app, _dir) = app(NodeAccess::new(NodeAuth::None, plaintext_secrets)).await;
            let hello = hello(peer, secure);
            let credential = NodeCredential::read(&hello.headers, &hello.extensions);
            let admission = app.admit(hello, &credential).await.unwrap();
            assert_eq!(admission.withheld, want, "{plaintext_secrets} {peer:?} {secure}");
            let known = app.0.nodes.list(None);
            assert_eq!(known[0].peer, peer.map(|peer| peer.parse().unwrap()));
        }
    }

    #[tokio::test]
    async fn who_makes_credentials_and_who_revokes_them() {
        let (app, _dir) = app(NodeAccess::new(NodeAuth::Token, false)).await;
        let actor = |role| {
            let username = "somebody".to_owned().try_into().unwrap();
            Actor { user: 1.try_into().unwrap(), username, role }
        };
        let (admin, group) = (actor(Role::Admin), app.default_group());
        for (role, makes, revokes) in
            [(Role::Viewer, false, false), (Role::Operator, false, true), (Role::Admin, true, true)]
        {
            let spec = |name: &str| NodeTokenSpec {
                name: name.to_owned().try_into().unwrap(),
                node: None,
                expires_at: None,
            };
            let new = |name| NewNodeToken { group: None, spec: spec(name) };
            let (token, _) = app.create_node_token(&admin, new("to-revoke")).await.unwrap();
            let actor = actor(role);
            let made = app.create_node_token(&actor, new("made")).await;
            assert_eq!(made.is_ok(), makes, "{role:?}");
            assert_eq!(app.rotate_node_group_key(&actor, group).await.is_ok(), makes, "{role:?}");
            let revoked = app.revoke_node_token(&actor, token.id).await;
            assert_eq!(revoked.is_ok(), revokes, "{role:?}");
            if !revokes {
                app.revoke_node_token(&admin, token.id).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_token_is_revoked_for_good_and_a_group_takes_its_tokens_along() {
        let (app, _dir) = app(NodeAccess::new(NodeAuth::Token, false)).await;
        let username = "admin".to_owned().try_into().unwrap();
        let admin = Actor { user: 1.try_into().unwrap(), username, role: Role::Admin };
        let spec = crate::model::NodeGroupSpec {
            name: "blue".to_owned().try_into().unwrap(),
            description: String::new(),
            runtime: Default::default(),
        };
        let (group, _) = app.create_node_group(&admin, spec).await.unwrap();
        let (_, secret) = app.rotate_node_group_key(&admin, group.id).await.unwrap();
        let mut headers = http::HeaderMap::new();
        let value = format!("Bearer {}", secret.expose()).parse().unwrap();
        headers.insert(http::header::AUTHORIZATION, value);
        let credential = NodeCredential::read(&headers, &http::Extensions::new());
        let node = NodeInfo::default();
        let identity = app.identify(&credential, &node).await.unwrap();
        assert_eq!((identity.group.id, identity.matched), (group.id, Matched::GroupKey));
        app.delete_node_group(&admin, group.id).await.unwrap();
        let refused = app.identify(&credential, &node).await.unwrap_err();
        assert_eq!(refused.codes().grpc, tonic::Code::Unauthenticated);
    }

    fn calling(service: DiscoveryService, protocol: Protocol) -> Hello {
        Hello {
            node: NodeInfo::default(),
            peer: None,
            protocol,
            service,
            names: vec![],
            headers: http::HeaderMap::new(),
            extensions: http::Extensions::new(),
        }
    }

    #[test]
    fn who_does_not_use_ads_has_separate_sources() {
        let cds = DiscoveryService::Of(ResourceType::Cluster);
        let separate = |cluster: &str, protocol| Sources::Separate {
            cluster: cluster.to_owned().try_into().unwrap(),
            protocol,
        };
        let table = [
            (DiscoveryService::Aggregated, "other", "sotw", Sources::Aggregated),
            (cds, "", "", separate("xds_cluster", Protocol::Delta)),
            (cds, "other", "delta", separate("other", Protocol::Delta)),
            (cds, "no name", "nonsense", separate("xds_cluster", Protocol::Delta)),
            (cds, "", "sotw", separate("xds_cluster", Protocol::Sotw)),
        ];
        for (service, cluster, rest_by, want) in table {
            let mut hello = calling(service, Protocol::Delta);
            hello.node.metadata.insert("xds_cluster".to_owned(), cluster.to_owned());
            hello.headers.insert(REST_BY, rest_by.parse().unwrap());
            assert_eq!(sources(&hello), want, "{service:?} {cluster:?} {rest_by:?}");
        }
        let sotw = sources(&calling(cds, Protocol::Sotw));
        assert_eq!(sotw, separate("xds_cluster", Protocol::Sotw));
    }

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
