//! Which licence is asked for, and of whom.

use anyhow::ensure;
use chrono::TimeDelta;
use clap::{ArgAction, Args};
use secrecy::{ExposeSecret as _, SecretString};

use crate::licence::LicenceSettings;

/// How the licence is checked.
#[derive(Clone, Debug, Args)]
pub struct LicenceConfig {
    /// Whether a licence is asked for: without, everything is allowed.
    #[arg(
        long,
        env = "RELEASE_MODE",
        action = ArgAction::Set,
        default_value_t = false,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true
    )]
    pub release_mode: bool,

    /// The licence's key.
    #[arg(long, env = "LICENSE_KEY", hide_env_values = true)]
    pub license_key: Option<SecretString>,

    /// The server that is asked about it.
    #[arg(long, env = "LICENSE_SERVER_URL", default_value = "https://license.penguintech.io")]
    pub license_server_url: String,

    /// How many hours what it said last counts while it does not answer.
    #[arg(
        long,
        env = "LICENSE_OFFLINE_GRACE",
        default_value_t = 72,
        value_parser = clap::value_parser!(u32).range(0..=8760)
    )]
    pub license_offline_grace: u32,
}

impl LicenceConfig {
    /// What the licence is checked with.
    pub fn settings(&self) -> anyhow::Result<LicenceSettings> {
        let server = self.license_server_url.trim_end_matches('/');
        ensure!(
            server.starts_with("http://") || server.starts_with("https://"),
            "LICENSE_SERVER_URL must start with http:// or https://"
        );
        // Deployments that have none often set it to nothing.
        let key = self.license_key.clone().filter(|key| !key.expose_secret().trim().is_empty());
        let is_word =
            |key: &SecretString| key.expose_secret().bytes().all(|b| b.is_ascii_graphic());
        ensure!(key.as_ref().is_none_or(is_word), "LICENSE_KEY must be one word of ASCII");
        Ok(LicenceSettings {
            enforced: self.release_mode,
            key,
            server: server.to_owned(),
            grace: TimeDelta::hours(self.license_offline_grace.into()),
        })
    }
}
