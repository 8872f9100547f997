//! A service: something with a host and a port that traffic goes to.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Labels;
use super::Revision;
use super::{
    AuthKind, Host, HttpPath, Invalid, JwtAlgorithm, JwtExpiry, Line, Millis, Name, NodeGroupId,
    Port, SchemeChange, ServiceAuth, ServiceId, Timeout, UpstreamTls, UserId, Weight,
};

const MOST_ENDPOINTS: usize = 1000;
/// Of metadata, in bytes.
const LONGEST: usize = 1 << 14;

/// A service as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its identity; part of its Envoy cluster's name.
    pub id: ServiceId,
    /// The node group whose proxies know it; it never changes.
    pub group: NodeGroupId,
    /// Who made it, if that is known.
    pub created_by: Option<UserId>,
    /// What people configured.
    pub spec: ServiceSpec,
    /// The group's revision at which it was last changed.
    pub revision: Revision,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What people configure of a service. History keeps it, so nothing secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Unique within the group; an HTTP service answers to it as `Host`.
    pub name: Name,
    /// What its endpoints speak.
    pub protocol: Protocol,
    /// Where its traffic goes; at least one, the first being `ip_fqdn:port`.
    pub endpoints: Vec<Endpoint>,
    /// How an endpoint is chosen for a request or connection.
    pub load_balancing: LoadBalancing,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Whether and how endpoints are probed.
    pub health_check: Option<HealthCheck>,
    /// Whether and how the way to the endpoints is encrypted.
    pub tls: Option<UpstreamTls>,
    /// What it belongs to, in people's minds.
    #[serde(default)]
    pub collection: Option<Line<100>>,
    /// What its clients prove themselves with to MarchProxy's proxies.
    #[serde(default)]
    pub auth: ServiceAuth,
    /// What else MarchProxy's proxies are told of it; an object.
    #[serde(default)]
    pub metadata: Option<Value>,
    /// What people sort it by.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Whether it counts. An inactive service keeps its name, and no proxy is
    /// told of it.
    #[serde(default = "yes")]
    pub is_active: bool,
}

/// What a service's endpoints speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP in this version; routed by host and path.
    Http(HttpVersion),
    /// Bytes; a TCP listener hands connections on.
    Tcp,
    /// Datagrams. For MarchProxy's proxies: Envoy is not told of it.
    Udp,
}

/// Which HTTP is spoken to a service's endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpVersion {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, with prior knowledge or by ALPN; what gRPC needs.
    Http2,
}

/// One place that a service's traffic goes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// An IP address, or a name that Envoy resolves.
    pub host: Host,
    /// The port there.
    pub port: Port,
    /// Its share among the service's endpoints; at least 1.
    pub weight: Weight,
}

/// How Envoy chooses among a service's endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadBalancing {
    /// In turn, by weight.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way.
    LeastRequest,
    /// By the client's address, hashed onto a ring.
    RingHash,
    /// By the client's address, hashed into Maglev's table.
    Maglev,
    /// By chance.
    Random,
}

/// How long talking to a service may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Timeouts {
    /// To open a connection; 5 s if not said.
    pub connect: Millis,
    /// From the end of the request to the end of the response, where no route
    /// says otherwise; 15 s if not said.
    pub request: Timeout,
    /// How long a connection may be idle; an hour if not said.
    pub idle: Timeout,
}

/// How endpoints are probed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Whether it is done. What is said of a check that is not is only kept.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The path to GET, expecting 200; without one a connection is opened.
    pub path: Option<HttpPath>,
    /// From one probe to the next.
    pub interval: Millis,
    /// How long a probe may take.
    pub timeout: Millis,
    /// How many good probes make an endpoint healthy.
    pub healthy_threshold: Weight,
    /// How many bad probes make it unhealthy.
    pub unhealthy_threshold: Weight,
}

/// What to change of a service; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct ServiceChange {
    /// The revision that it has to be at, if any: `Stale` if it is at another.
    pub if_revision: Option<Revision>,
    /// See [`ServiceSpec::name`].
    pub name: Option<Name>,
    /// See [`ServiceSpec::protocol`].
    pub protocol: Option<Protocol>,
    /// The host of the first endpoint.
    pub host: Option<Host>,
    /// The port of the first endpoint.
    pub port: Option<Port>,
    /// The weight of the first endpoint.
    pub weight: Option<Weight>,
    /// The endpoints after the first.
    pub more_endpoints: Option<Vec<Endpoint>>,
    /// See [`ServiceSpec::load_balancing`].
    pub load_balancing: Option<LoadBalancing>,
    /// See [`Timeouts::connect`].
    pub connect_timeout: Option<Millis>,
    /// See [`Timeouts::request`].
    pub request_timeout: Option<Timeout>,
    /// See [`Timeouts::idle`].
    pub idle_timeout: Option<Timeout>,
    /// `Some(None)` stops probing.
    pub health_check: Option<Option<HealthCheck>>,
    /// `Some(None)` stops encrypting.
    pub tls: Option<Option<UpstreamTls>>,
    /// `Some(None)` takes it out.
    pub collection: Option<Option<Line<100>>>,
    /// See [`ServiceAuth::kind`].
    pub auth: Option<AuthKind>,
    /// See [`ServiceAuth::jwt_expiry`].
    pub jwt_expiry: Option<JwtExpiry>,
    /// See [`ServiceAuth::jwt_algorithm`].
    pub jwt_algorithm: Option<JwtAlgorithm>,
    /// `Some(None)` tells nothing more.
    pub metadata: Option<Option<Value>>,
    /// See [`ServiceSpec::labels`].
    pub labels: Option<Labels>,
    /// See [`ServiceSpec::is_active`].
    pub is_active: Option<bool>,
    /// What existing clients say of protocol, TLS and probes.
    pub scheme: SchemeChange,
}

