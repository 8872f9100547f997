//! Rows of a first MarchProxy, by the names of their columns. Whatever one of both
//! schemas does not have, or allows to be empty, is optional.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A moment, which there has no time zone and is UTC.
#[derive(Clone, Copy)]
pub(super) struct Moment(pub(super) DateTime<Utc>);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let zoned = DateTime::parse_from_rfc3339(&text).map(|at| at.to_utc());
        let at = zoned.or_else(|_| text.parse::<NaiveDateTime>().map(|at| at.and_utc()));
        at.map(Self).map_err(serde::de::Error::custom)
    }
}

#[derive(Deserialize)]
pub(super) struct OldUser {
    pub(super) id: i32,
    pub(super) email: String,
    pub(super) username: String,
    pub(super) password_hash: String,
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) totp_secret: Option<String>,
    pub(super) totp_enabled: Option<bool>,
    pub(super) is_active: Option<bool>,
    pub(super) is_admin: Option<bool>,
    pub(super) is_verified: Option<bool>,
    pub(super) created_at: Moment,
    pub(super) updated_at: Option<Moment>,
    pub(super) last_login: Option<Moment>,
}

#[derive(Deserialize)]
pub(super) struct OldCluster {
    pub(super) id: i32,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) api_key_hash: String,
    pub(super) syslog_endpoint: Option<String>,
    pub(super) log_auth: Option<bool>,
    pub(super) log_netflow: Option<bool>,
    pub(super) log_debug: Option<bool>,
    pub(super) is_active: Option<bool>,
    pub(super) is_default: Option<bool>,
    pub(super) max_proxies: Option<i32>,
    pub(super) created_by: Option<i32>,
    pub(super) created_at: Moment,
    pub(super) updated_at: Option<Moment>,
}

#[derive(Deserialize)]
pub(super) struct OldService {
    pub(super) id: i32,
    pub(super) name: String,
    pub(super) ip_fqdn: String,
    pub(super) port: i32,
    pub(super) protocol: Option<String>,
    pub(super) collection: Option<String>,
    pub(super) cluster_id: i32,
    pub(super) auth_type: Option<String>,
    pub(super) token_base64: Option<String>,
    pub(super) jwt_secret: Option<String>,
    pub(super) jwt_expiry: Option<i32>,
    pub(super) jwt_algorithm: Option<String>,
    pub(super) tls_enabled: Option<bool>,
    pub(super) tls_verify: Option<bool>,
    pub(super) health_check_enabled: Option<bool>,
    pub(super) health_check_path: Option<String>,
    pub(super) health_check_interval: Option<i32>,
    pub(super) is_active: Option<bool>,
    pub(super) created_by: Option<i32>,
    pub(super) created_at: Moment,
    pub(super) updated_at: Option<Moment>,
    /// The migrations call it `metadata`.
    #[serde(alias = "metadata")]
    pub(super) extra_metadata: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct OldMapping {
    pub(super) id: i32,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) cluster_id: i32,
    pub(super) source_services: String,
    pub(super) dest_services: String,
    pub(super) protocols: String,
    pub(super) ports: String,
    pub(super) auth_required: Option<bool>,
    pub(super) comments: Option<String>,
    pub(super) is_active: Option<bool>,
    pub(super) created_by: Option<i32>,
    pub(super) created_at: Option<Moment>,
    pub(super) updated_at: Option<Moment>,
}

#[derive(Deserialize)]
pub(super) struct OldProxy {
    pub(super) id: i32,
    pub(super) name: String,
    pub(super) hostname: String,
    pub(super) ip_address: String,
    pub(super) port: Option<i32>,
    pub(super) cluster_id: i32,
    pub(super) status: Option<String>,
    pub(super) version: Option<String>,
    pub(super) capabilities: Option<Value>,
    pub(super) last_seen: Option<Moment>,
    pub(super) last_config_fetch: Option<Moment>,
    pub(super) config_version: Option<String>,
    pub(super) registered_at: Option<Moment>,
}

/// Of no cluster in particular.
#[derive(Deserialize)]
pub(super) struct OldCertificate {
    pub(super) id: i32,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) cert_data: String,
    pub(super) key_data: String,
    pub(super) ca_chain: Option<String>,
    pub(super) source_type: Option<String>,
    pub(super) auto_renew: Option<bool>,
    pub(super) renew_before_days: Option<i32>,
    pub(super) infisical_secret_path: Option<String>,
    pub(super) infisical_project_id: Option<String>,
    pub(super) infisical_environment: Option<String>,
    pub(super) vault_path: Option<String>,
    pub(super) vault_role: Option<String>,
    pub(super) vault_common_name: Option<String>,
    pub(super) is_active: Option<bool>,
    pub(super) created_by: Option<i32>,
}

/// An assignment, to a cluster or to a service.
#[derive(Deserialize)]
pub(super) struct OldAssignment {
    pub(super) user_id: i32,
    pub(super) cluster_id: Option<i32>,
    pub(super) service_id: Option<i32>,
    pub(super) role: Option<String>,
    pub(super) assigned_by: Option<i32>,
    pub(super) assigned_at: Option<Moment>,
    pub(super) is_active: Option<bool>,
}
