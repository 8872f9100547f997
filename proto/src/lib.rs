//! The messages of xDS discovery, wire-compatible with Envoy's and *lite*.
//!
//! Lite means that what a control plane only passes on is never decoded: a
//! request keeps its node as bytes (a default Envoy sends 61 KB of it with every
//! request), a response keeps its resources as bytes that were encoded once.
//! Fields that nothing here reads are skipped while decoding.
//!
//! - [`discovery`]: `envoy.service.discovery.v3`, and the `google.protobuf.Any`
//!   and `google.rpc.Status` that it uses
//! - [`node`]: `envoy.config.core.v3.Node`, for the one request that needs it
//! - [`load_stats`]: reports of load, of `envoy.service.load_stats.v3` and
//!   `envoy.config.endpoint.v3`
//! - [`client_status`]: the status of clients, `envoy.service.status.v3`
//! - [`time`]: the `Duration` and `Timestamp` of `google.protobuf`
//!
//! With the feature `descriptors` there is also a description of all of Envoy's API.
//!
//! The tests encode with `envoy-types` and decode with these, and back.

pub mod client_status;
#[cfg(feature = "descriptors")]
mod descriptors;
pub mod discovery;
pub mod load_stats;
pub mod node;
pub mod time;

#[cfg(test)]
mod tests;

#[cfg(feature = "descriptors")]
pub use descriptors::file_descriptor_set;
pub use discovery::{
    Any, DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
    Resource, ResourceError, ResourceName, Status,
};
pub use node::{BuildVersion, Locality, Node, SemanticVersion, Struct, Value};
pub use time::{Duration, Timestamp};
