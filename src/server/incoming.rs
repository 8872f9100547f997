//! Connections, each with what is known of it.
//!
//! Handshakes go on beside each other and beside accepting, so one that takes long
//! holds up nobody. Their number is bounded, and their time: as many as may be under
//! way wait behind nothing, and those after them in the socket's own queue.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{self, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::tls::Tls;
use crate::auth::ConnectionInfo;

/// How many handshakes may be under way.
const MOST_HANDSHAKES: usize = 1024;
/// How long accepting pauses when it fails, as it does without free descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection from a proxy, ready for HTTP/2.
#[derive(Debug)]
pub(super) struct Io {
    stream: Transport,
    info: ConnectionInfo,
}

#[derive(Debug)]
enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

struct Incoming {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    handshakes: JoinSet<Option<Io>>,
}

/// The connections that come in on `listener`, over TLS if there is any.
///
/// Dropped, the socket is closed and handshakes under way are broken off.
pub(super) fn incoming(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
) -> impl Stream<Item = io::Result<Io>> {
    let incoming = Incoming { listener, tls, handshakes: JoinSet::new() };
    stream::unfold(incoming, |mut incoming| async move {
        let io = incoming.next().await;
        Some((Ok(io), incoming))
    })
}

impl Incoming {
    async fn next(&mut self) -> Io {
        loop {
            let accepted = tokio::select! {
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Some(io)) => return io,
                    // Its end was logged; a panic is told of by its own hook.
                    Ok(None) | Err(_) => continue,
                },
                accepted = self.listener.accept(),
                    if self.handshakes.len() < MOST_HANDSHAKES => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "cannot accept an xDS connection");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            // Without it small answers may wait for the client's next ACK.
            stream.set_nodelay(true).ok();
            let info = ConnectionInfo { peer: Some(peer), ..Default::default() };
            match &self.tls {
                None => return Io { stream: Transport::Plain(stream), info },
                Some(tls) => {
                    let tls = Arc::clone(tls);
                    self.handshakes.spawn(async move { handshake(&tls, stream, info).await });
                }
            }
        }
    }
}

async fn handshake(tls: &Tls, stream: TcpStream, info: ConnectionInfo) -> Option<Io> {
    match tls.accept(stream).await {
        Ok(stream) => {
            let (_, session) = stream.get_ref();
            let certificates = session.peer_certificates().unwrap_or_default().into();
            let info = ConnectionInfo { secure: true, certificates, ..info };
            Some(Io { stream: Transport::Tls(Box::new(stream)), info })
        }
        // A port that is merely probed: not worth a warning every few seconds.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            tracing::debug!(peer.addr = ?info.peer, "a TLS client went away");
            None
        }
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(peer.addr = ?info.peer, error, "a TLS handshake failed");
            None
        }
    }
}

impl Connected for Io {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> ConnectionInfo {
        self.info.clone()
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Transport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Transport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::server::TlsFiles;

    #[tokio::test]
    async fn a_client_that_is_silent_holds_up_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let files = TlsFiles {
            certificate: dir.path().join("tls.crt"),
            key: dir.path().join("tls.key"),
            client_authorities: None,
        };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = Tls::load(files).await.unwrap();
        let mut incoming = Box::pin(incoming(listener, Some(tls)));

        let _silent = TcpStream::connect(address).await.unwrap();
        let talks = TcpStream::connect(address).await.unwrap();
        let peer = talks.local_addr().unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.into()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let name = "localhost".try_into().unwrap();
        let (connected, accepted) = tokio::join!(connector.connect(name, talks), incoming.next());
        let (_, session) = connected.as_ref().unwrap().get_ref();
        assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
        let info = accepted.unwrap().unwrap().connect_info();
        assert_eq!((info.peer, info.secure), (Some(peer), true));
        assert!(info.certificates.is_empty());
    }
}
