//! `envoy.service.status.v3`: what each client was given, and what it made of it.

use bytes::Bytes;

use crate::{Node, Timestamp};

/// Asks for the status of some clients, or of all.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ClientStatusRequest {
    /// Which clients: those that one of these fits. None means all.
    #[prost(message, repeated, tag = "1")]
    pub node_matchers: Vec<NodeMatcher>,
    /// Whether resources are to be left out, with only their status kept.
    #[prost(bool, tag = "3")]
    pub exclude_resource_contents: bool,
}

/// `envoy.type.matcher.v3.NodeMatcher`: fits a client if all of it does.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct NodeMatcher {
    /// What the client's id must be like.
    #[prost(message, optional, tag = "1")]
    pub node_id: Option<StringMatcher>,
    /// Each an encoded `StructMatcher` for the client's metadata.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub node_metadatas: Vec<Bytes>,
}

/// `envoy.type.matcher.v3.StringMatcher`.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct StringMatcher {
    /// How to compare. It must be there.
    #[prost(oneof = "StringPattern", tags = "1, 2, 3, 5, 7, 8")]
    pub match_pattern: Option<StringPattern>,
    /// Whether upper case is as good as lower.
    #[prost(bool, tag = "6")]
    pub ignore_case: bool,
}

/// What a [`StringMatcher`] compares with.
#[derive(Clone, PartialEq, ::prost::Oneof)]
pub enum StringPattern {
    /// All of the text.
    #[prost(string, tag = "1")]
    Exact(String),
    /// Its beginning.
    #[prost(string, tag = "2")]
    Prefix(String),
    /// Its end.
    #[prost(string, tag = "3")]
    Suffix(String),
    /// An encoded `RegexMatcher`.
    #[prost(bytes = "bytes", tag = "5")]
    SafeRegex(Bytes),
    /// A part of it.
    #[prost(string, tag = "7")]
    Contains(String),
    /// An encoded `TypedExtensionConfig`.
    #[prost(bytes = "bytes", tag = "8")]
    Custom(Bytes),
}

/// The clients that were asked for.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ClientStatusResponse {
    /// Each client once.
    #[prost(message, repeated, tag = "1")]
    pub config: Vec<ClientConfig>,
}

/// One client and its resources.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ClientConfig {
    /// Who it is.
    #[prost(message, optional, tag = "1")]
    pub node: Option<Node>,
    /// What it asked for or holds.
    #[prost(message, repeated, tag = "3")]
    pub generic_xds_configs: Vec<GenericXdsConfig>,
    /// What the client uses them for. Servers have nothing to say here.
    #[prost(string, tag = "4")]
    pub client_scope: String,
}

/// One resource of one client.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct GenericXdsConfig {
    /// Its type.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// Its name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Its version; empty if there is none.
    #[prost(string, tag = "3")]
    pub version_info: String,
    /// The resource as an encoded [`Any`](crate::Any).
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub xds_config: Option<Bytes>,
    /// Since when it has this status.
    #[prost(message, optional, tag = "5")]
    pub last_updated: Option<Timestamp>,
    /// How it stands, as the server sees it.
    #[prost(enumeration = "ConfigStatus", tag = "6")]
    pub config_status: i32,
    /// How it stands, as the client would say.
    #[prost(enumeration = "ClientResourceStatus", tag = "7")]
    pub client_status: i32,
    /// The last refusal, until the client accepts what comes after it.
    #[prost(message, optional, tag = "8")]
    pub error_state: Option<UpdateFailureState>,
    /// Whether the client has it from its own bootstrap.
    #[prost(bool, tag = "9")]
    pub is_static_resource: bool,
}

/// `envoy.admin.v3.UpdateFailureState`: a version that a client refused.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct UpdateFailureState {
    /// The resource that was refused, as an encoded [`Any`](crate::Any).
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub failed_configuration: Option<Bytes>,
    /// When.
    #[prost(message, optional, tag = "2")]
    pub last_update_attempt: Option<Timestamp>,
    /// Why, in the client's words.
    #[prost(string, tag = "3")]
    pub details: String,
    /// The version that was refused.
    #[prost(string, tag = "4")]
    pub version_info: String,
}

/// How a resource stands, as the server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ::prost::Enumeration)]
#[repr(i32)]
pub enum ConfigStatus {
    /// The server cannot say.
    Unknown = 0,
    /// Sent and accepted.
    Synced = 1,
    /// Not sent.
    NotSent = 2,
    /// Sent and not answered.
    Stale = 3,
    /// Sent and refused.
    Error = 4,
}

/// `envoy.admin.v3.ClientResourceStatus`: how a resource stands with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ::prost::Enumeration)]
#[repr(i32)]
pub enum ClientResourceStatus {
    /// It cannot be said.
    Unknown = 0,
    /// Asked for, and not there yet.
    Requested = 1,
    /// Asked for, and there is none.
    DoesNotExist = 2,
    /// Accepted.
    Acked = 3,
    /// Refused.
    Nacked = 4,
    /// The server answered with an error.
    ReceivedError = 5,
    /// The client has waited too long.
    Timeout = 6,
}
