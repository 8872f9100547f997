//! Where things are kept.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::TimeDelta;
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use crate::app::EventRetention;
use crate::publish::RedisUrl;
use crate::store::DatabaseUrl;

/// Where the database and what is made up are kept.
#[derive(Clone, Debug, Args)]
pub struct StorageConfig {
    /// Where the embedded database and the made-up secret key are kept.
    #[arg(long, env = "DATA_DIR", default_value = "data")]
    pub data_dir: PathBuf,

    /// The database: `postgresql://user:password@host/name`, or
    /// `sqlite:///path/to/file.db`; a file in the data directory if not said.
    // Parsed later: clap would print the password with its error.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,

    /// Where several instances on one database tell each other to look again:
    /// `redis://:password@host:6379/0`. Not needed for one.
    // Parsed later, as the database's.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<SecretString>,

    /// How many snapshots of each node group are kept to look at, to compare, and
    /// to roll back to.
    #[arg(long, env = "SNAPSHOT_HISTORY", default_value = "1000")]
    pub snapshot_history: NonZeroU32,

    /// How many days entries of the audit log are kept; 0 for ever.
    #[arg(
        long,
        env = "AUDIT_RETENTION_DAYS",
        default_value_t = 365,
        value_parser = clap::value_parser!(u32).range(..=36_500)
    )]
    pub audit_retention_days: u32,

    /// How many hours events are kept; 0 for as long as there are not too many.
    #[arg(
        long,
        env = "EVENT_RETENTION_HOURS",
        default_value_t = 168,
        value_parser = clap::value_parser!(u32).range(..=876_000)
    )]
    pub event_retention_hours: u32,

    /// How many events are kept at the most; the oldest go first.
    #[arg(long, env = "EVENT_HISTORY", default_value = "1000000")]
    pub event_history: NonZeroU32,
}

impl StorageConfig {
    /// The database; the data directory is made if it is to be in there.
    pub fn database(&self) -> anyhow::Result<DatabaseUrl> {
        if let Some(url) = &self.database_url {
            return url.expose_secret().parse().context("DATABASE_URL");
        }
        Ok(DatabaseUrl::Sqlite(self.made_data_dir()?.join("marchproxy.db")))
    }

    /// How long entries of the audit log are kept; none for ever.
    pub fn audit_retention(&self) -> Option<TimeDelta> {
        let days = self.audit_retention_days;
        (days > 0).then(|| TimeDelta::days(days.into()))
    }

    /// How long events are kept.
    pub fn event_retention(&self) -> EventRetention {
        let hours = self.event_retention_hours;
        let age = (hours > 0).then(|| TimeDelta::hours(hours.into()));
        EventRetention { age, most: self.event_history.get().into() }
    }

    /// Where Redis is, if there is one.
    pub fn redis(&self) -> anyhow::Result<Option<RedisUrl>> {
        let url = self.redis_url.as_ref().map(|url| url.expose_secret().parse());
        url.transpose().context("REDIS_URL")
    }

    /// The data directory, made if it is not there.
    pub(super) fn made_data_dir(&self) -> anyhow::Result<&Path> {
        let dir = &self.data_dir;
        fs::create_dir_all(dir)
            .with_context(|| format!("cannot make DATA_DIR {}", dir.display()))?;
        Ok(dir)
    }
}
