//! The socket that proxies connect to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use marchproxy_xds::AdsServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::bind;
use crate::app::App;

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

    /// Serves until `stop`; streams then end with OK, and proxies keep what
    /// they have and come back.
    pub async fn serve(self, app: App, stop: CancellationToken) -> anyhow::Result<()> {
        let incoming = TcpIncoming::from(self.0).with_nodelay(Some(true));
        // Serving, since what is published was loaded before this is called.
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<AdsServer<App>>().await;
        Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
            .add_service(health_service)
            .add_service(AdsServer::new(Arc::new(app), stop.clone()))
            .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
            .await?;
        Ok(())
    }
}
