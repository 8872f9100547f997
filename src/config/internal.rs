//! What the internal API is served on, and to whom.

use std::net::{IpAddr, SocketAddr};

use anyhow::ensure;
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use crate::server::{Entry, InternalAccess};

const SHORTEST_TOKEN: usize = 16;

/// Where a whole configuration can be posted.
#[derive(Clone, Debug, Args)]
pub struct InternalConfig {
    /// The IP address that the internal API is served on. Off loopback it says
    /// nothing but how the server is doing, unless there is `XDS_HTTP_TOKEN`.
    #[arg(long, env = "XDS_HTTP_HOST", default_value = "127.0.0.1")]
    pub xds_http_host: IpAddr,

    /// The port that the internal API is served on.
    #[arg(long, env = "XDS_HTTP_PORT", default_value_t = 19000, value_parser = clap::value_parser!(u16).range(1..))]
    pub xds_http_port: u16,

    /// What the internal API has to be shown as a bearer token, if anything.
    #[arg(long, env = "XDS_HTTP_TOKEN", hide_env_values = true)]
    pub xds_http_token: Option<SecretString>,

    /// What this server calls itself on the internal API.
    #[arg(long, env = "XDS_NODE_ID", default_value = "marchproxy-control-plane")]
    pub xds_node_id: String,
}

impl InternalConfig {
    /// Where the internal API is served.
    pub fn address(&self) -> SocketAddr {
        (self.xds_http_host, self.xds_http_port).into()
    }

    /// Who may use it. The error names the setting that is of no use.
    pub fn access(&self) -> anyhow::Result<InternalAccess> {
        let entry = match &self.xds_http_token {
            Some(token) => {
                let long_enough = token.expose_secret().chars().count() >= SHORTEST_TOKEN;
                ensure!(
                    long_enough,
                    "XDS_HTTP_TOKEN must have at least {SHORTEST_TOKEN} characters"
                );
                Entry::Token(token.clone())
            }
            None if self.xds_http_host.is_loopback() => Entry::Anybody,
            None => Entry::Nobody,
        };
        Ok(InternalAccess { entry, node_id: self.xds_node_id.clone() })
    }

    /// What whoever starts it should know.
    pub fn warning(&self) -> Option<&'static str> {
        let closed = self.xds_http_token.is_none() && !self.xds_http_host.is_loopback();
        closed.then_some(
            "the internal API is served off loopback and without XDS_HTTP_TOKEN: \
             it says how the server is doing, and nothing else",
        )
    }
}
