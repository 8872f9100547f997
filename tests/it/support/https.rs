//! Upstreams that are spoken to by TLS.

use std::net::SocketAddr;

use axum::Router;
use axum::http::Version;
use axum_server::tls_rustls::RustlsConfig;
use tokio::task::JoinSet;

use super::pki::{Authority, Pair};

/// An authority, and an HTTPS server whose certificate it signed.
pub(crate) struct Https {
    /// The authority's certificate.
    pub(crate) authority: String,
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Https {
    /// Serves as `name`; each answer says which HTTP it was asked by.
    pub(crate) async fn start(name: &str) -> Self {
        let authority = Authority::new();
        let Pair { certificate, key } = authority.sign(&[name], &[]);
        let config =
            RustlsConfig::from_pem(certificate.into_bytes(), key.into_bytes()).await.unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(async |version: Version| format!("{version:?}"));
        let server = axum_server::from_tcp_rustls(listener, config).unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move { server.serve(router.into_make_service()).await.unwrap() });
        Self { authority: authority.pem, address, _serving: serving }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}
