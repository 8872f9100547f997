//! Authorities, certificates, and connections that are secured with them.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

/// Who signs certificates.
pub(crate) struct Authority {
    /// Its own certificate, as PEM.
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    /// A new one.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // By default all have one name, and each would seem to sign itself.
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for the server of a test.
    pub(crate) fn server(&self) -> Pair {
        self.sign(&["localhost"], &[])
    }

    /// A certificate for this DNS name that is good for so many days from now.
    pub(crate) fn sign_for_days(&self, dns: &str, days: i64) -> Pair {
        use chrono::Datelike as _;
        let end = chrono::Utc::now() + chrono::TimeDelta::days(days);
        let mut params = CertificateParams::new([dns.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, dns);
        let (month, day) = (end.month().try_into().unwrap(), end.day().try_into().unwrap());
        params.not_after = rcgen::date_time_ymd(end.year(), month, day);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A certificate for the loopback address, these DNS names and these URIs.
    pub(crate) fn sign(&self, dns: &[&str], uris: &[&str]) -> Pair {
        let mut params = CertificateParams::new([]).unwrap();
        let dns = dns.iter().map(|name| SanType::DnsName((*name).try_into().unwrap()));
        let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
        params.subject_alt_names = dns.chain(uris).collect();
        params.subject_alt_names.push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Pair {
    /// A line of its key that stands in nothing else.
    pub(crate) fn secret(&self) -> &str {
        self.key.lines().nth(1).unwrap()
    }

    /// Writes `<name>.crt` and `<name>.key`, each as a whole; their paths.
    pub(crate) fn write(&self, dir: &Path, name: &str) -> [String; 2] {
        [("crt", &self.certificate), ("key", &self.key)].map(|(kind, text)| {
            let (path, new) = (dir.join(format!("{name}.{kind}")), dir.join("new"));
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, &path).unwrap();
            path.to_str().unwrap().to_owned()
        })
    }
}

/// A connection to a loopback port for gRPC, trusting this authority, and showing
/// a certificate if there is one.
pub(crate) async fn secure_channel(
    port: u16,
    authority: &str,
    own: Option<&Pair>,
) -> Result<Channel, tonic::transport::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(Pair { certificate, key }) => {
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let connect = move |_| {
        let connector = connector.clone();
        async move {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            let name = std::net::IpAddr::from(Ipv4Addr::LOCALHOST).into();
            Ok::<_, io::Error>(TokioIo::new(connector.connect(name, stream).await?))
        }
    };
    // What is called http here is over TLS by the connector.
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
    endpoint.connect_with_connector(tower::service_fn(connect)).await
}
