//! `envoy.config.core.v3.Node`: who asks. Extensions are not decoded.

use std::collections::BTreeMap;

/// One client, as it describes itself.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Node {
    /// The client's own name.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The name of the group of clients that it belongs to.
    #[prost(string, tag = "2")]
    pub cluster: String,
    /// What its operator says about it.
    #[prost(message, optional, tag = "3")]
    pub metadata: Option<Struct>,
    /// Where it runs.
    #[prost(message, optional, tag = "4")]
    pub locality: Option<Locality>,
    /// What software it is, such as `envoy`.
    #[prost(string, tag = "6")]
    pub user_agent_name: String,
    /// Which version, as free text; or else `user_agent_build_version`.
    #[prost(string, optional, tag = "7")]
    pub user_agent_version: Option<String>,
    /// Which version, in numbers.
    #[prost(message, optional, tag = "8")]
    pub user_agent_build_version: Option<BuildVersion>,
    /// What it can do beyond the protocol, each by its well-known name.
    #[prost(string, repeated, tag = "10")]
    pub client_features: Vec<String>,
}

/// Where a client runs.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Locality {
    /// The region.
    #[prost(string, tag = "1")]
    pub region: String,
    /// The zone in the region.
    #[prost(string, tag = "2")]
    pub zone: String,
    /// The part of the zone.
    #[prost(string, tag = "3")]
    pub sub_zone: String,
}

/// A client's build; its metadata is not decoded.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct BuildVersion {
    /// The version in numbers.
    #[prost(message, optional, tag = "1")]
    pub version: Option<SemanticVersion>,
}

/// A version in numbers.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct SemanticVersion {
    /// The first number.
    #[prost(uint32, tag = "1")]
    pub major_number: u32,
    /// The second number.
    #[prost(uint32, tag = "2")]
    pub minor_number: u32,
    /// The third number.
    #[prost(uint32, tag = "3")]
    pub patch: u32,
}

/// `google.protobuf.Struct`, of which only string fields can be read.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Struct {
    /// The fields by name.
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, Value>,
}

/// `google.protobuf.Value`, decoded only if it is a string.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Value {
    /// The string, if the value is one.
    #[prost(string, optional, tag = "3")]
    pub string_value: Option<String>,
}
