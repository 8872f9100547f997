//! A service: something with a host and a port that traffic goes to.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Host, HttpPath, Invalid, Millis, Name, NodeGroupId, Port, ServiceId, Timeout, Weight};

const MOST_ENDPOINTS: usize = 1000;

/// A service as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its identity; part of its Envoy cluster's name.
    pub id: ServiceId,
    /// The node group whose proxies know it; it never changes.
    pub group: NodeGroupId,
    /// What people configured.
    pub spec: ServiceSpec,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What people configure of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

/// What a service's endpoints speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP in this version; routed by host and path.
    Http(HttpVersion),
    /// Bytes; a TCP listener hands connections on.
    Tcp,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// How the way to the endpoints is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UpstreamTls {
    /// The name asked for (SNI) and expected in the certificate; without one,
    /// the service's first host if it is a DNS name.
    pub sni: Option<Host>,
    /// Whose certificates are believed.
    pub verification: Verification,
}

/// Whose certificates a proxy believes when it speaks TLS to a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// Those signed by an authority that the proxy's system trusts.
    System,
    /// Those signed by this authority.
    Authority(Pem),
    /// Any: the way is encrypted, but who is at its end is not known.
    Off,
}

/// One or more certificates as PEM text. Never a private key.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pem(String);

/// Why a text is not PEM certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// Nothing in it starts a certificate.
    #[error("must hold a PEM certificate (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// A private key stands in it; it belongs nowhere near here.
    #[error("must not hold a private key")]
    PrivateKey,
    /// The text is larger than 64 KiB.
    #[error("must be at most 65536 bytes long")]
    TooLong,
}

/// What to change of a service; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct ServiceChange {
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
        if let Some(check) = &self.health_check {
            check.check(self.protocol).map_err(|e| e.within("healthCheck"))?;
        }
        let verified = |tls: &UpstreamTls| tls.verification != Verification::Off;
        if self.tls.as_ref().is_some_and(verified) && self.server_name().is_none() {
            let reason = "say which name to expect in the certificate of an IP address";
            return Err(Invalid::new("sni", reason).within("tls"));
        }
        Ok(self)
    }

    /// The name to ask for by SNI and to expect in a certificate.
    pub fn server_name(&self) -> Option<&Host> {
        let tls = self.tls.as_ref()?;
        tls.sni.as_ref().or_else(|| match &self.endpoints.first()?.host {
            Host::Ip(_) => None,
            host @ Host::Dns(_) => Some(host),
        })
    }
}

impl HealthCheck {
    fn check(&self, protocol: Protocol) -> Result<(), Invalid> {
        if self.path.is_some() && protocol == Protocol::Tcp {
            return Err(Invalid::new("path", "a TCP service is probed without a path"));
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

/// Sets `field` to what a change says, if it says anything.
pub(super) fn set<T>(field: &mut T, change: Option<T>) {
    if let Some(value) = change {
        *field = value;
    }
}

// === impl Pem ===

impl Pem {
    /// The text as Envoy takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Pem {
    type Error = PemError;

    fn try_from(pem: String) -> Result<Self, PemError> {
        if pem.len() > 1 << 16 {
            Err(PemError::TooLong)
        } else if pem.contains("PRIVATE KEY-----") {
            Err(PemError::PrivateKey)
        } else if !(pem.contains("-----BEGIN CERTIFICATE-----")
            && pem.contains("-----END CERTIFICATE-----"))
        {
            Err(PemError::NoCertificate)
        } else {
            Ok(Self(pem))
        }
    }
}

impl From<Pem> for String {
    fn from(pem: Pem) -> Self {
        pem.0
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str, port: i32, weight: i32) -> Endpoint {
        Endpoint {
            host: host.to_owned().try_into().unwrap(),
            port: port.try_into().unwrap(),
            weight: weight.try_into().unwrap(),
        }
    }

    fn spec() -> ServiceSpec {
        ServiceSpec {
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
            path: Some("/".to_owned().try_into().unwrap()),
            interval: 1000.try_into().unwrap(),
            timeout: 100.try_into().unwrap(),
            healthy_threshold: Weight::ONE,
            unhealthy_threshold: Weight::ONE,
        };
        let tcp =
            ServiceSpec { protocol: Protocol::Tcp, health_check: Some(probe.clone()), ..spec() };
        assert_eq!(check(tcp), "healthCheck.path: a TCP service is probed without a path");

        let slow = HealthCheck { timeout: 1001.try_into().unwrap(), ..probe };
        let slow = ServiceSpec { health_check: Some(slow), ..spec() };
        assert_eq!(check(slow), "healthCheck.timeoutMs: must not be longer than the interval");
    }

    #[test]
    fn a_change_leaves_the_rest_as_it_was() {
        let change = ServiceChange { port: Some(8080.try_into().unwrap()), ..Default::default() };
        let changed = spec().changed(change);
        assert_eq!(changed.endpoints, vec![endpoint("10.0.0.1", 8080, 1)]);
        assert_eq!(changed.name, spec().name);
    }

    #[test]
    fn certificates_are_not_keys() {
        let cert = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        assert!(Pem::try_from(cert.to_owned()).is_ok());
        let key = format!("{cert}-----BEGIN PRIVATE KEY-----\n");
        assert_eq!(Pem::try_from(key), Err(PemError::PrivateKey));
        assert_eq!(Pem::try_from("hello".to_owned()), Err(PemError::NoCertificate));
    }
}
