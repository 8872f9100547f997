//! The configuration as proxies read it.

use std::collections::{BTreeMap, BTreeSet};

use md5::{Digest as _, Md5};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::{ProxyConfig, ServiceConfig};
use crate::model::{
    AuthKind, Certificate, ConfigVersion, Mapping, MappingProtocol, NodeGroup, Services,
};
use crate::model::{ServiceId, Verification, hex};
use crate::rest::compat::mappings::{port, services};
use crate::rest::time::Time;

/// What a cluster's proxies are to do.
#[derive(Serialize, ToSchema)]
#[schema(as = ProxyConfig)]
pub(super) struct ConfigOut {
    #[serde(flatten)]
    content: Content,
    generated_at: Time,
    /// A hash of all but `generated_at`.
    #[schema(example = "9e107d9d372bb6826bd81d3542a419d6")]
    config_version: String,
}

/// Within how many days a certificate is said to expire soon.
const SOON: i64 = 30;

/// What the version is of.
#[derive(Serialize, ToSchema)]
#[schema(as = ProxyConfigContent)]
struct Content {
    cluster: ClusterConfig,
    /// Those that are active, by name.
    services: Vec<ServiceOut>,
    /// Those that are active, by name.
    mappings: Vec<MappingConfig>,
    /// Those that are active and have not expired, by name; null if they are not
    /// asked for. Never a key: Envoys are given those over xDS.
    certificates: Option<BTreeMap<String, CertificateConfig>>,
    logging: LoggingConfig,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CertificateConfig)]
struct CertificateConfig {
    id: i32,
    /// PEM.
    cert: String,
    /// PEM.
    ca_chain: Option<String>,
    common_name: Option<String>,
    valid_until: Time,
    subject_alt_names: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct ClusterConfig {
    id: i32,
    name: String,
    description: Option<String>,
    max_proxies: i32,
    syslog_endpoint: Option<String>,
    log_auth: bool,
    log_netflow: bool,
    log_debug: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ServiceConfig)]
struct ServiceOut {
    id: i32,
    name: String,
    ip_fqdn: String,
    port: u16,
    /// `tcp`, `udp`, `http` or `https`.
    protocol: &'static str,
    collection: Option<String>,
    auth: AuthConfig,
    tls: TlsConfig,
    health_check: Option<HealthCheckConfig>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

#[derive(Serialize, ToSchema)]
struct AuthConfig {
    /// `none`, `base64` or `jwt`.
    r#type: &'static str,
    token_base64: Option<String>,
    jwt: Option<JwtConfig>,
}

#[derive(Serialize, ToSchema)]
struct JwtConfig {
    secret: Option<String>,
    /// Seconds.
    expiry: i32,
    algorithm: &'static str,
}

#[derive(Serialize, ToSchema)]
struct TlsConfig {
    enabled: bool,
    verify: bool,
}

#[derive(Serialize, ToSchema)]
struct HealthCheckConfig {
    enabled: bool,
    path: Option<String>,
    /// Seconds.
    interval: i32,
}

#[derive(Serialize, ToSchema)]
struct MappingConfig {
    id: i32,
    name: String,
    description: Option<String>,
    /// Ids, or `"all"` alone.
    source_services: Vec<Value>,
    /// Ids, or `"all"` alone.
    dest_services: Vec<Value>,
    protocols: Vec<&'static str>,
    /// Numbers, and `{"range": [first, last]}`; any if it is empty.
    ports: Vec<Value>,
    auth_required: bool,
}

#[derive(Serialize, ToSchema)]
struct LoggingConfig {
    endpoint: Option<String>,
    auth: bool,
    netflow: bool,
    debug: bool,
}

/// Which configuration there is.
#[derive(Serialize, ToSchema)]
#[schema(as = ProxyConfigVersion)]
pub(super) struct VersionOut {
    cluster_id: i32,
    cluster_name: String,
    config_version: String,
    generated_at: Time,
}

/// What is to be said of a configuration.
#[derive(Serialize, ToSchema)]
#[schema(as = ProxyConfigValidation)]
pub(super) struct ValidationOut {
    cluster_id: i32,
    cluster_name: String,
    config_version: String,
    /// Whether there are no errors.
    valid: bool,
    warnings: Vec<Remark>,
    errors: Vec<Remark>,
    stats: Stats,
}

/// Something to think about.
#[derive(Serialize, ToSchema)]
struct Remark {
    /// A word for programs.
    r#type: &'static str,
    /// A sentence for people.
    message: String,
    /// The services that it is about.
    services: Vec<String>,
    /// The certificates that it is about.
    certificates: Vec<String>,
}

/// How much there is.
#[derive(Serialize, ToSchema)]
struct Stats {
    services: usize,
    mappings: usize,
    certificates: usize,
}

impl ConfigOut {
    /// `certificates` says whether they are to be in it; the version is of all.
    pub(super) fn new(config: &ProxyConfig, certificates: bool) -> Self {
        let generated_at = config.generated_at.into();
        let mut content = Content::new(config);
        let config_version = content.hash();
        if !certificates {
            content.certificates = None;
        }
        Self { content, generated_at, config_version }
    }

