//! The engine's border: who connects, what they should hold, what became of it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use marchproxy_proto as proto;
use prost::Message;
use tokio_stream::Stream;

use crate::{DiscoveryService, ResourceType, Snapshot};

/// Where snapshots come from, and where news of the streams goes.
pub trait Source: Send + Sync + 'static {
    /// Decides what a client that has just introduced itself gets.
    ///
    /// The status ends the stream; a client will come back and try again.
    fn connect(
        &self,
        hello: Hello,
    ) -> impl Future<Output = Result<Connection, tonic::Status>> + Send;
}

/// How a client introduces itself.
#[derive(Clone)]
pub struct Hello {
    /// Who it says it is.
    pub node: NodeInfo,
    /// Where it connects from, if the server knows.
    pub peer: Option<SocketAddr>,
    /// How it wants to be talked to.
    pub protocol: Protocol,
    /// The service that it called.
    pub service: DiscoveryService,
    /// What it asks for by name in its first request.
    pub names: Vec<String>,
    /// The metadata of its call. Credentials are in there: do not log them.
    pub headers: http::HeaderMap,
    /// What the server knows of its connection, such as a client certificate.
    pub extensions: http::Extensions,
}

/// Without headers and extensions: there may be credentials in them.
impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello")
            .field("node", &self.node)
            .field("peer", &self.peer)
            .field("protocol", &self.protocol)
            .field("service", &self.service)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// Who a client says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its own name.
    pub id: String,
    /// The group that it says it belongs to.
    pub cluster: String,
    /// What software it is, such as `envoy`.
    pub user_agent: String,
    /// Which version of that software, such as `1.40.0`.
    pub user_agent_version: String,
    /// Where it runs, as `region/zone/sub_zone`; empty if it does not say.
    pub locality: String,
    /// The fields of its metadata that are strings.
    pub metadata: BTreeMap<String, String>,
    /// What it can do beyond the protocol, by the names that Envoy's documentation
    /// of [client features](https://www.envoyproxy.io/docs/envoy/latest/api/client_features)
    /// gives.
    pub features: Vec<String>,
}

/// How much is in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// State of the world: listeners and clusters always in full.
    Sotw,
    /// Incremental: what has changed, each resource with its own version.
    Delta,
}

/// What a [`Source`] gives to one stream.
pub struct Connection {
    /// The latest snapshot now, then each newer one. The stream ends with it.
    pub snapshots: Pin<Box<dyn Stream<Item = Arc<Snapshot>> + Send>>,
    /// Who is told what becomes of them.
    pub observer: Box<dyn Observer>,
    /// Types that this client is not given, whatever it asks for.
    pub withheld: Vec<ResourceType>,
    /// What the source calls whoever is at the other end; it comes back in
    /// [`ClientReport::tag`](crate::ClientReport::tag), and several streams may share it.
    pub tag: Option<u64>,
}

/// Told what happens on one stream, in order.
///
/// Dropped when the stream ends. Must not block: the stream waits for it.
pub trait Observer: Send {
    /// Takes note of one event.
    fn observe(&mut self, event: Event);
}

/// What happened on one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A response is on its way.
    Sent {
        /// The type that it is of.
        resource_type: ResourceType,
        /// The version of that type in the snapshot.
        version: Arc<str>,
        /// The revision of the snapshot.
        revision: u64,
        /// How many resources are in it.
        resources: usize,
        /// How many names it says are gone.
        removed: usize,
        /// How long the message is. Many gRPC clients take no more than 4 MiB, and a
        /// full list (state of the world, listeners and clusters) cannot be split.
        bytes: usize,
    },
    /// The client holds what it asked for of this version.
    ///
    /// It said so, or it turned out to hold the same already.
    Acked {
        /// The type that is meant.
        resource_type: ResourceType,
        /// The version of that type in the snapshot.
        version: Arc<str>,
        /// The revision of the snapshot.
        revision: u64,
    },
    /// The client refused a response.
    Nacked {
        /// The type that it was of.
        resource_type: ResourceType,
        /// The version of that type in the snapshot.
        version: Arc<str>,
        /// The revision of the snapshot.
        revision: u64,
        /// The client's gRPC status code; not a stable one.
        code: i32,
        /// The client's own words.
        message: String,
        /// The names in the refused response, also those that it said are gone.
        resources: Vec<Arc<str>>,
        /// Those of them that are to blame: that the message names, or the only one.
        culprits: Vec<Arc<str>>,
        /// Whether the engine goes on to find out which are to blame. What it
        /// finds comes with a refusal of its own.
        searching: bool,
    },
    /// The client asks for a type that it is not given.
    Withheld {
        /// The type.
        resource_type: ResourceType,
    },
    /// Listeners or routes went out before the client had answered to clusters
    /// that they need: it had time enough.
    Overdue {
        /// The revision of the snapshot.
        revision: u64,
    },
    /// What the delivered resources require, and has to be asked for elsewhere.
    ///
    /// Only of a stream that is not aggregated: before each `Settled`, if it is
    /// not what it was.
    Needs {
        /// The types and names, each once, in order.
        resources: Vec<(ResourceType, Arc<str>)>,
    },
    /// Nothing is in flight or due at this revision, except that what nobody uses
    /// any more may still be there for a time of grace.
    ///
    /// And whatever the delivered resources require, the client has asked for;
    /// unless the stream is not aggregated, see `Needs`.
    Settled {
        /// The revision of the snapshot.
        revision: u64,
        /// The types with something in them that the client has refused.
        held: Vec<ResourceType>,
    },
}

