//! Envoy's messages, written down for people.
//!
//! The messages know no format but `Debug`, which shows every field that is not
//! set. So `Debug`'s lines become a tree, from which the unset fields and the
//! `Some`s are cut; an `Any` is replaced by what is packed in it.

use std::str::Lines;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{Secret, UpstreamTlsContext};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::service::runtime::v3::Runtime;
use envoy_types::pb::google::protobuf::Any;
use marchproxy_xds::{Resource, ResourceType, Snapshot};
use prost::{Message, Name};

/// Enumerations print their default, too.
const UNSET: [&str; 9] = ["None", "\"\"", "0", "0.0", "false", "[]", "{}", "Tcp", "Default"];

/// One line of `Debug`, and the lines between it and its closing bracket.
struct Node {
    label: String,
    bracket: Option<char>,
    inside: Vec<Self>,
}

/// Writes down the resources of these types, in push order.
pub(super) fn shown(snapshot: &Snapshot, types: &[ResourceType]) -> String {
    let mut out = String::new();
    for resource in types.iter().flat_map(|of_type| snapshot.resources(*of_type)) {
        out.push_str(&format!("--- {} {}\n", resource.resource_type(), resource.name()));
        for (resource_type, name) in resource.requires() {
            out.push_str(&format!("    requires {resource_type} {name}\n"));
        }
        let any = any(resource);
        for node in nodes(&mut unpacked(&any.type_url, &any.value).lines()) {
            node.inside.iter().for_each(|field| field.write(0, &mut out));
        }
    }
    out
}

/// The message in a resource's body.
pub(super) fn message<M: Message + Default>(resource: &Resource) -> M {
    M::decode(any(resource).value.as_slice()).unwrap()
}

fn any(resource: &Resource) -> Any {
    Any::decode(resource.body().as_ref()).unwrap()
}

fn unpacked(type_url: &str, bytes: &[u8]) -> String {
    macro_rules! first_of {
        ($($message:ty),+) => {
            $(if type_url == <$message>::type_url() {
                return format!("{:#?}", <$message>::decode(bytes).unwrap());
            })+
        };
    }
    first_of!(Cluster, ClusterLoadAssignment, Listener, RouteConfiguration, Secret, Runtime);
    first_of!(HttpConnectionManager, Router, TcpProxy, UpstreamTlsContext, HttpProtocolOptions);
    panic!("add {type_url} to this list")
}

/// Reads lines up to the bracket that closes them.
fn nodes(lines: &mut Lines<'_>) -> Vec<Node> {
    let mut nodes = vec![];
    while let Some(line) = lines.next() {
        let line = line.trim().trim_end_matches(',');
        if matches!(line, "}" | ")" | "]") {
            break;
        }
        let bracket = line.chars().last().filter(|c| matches!(c, '{' | '(' | '['));
        let inside = if bracket.is_some() { nodes_inside(lines) } else { vec![] };
        let label = line.trim_end_matches(['{', '(', '[', ' ']).to_owned();
        let node = Node { label, bracket, inside }.simplified();
        if !node.is_unset() {
            nodes.push(node);
        }
    }
    nodes
}

fn nodes_inside(lines: &mut Lines<'_>) -> Vec<Node> {
    nodes(lines)
}
