//! A posted configuration, read into what a group consists of.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::app::{Content, ContentCertificate, ContentRoute};
use crate::model::Labels;
use crate::model::{
    At as _, Endpoint, HealthCheck, Host, HostPattern, HttpPath, HttpVersion, Invalid, KeyPair,
    LoadBalancing, Millis, Name, PathMatch, Pem, Port, Protocol, ServiceSpec, Timeout, Timeouts,
    UpstreamTls, Verification, Weight,
};

/// How long a response may take on a route that does not say, in seconds.
const ROUTE_TIMEOUT: i64 = 30;
/// How long opening a connection may take for a service that does not say, in seconds.
const CONNECT_TIMEOUT: i64 = 5;
const WRONG_TYPE: &str = "is of another type than it should be";

/// What was posted.
#[derive(Debug)]
pub(super) struct Posted {
    /// Whose content it is, if it says.
    pub(super) node_id: Option<String>,
    pub(super) content: Content,
}

// As Go reads it: what is missing or null is empty, what is unknown is ignored.

#[derive(Debug, Deserialize)]
struct Config {
    node_id: Option<String>,
    #[serde(default, deserialize_with = "or_empty")]
    services: Vec<Service>,
    #[serde(default, deserialize_with = "or_empty")]
    routes: Vec<Route>,
    #[serde(default, deserialize_with = "or_empty")]
    certificates: Vec<Certificate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Service {
    #[serde(deserialize_with = "or_empty")]
    name: String,
    #[serde(deserialize_with = "or_empty")]
    hosts: Vec<String>,
    #[serde(deserialize_with = "or_empty")]
    port: i64,
    #[serde(deserialize_with = "or_empty")]
    protocol: String,
    #[serde(deserialize_with = "or_empty")]
    tls_enabled: bool,
    #[serde(deserialize_with = "or_empty")]
    tls_cert_name: String,
    #[serde(deserialize_with = "or_empty")]
    tls_verify: bool,
    #[serde(deserialize_with = "or_empty")]
    health_check_path: String,
    #[serde(deserialize_with = "or_empty")]
    timeout_seconds: i64,
    #[serde(deserialize_with = "or_empty")]
    http2_enabled: bool,
    #[serde(deserialize_with = "or_empty")]
    websocket_upgrade: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Route {
    #[serde(deserialize_with = "or_empty")]
    name: String,
    #[serde(deserialize_with = "or_empty")]
    prefix: String,
    #[serde(deserialize_with = "or_empty")]
    cluster_name: String,
    #[serde(deserialize_with = "or_empty")]
    hosts: Vec<String>,
    #[serde(deserialize_with = "or_empty")]
    timeout: i64,
}

/// Without `Debug`: a private key may be in it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Certificate {
    #[serde(deserialize_with = "or_empty")]
    name: String,
    #[serde(deserialize_with = "or_empty")]
    cert_chain: String,
    #[serde(deserialize_with = "or_empty")]
    private_key: String,
    #[serde(deserialize_with = "or_empty")]
    ca_cert: String,
    #[serde(deserialize_with = "or_empty")]
    require_client: bool,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("name", &self.name).finish_non_exhaustive()
    }
}

fn or_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// That what must be an object is one. Derived code would take a list, too, for
/// the fields in their order.
fn objects(sent: &Value) -> Result<(), Invalid> {
    let all = sent.as_object().ok_or_else(|| Invalid::new("body", WRONG_TYPE))?;
    for list in ["services", "routes", "certificates"] {
        let items = all.get(list).and_then(Value::as_array).into_iter().flatten();
        if let Some(i) = items.into_iter().position(|item| !item.is_object()) {
            return Err(Invalid::new(format!("{list}.{i}"), WRONG_TYPE));
        }
    }
    Ok(())
}

impl Posted {
    /// Reads a body. The error names the field that is wrong.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Invalid> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let sent = Value::deserialize(&mut json).map_err(|_| Invalid::new("body", "is no JSON"))?;
        json.end().map_err(|_| Invalid::new("body", "is followed by something"))?;
        objects(&sent)?;
        let config: Config = serde_path_to_error::deserialize(&sent).map_err(|e| {
            let path = e.path().to_string().replace(['[', ']'], ".").replace("..", ".");
            let path = path.trim_matches(['.', '?']);
            let path = if path.is_empty() { "body" } else { path };
            // Not what was sent: it may be a private key in the wrong place.
            Invalid::new(path, WRONG_TYPE)
        })?;
        Ok(Self {
            node_id: config.node_id.clone().filter(|id| !id.is_empty()),
            content: config.content(Utc::now())?,
        })
    }
}

