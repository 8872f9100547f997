//! What is said of a service, into domain types.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app;
use crate::model::Labels;
use crate::model::{
    At as _, Endpoint, HttpVersion, Invalid, LoadBalancing, Millis, Protocol, Scheme, SchemeChange,
    SecretAuth, ServiceAuth, ServiceChange, ServiceSpec, Timeout, Timeouts, Weight,
};
use crate::rest::input::{parsed, present, replaced};

const LONGEST_INTERVAL: i32 = 86_400;
const SHORTEST_INTERVAL: i32 = 5;

/// A service to be made.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewService {
    /// Unique in its cluster. An HTTP service answers to it as `Host`.
    #[schema(min_length = 1, max_length = 100, example = "orders")]
    name: String,
    /// Where its traffic goes: an IP address or a DNS name.
    #[schema(min_length = 1, max_length = 255, example = "orders.internal")]
    ip_fqdn: String,
    /// The port there.
    #[schema(minimum = 1, maximum = 65535, example = 8080)]
    port: i32,
    /// What is spoken there: `tcp`, `udp`, `http` or `https`.
    #[schema(default = "tcp", example = "http")]
    protocol: Option<String>,
    /// What it belongs to, in people's minds.
    #[schema(max_length = 100)]
    collection: Option<String>,
    /// The cluster whose proxies are to know it.
    #[schema(minimum = 1, example = 1)]
    cluster_id: i32,
    /// What its clients prove themselves with to the proxies: `none`, `base64` or
    /// `jwt`. A secret is made up for it.
    #[schema(default = "none")]
    auth_type: Option<String>,
    /// Whether the way there is encrypted; so it is with `https`.
    #[schema(default = false)]
    tls_enabled: Option<bool>,
    /// Whether the certificate there is verified, by the authorities that the
    /// proxy's system trusts.
    #[schema(default = true)]
    tls_verify: Option<bool>,
    /// Whether it is probed.
    #[schema(default = false)]
    health_check_enabled: Option<bool>,
    /// The path to GET; without one a connection is opened.
    health_check_path: Option<String>,
    /// Seconds.
    #[schema(minimum = 5, maximum = 86400, default = 30)]
    health_check_interval: Option<i32>,
    /// How long a JWT is good, in seconds.
    #[schema(minimum = 300, default = 3600)]
    jwt_expiry: Option<i32>,
    /// `HS256`, `HS384` or `HS512`.
    #[schema(default = "HS256")]
    jwt_algorithm: Option<String>,
    /// What else the proxies are told; up to 16 KiB.
    #[schema(value_type = Option<Object>)]
    extra_metadata: Option<Value>,
}

/// What to change of a service; what is left out stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct ServicePatch {
    /// Unique in its cluster.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    #[schema(min_length = 1, max_length = 255)]
    ip_fqdn: Option<String>,
    #[schema(minimum = 1, maximum = 65535)]
    port: Option<i32>,
    /// `tcp`, `udp`, `http` or `https`. `https` turns TLS on, `http` off.
    protocol: Option<String>,
    /// Null takes it out.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 100)]
    collection: Option<Option<String>>,
    /// `none`, `base64` or `jwt`. A secret is made up if there is none of the kind.
    auth_type: Option<String>,
    tls_enabled: Option<bool>,
    tls_verify: Option<bool>,
    health_check_enabled: Option<bool>,
    /// Null: a connection is opened.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    health_check_path: Option<Option<String>>,
    /// Seconds.
    #[schema(minimum = 5, maximum = 86400)]
    health_check_interval: Option<i32>,
    /// Seconds.
    #[schema(minimum = 300)]
    jwt_expiry: Option<i32>,
    /// `HS256`, `HS384` or `HS512`.
    jwt_algorithm: Option<String>,
    /// Null: the proxies are told nothing more.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    extra_metadata: Option<Option<Value>>,
    /// Whether it counts. No proxy is told of an inactive one.
    is_active: Option<bool>,
}