impl LoadBalancing {
    /// Whether the same client goes to the same endpoint, by its address.
    pub fn is_by_client(self) -> bool {
        match self {
            Self::RingHash | Self::Maglev => true,
            Self::RoundRobin | Self::LeastRequest | Self::Random => false,
        }
    }
}

// === impl ServiceSpec ===

impl ServiceSpec {
    /// Applies `change`; what comes out is checked by [`ServiceSpec::check`].
    #[must_use]
    pub fn changed(mut self, change: ServiceChange) -> Self {
        set(&mut self.name, change.name);
        set(&mut self.protocol, change.protocol);
        if let Some(more) = change.more_endpoints {
            self.endpoints.truncate(1);
            self.endpoints.extend(more);
        }
        if let Some(first) = self.endpoints.first_mut() {
            set(&mut first.host, change.host);
            set(&mut first.port, change.port);
            set(&mut first.weight, change.weight);
        }
        set(&mut self.load_balancing, change.load_balancing);
        set(&mut self.timeouts.connect, change.connect_timeout);
        set(&mut self.timeouts.request, change.request_timeout);
        set(&mut self.timeouts.idle, change.idle_timeout);
        set(&mut self.health_check, change.health_check);
        set(&mut self.tls, change.tls);
        set(&mut self.collection, change.collection);
        set(&mut self.auth.kind, change.auth);
        set(&mut self.auth.jwt_expiry, change.jwt_expiry);
        set(&mut self.auth.jwt_algorithm, change.jwt_algorithm);
        set(&mut self.metadata, change.metadata);
        set(&mut self.labels, change.labels);
        set(&mut self.is_active, change.is_active);
        self.change_scheme(change.scheme);
        self
    }

    /// Checks what the fields must agree on, and hands the spec back.
    pub fn check(self) -> Result<Self, Invalid> {
        let rest = match self.endpoints.as_slice() {
            [] => return Err(Invalid::new("ipFqdn", "a service needs an endpoint")),
            [first, rest @ ..] if first.weight.get() > 0 => rest,
            _ => return Err(Invalid::new("weight", "must be at least 1")),
        };
        if self.endpoints.len() > MOST_ENDPOINTS {
            let reason = format!("a service has at most {MOST_ENDPOINTS} endpoints");
            return Err(Invalid::new("endpoints", reason));
        }
        for (i, endpoint) in rest.iter().enumerate() {
            let at = |field, reason| Err(Invalid::new(field, reason).within(i).within("endpoints"));
            if endpoint.weight.get() == 0 {
                return at("weight", "must be at least 1");
            }
            if self.endpoints[..=i]
                .iter()
                .any(|e| e.host == endpoint.host && e.port == endpoint.port)
            {
                return at("host", "this endpoint stands here twice");
            }
        }
        if let Some(check) = self.probed() {
            check.check(self.protocol).map_err(|e| e.within("healthCheck"))?;
        }
        if self.metadata.as_ref().is_some_and(|metadata| metadata.to_string().len() > LONGEST) {
            let reason = format!("must be at most {LONGEST} bytes long, as JSON");
            return Err(Invalid::new("metadata", reason));
        }
        Ok(self)
    }

    /// How its endpoints are probed, if they are.
    pub fn probed(&self) -> Option<&HealthCheck> {
        self.health_check.as_ref().filter(|check| check.enabled)
    }

    /// How the way to its endpoints is encrypted, if it is.
    pub fn encrypted(&self) -> Option<&UpstreamTls> {
        self.tls.as_ref().filter(|tls| tls.enabled)
    }

    /// The name to ask for by SNI and to expect in a certificate.
    pub fn server_name(&self) -> Option<&Host> {
        let tls = self.encrypted()?;
        tls.sni.as_ref().or_else(|| self.endpoints.first().map(|first| &first.host))
    }

    /// Whether HTTP is spoken to it, so that requests can be routed to it.
    pub fn speaks_http(&self) -> bool {
        match self.protocol {
            Protocol::Http(_) => true,
            Protocol::Tcp | Protocol::Udp => false,
        }
    }
}