impl Config {
    fn content(self, now: DateTime<Utc>) -> Result<Content, Invalid> {
        let Self { services, routes, certificates, .. } = self;
        let mut pairs = vec![];
        for (i, certificate) in certificates.iter().enumerate() {
            let pair = certificate.pair(now).map_err(|e| e.within(i).within("certificates"))?;
            pairs.extend(pair);
        }
        unique("certificates", certificates.iter().map(|certificate| certificate.name.as_str()))?;
        unique("services", services.iter().map(|service| service.name.as_str()))?;
        unique("routes", routes.iter().map(|route| route.name.as_str()))?;
        let websockets: Vec<String> = services
            .iter()
            .filter(|service| service.websocket_upgrade || service.protocol == "websocket")
            .map(|service| service.name.clone())
            .collect();
        let each = |(i, service): (usize, Service)| {
            service.spec(&certificates).map_err(|e| e.within(i).within("services"))
        };
        let services = services.into_iter().enumerate().map(each).collect::<Result<_, _>>()?;
        let each = |(i, route): (usize, Route)| {
            route.content(&websockets).map_err(|e| e.within(i).within("routes"))
        };
        let routes = routes.into_iter().enumerate().map(each).collect::<Result<_, _>>()?;
        Ok(Content { services, routes, certificates: pairs })
    }
}

impl Certificate {
    /// The certificate and its key, if it is not an authority alone.
    fn pair(&self, now: DateTime<Utc>) -> Result<Option<ContentCertificate>, Invalid> {
        if self.require_client {
            let why = "no listener asks clients for certificates";
            return Err(Invalid::new("require_client", why));
        }
        let is_pair = !self.cert_chain.is_empty() || !self.private_key.is_empty();
        if !is_pair || !self.ca_cert.is_empty() {
            Pem::try_from(self.ca_cert.clone()).at("ca_cert")?;
        }
        if !is_pair {
            return Ok(None);
        }
        let name = Name::try_from(self.name.clone()).at("name")?;
        let pair = KeyPair::read(&self.cert_chain, None, &self.private_key, now);
        let pair = pair.map_err(|e| e.at("cert_chain", "cert_chain", "private_key"))?;
        Ok(Some(ContentCertificate { name, pair }))
    }
}

impl Service {
    fn spec(self, certificates: &[Certificate]) -> Result<ServiceSpec, Invalid> {
        let (version, is_tls) = match self.protocol.as_str() {
            "" | "http" | "websocket" => (HttpVersion::Http1, false),
            "https" => (HttpVersion::Http1, true),
            "grpc" | "http2" => (HttpVersion::Http2, false),
            other => {
                let known = "http, https, grpc, http2 or websocket";
                return Err(Invalid::new("protocol", format!("must be {known}, not {other:?}")));
            }
        };
        let version = if self.http2_enabled { HttpVersion::Http2 } else { version };
        let connect = or(self.timeout_seconds, CONNECT_TIMEOUT);
        let health_check = match self.health_check_path.as_str() {
            "" => None,
            path => Some(probing(path).at("health_check_path")?),
        };
        let tls = if is_tls || self.tls_enabled || !self.tls_cert_name.is_empty() {
            Some(UpstreamTls {
                enabled: true,
                sni: None,
                verification: self.verification(certificates)?,
            })
        } else {
            None
        };
        Ok(ServiceSpec {
            labels: Labels::NONE,
            endpoints: self.endpoints()?,
            name: Name::try_from(self.name).at("name")?,
            protocol: Protocol::Http(version),
            load_balancing: LoadBalancing::RoundRobin,
            timeouts: Timeouts {
                connect: seconds::<Millis>(connect).at("timeout_seconds")?,
                request: fixed(15_000),
                idle: fixed(3_600_000),
            },
            health_check,
            tls,
            collection: None,
            auth: Default::default(),
            metadata: None,
            is_active: true,
        })
    }

    fn endpoints(&self) -> Result<Vec<Endpoint>, Invalid> {
        if self.hosts.is_empty() {
            return Err(Invalid::new("hosts", "a service needs a host"));
        }
        let port = i32::try_from(self.port).unwrap_or(0);
        let port = Port::try_from(port)
            .map_err(|_| format!("must be 1 to 65535, not {}", self.port))
            .at("port")?;
        let endpoint = |(i, host): (usize, &String)| {
            let host = Host::try_from(host.clone()).at(i).map_err(|e| e.within("hosts"))?;
            Ok(Endpoint { host, port, weight: Weight::ONE })
        };
        self.hosts.iter().enumerate().map(endpoint).collect()
    }

