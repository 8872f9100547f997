//! Where the resources of a snapshot say that others come from.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as envoy_core;
use marchproxy_xds::Protocol;

use super::wire;
use crate::model::Name;

/// How long a request waits for a cluster that it is the first to need: as long
/// as Envoy's own default, which it says nowhere.
pub(super) const ON_DEMAND: Duration = Duration::from_secs(5);

/// The metadata of a call that says which protocol its client's other streams
/// speak: `sotw` or `delta`. Not there, it is that of the call.
///
/// Clusters on demand come by delta even if all else is state of the world, and
/// a cluster must read the same on either way: otherwise each update of the one
/// would undo the other's.
pub const REST_BY: &str = "x-marchproxy-rest-by";

/// Where a client gets what the resources in its snapshot refer to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sources {
    /// From the stream that it is on.
    Aggregated,
    /// From a service for each type.
    Separate {
        /// What the client's bootstrap calls the cluster of this control plane.
        cluster: Name,
        /// How those services are to talk.
        protocol: Protocol,
    },
}

impl Sources {
    /// Where routes, endpoints and secrets come from.
    pub(super) fn source(&self) -> envoy_core::ConfigSource {
        match self {
            Self::Aggregated => wire::over_ads(),
            Self::Separate { cluster, protocol } => over_grpc(cluster, *protocol, vec![]),
        }
    }

    /// Where clusters come from that a request is the first to need, if those
    /// have to be asked for one by one. Envoy can do that by delta only.
    pub(super) fn on_demand(&self) -> Option<envoy_core::ConfigSource> {
        let Self::Separate { cluster, protocol } = self else { return None };
        let rest_by = match protocol {
            Protocol::Sotw => "sotw",
            Protocol::Delta => "delta",
        };
        let rest_by = envoy_core::HeaderValue {
            key: REST_BY.to_owned(),
            value: rest_by.to_owned(),
            ..Default::default()
        };
        Some(over_grpc(cluster, Protocol::Delta, vec![rest_by]))
    }
}

fn over_grpc(
    cluster: &Name,
    protocol: Protocol,
    initial_metadata: Vec<envoy_core::HeaderValue>,
) -> envoy_core::ConfigSource {
    use envoy_core::api_config_source::ApiType;
    use envoy_core::config_source::ConfigSourceSpecifier;
    use envoy_core::grpc_service::{EnvoyGrpc, TargetSpecifier};
    let api_type = match protocol {
        Protocol::Sotw => ApiType::Grpc,
        Protocol::Delta => ApiType::DeltaGrpc,
    };
    let target = EnvoyGrpc { cluster_name: cluster.as_str().to_owned(), ..Default::default() };
    let service = envoy_core::GrpcService {
        target_specifier: Some(TargetSpecifier::EnvoyGrpc(target)),
        initial_metadata,
        ..Default::default()
    };
    let source = envoy_core::ApiConfigSource {
        api_type: api_type.into(),
        transport_api_version: envoy_core::ApiVersion::V3.into(),
        grpc_services: vec![service],
        // Otherwise each request, each ACK too, weighs 61 kB.
        set_node_on_first_message_only: true,
        ..Default::default()
    };
    envoy_core::ConfigSource {
        resource_api_version: envoy_core::ApiVersion::V3.into(),
        config_source_specifier: Some(ConfigSourceSpecifier::ApiConfigSource(source)),
        ..Default::default()
    }
}
