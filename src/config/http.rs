//! What HTTP is served on, to whom, and how often.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;

use crate::app::SignInLimit;
use crate::limits::Limiter;
use crate::server::{GraphqlSettings, HttpSettings, Limits, Origins, TrustedProxies};

/// Where people, dashboards and scripts are served.
#[derive(Clone, Debug, Args)]
pub struct HttpConfig {
    /// The IP address that HTTP is served on.
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub host: IpAddr,

    /// The port that HTTP is served on.
    #[arg(long, env = "PORT", default_value_t = 8000, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// The web pages of other origins that may read what is answered: commas between
    /// them, or a JSON list.
    #[arg(long, env = "CORS_ORIGINS", default_value = "http://localhost:3000,http://webui:3000")]
    pub cors_origins: Origins,

    /// The proxies whose `X-Forwarded-For` is believed: IP addresses and networks,
    /// commas between them.
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "")]
    pub trusted_proxies: TrustedProxies,

    /// How many requests a minute may have from one IP address; 0 for no limit.
    #[arg(long, env = "RATE_LIMIT_PER_IP", default_value_t = 6000)]
    pub rate_limit_per_ip: u32,

    /// How many requests a minute may have with one token; 0 for no limit.
    #[arg(long, env = "RATE_LIMIT_PER_USER", default_value_t = 3000)]
    pub rate_limit_per_user: u32,

    /// How many attempts to sign in a minute may have by one name from one IP
    /// address, unless the last one was good; 0 for no limit.
    #[arg(long, env = "RATE_LIMIT_SIGN_IN", default_value_t = 5)]
    pub rate_limit_sign_in: u32,

    /// How many seconds a request may take.
    #[arg(long, env = "REQUEST_TIMEOUT", default_value_t = 75, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub request_timeout: u32,

    /// How many bytes the body of a request may have.
    #[arg(long, env = "MAX_BODY_BYTES", default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(1024..))]
    pub max_body_bytes: u32,

    /// Where the internal API is, as `/xds/stats` tells it.
    #[arg(long, env = "XDS_SERVER_URL", default_value = "http://localhost:19000", value_parser = http_url)]
    pub xds_server_url: String,
}

impl HttpConfig {
    /// Where HTTP is served.
    pub fn address(&self) -> SocketAddr {
        (self.host, self.port).into()
    }

    /// How it is served; `limiter` counts.
    pub fn settings(&self, limiter: Arc<Limiter>, graphql: GraphqlSettings) -> HttpSettings {
        HttpSettings {
            graphql,
            cors: self.cors_origins.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            limits: Limits {
                limiter,
                per_address: NonZeroU32::new(self.rate_limit_per_ip),
                per_token: NonZeroU32::new(self.rate_limit_per_user),
            },
            request_timeout: Duration::from_secs(self.request_timeout.into()),
            largest_body: usize::try_from(self.max_body_bytes).unwrap_or(usize::MAX),
            xds_server_url: self.xds_server_url.clone(),
        }
    }

    /// How often an address may fail to sign in by one name; none for no limit.
    pub fn sign_ins(&self, limiter: &Arc<Limiter>) -> Option<SignInLimit> {
        let attempts = NonZeroU32::new(self.rate_limit_sign_in)?;
        Some(SignInLimit { limiter: Arc::clone(limiter), attempts })
    }
}

/// An `http` or `https` URL of a host, as it was written.
fn http_url(url: &str) -> anyhow::Result<String> {
    let parsed: http::Uri = url.parse()?;
    let good = matches!(parsed.scheme_str(), Some("http" | "https"));
    ensure!(good && parsed.host().is_some(), "must be like http://host:19000");
    Ok(url.to_owned())
}