    /// Whose certificates are believed: the named authority's, or what the proxy's
    /// system trusts, or, if they are not to be verified, anybody's.
    fn verification(&self, certificates: &[Certificate]) -> Result<Verification, Invalid> {
        if self.tls_cert_name.is_empty() {
            return Ok(if self.tls_verify { Verification::System } else { Verification::Off });
        }
        let named = certificates.iter().find(|known| known.name == self.tls_cert_name);
        let missing = || Invalid::new("tls_cert_name", "is none of the certificates");
        let authority = named.ok_or_else(missing)?.ca_cert.clone();
        if self.tls_verify {
            Ok(Verification::Authority(Pem::try_from(authority).at("tls_cert_name")?))
        } else {
            Ok(Verification::Off)
        }
    }
}

impl Route {
    fn content(self, websockets: &[String]) -> Result<ContentRoute, Invalid> {
        let prefix = if self.prefix.is_empty() { "/".to_owned() } else { self.prefix };
        let hosts = if self.hosts.is_empty() { vec!["*".to_owned()] } else { self.hosts };
        let pattern = |(i, host): (usize, String)| {
            HostPattern::try_from(host).at(i).map_err(|e| e.within("hosts"))
        };
        Ok(ContentRoute {
            name: Name::try_from(self.name).at("name")?,
            hosts: hosts.into_iter().enumerate().map(pattern).collect::<Result<_, _>>()?,
            path: PathMatch::Prefix(HttpPath::try_from(prefix).at("prefix")?),
            timeout: seconds::<Timeout>(or(self.timeout, ROUTE_TIMEOUT)).at("timeout")?,
            websocket: websockets.contains(&self.cluster_name),
            service: Name::try_from(self.cluster_name).at("cluster_name")?,
        })
    }
}

/// A GET every 10 seconds, with 5 for the answer; 2 good ones, or 3 bad ones, count.
fn probing(path: &str) -> Result<HealthCheck, crate::model::PatternError> {
    Ok(HealthCheck {
        enabled: true,
        path: Some(HttpPath::try_from(path.to_owned())?),
        interval: fixed(10_000),
        timeout: fixed(5_000),
        healthy_threshold: fixed(2),
        unhealthy_threshold: fixed(3),
    })
}

fn unique<'a>(field: &str, names: impl Iterator<Item = &'a str>) -> Result<(), Invalid> {
    let mut seen = std::collections::HashSet::new();
    match names.enumerate().find(|(_, name)| !seen.insert(*name)) {
        None => Ok(()),
        Some((i, _)) => Err(Invalid::new("name", "stands here twice").within(i).within(field)),
    }
}

/// Zero stands for what is usual.
fn or(value: i64, usual: i64) -> i64 {
    if value == 0 { usual } else { value }
}

fn seconds<T: TryFrom<i32, Error: ToString>>(seconds: i64) -> Result<T, String> {
    let millis = seconds.checked_mul(1000).and_then(|millis| i32::try_from(millis).ok());
    let millis = millis.ok_or_else(|| format!("{seconds} seconds are out of range"))?;
    millis.try_into().map_err(|e: T::Error| e.to_string())
}

