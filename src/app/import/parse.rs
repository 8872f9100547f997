//! Rows of a first MarchProxy, parsed into what they become here.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::model::Labels;
use crate::model::{
    CertificateId, CertificateSource, CertificateSpec, Endpoint, HttpVersion, InfisicalPlace,
    Invalid, KeyPair, LoadBalancing, Logging, Mapping, MappingProtocol, MappingSpec, Millis,
    NodeGroup, NodeGroupSpec, PasswordHash, PortRange, Protocol, Proxy, ProxySpec, ProxyStatus,
    Role, SchemeChange, SecondFactor, Service, ServiceAuth, ServiceChange, ServiceId, ServiceSpec,
    Services, StorePath, Timeout, Timeouts, TokenHash, User, UserId, UserSpec, VaultPlace, Weight,
};

use super::rows::{OldCertificate, OldCluster, OldMapping, OldProxy, OldService, OldUser};

type Parsed<T> = Result<T, Invalid>;

/// Parses one column.
fn at<T, U: TryFrom<T>>(column: &'static str, value: T) -> Parsed<U>
where
    U::Error: ToString,
{
    U::try_from(value).map_err(|e| Invalid::new(column, e.to_string()))
}

/// Parses one column where empty means none.
fn optional<U: TryFrom<String>>(column: &'static str, value: Option<String>) -> Parsed<Option<U>>
where
    U::Error: ToString,
{
    value.filter(|text| !text.is_empty()).map(|text| at(column, text)).transpose()
}

pub(super) fn user(old: OldUser) -> Parsed<User> {
    let known = ["$2a$", "$2b$", "$2y$", "$argon2id$"];
    if !known.iter().any(|kind| old.password_hash.starts_with(kind)) {
        return Err(Invalid::new("password_hash", "is neither bcrypt's nor Argon2id's"));
    }
    Ok(User {
        id: at("id", old.id)?,
        spec: UserSpec {
            username: at("username", old.username)?,
            email: old.email.try_into().ok(),
            first_name: optional("first_name", old.first_name)?,
            last_name: optional("last_name", old.last_name)?,
            role: if old.is_admin == Some(true) { Role::Admin } else { Role::Member },
            is_active: old.is_active.unwrap_or(true),
            is_verified: old.is_verified.unwrap_or(false),
        },
        password_hash: PasswordHash::new(old.password_hash),
        second_factor: SecondFactor::Off,
        refuses_old_tokens: false,
        last_login_at: old.last_login.map(|at| at.0),
        created_at: old.created_at.0,
        updated_at: old.updated_at.unwrap_or(old.created_at).0,
    })
}

/// What people configured of a certificate, and the certificate with its key.
pub(super) fn certificate(
    old: &OldCertificate,
    now: DateTime<Utc>,
) -> Parsed<(CertificateId, CertificateSpec, KeyPair)> {
    let chain = old.ca_chain.as_deref();
    let pair = KeyPair::read(&old.cert_data, chain, &old.key_data, now);
    let pair = pair.map_err(|e| e.at("cert_data", "ca_chain", "key_data"))?;
    let days = old.renew_before_days.map(|days| at("renew_before_days", days)).transpose()?;
    let spec = CertificateSpec {
        labels: Labels::NONE,
        name: at("name", old.name.clone())?,
        description: old.description.clone().unwrap_or_default(),
        source: source(old)?,
        auto_renew: old.auto_renew.unwrap_or(false),
        renew_before: days.unwrap_or_default(),
        is_active: old.is_active.unwrap_or(true),
    };
    Ok((at("id", old.id)?, spec, pair))
}

/// Where a certificate comes from. One kind of the two was an enumeration in capitals.
fn source(old: &OldCertificate) -> Parsed<CertificateSource> {
    let path = |column, text: &Option<String>| {
        let text = text.clone().filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| Invalid::new(column, "is missing"))?;
        at::<_, StorePath>(column, text)
    };
    let word = old.source_type.as_deref().unwrap_or("upload").to_ascii_lowercase();
    match word.as_str() {
        "upload" => Ok(CertificateSource::Upload),
        "infisical" => Ok(CertificateSource::Infisical(InfisicalPlace {
            path: path("infisical_secret_path", &old.infisical_secret_path)?,
            project: path("infisical_project_id", &old.infisical_project_id)?,
            environment: path("infisical_environment", &old.infisical_environment)?,
        })),
        "vault" if old.vault_role.as_deref().unwrap_or_default().is_empty() => {
            Ok(CertificateSource::Vault(VaultPlace::Kv(path("vault_path", &old.vault_path)?)))
        }
        "vault" => {
            let name = old.vault_common_name.clone().unwrap_or_default();
            Ok(CertificateSource::Vault(VaultPlace::Pki {
                mount: optional("vault_path", old.vault_path.clone())?,
                role: path("vault_role", &old.vault_role)?,
                common_name: at("vault_common_name", name)?,
            }))
        }
        _ => Err(Invalid::new("source_type", "is not upload, infisical or vault")),
    }
}

/// The hash of a cluster's key: SHA-256 in hexadecimal.
pub(super) fn key_hash(hex: &str) -> Option<TokenHash> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let bytes = (0..64).step_by(2).map(|i| u8::from_str_radix(hex.get(i..i + 2)?, 16).ok());
    TokenHash::try_from(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

pub(super) fn group(old: OldCluster, created_by: Option<UserId>) -> Parsed<NodeGroup> {
    let logging = Logging {
        endpoint: optional("syslog_endpoint", old.syslog_endpoint)?,
        auth: old.log_auth.unwrap_or(true),
        netflow: old.log_netflow.unwrap_or(true),
        debug: old.log_debug.unwrap_or(false),
    };
    Ok(NodeGroup {
        id: at("id", old.id)?,
        is_default: old.is_default.unwrap_or(false),
        revision: 0_i64.into(),
        created_by,
        spec: NodeGroupSpec {
            description: old.description.unwrap_or_default(),
            logging,
            max_proxies: at("max_proxies", old.max_proxies.unwrap_or(3))?,
            is_active: old.is_active.unwrap_or(true),
            ..NodeGroupSpec::named(at("name", old.name)?)
        },
        settings_revision: Default::default(),
        created_at: old.created_at.0,
        updated_at: old.updated_at.unwrap_or(old.created_at).0,
    })
}

pub(super) fn service(old: OldService, created_by: Option<UserId>) -> Parsed<Service> {
    let millis = |millis: i32| at::<_, Millis>("health_check_interval", millis);
    let interval = old.health_check_interval.map(|s| millis(s.saturating_mul(1000)));
    let first = Endpoint {
        host: at("ip_fqdn", old.ip_fqdn)?,
        port: at("port", old.port)?,
        weight: Weight::ONE,
    };
    let probed = old.health_check_enabled.unwrap_or(false);
    let scheme = SchemeChange {
        scheme: Some(at("protocol", old.protocol.unwrap_or_else(|| "tcp".to_owned()))?),
        tls: old.tls_enabled,
        verify: old.tls_verify,
        probed: Some(probed),
        probe_path: optional("health_check_path", old.health_check_path)?.map(Some),
        probe_interval: interval.transpose()?,
    };
    let auth = ServiceAuth {
        kind: at("auth_type", old.auth_type.unwrap_or_else(|| "none".to_owned()))?,
        jwt_expiry: at("jwt_expiry", old.jwt_expiry.unwrap_or(3600))?,
        jwt_algorithm: optional("jwt_algorithm", old.jwt_algorithm)?.unwrap_or_default(),
    };
    let metadata = old.extra_metadata.filter(|value| !value.is_null());
    if metadata.as_ref().is_some_and(|value| !value.is_object()) {
        return Err(Invalid::new("extra_metadata", "must be an object"));
    }
    let timeouts = Timeouts {
        connect: millis(5000)?,
        request: Timeout::After(millis(30_000)?),
        idle: Timeout::After(millis(3_600_000)?),
    };
    let spec = ServiceSpec {
        labels: Labels::NONE,
        name: at("name", old.name)?,
        protocol: Protocol::Http(HttpVersion::Http1),
        endpoints: vec![first],
        load_balancing: LoadBalancing::RoundRobin,
        timeouts,
        health_check: None,
        tls: None,
        collection: optional("collection", old.collection)?,
        auth,
        metadata,
        is_active: old.is_active.unwrap_or(true),
    };
    Ok(Service {
        id: at("id", old.id)?,
        group: at("cluster_id", old.cluster_id)?,
        created_by,
        spec: spec.changed(ServiceChange { scheme, ..Default::default() }).check()?,
        revision: Default::default(),
        created_at: old.created_at.0,
        updated_at: old.updated_at.unwrap_or(old.created_at).0,
    })
}

pub(super) fn mapping(old: OldMapping, created_by: Option<UserId>) -> Parsed<Mapping> {
    let words = |text: &str| -> Vec<String> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(ToOwned::to_owned).collect()
    };
    let services = |column, text: &str| -> Parsed<Services> {
        if text.trim().eq_ignore_ascii_case("all") {
            return Ok(Services::All);
        }
        let id = |word: String| {
            let number = word.parse::<i32>();
            let number = number.map_err(|_| Invalid::new(column, "must be all, or ids"))?;
            at::<_, ServiceId>(column, number)
        };
        Ok(Services::These(words(text).into_iter().map(id).collect::<Parsed<BTreeSet<_>>>()?))
    };
    let protocols = words(&old.protocols).into_iter().map(|word| at("protocols", word));
    let ports = words(&old.ports).into_iter().map(|word| at::<_, PortRange>("ports", word));
    let spec = MappingSpec {
        labels: Labels::NONE,
        name: at("name", old.name)?,
        description: old.description.unwrap_or_default(),
        sources: services("source_services", &old.source_services)?,
        destinations: services("dest_services", &old.dest_services)?,
        protocols: protocols.collect::<Parsed<BTreeSet<MappingProtocol>>>()?,
        ports: ports.collect::<Parsed<_>>()?,
        auth_required: old.auth_required.unwrap_or(true),
        comments: old.comments.unwrap_or_default(),
        is_active: old.is_active.unwrap_or(true),
    };
    let created_at = old.created_at.map_or_else(super::now, |at| at.0);
    Ok(Mapping {
        id: at("id", old.id)?,
        group: at("cluster_id", old.cluster_id)?,
        created_by,
        spec: spec.check()?,
        revision: Default::default(),
        created_at,
        updated_at: old.updated_at.map_or(created_at, |at| at.0),
    })
}

pub(super) fn proxy(old: OldProxy) -> Parsed<Proxy> {
    let address = old.ip_address.parse();
    let last_seen = old.last_seen.map(|at| at.0);
    Ok(Proxy {
        id: at("id", old.id)?,
        group: at("cluster_id", old.cluster_id)?,
        spec: ProxySpec {
            name: at("name", old.name)?,
            hostname: at("hostname", old.hostname)?,
            ip_address: address.map_err(|_| Invalid::new("ip_address", "is no IP address"))?,
            port: at("port", old.port.unwrap_or(8080))?,
            version: optional("version", old.version)?,
            capabilities: old.capabilities.filter(|value| !value.is_null()),
        },
        status: at("status", old.status.unwrap_or_else(|| "pending".to_owned()))
            .unwrap_or(ProxyStatus::Pending),
        last_seen,
        last_config_fetch: old.last_config_fetch.map(|at| at.0),
        config_version: optional("config_version", old.config_version)?,
        registered_at: old.registered_at.map(|at| at.0).or(last_seen).unwrap_or_else(super::now),
    })
}
