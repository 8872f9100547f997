//! Resources: one xDS message each, encoded once, shared by every stream.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use marchproxy_proto as proto;
use prost::Message;

use crate::hash::Hasher;

/// What a resource is.
///
/// Declared in push (make-before-break) order: what others refer to goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    /// A layer of runtime values (RTDS).
    Runtime,
    /// A certificate, key or validation context (SDS).
    Secret,
    /// An upstream cluster (CDS).
    Cluster,
    /// The endpoints of one cluster (EDS).
    Endpoint,
    /// A listener (LDS).
    Listener,
    /// A route configuration (RDS).
    Route,
}

impl ResourceType {
    /// Every type, in push order.
    pub const ALL: [Self; 6] =
        [Self::Runtime, Self::Secret, Self::Cluster, Self::Endpoint, Self::Listener, Self::Route];

    /// The name of this type on the wire.
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Runtime => "type.googleapis.com/envoy.service.runtime.v3.Runtime",
            Self::Secret => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoint => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        }
    }

    /// The type with this name on the wire, if it is one of ours.
    pub fn from_type_url(type_url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource_type| resource_type.type_url() == type_url)
    }

    /// Whether a state-of-the-world response of this type is complete.
    ///
    /// A client removes what a complete response leaves out. These are also the
    /// types of which a request without names means all.
    pub const fn is_full_state(self) -> bool {
        match self {
            Self::Cluster | Self::Listener => true,
            Self::Runtime | Self::Secret | Self::Endpoint | Self::Route => false,
        }
    }

    /// Whether a delta client is told that a resource of this type is not there.
    ///
    /// Routes and secrets go with the listener or cluster that uses them. While
    /// that one drains it still needs them, so nobody is told.
    pub(crate) const fn announces_absence(self) -> bool {
        match self {
            Self::Runtime | Self::Cluster | Self::Endpoint | Self::Listener => true,
            Self::Secret | Self::Route => false,
        }
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Runtime => "runtime",
            Self::Secret => "secret",
            Self::Cluster => "cluster",
            Self::Endpoint => "endpoint",
            Self::Listener => "listener",
            Self::Route => "route",
        })
    }
}

/// One xDS message with a name, encoded once. Cheap to clone.
#[derive(Clone)]
pub struct Resource(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    resource_type: ResourceType,
    name: Arc<str>,
    version: Arc<str>,
    /// The encoded `google.protobuf.Any`.
    body: Bytes,
    /// The encoded delta `Resource`, with the body inside.
    wrapped: Bytes,
    requires: Vec<(ResourceType, Arc<str>)>,
    by_name_only: bool,
}

impl Resource {
    /// Encodes `message`, and derives the resource's version from the bytes.
    ///
    /// The version is a hash of type, name and encoded message. Prost encodes a
    /// `HashMap` in no particular order, so a message with map fields of more than
    /// one entry may get another version when it is encoded again.
    pub fn encode(
        resource_type: ResourceType,
        name: impl Into<Arc<str>>,
        message: &impl Message,
    ) -> Self {
        let name = name.into();
        let any = proto::Any {
            type_url: resource_type.type_url().to_owned(),
            value: message.encode_to_vec().into(),
        };
        let version = Hasher::new(resource_type.type_url()).with(&*name).with(&any.value).finish();
        let body = Bytes::from(any.encode_to_vec());
        let wrapped = proto::Resource {
            version: version.to_string(),
            resource: Some(body.clone()),
            name: name.to_string(),
            aliases: Vec::new(),
        };
        Self(Arc::new(Inner {
            resource_type,
            name,
            version,
            body,
            wrapped: wrapped.encode_to_vec().into(),
            requires: Vec::new(),
            by_name_only: false,
        }))
    }

    /// Adds that a client with this resource needs that other one, too.
    ///
    /// A cluster needs the endpoints that it names, a listener the route
    /// configuration. Not part of the version.
    #[must_use]
    pub fn requiring(mut self, resource_type: ResourceType, name: impl Into<Arc<str>>) -> Self {
        Arc::make_mut(&mut self.0).requires.push((resource_type, name.into()));
        self
    }

