//! The socket that proxies connect to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::StreamExt as _;
use marchproxy_xds::{DiscoveryServer, DiscoveryService, Server, Settings};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected as _;
use tonic_health::ServingStatus;

use super::bind;
use super::incoming::{Io, incoming};
use super::tls::Tls;
use crate::app::App;

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
        settings: Settings,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let incoming = incoming(self.0, tls.clone());
        let incoming = incoming.map(|io| io.map(|io| (extensions(&io), io)).map(|(e, io)| (io, e)));
        // Serving, since what is published was loaded before this is called.
        let (health, health_service) = tonic_health::server::health_reporter();
        for service in DiscoveryService::ALL {
            health.set_service_status(service.name(), ServingStatus::Serving).await;
        }
        let discovery = DiscoveryServer::new(Arc::new(app), stop.clone());
        let discovery = discovery.with_settings(settings.clone());
        let routes = discovery.into_routes().add_service(health_service);
        let watching = async {
            match &tls {
                Some(tls) => tls.watch().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = Server::new(routes, settings).serve(incoming, stop) => {}
            () = watching => {}
        }
        Ok(())
    }
}

/// What is known of a connection, as every call on it will know it.
fn extensions(io: &Io) -> http::Extensions {
    let mut extensions = http::Extensions::new();
    let info = io.connect_info();
    if let Some(peer) = info.peer {
        extensions.insert(peer);
    }
    extensions.insert(info);
    extensions
}
