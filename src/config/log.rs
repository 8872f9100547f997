//! What is logged, and how.

use clap::{ArgAction, Args, ValueEnum};

/// What is logged, and how.
#[derive(Clone, Debug, Args)]
pub struct LogConfig {
    /// What is logged, for instance `info` or `marchproxy=debug`.
    #[arg(long, env = "LOG_LEVEL")]
    pub log_level: Option<String>,

    /// Whether more is logged, where `LOG_LEVEL` does not say what.
    #[arg(
        long,
        env = "DEBUG",
        action = ArgAction::Set,
        default_value_t = false,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true
    )]
    pub debug: bool,

    /// The OTLP collector (gRPC) that spans are sent to, for instance
    /// `http://127.0.0.1:4317`; to none if not said.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otel_exporter_otlp_endpoint: Option<String>,

    /// How it is logged.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

impl LogConfig {
    /// What is logged.
    pub fn level(&self) -> &str {
        match &self.log_level {
            Some(level) => level,
            None if self.debug => "info,marchproxy=debug,marchproxy_xds=debug",
            None => "info,sea_orm_migration=warn",
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}
