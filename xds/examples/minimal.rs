//! The least that an Envoy needs: one listener, one route, one cluster, for ever.
//!
//! ```text
//! cargo run -p marchproxy-xds --example minimal
//! ```
//!
//! Point an Envoy at it with this bootstrap, `envoy -c envoy.yaml`; then requests to
//! port 10000 go to whatever listens on port 8080:
//!
//! ```yaml
//! node: {id: envoy-1, cluster: example}
//! dynamic_resources:
//!   ads_config:
//!     api_type: DELTA_GRPC            # or GRPC, for state of the world
//!     transport_api_version: V3
//!     set_node_on_first_message_only: true
//!     grpc_services: [{envoy_grpc: {cluster_name: xds}}]
//!   cds_config: {ads: {}, resource_api_version: V3}
//!   lds_config: {ads: {}, resource_api_version: V3}
//! static_resources:
//!   clusters:
//!   - name: xds
//!     type: STATIC
//!     connect_timeout: 1s
//!     typed_extension_protocol_options:
//!       envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
//!         "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
//!         explicit_http_config: {http2_protocol_options: {}}
//!     load_assignment:
//!       cluster_name: xds
//!       endpoints:
//!       - lb_endpoints:
//!         - endpoint:
//!             address: {socket_address: {address: 127.0.0.1, port_value: 18000}}
//! ```

use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3 as envoy_cluster;
use envoy_types::pb::envoy::config::core::v3 as envoy_core;
use envoy_types::pb::envoy::config::endpoint::v3 as envoy_endpoint;
use envoy_types::pb::envoy::config::listener::v3 as envoy_listener;
use envoy_types::pb::envoy::config::route::v3 as envoy_route;
use envoy_types::pb::envoy::extensions::filters::http::router::v3 as envoy_router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as envoy_hcm;
use envoy_types::pb::google::protobuf;
use marchproxy_xds::{
    Connection, DiscoveryServer, Event, Hello, Observer, Resource, ResourceType, Snapshot, Source,
};
use prost::Message;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;

const ADDRESS: &str = "127.0.0.1:18000";

/// Gives one snapshot to everyone.
struct Always(Arc<Snapshot>);

/// Prints what becomes of it.
struct Log(String);

impl Source for Always {
    async fn connect(&self, hello: Hello) -> Result<Connection, tonic::Status> {
        // A stream ends with its snapshots, so after the one they stay open.
        let snapshots = tokio_stream::once(self.0.clone()).chain(tokio_stream::pending());
        Ok(Connection {
            snapshots: Box::pin(snapshots),
            observer: Box::new(Log(hello.node.id)),
            withheld: Vec::new(),
            tag: None,
        })
    }
}