    /// Its version, to be noted.
    pub(super) fn version(&self) -> ConfigVersion {
        self.config_version.clone().try_into().expect("32 digits")
    }

    /// Its version as an entity tag.
    pub(super) fn tag(&self) -> String {
        format!("\"{}\"", self.config_version)
    }
}

impl VersionOut {
    pub(super) fn new(config: ProxyConfig) -> Self {
        Self {
            cluster_id: config.group.id.into(),
            config_version: Content::new(&config).hash(),
            cluster_name: config.group.spec.name.into(),
            generated_at: config.generated_at.into(),
        }
    }
}

impl ValidationOut {
    pub(super) fn new(config: ProxyConfig) -> Self {
        let (warnings, errors) = (warnings(&config), errors(&config));
        Self {
            cluster_id: config.group.id.into(),
            config_version: Content::new(&config).hash(),
            cluster_name: config.group.spec.name.into(),
            valid: errors.is_empty(),
            warnings,
            errors,
            stats: Stats {
                services: config.services.len(),
                mappings: config.mappings.len(),
                certificates: config.certificates.len(),
            },
        }
    }
}

fn warnings(config: &ProxyConfig) -> Vec<Remark> {
    let named = |wanted: &dyn Fn(&ServiceConfig) -> bool| -> Vec<String> {
        let services = config.services.iter().filter(|service| wanted(service));
        services.map(|service| service.service.spec.name.to_string()).collect()
    };
    let mut warnings = vec![];
    if config.mappings.is_empty() && !config.services.is_empty() {
        let message = "No mapping says which services may reach which".to_owned();
        warnings.push(Remark::of_services("no_mappings", message, vec![]));
    }
    let mapped = mapped(config);
    let unmapped = named(&|service| !mapped.contains(&service.service.id));
    if !unmapped.is_empty() && !config.mappings.is_empty() {
        let message = format!("{} services are in no mapping", unmapped.len());
        warnings.push(Remark::of_services("unmapped_services", message, unmapped));
    }
    let open = named(&|service| service.service.spec.auth.kind == AuthKind::None);
    if !open.is_empty() {
        let message = format!("{} services ask their clients for no proof", open.len());
        warnings.push(Remark::of_services("no_auth", message, open));
    }
    let soon: Vec<_> = config
        .certificates
        .iter()
        .filter(|certificate| certificate.days_left(config.generated_at) < SOON)
        .map(|certificate| certificate.spec.name.to_string())
        .collect();
    if !soon.is_empty() {
        let message = format!("{} certificates expire within {SOON} days", soon.len());
        warnings.push(Remark::of_certificates("expiring_certificate", message, soon));
    }
    let expired: Vec<_> = config.expired.iter().map(|c| c.spec.name.to_string()).collect();
    if !expired.is_empty() {
        let message =
            format!("{} certificates have expired: proxies are not given them", expired.len());
        warnings.push(Remark::of_certificates("expired_certificate", message, expired));
    }
    warnings
}

impl Remark {
    fn of_services(r#type: &'static str, message: String, services: Vec<String>) -> Self {
        Self { r#type, message, services, certificates: vec![] }
    }

    fn of_certificates(r#type: &'static str, message: String, certificates: Vec<String>) -> Self {
        Self { r#type, message, services: vec![], certificates }
    }
}

/// A service whose secret is not there lets nobody in.
fn errors(config: &ProxyConfig) -> Vec<Remark> {
    let lost = |config: &&ServiceConfig| {
        config.secret.as_ref().map(|secret| AuthKind::from(secret.kind()))
            != Some(config.service.spec.auth.kind).filter(|kind| *kind != AuthKind::None)
    };
    let lost: Vec<_> = config.services.iter().filter(lost).collect();
    if lost.is_empty() {
        return vec![];
    }
    let message = format!("{} services have no secret: rotate their tokens", lost.len());
    let services = lost.iter().map(|config| config.service.spec.name.to_string()).collect();
    vec![Remark::of_services("no_secret", message, services)]
}

/// The services that some mapping is about.
fn mapped(config: &ProxyConfig) -> BTreeSet<ServiceId> {
    let both = config.mappings.iter().flat_map(|m| [&m.spec.sources, &m.spec.destinations]);
    let mut mapped = BTreeSet::new();
    for services in both {
        match services {
            Services::All => return config.services.iter().map(|s| s.service.id).collect(),
            Services::These(ids) => mapped.extend(ids),
        }
    }
    mapped
}

impl Content {
    fn new(config: &ProxyConfig) -> Self {
        let NodeGroup { id, spec, .. } = &config.group;
        let endpoint = || spec.logging.endpoint.as_ref().map(ToString::to_string);
        Self {
            cluster: ClusterConfig {
                id: (*id).into(),
                name: spec.name.to_string(),
                description: Some(spec.description.clone()).filter(|text| !text.is_empty()),
                max_proxies: spec.max_proxies.into(),
                syslog_endpoint: endpoint(),
                log_auth: spec.logging.auth,
                log_netflow: spec.logging.netflow,
                log_debug: spec.logging.debug,
            },
            services: config.services.iter().map(ServiceOut::new).collect(),
            mappings: config.mappings.iter().map(MappingConfig::new).collect(),
            certificates: Some(config.certificates.iter().map(certificate).collect()),
            logging: LoggingConfig {
                endpoint: endpoint(),
                auth: spec.logging.auth,
                netflow: spec.logging.netflow,
                debug: spec.logging.debug,
            },
        }
    }

    /// MD5 of it as JSON, in hexadecimal: it is a name, and proves nothing.
    fn hash(&self) -> String {
        let json = serde_json::to_vec(self).expect("text keys and finite numbers");
        hex(&Md5::digest(&json))
    }
}

impl ServiceOut {
    fn new(ServiceConfig { service, secret }: &ServiceConfig) -> Self {
        let (spec, tls) = (&service.spec, service.spec.tls.as_ref());
        let first = spec.endpoints.first();
        let kind = spec.auth.kind;
        // Of another kind it may be after a rollback.
        let secret = secret.as_ref().filter(|secret| AuthKind::from(secret.kind()) == kind);
        let secret = || secret.map(|secret| secret.expose().to_owned());
        Self {
            id: service.id.into(),
            name: spec.name.to_string(),
            ip_fqdn: first.map(|e| e.host.to_string()).unwrap_or_default(),
            port: first.map(|e| e.port.get()).unwrap_or_default(),
            protocol: spec.scheme().as_str(),
            collection: spec.collection.as_ref().map(ToString::to_string),
            auth: AuthConfig {
                r#type: kind.as_str(),
                token_base64: (kind == AuthKind::Base64).then(secret).flatten(),
                jwt: (kind == AuthKind::Jwt).then(|| JwtConfig {
                    secret: secret(),
                    expiry: spec.auth.jwt_expiry.into(),
                    algorithm: spec.auth.jwt_algorithm.as_str(),
                }),
            },
            tls: TlsConfig {
                enabled: spec.encrypted().is_some(),
                verify: tls.is_none_or(|tls| tls.verification != Verification::Off),
            },
            health_check: spec.probed().map(|check| HealthCheckConfig {
                enabled: true,
                path: check.path.as_ref().map(ToString::to_string),
                interval: i32::from(check.interval) / 1000,
            }),
            metadata: spec.metadata.clone(),
        }
    }
}

fn certificate(certificate: &Certificate) -> (String, CertificateConfig) {
    let (leaf, (cert, chain)) = (certificate.chain.leaf(), certificate.chain.parts());
    let config = CertificateConfig {
        id: certificate.id.into(),
        cert: cert.to_owned(),
        ca_chain: Some(chain.to_owned()).filter(|chain| !chain.is_empty()),
        common_name: leaf.common_name.clone(),
        valid_until: leaf.not_after.into(),
        subject_alt_names: leaf.names.clone(),
    };
    (certificate.spec.name.to_string(), config)
}

impl MappingConfig {
    fn new(Mapping { id, spec, .. }: &Mapping) -> Self {
        Self {
            id: (*id).into(),
            name: spec.name.to_string(),
            description: Some(spec.description.clone()).filter(|text| !text.is_empty()),
            source_services: services(&spec.sources),
            dest_services: services(&spec.destinations),
            protocols: spec.protocols.iter().copied().map(MappingProtocol::as_str).collect(),
            ports: spec.ports.iter().map(port).collect(),
            auth_required: spec.auth_required,
        }
    }
}
