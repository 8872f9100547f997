//! TLS for the socket that proxies connect to.
//!
//! Files are looked at every few seconds by content: that sees every way to replace
//! one, also the symbolic links that Kubernetes swaps, and needs nothing from the
//! file system. A new connection gets what is in force when it comes; those that
//! are there go on. What cannot be used is logged, and the old one stays.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::RwLock;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::fs;
use tokio::net::TcpStream;
use tokio::time::{self, MissedTickBehavior};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long a client has for its handshake.
const PATIENCE: Duration = Duration::from_secs(10);
/// The one protocol that is spoken: HTTP/2.
const ALPN: &[u8] = b"h2";

/// Where certificates and keys are; all files are PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and then what leads to its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of client certificates; clients are asked for one if this
    /// is given. One that is not theirs ends the handshake; none at all does not,
    /// so that its owner can be told why it is refused.
    pub client_authorities: Option<PathBuf>,
}

/// Makes connections secure, with what is in the files by now.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    contents: Contents,
    config: Arc<ServerConfig>,
}

/// What the files say.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_authorities: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files. The error names the one that is wrong.
    pub async fn load(files: TlsFiles) -> anyhow::Result<Arc<Self>> {
        let contents = files.read().await?;
        let config = contents.config()?;
        Ok(Arc::new(Self { files, current: RwLock::new(Current { contents, config }) }))
    }

    /// Looks after the files, for ever.
    pub(super) async fn watch(&self) {
        let mut tick = time::interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut complaint = None;
        loop {
            tick.tick().await;
            match self.look().await {
                Ok(true) => tracing::info!("took over a new certificate for xDS"),
                Ok(false) => {}
                Err(error) => {
                    // A file that stays broken is told of once.
                    let error = format!("{error:#}");
                    if complaint.as_ref() != Some(&error) {
                        tracing::error!(error, "cannot take over a new certificate: the old stays");
                    }
                    complaint = Some(error);
                    continue;
                }
            }
            complaint = None;
        }
    }

    /// Takes over what is new; whether there was anything.
    async fn look(&self) -> anyhow::Result<bool> {
        let contents = self.files.read().await?;
        if self.current.read().contents == contents {
            return Ok(false);
        }
        let config = contents.config()?;
        *self.current.write() = Current { contents, config };
        Ok(true)
    }

    /// Shakes hands with a client, which has ten seconds for it.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.current.read().config);
        let handshake = TlsAcceptor::from(config).accept(stream);
        time::timeout(PATIENCE, handshake)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl TlsFiles {
    async fn read(&self) -> anyhow::Result<Contents> {
        let read = async |path: &Path, name| {
            let read = fs::read(path).await;
            read.with_context(|| format!("{name}: cannot read {}", path.display()))
        };
        Ok(Contents {
            certificate: read(&self.certificate, "XDS_TLS_CERT").await?,
            key: read(&self.key, "XDS_TLS_KEY").await?,
            client_authorities: match &self.client_authorities {
                Some(path) => Some(read(path, "XDS_TLS_CLIENT_CA").await?),
                None => None,
            },
        })
    }
}

impl Contents {
    /// A new configuration has new keys for session tickets: nobody resumes a
    /// session that an authority of before has vouched for.
    fn config(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let certificates = certificates_in(&self.certificate).context("XDS_TLS_CERT")?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .context("XDS_TLS_KEY: there is no private key in it")?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match &self.client_authorities {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates_in(pem).context("XDS_TLS_CLIENT_CA")? {
                    roots.add(authority).context("XDS_TLS_CLIENT_CA")?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                    .allow_unauthenticated()
                    .build()
                    .context("XDS_TLS_CLIENT_CA")?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(certificates, key)
            .context("XDS_TLS_CERT and XDS_TLS_KEY do not fit together")?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Arc::new(config))
    }
}

/// Without the key.
impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contents(..)")
    }
}

fn certificates_in(pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.context("is not PEM")?;
    anyhow::ensure!(!certificates.is_empty(), "there is no certificate in it");
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// A certificate and its key.
    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn files(dir: &Path) -> TlsFiles {
        TlsFiles {
            certificate: dir.join("tls.crt"),
            key: dir.join("tls.key"),
            client_authorities: None,
        }
    }

    async fn write(dir: &Path, (certificate, key): &(String, String)) {
        fs::create_dir_all(dir).await.unwrap();
        fs::write(dir.join("tls.crt"), certificate).await.unwrap();
        fs::write(dir.join("tls.key"), key).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_file_is_told_by_its_name() {
        let ((certificate, key), (_, other)) = (pair(), pair());
        let table = [
            (Some(&*certificate), Some(&*key), Some(&*certificate), ""),
            (None, Some(&*key), None, "XDS_TLS_CERT: cannot read"),
            (Some(&*certificate), None, None, "XDS_TLS_KEY: cannot read"),
            (Some("x"), Some(&*key), None, "XDS_TLS_CERT: there is no certificate in it"),
            (Some(&*key), Some(&*key), None, "XDS_TLS_CERT: there is no certificate in it"),
            (Some(&*certificate), Some("x"), None, "XDS_TLS_KEY: there is no private key in it"),
            (Some(&*certificate), Some(&*certificate), None, "XDS_TLS_KEY: there is no private"),
            (Some(&*certificate), Some(&*other), None, "do not fit together"),
            (Some(&*certificate), Some(&*key), Some("x"), "XDS_TLS_CLIENT_CA: there is no"),
        ];
        for (certificate, key, authorities, want) in table {
            let dir = tempfile::tempdir().unwrap();
            let mut files = files(dir.path());
            for (path, text) in [(&files.certificate, certificate), (&files.key, key)] {
                if let Some(text) = text {
                    fs::write(path, text).await.unwrap();
                }
            }
            if let Some(text) = authorities {
                let path = dir.path().join("ca.crt");
                fs::write(&path, text).await.unwrap();
                files.client_authorities = Some(path);
            }
            let said = Tls::load(files).await.err().map(|e| format!("{e:#}")).unwrap_or_default();
            assert_eq!(want.is_empty(), said.is_empty(), "{want}: {said}");
            assert!(said.contains(want), "{want}: {said}");
        }
    }

    #[tokio::test]
    async fn a_swapped_link_is_seen_and_a_broken_file_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new, data) =
            (dir.path().join("1"), dir.path().join("2"), dir.path().join("data"));
        write(&old, &pair()).await;
        write(&new, &pair()).await;
        symlink(&old, &data).unwrap();
        let tls = Tls::load(files(&data)).await.unwrap();
        let in_force = || Arc::clone(&tls.current.read().config);
        let first = in_force();
        assert!(!tls.look().await.unwrap());

        symlink(&new, dir.path().join("next")).unwrap();
        fs::rename(dir.path().join("next"), &data).await.unwrap();
        assert!(tls.look().await.unwrap());
        let second = in_force();
        assert!(!Arc::ptr_eq(&first, &second));

        fs::write(new.join("tls.crt"), pair().0).await.unwrap();
        let said = format!("{:#}", tls.look().await.unwrap_err());
        assert!(said.contains("do not fit together"), "{said}");
        fs::remove_file(new.join("tls.crt")).await.unwrap();
        assert!(tls.look().await.is_err());
        assert!(Arc::ptr_eq(&second, &in_force()));
    }
}
