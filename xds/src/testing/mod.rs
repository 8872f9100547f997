//! For tests: resources without meaning, a source by hand, a fake Envoy.

mod fake_envoy;
mod fake_source;
pub mod model;

use std::sync::Arc;

use marchproxy_proto as proto;
use prost::Message;

pub use fake_envoy::{FakeEnvoy, Received, ReceivedResource};
pub use fake_source::{FakeSource, News};

use crate::{Resource, ResourceType, Snapshot};

/// A message with a name, as every resource type has it in its first field.
#[derive(Clone, PartialEq, ::prost::Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
    /// Not a field of any resource type.
    #[prost(string, tag = "1000")]
    content: String,
}

/// A resource that means nothing, with `content` to tell versions of it apart.
pub fn resource(resource_type: ResourceType, name: &str, content: &str) -> Resource {
    Resource::encode(resource_type, name, &Named { name: name.into(), content: content.into() })
}

/// A cluster that requires endpoints of its own name.
pub fn cluster(name: &str, content: &str) -> Resource {
    resource(ResourceType::Cluster, name, content).requiring(ResourceType::Endpoint, name)
}

/// The endpoints of the cluster of that name.
pub fn endpoint(name: &str, content: &str) -> Resource {
    resource(ResourceType::Endpoint, name, content)
}

/// A listener that requires the route configuration `route`.
pub fn listener(name: &str, route: &str, content: &str) -> Resource {
    resource(ResourceType::Listener, name, content).requiring(ResourceType::Route, route)
}

/// A route configuration.
pub fn route(name: &str, content: &str) -> Resource {
    resource(ResourceType::Route, name, content)
}

/// A snapshot of these resources.
///
/// # Panics
///
/// If they do not make one.
pub fn snapshot(revision: u64, resources: impl IntoIterator<Item = Resource>) -> Arc<Snapshot> {
    Arc::new(Snapshot::new(revision, resources).expect("the resources are consistent"))
}

/// The name and content in the encoded `google.protobuf.Any` of a resource.
///
/// Works for Envoy's own messages as well; their content is empty.
///
/// # Panics
///
/// If it is not the `Any` of a message with a name.
pub fn name_and_content(any: &[u8]) -> (String, String) {
    let any = proto::Any::decode(any).expect("a body is an Any");
    let named = Named::decode(any.value).expect("an Any has a named message");
    (named.name, named.content)
}
