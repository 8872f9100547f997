//! `marchproxy bootstrap`: what an Envoy needs to find this control plane.

use std::net::IpAddr;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::compile::names;
use crate::config::port;
use crate::model::{Host, Port};

/// Instead of a file: the authorities that the machine trusts.
const SYSTEM: &str = "system";

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

    /// Where an Envoy is to get what from.
    #[arg(long, value_enum, default_value_t)]
    sources: Sources,
    /// Makes the Envoy report how much it sends to each cluster.
    #[arg(long)]
    load_reports: bool,

    /// Where xDS is served: an IP address or a DNS name.
    #[arg(long, default_value = "127.0.0.1", value_parser = host)]
    xds_host: Host,

    /// The port there.
    #[arg(long, env = "XDS_GRPC_PORT", default_value = "18000", value_parser = port)]
    xds_port: Port,

    /// A node group's key, or a node token, that it proves itself with. It stands in
    /// the bootstrap as it is.
    #[arg(long, env = "XDS_TOKEN", hide_env_values = true)]
    token: Option<SecretString>,

    /// The authorities that the server's certificate may be from: a PEM file, or
    /// `system` for those that the machine trusts. xDS is plain text without.
    #[arg(long, value_name = "FILE|system")]
    tls_ca: Option<String>,

    /// Its client certificate: a PEM file.
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "tls_ca"])]
    tls_cert: Option<String>,

    /// The private key of that: a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<String>,

    /// What the server's certificate must be for; the host if not said.
    #[arg(long, value_parser = host, requires = "tls_ca")]
    tls_server_name: Option<Host>,

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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Sources {
    /// All types from one stream (ADS), in an order without gaps.
    #[default]
    Ads,
    /// Each type from a service of its own.
    Separate,
    /// Listeners from a service of their own; the rest follows from them.
    Lds,
}

impl BootstrapArgs {
    /// The bootstrap as text. The error names the option that cannot be.
    pub(super) fn bootstrap(&self) -> anyhow::Result<String> {
        if let Some(token) = &self.token {
            let good = |c: char| c.is_ascii_graphic();
            let token = token.expose_secret();
            ensure!(!token.is_empty() && token.chars().all(good), "--token is not a token");
        }
        let mut text = match self.format {
            Format::Yaml => {
                serde_saphyr::to_string(&self.envoy()).context("cannot write the bootstrap")?
            }
            Format::Json => serde_json::to_string_pretty(&self.envoy())?,
            Format::Grpc => {
                ensure!(!self.load_reports, "--load-reports is for an Envoy");
                serde_json::to_string_pretty(&self.grpc()?)?
            }
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
    fn grpc(&self) -> anyhow::Result<Value> {
        ensure!(
            self.token.is_none(),
            "--token (XDS_TOKEN) cannot be used with --format grpc: a gRPC client's bootstrap has \
             no place for it; use a client certificate (--tls-cert)"
        );
        ensure!(
            self.tls_server_name.is_none(),
            "--tls-server-name cannot be used with --format grpc: a gRPC client goes by --xds-host"
        );
        let host = match &self.xds_host {
            Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
            host @ (Host::Ip(IpAddr::V4(_)) | Host::Dns(_)) => host.to_string(),
        };
        let mut node = self.node();
        node["locality"] = json!({}); // grpc-js refuses a node without one
        Ok(json!({
            "xds_servers": [{
                "server_uri": format!("{host}:{}", self.xds_port),
                "channel_creds": [self.grpc_credentials()],
                "server_features": ["xds_v3"],
            }],
            "node": node,
        }))
    }

    /// See <https://github.com/grpc/proposal/blob/master/A65-xds-mtls-creds-in-bootstrap.md>.
    fn grpc_credentials(&self) -> Value {
        let Some(authorities) = &self.tls_ca else { return json!({ "type": "insecure" }) };
        let mut config = json!({});
        if authorities != SYSTEM {
            config["ca_certificate_file"] = json!(authorities);
        }
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            config["certificate_file"] = json!(certificate);
            config["private_key_file"] = json!(key);
        }
        json!({ "type": "tls", "config": config })
    }

    fn envoy(&self) -> Value {
        let config_source = match self.sources {
            Sources::Ads => json!({ "ads": {}, "resource_api_version": "V3" }),
            Sources::Separate | Sources::Lds => json!({
                "api_config_source": self.api_config_source(), "resource_api_version": "V3",
            }),
        };
        let mut dynamic_resources = json!({ "lds_config": config_source });
        match self.sources {
            Sources::Ads => {
                dynamic_resources["ads_config"] = self.api_config_source();
                dynamic_resources["cds_config"] = config_source.clone();
            }
            Sources::Separate => dynamic_resources["cds_config"] = config_source.clone(),
            Sources::Lds => {}
        }
        let mut bootstrap = json!({
            "node": self.node(),
            "dynamic_resources": dynamic_resources,
            "layered_runtime": { "layers": self.runtime_layers(&config_source) },
            "static_resources": { "clusters": [self.xds_cluster()] },
            "admin": { "address": socket(&self.admin_host.to_string(), self.admin_port) },
        });
        if self.load_reports {
            bootstrap["cluster_manager"] = json!({ "load_stats_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{ "envoy_grpc": { "cluster_name": "xds_cluster" } }],
            } });
        }
        bootstrap
    }

