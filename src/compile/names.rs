//! How a domain id becomes an Envoy resource name, in one place.
//!
//! Dashboards and stats of existing installations refer to these names.

use crate::model::{
    Certificate, Listener, ListenerProtocol, Mapping, NodeGroupId, Service, ServiceId,
};

/// The one runtime layer; the bootstrap asks for it by this name.
pub const RUNTIME_LAYER: &str = "marchproxy_runtime";

/// What the name of an authority has that its cluster's has not.
const AUTHORITY: &str = "_ca";

/// A service's Envoy cluster, and the endpoints of that cluster.
pub fn cluster(service: &Service) -> String {
    cluster_of(service.group, service.id)
}

fn cluster_of(group: NodeGroupId, service: ServiceId) -> String {
    format!("cluster_{group}_service_{service}")
}

/// The service of `group` whose cluster is called so.
pub fn service_of_cluster(group: NodeGroupId, cluster: &str) -> Option<ServiceId> {
    let (_, id) = cluster.rsplit_once('_')?;
    let id: ServiceId = id.parse::<i32>().ok()?.try_into().ok()?;
    (cluster_of(group, id) == cluster).then_some(id) // no other way to write it
}

/// The authority that signs a service's certificates.
pub fn authority(service: &Service) -> String {
    format!("{}{AUTHORITY}", cluster(service))
}

/// The service of `group` whose authority is called so.
pub fn service_of_authority(group: NodeGroupId, authority: &str) -> Option<ServiceId> {
    service_of_cluster(group, authority.strip_suffix(AUTHORITY)?)
}

/// A certificate and its key.
pub fn certificate(certificate: &Certificate) -> String {
    certificate.spec.name.to_string()
}

/// A listener.
pub fn listener(listener: &Listener) -> String {
    listener.spec.name.to_string()
}

/// The route configuration of an HTTP listener.
pub fn route_configuration(listener: &Listener) -> String {
    if listener.is_default {
        "marchproxy_routes".to_owned()
    } else {
        format!("routes_{}", listener.spec.name) // no name makes it the default one's
    }
}

/// The route of a mapping from one of its sources, or from whoever asks.
pub fn mapped_route(mapping: &Mapping, source: Option<&Service>, destination: &Service) -> String {
    let source = source.map_or("all".to_owned(), |source| source.id.to_string());
    format!("route_{}_{source}_{}", mapping.id, destination.id)
}

/// The prefix of a listener's statistics.
pub fn stat_prefix(listener: &Listener) -> String {
    if listener.is_default && listener.spec.protocol == ListenerProtocol::Http {
        "ingress_http".to_owned()
    } else {
        listener.spec.name.to_string()
    }
}
