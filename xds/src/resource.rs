//! Resources: one xDS message each, encoded once, shared by every stream.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use marchproxy_proto as proto;
use prost::Message;

use crate::hash::Hasher;
use crate::{Protocol, ResourceType};

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
    aliases: Vec<Arc<str>>,
    requires: Vec<(ResourceType, Arc<str>)>,
    by_name_only: bool,
    mortal: Option<Box<Mortal>>,
}

/// What is said of a resource with a time to live to clients that know of it.
#[derive(Clone)]
struct Mortal {
    ttl: Duration,
    /// The encoded delta `Resource`, with the body and the time inside.
    wrapped: Bytes,
    /// That once more, as the encoded `google.protobuf.Any`.
    body: Bytes,
}

/// The shortest time to live: below, heartbeats would be all that a stream does.
const SHORTEST: Duration = Duration::from_secs(1);

/// The type of a wrapped resource in a state-of-the-world response.
const WRAPPED: &str = "type.googleapis.com/envoy.service.discovery.v3.Resource";

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
        let mut inner = Inner {
            resource_type,
            name,
            version,
            body: any.encode_to_vec().into(),
            wrapped: Bytes::new(),
            aliases: Vec::new(),
            requires: Vec::new(),
            by_name_only: false,
            mortal: None,
        };
        inner.wrap();
        Self(Arc::new(inner))
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

    /// Adds another name that delta clients may ask for it by.
    ///
    /// Envoy asks for a virtual host by `<route configuration>/<domain>`, whatever
    /// its name is. Part of the version, as clients learn of it with the resource.
    #[must_use]
    pub fn with_alias(mut self, alias: impl Into<Arc<str>>) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        let alias = alias.into();
        inner.version = Hasher::new("alias").with(&*inner.version).with(&*alias).finish();
        inner.aliases.push(alias);
        inner.wrap();
        self
    }

    /// Has clients drop it after this time, if they do not hear of it any more.
    ///
    /// For what must not outlive the control plane, such as the injection of faults:
    /// as long as there is a stream, heartbeats keep it alive. Only clients that know
    /// of it are told of it, and for the others the resource stays. At least a second.
    /// Part of the version, as clients learn of it with the resource.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        let ttl = ttl.max(SHORTEST);
        inner.version =
            Hasher::new("ttl").with(&*inner.version).with(ttl.as_nanos().to_le_bytes()).finish();
        inner.mortal = Some(Box::new(Mortal { ttl, wrapped: Bytes::new(), body: Bytes::new() }));
        inner.wrap();
        self
    }

    /// After what time clients drop it that do not hear of it any more; never, if
    /// there is none.
    pub fn ttl(&self) -> Option<Duration> {
        self.0.mortal.as_ref().map(|mortal| mortal.ttl)
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

    /// Other names that delta clients may ask for it by.
    pub fn aliases(&self) -> &[Arc<str>] {
        &self.0.aliases
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

    /// How it stands in a response of `protocol`, with its time to live or without.
    pub(crate) fn encoded(&self, protocol: Protocol, with_ttl: bool) -> &Bytes {
        match (protocol, self.0.mortal.as_ref().filter(|_| with_ttl)) {
            (Protocol::Sotw, None) => &self.0.body,
            (Protocol::Sotw, Some(mortal)) => &mortal.body,
            (Protocol::Delta, None) => &self.0.wrapped,
            (Protocol::Delta, Some(mortal)) => &mortal.wrapped,
        }
    }

    /// Whether both are the same allocation.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether a client could tell them apart, or a snapshot.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let (one, other) = (&*self.0, &*other.0);
        one.version == other.version
            && one.name == other.name
            && one.requires == other.requires
            && one.aliases == other.aliases
            && one.by_name_only == other.by_name_only
    }
}

impl Inner {
    fn wrap(&mut self) {
        let mut wrapped = proto::Resource {
            version: self.version.to_string(),
            resource: Some(self.body.clone()),
            name: self.name.to_string(),
            aliases: self.aliases.iter().map(ToString::to_string).collect(),
            ttl: None,
        };
        self.wrapped = wrapped.encode_to_vec().into();
        if let Some(mortal) = &mut self.mortal {
            wrapped.ttl = Some(mortal.ttl.into());
            mortal.wrapped = wrapped.encode_to_vec().into();
            let any = proto::Any { type_url: WRAPPED.to_owned(), value: mortal.wrapped.clone() };
            mortal.body = any.encode_to_vec().into();
        }
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
    fn c35_an_alias_is_told_and_is_a_part_of_the_version() {
        let plain = Resource::encode(ResourceType::VirtualHost, "r/v", &cluster("v"));
        let resource = plain.clone().with_alias("r/a.example");
        assert_ne!(resource.version(), plain.version());
        let wrapped = envoy_discovery::Resource::decode(resource.wrapped().clone())
            .expect("Envoy can decode it");
        assert_eq!(wrapped.aliases, ["r/a.example"]);
        assert_eq!(wrapped.version.as_str(), resource.version().as_ref());
    }

    #[test]
    fn c59_a_time_to_live_is_said_around_the_resource_and_is_a_part_of_the_version() {
        let plain = Resource::encode(ResourceType::Runtime, "r", &cluster("r"));
        let resource = plain.clone().with_ttl(Duration::from_secs(3));
        assert_ne!(resource.version(), plain.version());
        assert_ne!(resource.version(), plain.clone().with_ttl(Duration::from_secs(4)).version());
        assert_eq!(plain.with_ttl(Duration::ZERO).ttl(), Some(SHORTEST));
        for protocol in [Protocol::Sotw, Protocol::Delta] {
            let read = |bytes: &Bytes| match protocol {
                Protocol::Delta => envoy_discovery::Resource::decode(bytes.clone()),
                Protocol::Sotw => {
                    let any = proto::Any::decode(bytes.clone()).expect("an any");
                    assert_eq!(any.type_url, WRAPPED);
                    envoy_discovery::Resource::decode(any.value)
                }
            };
            let wrapped = read(resource.encoded(protocol, true)).expect("Envoy can decode it");
            assert_eq!(wrapped.ttl.map(|ttl| ttl.seconds), Some(3));
            assert_eq!(wrapped.resource.expect("a body").encode_to_vec(), *resource.body());
        }
        assert_eq!(resource.encoded(Protocol::Sotw, false), resource.body());
        assert_eq!(resource.encoded(Protocol::Delta, false), resource.wrapped());
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
