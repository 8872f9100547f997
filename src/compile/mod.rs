//! Floor 1, pure: desired state in, snapshot out.
//!
//! The same desired state gives the same bytes, in whatever order its rows
//! come: everything is sorted by name, and no map with an order of chance is
//! encoded. What does not compile is never stored, so every reference that
//! Envoy would only trip over at run time is checked here.

mod api_listeners;
pub mod blame;
mod certificates;
mod clusters;
mod listeners;
mod mappings;
pub mod names;
mod routes;
mod runtime;
mod sources;
mod wire;

use std::collections::{BTreeMap, HashMap};

use marchproxy_xds::{Resource, ResourceType, Snapshot, SnapshotError};

pub use sources::{REST_BY, Sources};

use crate::error::Error;
use crate::model::{
    Certificate, CertificateId, DesiredState, Invalid, Listener, ListenerId, ListenerProtocol,
    Mapping, MappingId, Noun, Protocol, Route, Service, ServiceId,
};

/// The types of resources that a snapshot may hold, in push order.
pub const TYPES: [ResourceType; 6] = [
    ResourceType::Runtime,
    ResourceType::Secret,
    ResourceType::Cluster,
    ResourceType::Endpoint,
    ResourceType::Listener,
    ResourceType::Route,
];

/// Why a desired state has no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Two listeners would bind the same port.
    #[error("listeners {one} and {other} would both bind port {port}")]
    PortClash {
        /// The listener that was there first.
        one: String,
        /// The other.
        other: String,
        /// What both want.
        port: u16,
    },
    /// Two services would answer to the same host.
    #[error("services {one} and {other} would both answer to host {host}")]
    HostClash {
        /// The service that was there first.
        one: String,
        /// The other.
        other: String,
        /// What both are called, but for case.
        host: String,
    },
    /// A route sends requests to a service that speaks no HTTP.
    #[error("route {route} sends requests to service {service}, which is not HTTP")]
    NotHttp {
        /// The route.
        route: String,
        /// The service.
        service: String,
    },
    /// A listener hands connections on to a service that takes none.
    #[error("listener {listener} hands connections on to service {service}, which takes datagrams")]
    NotTcp {
        /// The listener.
        listener: String,
        /// The service.
        service: String,
    },
    /// A route stands on a listener that reads no requests.
    #[error("route {route} is on listener {listener}, which is not HTTP")]
    NotRouted {
        /// The route.
        route: String,
        /// The listener.
        listener: String,
    },
    /// Two secrets would have one name.
    #[error("certificate {certificate} is called as the authority of service {service}")]
    SecretClash {
        /// The certificate.
        certificate: String,
        /// The service.
        service: String,
    },
    /// A certificate whose key nobody opened: a fault of ours.
    #[error("the key of certificate {0} is sealed")]
    Sealed(String),
    /// Something refers to what is not there.
    #[error("{what} refers to a {kind} that is not in this group")]
    Dangling {
        /// What refers.
        what: String,
        /// To which noun.
        kind: &'static str,
    },
    /// The resources do not fit together: a fault of this floor.
    #[error("the compiled snapshot is inconsistent")]
    Inconsistent(#[from] SnapshotError),
}

impl CompileError {
    /// What is to blame, if it is something that people configure: the noun and the name,
    /// first that which more likely is.
    pub fn culprits(&self) -> Vec<(Noun, &str)> {
        match self {
            Self::PortClash { one, other, .. } => {
                vec![(Noun::Listener, other), (Noun::Listener, one)]
            }
            Self::HostClash { one, other, .. } => {
                vec![(Noun::Service, other), (Noun::Service, one)]
            }
            Self::NotHttp { route, service } => {
                vec![(Noun::Service, service), (Noun::Route, route)]
            }
            Self::NotTcp { listener, service } => {
                vec![(Noun::Service, service), (Noun::Listener, listener)]
            }
            Self::NotRouted { route, listener } => {
                vec![(Noun::Listener, listener), (Noun::Route, route)]
            }
            Self::SecretClash { service, .. } => vec![(Noun::Service, service)],
            Self::Sealed(_) | Self::Dangling { .. } | Self::Inconsistent(_) => vec![],
        }
    }
}

impl From<CompileError> for Error {
    fn from(e: CompileError) -> Self {
        let field = match &e {
            CompileError::PortClash { .. } => "port",
            CompileError::HostClash { .. } | CompileError::SecretClash { .. } => "name",
            CompileError::NotHttp { .. } | CompileError::NotTcp { .. } => "protocol",
            CompileError::NotRouted { .. } => "listener",
            CompileError::Dangling { kind, .. } => kind,
            CompileError::Inconsistent(_) | CompileError::Sealed(_) => return Self::internal(e),
        };
        Self::Invalid(Invalid::new(field, e))
    }
}

/// A desired state whose references are known to hold.
///
/// Of services, mappings and certificates it has those that are active.
struct Checked<'a> {
    sources: &'a Sources,
    services: BTreeMap<ServiceId, &'a Service>,
    listeners: BTreeMap<ListenerId, &'a Listener>,
    routes: Vec<&'a Route>,
    mappings: BTreeMap<MappingId, &'a Mapping>,
    certificates: BTreeMap<CertificateId, &'a Certificate>,
}