/// Which secret to make.
#[derive(Deserialize, ToSchema)]
pub(super) struct RotateToken {
    /// `base64` or `jwt`; from now on it is what clients prove themselves with.
    #[schema(example = "jwt")]
    auth_type: String,
}

impl NewService {
    pub(super) fn parse(self) -> Result<app::NewService, Invalid> {
        let first = Endpoint {
            host: self.ip_fqdn.try_into().at("ip_fqdn")?,
            port: self.port.try_into().at("port")?,
            weight: Weight::ONE,
        };
        let group = self.cluster_id.try_into().at("cluster_id")?;
        let rest = ServicePatch {
            protocol: Some(self.protocol.unwrap_or_else(|| "tcp".to_owned())),
            collection: self.collection.map(Some),
            auth_type: self.auth_type,
            tls_enabled: self.tls_enabled,
            tls_verify: self.tls_verify,
            health_check_enabled: self.health_check_enabled,
            health_check_path: self.health_check_path.map(Some),
            health_check_interval: self.health_check_interval,
            jwt_expiry: self.jwt_expiry,
            jwt_algorithm: self.jwt_algorithm,
            extra_metadata: self.extra_metadata.map(Some),
            ..Default::default()
        };
        let spec = ServiceSpec {
            labels: Labels::NONE,
            name: self.name.try_into().at("name")?,
            protocol: Protocol::Http(HttpVersion::Http1),
            endpoints: vec![first],
            load_balancing: LoadBalancing::RoundRobin,
            timeouts: timeouts(),
            health_check: None,
            tls: None,
            collection: None,
            auth: ServiceAuth::default(),
            metadata: None,
            is_active: true,
        };
        Ok(app::NewService { group: Some(group), spec: spec.changed(rest.parse()?) })
    }
}

impl ServicePatch {
    pub(super) fn parse(self) -> Result<ServiceChange, Invalid> {
        let scheme = SchemeChange {
            scheme: parsed::<_, Scheme>(self.protocol, "protocol")?,
            tls: self.tls_enabled,
            verify: self.tls_verify,
            probed: self.health_check_enabled,
            probe_path: replaced(self.health_check_path, "health_check_path")?,
            probe_interval: self.health_check_interval.map(interval).transpose()?,
        };
        Ok(ServiceChange {
            name: parsed(self.name, "name")?,
            host: parsed(self.ip_fqdn, "ip_fqdn")?,
            port: parsed(self.port, "port")?,
            collection: replaced(self.collection, "collection")?,
            auth: parsed(self.auth_type, "auth_type")?,
            jwt_expiry: parsed(self.jwt_expiry, "jwt_expiry")?,
            jwt_algorithm: parsed(self.jwt_algorithm, "jwt_algorithm")?,
            metadata: self.extra_metadata.map(metadata).transpose()?,
            is_active: self.is_active,
            scheme,
            ..Default::default()
        })
    }
}

impl RotateToken {
    pub(super) fn parse(self) -> Result<SecretAuth, Invalid> {
        self.auth_type.try_into().at("auth_type")
    }
}

/// How long things may take, as such clients have always had it.
fn timeouts() -> Timeouts {
    let millis = |millis: i32| Millis::try_from(millis).expect("in range");
    Timeouts {
        connect: millis(5000),
        request: Timeout::After(millis(30_000)),
        idle: Timeout::After(millis(3_600_000)),
    }
}

fn interval(seconds: i32) -> Result<Millis, Invalid> {
    let in_range = (SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&seconds);
    let why =
        || format!("must be {SHORTEST_INTERVAL} to {LONGEST_INTERVAL} seconds, not {seconds}");
    let seconds = if in_range { Ok(seconds) } else { Err(why()) }.at("health_check_interval")?;
    Millis::try_from(seconds * 1000).at("health_check_interval")
}

fn metadata(value: Option<Value>) -> Result<Option<Value>, Invalid> {
    match value {
        None | Some(Value::Object(_)) => Ok(value),
        Some(_) => Err(Invalid::new("extra_metadata", "must be an object")),
    }
}
