//! What is logged, and how.

use anyhow::{Context as _, ensure};
use clap::{ArgAction, Args, ValueEnum};
use http::Uri;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

/// What is logged, and how.
#[derive(Clone, Debug, Args)]
pub struct LogConfig {
    /// What is logged, for instance `info` or `marchproxy=debug`.
    #[arg(long, env = "LOG_LEVEL", value_parser = level)]
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
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", value_parser = collector)]
    pub otel_exporter_otlp_endpoint: Option<String>,

    /// How it is logged.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

impl LogConfig {
    /// What is logged.
    pub fn level(&self) -> &str {
        // Which migrations have run is of interest to who looks for more.
        const USUAL: &str = "info,sea_orm_migration=warn";
        match self.log_level.as_deref().filter(|level| !level.is_empty()) {
            Some(level) if level.eq_ignore_ascii_case("info") => USUAL,
            Some(level) => level,
            None if self.debug => "info,marchproxy=debug,marchproxy_xds=debug",
            None => USUAL,
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

/// Parses what is logged. A word alone is a level: as the name of a module, which a
/// filter takes it for, it would log nothing but what is in that.
fn level(text: &str) -> anyhow::Result<String> {
    const MUST: &str = "must be off, error, warn, info, debug or trace, or like marchproxy=debug";
    let is_word = text.chars().all(|c| c.is_ascii_alphanumeric());
    // Python's name for it.
    let text = if text.eq_ignore_ascii_case("warning") { "warn" } else { text };
    ensure!(text.is_empty() || !is_word || text.parse::<LevelFilter>().is_ok(), MUST);
    EnvFilter::try_new(text).context(MUST)?;
    Ok(text.to_owned())
}

/// Parses where spans are sent to; empty is nowhere.
fn collector(text: &str) -> anyhow::Result<String> {
    let is_url =
        |uri: &Uri| uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https"));
    let is_good = text.is_empty() || text.parse().as_ref().is_ok_and(is_url);
    ensure!(is_good, "must be like http://127.0.0.1:4317");
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_what_is_logged_if_nothing_is_said() {
        let config = |log_level: Option<&str>, debug| LogConfig {
            log_level: log_level.map(ToOwned::to_owned),
            debug,
            otel_exporter_otlp_endpoint: None,
            log_format: LogFormat::Text,
        };
        let usual = config(None, false);
        for said in ["", "info", "INFO"] {
            assert_eq!(config(Some(said), false).level(), usual.level(), "{said}");
        }
        assert_eq!(config(Some("info"), true).level(), usual.level(), "what is said counts");
        assert_ne!(config(None, true).level(), usual.level());
        assert_eq!(config(Some("warn"), false).level(), "warn");
    }
}
