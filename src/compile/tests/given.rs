//! Small states to compile: one group, and what a test adds to it.

use std::fmt::Debug;

use chrono::{DateTime, Utc};

use crate::model::Labels;
use crate::model::{
    Backend, Certificate, CertificateKey, CertificateSource, CertificateSpec, DesiredState,
    Endpoint, Forward, HttpVersion, KeyPair, Listener, ListenerProtocol, ListenerSpec,
    LoadBalancing, Mapping, MappingProtocol, MappingSpec, NodeGroup, NodeGroupSpec, PathMatch,
    Protocol, RenewBefore, Route, RouteAction, RouteSpec, Service, ServiceSpec, Services, Timeouts,
};

const EPOCH: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// Parses what a test wrote down.
pub(in crate::compile) fn text<T: TryFrom<String, Error: Debug>>(text: &str) -> T {
    text.to_owned().try_into().unwrap()
}

/// Parses a number that a test wrote down.
pub(in crate::compile) fn number<T: TryFrom<i32, Error: Debug>>(number: i32) -> T {
    number.try_into().unwrap()
}

/// A group with the listener that it has from the start, and nothing else.
pub(in crate::compile) fn state() -> DesiredState {
    let spec = NodeGroupSpec::named(text(NodeGroupSpec::DEFAULT_NAME));
    let group = NodeGroup {
        id: number(1),
        is_default: true,
        revision: 1_i64.into(),
        created_by: None,
        spec,
        settings_revision: Default::default(),
        created_at: EPOCH,
        updated_at: EPOCH,
    };
    let default = Listener {
        is_default: true,
        ..listener(1, ListenerSpec::DEFAULT_NAME, ListenerSpec::DEFAULT_PORT)
    };
    DesiredState {
        group,
        services: vec![],
        routes: vec![],
        listeners: vec![default],
        mappings: vec![],
        certificates: vec![],
    }
}

/// The group with these services.
pub(in crate::compile) fn serving(services: impl Into<Vec<Service>>) -> DesiredState {
    DesiredState { services: services.into(), ..state() }
}

/// The group with service 1, `api`, and these routes.
pub(in crate::compile) fn routing(routes: impl Into<Vec<Route>>) -> DesiredState {
    DesiredState { routes: routes.into(), ..serving([service(1, "api", &["10.0.0.1:80"])]) }
}

/// An HTTP service with these endpoints, as in `10.0.0.1:80`.
pub(in crate::compile) fn service(id: i32, name: &str, endpoints: &[&str]) -> Service {
    let spec = ServiceSpec {
        labels: Labels::NONE,
        name: text(name),
        protocol: Protocol::Http(HttpVersion::Http1),
        endpoints: endpoints.iter().map(|endpoint| self::endpoint(endpoint)).collect(),
        load_balancing: LoadBalancing::RoundRobin,
        timeouts: Timeouts {
            connect: number(5000),
            request: number(15_000),
            idle: number(3_600_000),
        },
        health_check: None,
        tls: None,
        collection: None,
        auth: Default::default(),
        metadata: None,
        is_active: true,
    };
    Service {
        id: number(id),
        group: number(1),
        created_by: None,
        spec,
        revision: Default::default(),
        created_at: EPOCH,
        updated_at: EPOCH,
    }
}

/// A TCP service with one endpoint.
pub(in crate::compile) fn tcp_service(id: i32, name: &str, endpoint: &str) -> Service {
    let mut service = service(id, name, &[endpoint]);
    service.spec.protocol = Protocol::Tcp;
    service
}

/// An endpoint, as in `10.0.0.1:80`.
pub(in crate::compile) fn endpoint(endpoint: &str) -> Endpoint {
    let (host, port) = endpoint.rsplit_once(':').unwrap();
    Endpoint { host: text(host), port: number(port.parse().unwrap()), weight: number(1) }
}

/// An HTTP listener on every IPv4 address.
pub(in crate::compile) fn listener(id: i32, name: &str, port: i32) -> Listener {
    let spec = ListenerSpec {
        labels: Labels::NONE,
        name: text(name),
        address: "0.0.0.0".parse().unwrap(),
        port: number(port),
        protocol: ListenerProtocol::Http,
        certificate: None,
    };
    Listener {
        id: number(id),
        group: number(1),
        is_default: false,
        spec,
        revision: Default::default(),
        created_at: EPOCH,
        updated_at: EPOCH,
    }
}

/// A certificate whose key is open; the pair is made up.
pub(in crate::compile) fn certificate(id: i32, name: &str) -> Certificate {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let pair = KeyPair::read(&pem, None, &key.serialize_pem(), EPOCH).unwrap();
    let spec = CertificateSpec {
        labels: Labels::NONE,
        name: text(name),
        description: String::new(),
        source: CertificateSource::Upload,
        auto_renew: false,
        renew_before: RenewBefore::default(),
        is_active: true,
    };
    Certificate {
        id: number(id),
        group: number(1),
        created_by: None,
        spec,
        chain: pair.chain,
        key: CertificateKey::Opened(pair.key),
        renewal: Default::default(),
        revision: Default::default(),
        created_at: EPOCH,
        updated_at: EPOCH,
    }
}

/// A TCP listener in front of one service.
pub(in crate::compile) fn tcp_listener(id: i32, name: &str, port: i32, service: i32) -> Listener {
    let mut listener = listener(id, name, port);
    listener.spec.protocol = ListenerProtocol::Tcp(number(service));
    listener
}

/// A route of the default listener, for `a.example`.
pub(in crate::compile) fn route(
    id: i32,
    name: &str,
    path: PathMatch,
    action: RouteAction,
) -> Route {
    let spec = RouteSpec {
        labels: Labels::NONE,
        name: text(name),
        listener: number(1),
        hosts: vec![text("a.example")],
        path,
        methods: vec![],
        headers: vec![],
        priority: 0,
        action,
    };
    Route {
        id: number(id),
        group: number(1),
        spec,
        revision: Default::default(),
        created_at: EPOCH,
        updated_at: EPOCH,
    }
}

/// A mapping from these services, or whoever asks, to these.
pub(in crate::compile) fn mapping(
    id: i32,
    sources: Option<&[i32]>,
    destinations: &[i32],
) -> Mapping {
    let these = |ids: &[i32]| Services::These(ids.iter().copied().map(number).collect());
    let spec = MappingSpec {
        labels: Labels::NONE,
        name: text(&format!("m{id}")),
        description: String::new(),
        sources: sources.map_or(Services::All, these),
        destinations: these(destinations),
        protocols: [MappingProtocol::Tcp].into(),
        ports: vec![],
        auth_required: true,
        comments: String::new(),
        is_active: true,
    };
    Mapping {
        id: number(id),
        group: number(1),
        created_by: None,
        spec,
        revision: Default::default(),
        created_at: EPOCH,
        updated_at: EPOCH,
    }
}

/// Every path that starts with this.
pub(in crate::compile) fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(text(path))
}

/// To these services, with these weights.
pub(in crate::compile) fn forward(backends: &[(i32, i32)]) -> Forward {
    let backend = |(service, weight)| Backend { service: number(service), weight: number(weight) };
    Forward { backends: backends.iter().copied().map(backend).collect(), ..Forward::default() }
}

/// To service 1.
pub(in crate::compile) fn to_api() -> RouteAction {
    RouteAction::Forward(forward(&[(1, 1)]))
}
