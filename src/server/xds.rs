//! The socket that proxies connect to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use marchproxy_xds::AdsServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::transport::Server;
use tower::util::MapRequestLayer;

use super::bind;
use super::incoming::incoming;
use super::tls::Tls;
use crate::app::App;
use crate::auth::ConnectionInfo;

const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(10);

/// The xDS server, bound and not yet serving.
#[derive(Debug)]
pub struct XdsServer(TcpListener);

impl XdsServer {
    /// Binds `address`.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        bind(address).map(Self)
    }

    /// Where it is bound.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Serves until `stop`, over TLS if there is any; streams then end with OK,
    /// and proxies keep what they have and come back.
    pub async fn serve(
        self,
        app: App,
        tls: Option<Arc<Tls>>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let incoming = incoming(self.0, tls.clone());
        // Serving, since what is published was loaded before this is called.
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<AdsServer<App>>().await;
        let serving = Server::builder()
            .layer(MapRequestLayer::new(with_peer))
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
            .add_service(health_service)
            .add_service(AdsServer::new(Arc::new(app), stop.clone()))
            .serve_with_incoming_shutdown(incoming, stop.cancelled_owned());
        let watching = async {
            match &tls {
                Some(tls) => tls.watch().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            served = serving => Ok(served?),
            () = watching => Ok(()),
        }
    }
}

/// Tells the engine where a call comes from.
fn with_peer(mut request: http::Request<Body>) -> http::Request<Body> {
    let extensions = request.extensions_mut();
    if let Some(peer) = extensions.get::<ConnectionInfo>().and_then(|info| info.peer) {
        extensions.insert(peer);
    }
    request
}
