//! `envoy.service.discovery.v3`: requests and responses, state-of-the-world and delta.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::Duration;

/// A client's request for the resources of one type, state of the world.
///
/// Each request names everything the client wants. It is an answer, too, if it
/// carries the nonce of a response: a refusal iff `error_detail` is there.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct DiscoveryRequest {
    /// The version of the last response that the client accepted.
    #[prost(string, tag = "1")]
    pub version_info: String,
    /// The encoded [`Node`](crate::Node); only a stream's first request must have it.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub node: Option<Bytes>,
    /// All names that the client wants.
    #[prost(string, repeated, tag = "3")]
    pub resource_names: Vec<String>,
    /// The type of resource that the client asks for.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// The nonce of the response that this request answers, or empty.
    #[prost(string, tag = "5")]
    pub response_nonce: String,
    /// Why the client refused the response with that nonce.
    #[prost(message, optional, tag = "6")]
    pub error_detail: Option<Status>,
}

/// A server's answer, state of the world.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct DiscoveryResponse {
    /// The version of the resources of this type.
    #[prost(string, tag = "1")]
    pub version_info: String,
    /// Each an encoded [`Any`].
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub resources: Vec<Bytes>,
    /// The type of all the resources.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// The name of this response on its stream.
    #[prost(string, tag = "5")]
    pub nonce: String,
    /// Why the client is not given what it asks for by name.
    #[prost(message, repeated, tag = "7")]
    pub resource_errors: Vec<ResourceError>,
}

/// A client's request for the resources of one type, incremental.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct DeltaDiscoveryRequest {
    /// The encoded [`Node`](crate::Node); only a stream's first request must have it.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub node: Option<Bytes>,
    /// The type of resource that the client asks for.
    #[prost(string, tag = "2")]
    pub type_url: String,
    /// Names that the client wants from now on.
    #[prost(string, repeated, tag = "3")]
    pub resource_names_subscribe: Vec<String>,
    /// Names that the client no longer wants.
    #[prost(string, repeated, tag = "4")]
    pub resource_names_unsubscribe: Vec<String>,
    /// What the client holds from an earlier stream: name to version.
    #[prost(btree_map = "string, string", tag = "5")]
    pub initial_resource_versions: BTreeMap<String, String>,
    /// The nonce of the response that this request answers, or empty.
    #[prost(string, tag = "6")]
    pub response_nonce: String,
    /// Why the client refused the response with that nonce.
    #[prost(message, optional, tag = "7")]
    pub error_detail: Option<Status>,
}

/// A server's answer, incremental.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct DeltaDiscoveryResponse {
    /// For people who debug; clients do not use it.
    #[prost(string, tag = "1")]
    pub system_version_info: String,
    /// Each an encoded [`Resource`].
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub resources: Vec<Bytes>,
    /// The type of all the resources.
    #[prost(string, tag = "4")]
    pub type_url: String,
    /// The name of this response on its stream.
    #[prost(string, tag = "5")]
    pub nonce: String,
    /// Names of resources that are gone, or never were.
    #[prost(string, repeated, tag = "6")]
    pub removed_resources: Vec<String>,
    /// Why the client is not given what it asks for by name.
    #[prost(message, repeated, tag = "9")]
    pub resource_errors: Vec<ResourceError>,
}

/// Why a client is not given a resource.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ResourceError {
    /// Which one.
    #[prost(message, optional, tag = "1")]
    pub resource_name: Option<ResourceName>,
    /// Why.
    #[prost(message, optional, tag = "2")]
    pub error_detail: Option<Status>,
}

/// The name of a resource; what may stand beside it is not decoded.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ResourceName {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// One resource of a [`DeltaDiscoveryResponse`], with its own version; or, state of
/// the world, in an [`Any`] of its own, for what is said beside the resource.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Resource {
    /// The version of this resource.
    #[prost(string, tag = "1")]
    pub version: String,
    /// The encoded [`Any`].
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub resource: Option<Bytes>,
    /// The name that clients subscribe to.
    #[prost(string, tag = "3")]
    pub name: String,
    /// Other names of the same resource.
    #[prost(string, repeated, tag = "4")]
    pub aliases: Vec<String>,
    /// After what time the client drops it, unless it hears of it again.
    #[prost(message, optional, tag = "6")]
    pub ttl: Option<Duration>,
}

/// `google.protobuf.Any`: an encoded message and its type.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Any {
    /// What `value` encodes.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The encoded message.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// `google.rpc.Status`, without its details.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Status {
    /// A gRPC status code. Envoy does not promise which.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// What went wrong, for people.
    #[prost(string, tag = "2")]
    pub message: String,
}