    /// Keeps it from clients that ask for everything of its type.
    ///
    /// For what only some clients understand: a gRPC client asks for its API
    /// listener by name, and an Envoy that asks for all must not be given it.
    #[must_use]
    pub fn by_name_only(mut self) -> Self {
        Arc::make_mut(&mut self.0).by_name_only = true;
        self
    }

    /// Whether only those who ask for its name are given it.
    pub fn is_by_name_only(&self) -> bool {
        self.0.by_name_only
    }

    /// What this resource is.
    pub fn resource_type(&self) -> ResourceType {
        self.0.resource_type
    }

    /// The name that clients ask for, unique within the type.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// The hash of the content: 32 hexadecimal digits.
    pub fn version(&self) -> &Arc<str> {
        &self.0.version
    }

    /// The encoded `google.protobuf.Any`.
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// What a client with this resource needs, too.
    pub fn requires(&self) -> &[(ResourceType, Arc<str>)] {
        &self.0.requires
    }

    /// The encoded `envoy.service.discovery.v3.Resource`.
    pub(crate) fn wrapped(&self) -> &Bytes {
        &self.0.wrapped
    }
}

/// Without the body: it may be a secret.
impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource")
            .field("resource_type", &self.0.resource_type)
            .field("name", &self.0.name)
            .field("version", &self.0.version)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::cluster::v3 as envoy_cluster;
    use envoy_types::pb::envoy::config::endpoint::v3 as envoy_endpoint;
    use envoy_types::pb::envoy::service::discovery::v3 as envoy_discovery;

    use super::*;

    fn cluster(name: &str) -> envoy_cluster::Cluster {
        envoy_cluster::Cluster { name: name.into(), ..Default::default() }
    }

    #[test]
    fn types_are_declared_in_push_order() {
        assert!(ResourceType::ALL.is_sorted());
        assert!(ResourceType::Cluster < ResourceType::Endpoint);
        assert!(ResourceType::Endpoint < ResourceType::Listener);
        assert!(ResourceType::Listener < ResourceType::Route);
    }

    #[test]
    fn type_urls_lead_back_to_their_types() {
        for resource_type in ResourceType::ALL {
            assert_eq!(ResourceType::from_type_url(resource_type.type_url()), Some(resource_type));
        }
        assert_eq!(ResourceType::from_type_url("type.googleapis.com/x.Y"), None);
    }

    #[test]
    fn the_body_is_an_any_and_the_wrapped_body_a_delta_resource() {
        let resource = Resource::encode(ResourceType::Cluster, "c1", &cluster("c1"));
        let wrapped = envoy_discovery::Resource::decode(resource.wrapped().clone())
            .expect("Envoy can decode it");
        assert_eq!(wrapped.name, "c1");
        assert_eq!(wrapped.version.as_str(), resource.version().as_ref());
        let any = wrapped.resource.expect("a body");
        assert_eq!(&any.encode_to_vec(), resource.body());
        assert_eq!(any.type_url, ResourceType::Cluster.type_url());
        assert_eq!(envoy_cluster::Cluster::decode(any.value.as_slice()), Ok(cluster("c1")));
    }

    #[test]
    fn c27_the_version_changes_iff_type_name_or_bytes_do() {
        let version = |resource: Resource| resource.version().to_string();
        let one = version(Resource::encode(ResourceType::Cluster, "c1", &cluster("c1")));
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|digit| digit.is_ascii_hexdigit()));

        let again = Resource::encode(ResourceType::Cluster, "c1", &cluster("c1"))
            .requiring(ResourceType::Endpoint, "c1");
        assert_eq!(version(again), one);
        let others = [
            Resource::encode(ResourceType::Listener, "c1", &cluster("c1")),
            Resource::encode(ResourceType::Cluster, "c2", &cluster("c1")),
            Resource::encode(ResourceType::Cluster, "c1", &cluster("c2")),
            Resource::encode(
                ResourceType::Cluster,
                "c1",
                &envoy_endpoint::ClusterLoadAssignment::default(),
            ),
        ];
        for other in others {
            assert_ne!(version(other), one);
        }
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        let resource = Resource::encode(ResourceType::Secret, "s", &"hidden".to_owned());
        assert!(!format!("{resource:?}").contains("hidden"));
        assert!(!format!("{resource:?}").contains("body"));
    }
}