impl Observer for Log {
    fn observe(&mut self, event: Event) {
        eprintln!("{}: {event:?}", self.0);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let resources = [
        Resource::encode(ResourceType::Cluster, "web", &cluster("web"))
            .requiring(ResourceType::Endpoint, "web"),
        Resource::encode(ResourceType::Endpoint, "web", &endpoints("web", 8080)),
        Resource::encode(ResourceType::Route, "routes", &routes("routes", "web"))
            .requiring(ResourceType::Cluster, "web"),
        Resource::encode(ResourceType::Listener, "http", &listener("http", 10_000, "routes"))
            .requiring(ResourceType::Route, "routes"),
    ];
    let snapshot = Arc::new(Snapshot::new(1, resources)?);

    let stop = CancellationToken::new();
    let discovery = DiscoveryServer::new(Arc::new(Always(snapshot)), stop.clone());
    eprintln!("xDS on {ADDRESS}");
    tonic::transport::Server::builder()
        .add_routes(discovery.into_routes())
        .serve_with_shutdown(ADDRESS.parse()?, async {
            tokio::signal::ctrl_c().await.ok();
            stop.cancel(); // the streams end, and then the server does
        })
        .await?;
    Ok(())
}

/// A cluster whose endpoints come over the same stream.
fn cluster(name: &str) -> envoy_cluster::Cluster {
    use envoy_cluster::cluster::{ClusterDiscoveryType, DiscoveryType, EdsClusterConfig};

    envoy_cluster::Cluster {
        name: name.into(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        eds_cluster_config: Some(EdsClusterConfig {
            eds_config: Some(over_ads()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// One endpoint on this machine.
fn endpoints(cluster: &str, port: u32) -> envoy_endpoint::ClusterLoadAssignment {
    use envoy_endpoint::lb_endpoint::HostIdentifier;

    let endpoint = envoy_endpoint::Endpoint { address: Some(address(port)), ..Default::default() };
    envoy_endpoint::ClusterLoadAssignment {
        cluster_name: cluster.into(),
        endpoints: vec![envoy_endpoint::LocalityLbEndpoints {
            lb_endpoints: vec![envoy_endpoint::LbEndpoint {
                host_identifier: Some(HostIdentifier::Endpoint(endpoint)),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Everything to one cluster.
fn routes(name: &str, cluster: &str) -> envoy_route::RouteConfiguration {
    use envoy_route::route::Action;
    use envoy_route::route_action::ClusterSpecifier;
    use envoy_route::route_match::PathSpecifier;

    let action = envoy_route::RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.into())),
        ..Default::default()
    };
    envoy_route::RouteConfiguration {
        name: name.into(),
        virtual_hosts: vec![envoy_route::VirtualHost {
            name: "all".into(),
            domains: vec!["*".into()],
            routes: vec![envoy_route::Route {
                r#match: Some(envoy_route::RouteMatch {
                    path_specifier: Some(PathSpecifier::Prefix("/".into())),
                    ..Default::default()
                }),
                action: Some(Action::Route(action)),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// HTTP on a port of this machine, with routes that come over the same stream.
fn listener(name: &str, port: u32, routes: &str) -> envoy_listener::Listener {
    use envoy_hcm::http_connection_manager::RouteSpecifier;
    use envoy_hcm::http_filter::ConfigType as HttpFilterConfig;
    use envoy_listener::filter::ConfigType as FilterConfig;

    let router =
        any("envoy.extensions.filters.http.router.v3.Router", &envoy_router::Router::default());
    let manager = envoy_hcm::HttpConnectionManager {
        stat_prefix: name.into(),
        route_specifier: Some(RouteSpecifier::Rds(envoy_hcm::Rds {
            config_source: Some(over_ads()),
            route_config_name: routes.into(),
        })),
        http_filters: vec![envoy_hcm::HttpFilter {
            name: "router".into(),
            config_type: Some(HttpFilterConfig::TypedConfig(router)),
            ..Default::default()
        }],
        ..Default::default()
    };
    let manager = any(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        &manager,
    );
    envoy_listener::Listener {
        name: name.into(),
        address: Some(address(port)),
        filter_chains: vec![envoy_listener::FilterChain {
            filters: vec![envoy_listener::Filter {
                name: "http".into(),
                config_type: Some(FilterConfig::TypedConfig(manager)),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn over_ads() -> envoy_core::ConfigSource {
    use envoy_core::config_source::ConfigSourceSpecifier;

    envoy_core::ConfigSource {
        resource_api_version: envoy_core::ApiVersion::V3.into(),
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(Default::default())),
        ..Default::default()
    }
}

fn address(port: u32) -> envoy_core::Address {
    let socket = envoy_core::SocketAddress {
        address: "127.0.0.1".into(),
        port_specifier: Some(envoy_core::socket_address::PortSpecifier::PortValue(port)),
        ..Default::default()
    };
    envoy_core::Address { address: Some(envoy_core::address::Address::SocketAddress(socket)) }
}

fn any(name: &str, message: &impl Message) -> protobuf::Any {
    let type_url = format!("type.googleapis.com/{name}");
    protobuf::Any { type_url, value: message.encode_to_vec() }
}