impl HealthCheck {
    fn check(&self, protocol: Protocol) -> Result<(), Invalid> {
        if self.path.is_some() && !matches!(protocol, Protocol::Http(_)) {
            return Err(Invalid::new("path", "only an HTTP service is probed by a path"));
        }
        if self.timeout > self.interval {
            return Err(Invalid::new("timeoutMs", "must not be longer than the interval"));
        }
        for (field, threshold) in [
            ("healthyThreshold", self.healthy_threshold),
            ("unhealthyThreshold", self.unhealthy_threshold),
        ] {
            if threshold.get() == 0 {
                return Err(Invalid::new(field, "must be at least 1"));
            }
        }
        Ok(())
    }
}

/// What a switch says in a row that was written before there was one.
pub(super) fn yes() -> bool {
    true
}

/// Sets `field` to what a change says, if it says anything.
pub(super) fn set<T>(field: &mut T, change: Option<T>) {
    if let Some(value) = change {
        *field = value;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::Verification;

    fn endpoint(host: &str, port: i32, weight: i32) -> Endpoint {
        Endpoint {
            host: host.to_owned().try_into().unwrap(),
            port: port.try_into().unwrap(),
            weight: weight.try_into().unwrap(),
        }
    }

    pub(in crate::model) fn spec() -> ServiceSpec {
        ServiceSpec {
            labels: Labels::NONE,
            name: "api".to_owned().try_into().unwrap(),
            protocol: Protocol::Http(HttpVersion::Http1),
            endpoints: vec![endpoint("10.0.0.1", 80, 1)],
            load_balancing: LoadBalancing::RoundRobin,
            timeouts: Timeouts {
                connect: 5000.try_into().unwrap(),
                request: Timeout::Never,
                idle: Timeout::Never,
            },
            health_check: None,
            tls: None,
            collection: None,
            auth: ServiceAuth::default(),
            metadata: None,
            is_active: true,
        }
    }

    #[test]
    fn a_spec_names_the_field_that_is_wrong() {
        let check = |spec: ServiceSpec| spec.check().unwrap_err().to_string();
        let none = ServiceSpec { endpoints: vec![], ..spec() };
        assert_eq!(check(none), "ipFqdn: a service needs an endpoint");

        let twice = ServiceSpec {
            endpoints: vec![
                endpoint("a.b", 1, 1),
                endpoint("10.0.0.1", 80, 1),
                endpoint("10.0.0.1", 80, 2),
            ],
            ..spec()
        };
        assert_eq!(check(twice), "endpoints.1.host: this endpoint stands here twice");

        let idle =
            ServiceSpec { endpoints: vec![endpoint("a.b", 1, 1), endpoint("a.b", 2, 0)], ..spec() };
        assert_eq!(check(idle), "endpoints.0.weight: must be at least 1");

        let probe = HealthCheck {
            enabled: true,
            path: Some("/".to_owned().try_into().unwrap()),
            interval: 1000.try_into().unwrap(),
            timeout: 100.try_into().unwrap(),
            healthy_threshold: Weight::ONE,
            unhealthy_threshold: Weight::ONE,
        };
        let tcp =
            ServiceSpec { protocol: Protocol::Tcp, health_check: Some(probe.clone()), ..spec() };
        assert_eq!(check(tcp), "healthCheck.path: only an HTTP service is probed by a path");

        let slow = HealthCheck { timeout: 1001.try_into().unwrap(), ..probe };
        let slow = ServiceSpec { health_check: Some(slow), ..spec() };
        assert_eq!(check(slow), "healthCheck.timeoutMs: must not be longer than the interval");
    }

    #[test]
    fn what_is_switched_off_is_kept_and_not_checked() {
        let check = HealthCheck {
            enabled: false,
            path: Some("/".to_owned().try_into().unwrap()),
            interval: 1000.try_into().unwrap(),
            timeout: 100.try_into().unwrap(),
            healthy_threshold: Weight::ONE,
            unhealthy_threshold: Weight::ONE,
        };
        let tls = UpstreamTls { enabled: false, sni: None, verification: Verification::Off };
        let (health_check, tls) = (Some(check), Some(tls));
        let spec = ServiceSpec { protocol: Protocol::Tcp, health_check, tls, ..spec() };
        let spec = spec.check().unwrap();
        assert!(spec.health_check.is_some() && spec.probed().is_none());
        assert!(spec.tls.is_some() && spec.encrypted().is_none());
    }

    #[test]
    fn a_change_leaves_the_rest_as_it_was() {
        let change = ServiceChange { port: Some(8080.try_into().unwrap()), ..Default::default() };
        let changed = spec().changed(change);
        assert_eq!(changed.endpoints, vec![endpoint("10.0.0.1", 8080, 1)]);
        assert_eq!(changed.name, spec().name);
    }
}
