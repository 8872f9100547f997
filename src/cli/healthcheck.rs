//! `marchproxy healthcheck`: for containers, which have no curl.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::config::port;
use crate::model::Port;

const LIMIT: Duration = Duration::from_secs(5);

/// Whom to ask.
#[derive(Debug, Args)]
pub(super) struct HealthcheckArgs {
    /// The IP address that HTTP is served on.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,

    /// The port that HTTP is served on.
    #[arg(long, env = "PORT", default_value = "8000", value_parser = port)]
    port: Port,
}

impl HealthcheckArgs {
    /// Asks `/healthz`; an error says what was wrong.
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let address = SocketAddr::from((self.host, self.port.get()));
        let mut stream = TcpStream::connect_timeout(&address, LIMIT)
            .with_context(|| format!("nothing answers on {address}"))?;
        stream.set_read_timeout(Some(LIMIT))?;
        write!(stream, "GET /healthz HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context("no answer in time")?;
        let status = answer.lines().next().unwrap_or_default();
        ensure!(status.split(' ').nth(1) == Some("200"), "unhealthy: {status}");
        Ok(())
    }
}
