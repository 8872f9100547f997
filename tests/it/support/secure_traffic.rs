//! Requests over TLS, each on a connection of its own, and whom they met.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::LIMIT;

/// Continuous requests, one after the other, until stopped.
pub(crate) struct SecureTraffic {
    stop: CancellationToken,
    running: JoinSet<(BTreeMap<String, usize>, Vec<String>)>,
}

impl SecureTraffic {
    /// Starts requests to `host` on a loopback port, trusting this authority.
    pub(crate) fn start(port: u16, host: &'static str, authority: &str) -> Self {
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        let (stopped, authority) = (stop.clone(), authority.to_owned());
        running.spawn(async move {
            let (mut met, mut failed) = (BTreeMap::new(), vec![]);
            while !stopped.is_cancelled() {
                match secure_get(port, host, &authority).await {
                    Ok((fingerprint, _)) => *met.entry(fingerprint).or_default() += 1,
                    Err(e) => failed.push(e),
                }
            }
            (met, failed)
        });
        Self { stop, running }
    }

    /// Stops them; how many met which certificate, and what went wrong with others.
    pub(crate) async fn stop(mut self) -> (BTreeMap<String, usize>, Vec<String>) {
        self.stop.cancel();
        self.running.join_next().await.unwrap().unwrap()
    }
}

/// One request; the fingerprint of the server's certificate, and the answer's body.
pub(crate) async fn secure_get(
    port: u16,
    host: &'static str,
    authority: &str,
) -> Result<(String, String), String> {
    let got = timeout(LIMIT, get(port, host, authority)).await;
    got.map_err(|late| late.to_string())?.map_err(|e| e.to_string())
}

async fn get(
    port: u16,
    host: &'static str,
    authority: &str,
) -> Result<(String, String), Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(ServerName::try_from(host)?, stream).await?;
    let certificates = stream.get_ref().1.peer_certificates().ok_or("no certificate")?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificates[0]);
    let fingerprint = marchproxy::model::hex(digest.as_ref());
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = vec![];
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    if head.starts_with("HTTP/1.1 200") {
        Ok((fingerprint, body.to_owned()))
    } else {
        Err(head.lines().next().unwrap_or_default().into())
    }
}
