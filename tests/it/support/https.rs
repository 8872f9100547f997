//! Upstreams that are spoken to by TLS.

use std::net::SocketAddr;

use axum::Router;
use axum::http::Version;
use axum_server::tls_rustls::RustlsConfig;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::task::JoinSet;

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
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // By default both have one name, and the server would seem to sign itself.
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let authority_key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&authority_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&authority.pem(), &authority_key).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();

        let (pem, key) = (certificate.pem().into_bytes(), key.serialize_pem().into_bytes());
        let config = RustlsConfig::from_pem(pem, key).await.unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(async |version: Version| format!("{version:?}"));
        let server = axum_server::from_tcp_rustls(listener, config).unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move { server.serve(router.into_make_service()).await.unwrap() });
        Self { authority: authority.pem(), address, _serving: serving }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}
