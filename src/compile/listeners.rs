//! A listener becomes a listener: HTTP, routed by RDS, or TCP to one cluster.

use envoy_types::pb::envoy::config::core::v3 as envoy_core;
use envoy_types::pb::envoy::config::listener::v3 as envoy_listener;
use envoy_types::pb::envoy::extensions::filters::http::on_demand::v3 as envoy_on_demand;
use envoy_types::pb::envoy::extensions::filters::http::router::v3 as envoy_router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as envoy_hcm;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as envoy_tcp;
use envoy_types::pb::envoy::r#type::v3 as envoy_hash;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use marchproxy_xds::{Resource, ResourceType};

use super::sources::ON_DEMAND;
use super::{Checked, Sources, certificates, names, wire};
use crate::model::{Host, Listener, ListenerProtocol, Service};

/// Compiles one listener.
pub(super) fn compile(listener: &Listener, checked: &Checked<'_>) -> Resource {
    let name = names::listener(listener);
    let (filter, requires) = match listener.spec.protocol {
        ListenerProtocol::Http => (
            filter(
                "envoy.filters.network.http_connection_manager",
                pack_any(http(listener, checked.sources)),
            ),
            (ResourceType::Route, names::route_configuration(listener)),
        ),
        ListenerProtocol::Tcp(id) => {
            let service = checked.service(id);
            (
                filter(
                    "envoy.filters.network.tcp_proxy",
                    pack_any(tcp(listener, service, checked.sources)),
                ),
                (ResourceType::Cluster, names::cluster(service)),
            )
        }
    };
    let certificate = listener.spec.certificate.map(|id| checked.certificate(id));
    let message = envoy_listener::Listener {
        name: name.clone(),
        address: Some(wire::address(&Host::Ip(listener.spec.address), listener.spec.port)),
        filter_chains: vec![envoy_listener::FilterChain {
            filters: vec![filter],
            transport_socket: certificate.map(|certificate| {
                certificates::transport_socket(listener, certificate, checked.sources)
            }),
            ..Default::default()
        }],
        traffic_direction: envoy_core::TrafficDirection::Inbound.into(),
        ..Default::default()
    };
    let (resource_type, required) = requires;
    let resource = Resource::encode(ResourceType::Listener, name, &message);
    let resource = resource.requiring(resource_type, required);
    match certificate {
        None => resource,
        Some(certificate) => {
            resource.requiring(ResourceType::Secret, names::certificate(certificate))
        }
    }
}

/// Reads requests and routes them by the listener's route configuration.
pub(super) fn http(listener: &Listener, sources: &Sources) -> envoy_hcm::HttpConnectionManager {
    use envoy_hcm::http_connection_manager::{CodecType, RouteSpecifier};
    let router =
        http_filter("envoy.filters.http.router", pack_any(envoy_router::Router::default()));
    envoy_hcm::HttpConnectionManager {
        codec_type: CodecType::Auto.into(),
        stat_prefix: names::stat_prefix(listener),
        route_specifier: Some(RouteSpecifier::Rds(envoy_hcm::Rds {
            config_source: Some(sources.source()),
            route_config_name: names::route_configuration(listener),
        })),
        http_filters: on_demand(sources).into_iter().chain([router]).collect(),
        // What Envoy advises for a proxy at the edge.
        use_remote_address: Some(wire::boolean(true)),
        normalize_path: Some(wire::boolean(true)),
        merge_slashes: true,
        ..Default::default()
    }
}

/// Makes a request wait for a cluster that is not there yet, and asks for it.
fn on_demand(sources: &Sources) -> Option<envoy_hcm::HttpFilter> {
    let config = envoy_on_demand::OnDemand {
        odcds: Some(envoy_on_demand::OnDemandCds {
            source: Some(sources.on_demand()?),
            timeout: Some(wire::duration(ON_DEMAND)),
            ..Default::default()
        }),
    };
    Some(http_filter("envoy.filters.http.on_demand", pack_any(config)))
}

fn tcp(listener: &Listener, service: &Service, sources: &Sources) -> envoy_tcp::TcpProxy {
    use envoy_hash::hash_policy::{PolicySpecifier, SourceIp};
    let by_client = envoy_hash::HashPolicy {
        policy_specifier: Some(PolicySpecifier::SourceIp(SourceIp::default())),
    };
    envoy_tcp::TcpProxy {
        stat_prefix: names::stat_prefix(listener),
        cluster_specifier: Some(envoy_tcp::tcp_proxy::ClusterSpecifier::Cluster(names::cluster(
            service,
        ))),
        idle_timeout: Some(wire::duration(service.spec.timeouts.idle)),
        hash_policy: if service.spec.load_balancing.is_by_client() {
            vec![by_client]
        } else {
            vec![]
        },
        on_demand: sources.on_demand().map(|source| envoy_tcp::tcp_proxy::OnDemand {
            odcds_config: Some(source),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn http_filter(name: &str, config: Any) -> envoy_hcm::HttpFilter {
    envoy_hcm::HttpFilter {
        name: name.to_owned(),
        config_type: Some(envoy_hcm::http_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    }
}

fn filter(name: &str, config: Any) -> envoy_listener::Filter {
    envoy_listener::Filter {
        name: name.to_owned(),
        config_type: Some(envoy_listener::filter::ConfigType::TypedConfig(config)),
    }
}