impl NodeInfo {
    /// Reads an encoded `envoy.config.core.v3.Node`.
    pub(crate) fn decode(node: &[u8]) -> Result<Self, prost::DecodeError> {
        let node = proto::Node::decode(node)?;
        Ok(Self {
            user_agent_version: user_agent_version(&node),
            locality: node.locality.as_ref().map(locality).unwrap_or_default(),
            id: node.id,
            cluster: node.cluster,
            user_agent: node.user_agent_name,
            features: node.client_features,
            metadata: node
                .metadata
                .unwrap_or_default()
                .fields
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.string_value?)))
                .collect(),
        })
    }
}

impl NodeInfo {
    /// How much memory its texts take, in bytes, roughly.
    pub(crate) fn weight(&self) -> usize {
        let Self { id, cluster, user_agent, user_agent_version, locality, metadata, features } =
            self;
        let texts = [id, cluster, user_agent, user_agent_version, locality];
        let texts = texts.into_iter().chain(metadata.keys()).chain(metadata.values());
        texts.chain(features).map(|text| crate::names::weight(text)).sum()
    }
}

/// The feature of a client that drops what has outlived its time.
const TTL: &str = "xds.config.supports-resource-ttl";
/// That of one that looks for it in state-of-the-world responses, by either name
/// that is documented.
const WRAPPED: [&str; 2] = ["xds.config.resource-in-sotw", "xds.config.supports-resource-in-sotw"];

impl NodeInfo {
    /// Whether it is to be told after what time it should drop a resource.
    pub(crate) fn knows_ttl(&self, protocol: Protocol) -> bool {
        let has = |feature: &str| self.features.iter().any(|has| has == feature);
        has(TTL)
            && match protocol {
                Protocol::Sotw => WRAPPED.into_iter().any(has),
                Protocol::Delta => true,
            }
    }
}

fn user_agent_version(node: &proto::Node) -> String {
    let build = || node.user_agent_build_version.as_ref()?.version.as_ref();
    match (&node.user_agent_version, build()) {
        (Some(text), _) => text.clone(),
        (None, Some(v)) => format!("{}.{}.{}", v.major_number, v.minor_number, v.patch),
        (None, None) => String::new(),
    }
}

pub(crate) fn locality(locality: &proto::Locality) -> String {
    let proto::Locality { region, zone, sub_zone } = locality;
    if region.is_empty() && zone.is_empty() && sub_zone.is_empty() {
        return String::new();
    }
    format!("{region}/{zone}/{sub_zone}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c58_c59_times_to_live_are_for_clients_that_know_of_them() {
        let knows = |features: &[&str]| {
            let features = features.iter().map(|&feature| feature.to_owned()).collect();
            let node = NodeInfo { features, ..NodeInfo::default() };
            [Protocol::Sotw, Protocol::Delta].map(|protocol| node.knows_ttl(protocol))
        };
        assert_eq!(knows(&[]), [false, false]);
        assert_eq!(knows(&[TTL]), [false, true]);
        for wrapped in WRAPPED {
            assert_eq!(knows(&[wrapped]), [false, false], "as gRPC clients say");
            assert_eq!(knows(&["x", wrapped, TTL]), [true, true]);
        }
    }

    #[test]
    fn a_node_is_read_from_its_bytes() {
        let text = |text: &str| proto::Value { string_value: Some(text.into()) };
        let node = proto::Node {
            id: "n".into(),
            cluster: "c".into(),
            metadata: Some(proto::Struct {
                fields: [("key".into(), text("v")), ("number".into(), proto::Value::default())]
                    .into(),
            }),
            locality: Some(proto::Locality { region: "r".into(), ..Default::default() }),
            user_agent_name: "envoy".into(),
            user_agent_version: None,
            user_agent_build_version: Some(proto::BuildVersion {
                version: Some(proto::SemanticVersion {
                    major_number: 1,
                    minor_number: 40,
                    patch: 0,
                }),
            }),
            client_features: vec!["f".into()],
        };
        let info = NodeInfo::decode(&node.encode_to_vec()).expect("it decodes");
        let want = NodeInfo {
            id: "n".into(),
            cluster: "c".into(),
            user_agent: "envoy".into(),
            user_agent_version: "1.40.0".into(),
            locality: "r//".into(),
            metadata: [("key".into(), "v".into())].into(),
            features: vec!["f".into()],
        };
        assert_eq!(info, want);
        assert_eq!(NodeInfo::decode(&[]), Ok(NodeInfo::default()));
        assert!(NodeInfo::decode(&[0xff]).is_err());
    }
}