/// Compiles what one node group's proxies are to be given over ADS.
pub fn compile(state: &DesiredState) -> Result<Snapshot, CompileError> {
    compile_for(state, &Sources::Aggregated)
}

/// Compiles what those of them are to be given that have these sources.
///
/// What compiles for one kind of source compiles for all.
pub fn compile_for(state: &DesiredState, sources: &Sources) -> Result<Snapshot, CompileError> {
    let checked = Checked::new(state, sources)?;
    let mut resources: Vec<Resource> = vec![runtime::layer(&state.group)];
    for service in checked.services.values().filter(|s| s.spec.protocol != Protocol::Udp) {
        clusters::compile(service, sources, &mut resources);
    }
    for certificate in checked.certificates.values() {
        resources.push(certificates::compile(certificate)?);
    }
    for listener in checked.listeners.values() {
        resources.push(listeners::compile(listener, &checked));
        if listener.spec.protocol == ListenerProtocol::Http {
            let hosts = routes::by_host(listener, &checked)?;
            resources.push(routes::compile(listener, &hosts, &checked));
            resources.extend(api_listeners::compile(listener, &hosts, &checked));
        }
    }
    if !state.group.spec.is_active {
        resources.truncate(1); // The layer stays: Envoys ask for it by name.
    }
    Ok(Snapshot::new(state.group.revision.as_u64(), resources)?)
}

impl<'a> Checked<'a> {
    fn new(state: &'a DesiredState, sources: &'a Sources) -> Result<Self, CompileError> {
        let mut routes: Vec<&Route> = state.routes.iter().collect();
        routes.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        let checked = Self {
            sources,
            services: state
                .services
                .iter()
                .filter(|service| service.spec.is_active)
                .map(|service| (service.id, service))
                .collect(),
            listeners: state.listeners.iter().map(|listener| (listener.id, listener)).collect(),
            routes,
            mappings: state
                .mappings
                .iter()
                .filter(|mapping| mapping.spec.is_active)
                .map(|mapping| (mapping.id, mapping))
                .collect(),
            certificates: state
                .certificates
                .iter()
                .filter(|certificate| certificate.spec.is_active)
                .map(|certificate| (certificate.id, certificate))
                .collect(),
        };
        certificates::check(&checked)?;
        checked.check_listeners()?;
        checked.check_routes()?;
        mappings::check(state)?;
        Ok(checked)
    }

    fn check_listeners(&self) -> Result<(), CompileError> {
        let mut by_port: HashMap<u16, Vec<&Listener>> = HashMap::new();
        for listener in self.listeners.values() {
            if let ListenerProtocol::Tcp(service) = listener.spec.protocol {
                self.check_tcp(listener, service)?;
            }
            if let Some(id) = listener.spec.certificate
                && !self.certificates.contains_key(&id)
            {
                let what = format!("listener {}", listener.spec.name);
                return Err(CompileError::Dangling { what, kind: "certificate" });
            }
            let port = listener.spec.port.get();
            let same_port = by_port.entry(port).or_default();
            if let Some(one) = same_port.iter().find(|l| l.spec.clashes_with(&listener.spec)) {
                let (one, other) = (one.spec.name.to_string(), listener.spec.name.to_string());
                return Err(CompileError::PortClash { one, other, port });
            }
            same_port.push(listener);
        }
        Ok(())
    }

    fn check_tcp(&self, listener: &Listener, service: ServiceId) -> Result<(), CompileError> {
        match self.services.get(&service) {
            None => {
                let what = format!("listener {}", listener.spec.name);
                Err(CompileError::Dangling { what, kind: "service" })
            }
            Some(service) if service.spec.protocol == Protocol::Udp => {
                let (listener, service) = (&listener.spec.name, &service.spec.name);
                let (listener, service) = (listener.to_string(), service.to_string());
                Err(CompileError::NotTcp { listener, service })
            }
            Some(_) => Ok(()),
        }
    }

    fn check_routes(&self) -> Result<(), CompileError> {
        for route in &self.routes {
            let name = || route.spec.name.to_string();
            let dangling =
                |kind| CompileError::Dangling { what: format!("route {}", name()), kind };
            let listener =
                self.listeners.get(&route.spec.listener).ok_or_else(|| dangling("listener"))?;
            if listener.spec.protocol != ListenerProtocol::Http {
                let listener = listener.spec.name.to_string();
                return Err(CompileError::NotRouted { route: name(), listener });
            }
            for service in route.spec.services() {
                let service = self.services.get(&service).ok_or_else(|| dangling("service"))?;
                if !service.spec.speaks_http() {
                    let service = service.spec.name.to_string();
                    return Err(CompileError::NotHttp { route: name(), service });
                }
            }
        }
        Ok(())
    }

    /// The certificate of this id, which the check has seen.
    fn certificate(&self, id: CertificateId) -> &'a Certificate {
        self.certificates.get(&id).expect("references were checked")
    }

    /// The service of this id, which the check has seen.
    fn service(&self, id: ServiceId) -> &'a Service {
        self.services.get(&id).expect("references were checked")
    }
}

#[cfg(test)]
mod tests;
