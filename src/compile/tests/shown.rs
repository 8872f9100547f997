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
use envoy_types::pb::envoy::extensions::filters::http::on_demand::v3::OnDemand;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{Secret, UpstreamTlsContext};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::service::runtime::v3::Runtime;
use envoy_types::pb::google::protobuf::Any;
use marchproxy_xds::{Resource, ResourceType, Snapshot};
use prost::{Message, Name};

/// What an unset field prints.
const UNSET: [&str; 7] = ["None", "\"\"", "0", "0.0", "false", "[]", "{}"];

/// The same for enumerations, which print the name of their first value.
const UNSET_ENUMS: [&str; 15] = [
    "cluster_not_found_response_code: ServiceUnavailable",
    "drain_type: Default",
    "forward_client_cert_details: Sanitize",
    "headers_with_underscores_action: Allow",
    "health_status: Unknown",
    "internal_redirect_action: PassThroughInternalRedirect",
    "method: MethodUnspecified",
    "path_with_escaped_slashes_action: ImplementationSpecificDefault",
    "priority: Default",
    "protocol: Tcp",
    "protocol_selection: UseConfiguredProtocol",
    "proxy_protocol_tlv_merge_policy: AddIfAbsent",
    "server_header_transformation: Overwrite",
    "trust_chain_verification: VerifyTrustChain",
    "upstream_connect_mode: Immediate",
];

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
            node.inside.iter().for_each(|field| field.write(0, "", &mut out));
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

/// `Debug` of the message that an `Any` holds.
fn unpacked(type_url: &str, bytes: &[u8]) -> String {
    macro_rules! first_of {
        ($($message:ty),+) => {
            $(if type_url == <$message>::type_url() {
                return format!("{:#?}", <$message>::decode(bytes).unwrap());
            })+
        };
    }
    first_of!(Cluster, ClusterLoadAssignment, Listener, RouteConfiguration, Secret, Runtime);
    first_of!(
        HttpConnectionManager,
        OnDemand,
        Router,
        TcpProxy,
        UpstreamTlsContext,
        HttpProtocolOptions
    );
    panic!("add {type_url} to this list")
}

/// Reads lines up to the bracket that closes them.
fn nodes(lines: &mut Lines<'_>) -> Vec<Node> {
    let mut found = vec![];
    while let Some(line) = lines.next() {
        let line = line.trim().trim_end_matches(',');
        if matches!(line, "}" | ")" | "]") {
            break;
        }
        let bracket = line.chars().last().filter(|c| matches!(c, '{' | '(' | '['));
        let inside = if bracket.is_some() { nodes(lines) } else { vec![] };
        let label = line.trim_end_matches(['{', '(', '[', ' ']).to_owned();
        let node = Node { label, bracket, inside };
        if !node.is_unset() {
            found.push(node.simplified());
        }
    }
    found
}

impl Node {
    /// Whether this is a field, and one that nobody set.
    fn is_unset(&self) -> bool {
        let value = self.label.split_once(": ").map(|(_, value)| value);
        UNSET_ENUMS.contains(&&*self.label) || value.is_some_and(|value| UNSET.contains(&value))
    }

    /// Puts a wrapper and what it wraps on one line.
    fn simplified(mut self) -> Self {
        let label = self.label.clone();
        let (before, last) = label.rsplit_once(' ').unwrap_or(("", &label));
        match (self.bracket, last) {
            (Some('('), "Some") => self.replaced(before),
            (Some('('), _) if self.inside.len() == 1 => {
                let repeated = self.inside[0].label == last;
                let before = if repeated { before } else { &label };
                self.replaced(before)
            }
            (Some('{'), "Any") => {
                let bytes = self.field("value").map_or(&[][..], |value| &value.inside);
                let bytes: Vec<u8> = bytes.iter().map(|b| b.label.parse().unwrap()).collect();
                let type_url = self.value("type_url", "").trim_matches('"');
                let inside = nodes(&mut unpacked(type_url, &bytes).lines());
                Self { inside, ..self }.replaced(before)
            }
            (Some('{'), "Duration") => {
                let part = |name| self.value(name, "0").parse::<f64>().unwrap();
                Self::leaf(&format!("{before} {}s", part("seconds") + part("nanos") / 1e9))
            }
            (Some('{'), "UInt32Value") => {
                Self::leaf(&format!("{before} {}", self.value("value", "0")))
            }
            (Some('{'), "BoolValue") => {
                Self::leaf(&format!("{before} {}", self.value("value", "false")))
            }
            // A map, whose order is chance.
            (Some('{'), _) if self.label.ends_with(':') => {
                self.inside.sort_by(|a, b| a.label.cmp(&b.label));
                self
            }
            _ => self,
        }
    }

    fn leaf(label: &str) -> Self {
        Self { label: label.trim().to_owned(), bracket: None, inside: vec![] }
    }

    /// The one node inside, behind the text that stood before.
    fn replaced(mut self, before: &str) -> Self {
        let only = self.inside.remove(0);
        Self { label: format!("{before} {}", only.label).trim().to_owned(), ..only }
    }

    fn field(&self, name: &str) -> Option<&Self> {
        self.inside.iter().find(|node| node.label.split(':').next() == Some(name))
    }

    fn value(&self, name: &str, unset: &'static str) -> &str {
        self.field(name).and_then(|field| field.label.split_once(": ")).map_or(unset, |(_, v)| v)
    }

    fn write(&self, depth: usize, bullet: &str, out: &mut String) {
        *out += &format!("{:1$}{bullet}{2}", "", depth * 2, self.label);
        let mut last = self;
        while let (Some('{'), [only]) = (last.bracket, last.inside.as_slice()) {
            *out += &format!(" {}", only.label);
            last = only;
        }
        out.push('\n');
        let bullet = if last.bracket == Some('[') { "- " } else { "" };
        last.inside.iter().for_each(|node| node.write(depth + 1, bullet, out));
    }
}
