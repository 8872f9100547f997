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
//!
//! With the feature `descriptors` there is also a description of all of Envoy's API.
//!
//! The tests encode with `envoy-types` and decode with these, and back.

#[cfg(feature = "descriptors")]
mod descriptors;
pub mod discovery;
pub mod node;

#[cfg(test)]
mod tests;

#[cfg(feature = "descriptors")]
pub use descriptors::file_descriptor_set;
pub use discovery::{
    Any, DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
    Resource, Status,
};
pub use node::{BuildVersion, Locality, Node, SemanticVersion, Struct, Value};
