//! `marchproxy bootstrap`: what an Envoy needs to find this control plane.

use std::net::IpAddr;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::compile::names;
use crate::config::port;
use crate::model::{Host, Port};

/// What the bootstrap is to say.
#[derive(Debug, Args)]
pub(super) struct BootstrapArgs {
    /// The Envoy's own name; `cluster-<id>` makes it belong to that node group,
    /// whatever else it says. `cluster-1` if no `--node-cluster` is given.
    #[arg(long)]
    node_id: Option<String>,

    /// Its `node.cluster`; a node group's name makes it belong to that group.
    #[arg(long, requires = "node_id")]
    node_cluster: Option<String>,

    /// How it is to be written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// How it is to talk: what has changed, or the state of the world.
    #[arg(long, value_enum, default_value_t)]
    protocol: Protocol,

    /// Where xDS is served: an IP address or a DNS name.
    #[arg(long, default_value = "127.0.0.1", value_parser = host)]
    xds_host: Host,

    /// The port there.
    #[arg(long, env = "XDS_GRPC_PORT", default_value = "18000", value_parser = port)]
    xds_port: Port,

    /// The IP address that Envoy's admin page is served on.
    #[arg(long, default_value = "127.0.0.1")]
    admin_host: IpAddr,

    /// The port there.
    #[arg(long, default_value = "9901", value_parser = port)]
    admin_port: Port,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For an Envoy.
    #[default]
    Yaml,
    /// For an Envoy.
    Json,
    /// For a gRPC client that needs no proxy: what `GRPC_XDS_BOOTSTRAP` names.
    Grpc,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Protocol {
    #[default]
    Delta,
    Sotw,
}

impl BootstrapArgs {
    /// The bootstrap as text.
    pub(super) fn bootstrap(&self) -> anyhow::Result<String> {
        let mut text = match self.format {
            Format::Yaml => {
                serde_saphyr::to_string(&self.envoy()).context("cannot write the bootstrap")?
            }
            Format::Json => serde_json::to_string_pretty(&self.envoy())?,
            Format::Grpc => serde_json::to_string_pretty(&self.grpc())?,
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text)
    }

    /// Envoy wants both before it talks to anybody.
    fn node(&self) -> Value {
        let id = self.node_id.as_deref().unwrap_or("cluster-1");
        let cluster = self.node_cluster.as_deref().unwrap_or("marchproxy");
        json!({ "id": id, "cluster": cluster })
    }

    /// See <https://github.com/grpc/proposal/blob/master/A27-xds-global-load-balancing.md>.
    fn grpc(&self) -> Value {
        let host = match &self.xds_host {
            Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
            host @ (Host::Ip(IpAddr::V4(_)) | Host::Dns(_)) => host.to_string(),
        };
        let mut node = self.node();
        node["locality"] = json!({}); // grpc-js refuses a node without one
        json!({
            "xds_servers": [{
                "server_uri": format!("{host}:{}", self.xds_port),
                "channel_creds": [{ "type": "insecure" }],
                "server_features": ["xds_v3"],
            }],
            "node": node,
        })
    }

    fn envoy(&self) -> Value {
        let ads = json!({ "ads": {}, "resource_api_version": "V3" });
        json!({
            "node": self.node(),
            "dynamic_resources": {
                "ads_config": {
                    "api_type": match self.protocol {
                        Protocol::Delta => "DELTA_GRPC",
                        Protocol::Sotw => "GRPC",
                    },
                    "transport_api_version": "V3",
                    // Otherwise each request, each ACK too, weighs 61 kB.
                    "set_node_on_first_message_only": true,
                    "grpc_services": [{ "envoy_grpc": { "cluster_name": "xds_cluster" } }],
                },
                "cds_config": ads,
                "lds_config": ads,
            },
            "layered_runtime": { "layers": [
                // Envoy's own limit of 100 refuses regular expressions that
                // people write: with it, one route would take all down.
                { "name": "static", "static_layer": {
                    "re2.max_program_size.error_level": u32::MAX,
                } },
                { "name": names::RUNTIME_LAYER, "rtds_layer": {
                    "name": names::RUNTIME_LAYER, "rtds_config": ads,
                } },
                { "name": "admin", "admin_layer": {} },
            ] },
            "static_resources": { "clusters": [self.xds_cluster()] },
            "admin": { "address": socket(&self.admin_host.to_string(), self.admin_port) },
        })
    }

    fn xds_cluster(&self) -> Value {
        let endpoint = json!({ "address": socket(&self.xds_host.to_string(), self.xds_port) });
        json!({
            "name": "xds_cluster",
            "type": match self.xds_host {
                Host::Ip(_) => "STATIC",
                Host::Dns(_) => "STRICT_DNS",
            },
            "connect_timeout": "1s",
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/\
                        envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": { "http2_protocol_options": {
                        "connection_keepalive": { "interval": "30s", "timeout": "5s" },
                    } },
                },
            },
            "load_assignment": {
                "cluster_name": "xds_cluster",
                "endpoints": [{ "lb_endpoints": [{ "endpoint": endpoint }] }],
            },
        })
    }
}

fn socket(address: &str, port: Port) -> Value {
    json!({ "socket_address": { "address": address, "port_value": port.get() } })
}

fn host(host: &str) -> anyhow::Result<Host> {
    Ok(Host::try_from(host.to_owned())?)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: BootstrapArgs,
    }

    #[test]
    fn yaml_and_json_say_the_same() {
        let bootstrap = |format| {
            let args = ["bootstrap", "--node-id", "cluster-7", "--format", format];
            Command::parse_from(args).args.bootstrap().unwrap()
        };
        let json: Value = serde_json::from_str(&bootstrap("json")).unwrap();
        let yaml: Value = serde_saphyr::from_str(&bootstrap("yaml")).unwrap();
        assert_eq!(yaml, json);
        assert_eq!(json["node"]["id"], "cluster-7");
    }
}