/// One of our own values, which are in range.
fn fixed<T: TryFrom<i32, Error: std::fmt::Debug>>(value: i32) -> T {
    value.try_into().expect("it is in range")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "json!() makes values")]
    fn parse(body: serde_json::Value) -> Result<Posted, Invalid> {
        Posted::parse(body.to_string().as_bytes())
    }

    #[test]
    fn what_upstream_s_translator_posts_is_read() {
        let posted = parse(json!({
            "version": "7",
            "services": [{
                "name": "cluster_1_service_5", "hosts": ["10.0.0.5", "10.0.0.6"], "port": 8443,
                "protocol": "https", "tls_enabled": true, "tls_cert_name": null,
                "tls_verify": true, "health_check_path": "/ok", "timeout_seconds": 30,
                "http2_enabled": false, "websocket_upgrade": true, "unknown": 1,
            }],
            "routes": [{
                "name": "route_1_2_5", "prefix": "/", "cluster_name": "cluster_1_service_5",
                "hosts": ["a.example"], "timeout": 30,
            }],
            "certificates": null,
        }));
        let content = posted.unwrap().content;
        let service = &content.services[0];
        assert_eq!(service.endpoints.len(), 2);
        assert_eq!(service.protocol, Protocol::Http(HttpVersion::Http1));
        assert_eq!(service.tls.as_ref().unwrap().verification, Verification::System);
        assert_eq!(i32::from(service.timeouts.connect), 30_000);
        assert!(service.health_check.is_some());
        assert!(content.routes[0].websocket, "its service may become a WebSocket");
    }

    #[test]
    fn what_is_missing_is_usual() {
        let posted = parse(json!({
            "services": [{ "name": "s", "hosts": ["h"], "port": 80 }],
            "routes": [{ "name": "r", "cluster_name": "s" }],
        }));
        let content = posted.unwrap().content;
        assert_eq!(content.services[0].protocol, Protocol::Http(HttpVersion::Http1));
        assert_eq!(content.services[0].tls, None);
        let route = &content.routes[0];
        assert_eq!(route.hosts, ["*".to_owned().try_into().unwrap()]);
        assert_eq!(i32::from(route.timeout), 30_000);
        assert!(parse(json!({})).unwrap().content.services.is_empty());
    }

    fn pem() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn a_bad_configuration_names_its_field() {
        let service = |change: serde_json::Value| {
            let mut service = json!({ "name": "s", "hosts": ["h"], "port": 80 });
            service.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            json!({ "services": [service] })
        };
        let route = |change: serde_json::Value| {
            let mut route = json!({ "name": "r", "cluster_name": "s" });
            route.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            json!({ "routes": [route] })
        };
        let table = [
            (json!([]), "body"),
            (json!({ "services": {} }), "services"),
            (service(json!({ "port": "80" })), "services.0.port"),
            (service(json!({ "port": 0 })), "services.0.port"),
            (service(json!({ "port": 70000 })), "services.0.port"),
            (service(json!({ "name": "" })), "services.0.name"),
            (service(json!({ "name": "a/b" })), "services.0.name"),
            (service(json!({ "hosts": [] })), "services.0.hosts"),
            (service(json!({ "hosts": ["ok", "a b"] })), "services.0.hosts.1"),
            (service(json!({ "protocol": "tcp" })), "services.0.protocol"),
            (service(json!({ "timeout_seconds": -1 })), "services.0.timeout_seconds"),
            (service(json!({ "health_check_path": "ok" })), "services.0.health_check_path"),
            (service(json!({ "tls_cert_name": "c" })), "services.0.tls_cert_name"),
            (route(json!({ "prefix": "a" })), "routes.0.prefix"),
            (route(json!({ "hosts": ["a:80"] })), "routes.0.hosts.0"),
            (route(json!({ "timeout": 99_999_999 })), "routes.0.timeout"),
            (route(json!({ "name": null })), "routes.0.name"),
            (json!({ "certificates": [{ "private_key": "k" }] }), "certificates.0.name"),
            (
                json!({ "certificates": [{ "name": "c", "private_key": "k" }] }),
                "certificates.0.cert_chain",
            ),
            (
                json!({ "certificates": [{ "name": "c", "cert_chain": pem(), "private_key": "k" }] }),
                "certificates.0.private_key",
            ),
            (
                json!({ "certificates": [{ "name": "c", "require_client": true }] }),
                "certificates.0.require_client",
            ),
            (json!({ "certificates": [{ "ca_cert": "c" }] }), "certificates.0.ca_cert"),
            (
                json!({ "services": [{ "name": "s", "hosts": ["h"], "port": 1 },
                    { "name": "s", "hosts": ["h"], "port": 2 }] }),
                "services.1.name",
            ),
        ];
        for (body, field) in table {
            let error = parse(body.clone()).unwrap_err();
            assert_eq!(error.path().join("."), field, "{body}: {error}");
        }
        assert_eq!(Posted::parse(b"{").unwrap_err().to_string(), "body: is no JSON");
        assert!(Posted::parse(b"{} {}").is_err());
    }

    #[test]
    fn a_private_key_does_not_show() {
        let body = json!({ "certificates": [{ "name": "c", "private_key": ["hush"] }] });
        let error = parse(body).unwrap_err();
        assert_eq!(error.path(), ["certificates.0.private_key"]);
        assert!(!error.to_string().contains("hush"));
        let certificate = Certificate { private_key: "hush".to_owned(), ..Default::default() };
        assert!(!format!("{certificate:?}").contains("hush"));
    }
}