    fn grpc_service(&self) -> Value {
        let mut service = json!({ "envoy_grpc": { "cluster_name": "xds_cluster" } });
        if let Some(token) = &self.token {
            let value = format!("Bearer {}", token.expose_secret());
            service["initial_metadata"] = json!([{ "key": "authorization", "value": value }]);
        }
        service
    }

    /// The client's side of TLS, if there is to be any.
    fn transport_socket(&self) -> Option<Value> {
        let authorities = self.tls_ca.as_deref()?;
        let file = |name: &str| json!({ "filename": name });
        let name = self.tls_server_name.as_ref().unwrap_or(&self.xds_host);
        let san_type = match name {
            Host::Ip(_) => "IP_ADDRESS",
            Host::Dns(_) => "DNS",
        };
        let mut validation = json!({ "match_typed_subject_alt_names": [
            { "san_type": san_type, "matcher": { "exact": name.to_string() } },
        ] });
        if authorities == SYSTEM {
            validation["system_root_certs"] = json!({});
        } else {
            validation["trusted_ca"] = file(authorities);
        }
        let mut common = json!({ "alpn_protocols": ["h2"], "validation_context": validation });
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            common["tls_certificates"] =
                json!([{ "certificate_chain": file(certificate), "private_key": file(key) }]);
        }
        let mut context = json!({
            "@type": "type.googleapis.com/\
                envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": common,
        });
        if let Host::Dns(name) = name {
            context["sni"] = json!(name);
        }
        Some(json!({ "name": "envoy.transport_sockets.tls", "typed_config": context }))
    }

    fn api_config_source(&self) -> Value {
        json!({
            "api_type": match self.protocol {
                Protocol::Delta => "DELTA_GRPC",
                Protocol::Sotw => "GRPC",
            },
            "transport_api_version": "V3",
            // Otherwise each request, each ACK too, weighs 61 kB.
            "set_node_on_first_message_only": true,
            "grpc_services": [self.grpc_service()],
        })
    }

    fn runtime_layers(&self, config_source: &Value) -> Vec<Value> {
        // Envoy's own limit of 100 refuses regular expressions that
        // people write: with it, one route would take all down.
        let regex = json!({ "re2.max_program_size.error_level": u32::MAX });
        let mut layers = vec![json!({ "name": "static", "static_layer": regex })];
        match self.sources {
            Sources::Ads | Sources::Separate => layers.push(json!({
                "name": names::RUNTIME_LAYER,
                "rtds_layer": { "name": names::RUNTIME_LAYER, "rtds_config": config_source },
            })),
            Sources::Lds => {}
        }
        layers.push(json!({ "name": "admin", "admin_layer": {} }));
        layers
    }

    fn xds_cluster(&self) -> Value {
        let mut cluster = self.plain_xds_cluster();
        if let Some(socket) = self.transport_socket() {
            cluster["transport_socket"] = socket;
        }
        cluster
    }

    fn plain_xds_cluster(&self) -> Value {
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

    fn printed(arguments: &[&str]) -> Result<Value, String> {
        let arguments = ["bootstrap", "--format", "json"].iter().chain(arguments);
        let command = Command::try_parse_from(arguments).map_err(|e| e.to_string())?;
        let text = command.args.bootstrap().map_err(|e| e.to_string())?;
        Ok(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn an_envoy_is_told_what_to_prove_itself_with_and_whom_to_trust() {
        let socket = "/static_resources/clusters/0/transport_socket";
        let metadata = "/dynamic_resources/ads_config/grpc_services/0/initial_metadata";
        let plain = printed(&[]).unwrap();
        assert_eq!((plain.pointer(socket), plain.pointer(metadata)), (None, None));

        let arguments = ["--token", "mpn_x", "--tls-ca", "ca.pem", "--xds-host", "cp.example"];
        let bootstrap = printed(&arguments).unwrap();
        let want = json!([{ "key": "authorization", "value": "Bearer mpn_x" }]);
        assert_eq!(bootstrap.pointer(metadata), Some(&want));
        let context = &bootstrap.pointer(socket).unwrap()["typed_config"];
        assert_eq!(context["sni"], "cp.example");
        let validation = &context["common_tls_context"]["validation_context"];
        assert_eq!(validation["trusted_ca"]["filename"], "ca.pem");
        let san = json!([{ "san_type": "DNS", "matcher": { "exact": "cp.example" } }]);
        assert_eq!(validation["match_typed_subject_alt_names"], san);

        let arguments = ["--tls-ca", "system", "--tls-cert", "c.pem", "--tls-key", "k.pem"];
        let bootstrap = printed(&arguments).unwrap();
        let context = &bootstrap.pointer(socket).unwrap()["typed_config"];
        assert_eq!(context["sni"], Value::Null);
        let common = &context["common_tls_context"];
        assert_eq!(common["validation_context"]["system_root_certs"], json!({}));
        let own = json!([{
            "certificate_chain": { "filename": "c.pem" }, "private_key": { "filename": "k.pem" },
        }]);
        assert_eq!(common["tls_certificates"], own);
    }

    #[test]
    fn a_grpc_client_is_told_its_certificate() {
        let arguments = ["--format", "grpc", "--tls-ca", "a", "--tls-cert", "c", "--tls-key", "k"];
        let bootstrap = grpc(&arguments).unwrap();
        let files =
            json!({ "ca_certificate_file": "a", "certificate_file": "c", "private_key_file": "k" });
        let want = json!([{ "type": "tls", "config": files }]);
        assert_eq!(bootstrap["xds_servers"][0]["channel_creds"], want);
        let bootstrap = grpc(&["--format", "grpc", "--tls-ca", "system"]).unwrap();
        let want = json!([{ "type": "tls", "config": {} }]);
        assert_eq!(bootstrap["xds_servers"][0]["channel_creds"], want);
    }

    fn grpc(arguments: &[&str]) -> Result<Value, String> {
        let command = Command::parse_from(["bootstrap"].iter().chain(arguments));
        let text = command.args.bootstrap().map_err(|e| e.to_string())?;
        Ok(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        let table: [(&[&str], &str); 5] = [
            (&["--token", ""], "--token"),
            (&["--token", "a b"], "--token"),
            (&["--tls-cert", "c", "--tls-key", "k"], "--tls-ca"),
            (&["--tls-ca", "a", "--tls-cert", "c"], "--tls-key"),
            (&["--tls-server-name", "n"], "--tls-ca"),
        ];
        for (arguments, want) in table {
            let said = printed(arguments).unwrap_err();
            assert!(said.contains(want), "{arguments:?}: {said}");
        }
        for arguments in [["--token", "mpn_x"], ["--tls-server-name", "n"]] {
            let all = [&["--format", "grpc", "--tls-ca", "a"], &arguments[..]].concat();
            let said = grpc(&all).unwrap_err();
            assert!(said.contains(arguments[0]), "{arguments:?}: {said}");
        }
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

    #[test]
    fn load_is_reported_if_asked() {
        let bootstrap = |args: &[&str]| {
            let args = ["bootstrap", "--format"].iter().chain(args);
            let text = Command::parse_from(args).args.bootstrap()?;
            anyhow::Ok(serde_json::from_str::<Value>(&text)?)
        };
        assert_eq!(bootstrap(&["json"]).unwrap()["cluster_manager"], Value::Null);
        let with = bootstrap(&["json", "--load-reports"]).unwrap();
        let service = &with["cluster_manager"]["load_stats_config"]["grpc_services"][0];
        assert_eq!(service["envoy_grpc"]["cluster_name"], "xds_cluster");
        let error = bootstrap(&["grpc", "--load-reports"]).unwrap_err();
        assert!(error.to_string().contains("--load-reports"), "{error}");
    }
}
