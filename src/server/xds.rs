//! The socket that proxies connect to.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use futures_util::StreamExt as _;
use marchproxy_xds::{
    DiscoveryServer, DiscoveryService, LoadServer, Server, Settings, StatusServer,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::server::Connected as _;
use tonic_health::ServingStatus;

use super::bind;
use super::incoming::{Io, incoming};
use super::reflection::{Reflection, V1, V1Alpha};
use super::tls::Tls;
use crate::app::App;

/// What is served here, as reflection lists it.
static SERVICES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    DiscoveryService::ALL.map(DiscoveryService::name).into_iter().chain(OTHERS).collect()
});

/// What is served beside discovery.
const OTHERS: [&str; 5] = [
    <LoadServer<App> as NamedService>::NAME,
    <StatusServer<App> as NamedService>::NAME,
    "grpc.health.v1.Health",
    <Reflection<V1> as NamedService>::NAME,
    <Reflection<V1Alpha> as NamedService>::NAME,
];

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
        for service in SERVICES.iter() {
            health.set_service_status(*service, ServingStatus::Serving).await;
        }
        let app = Arc::new(app);
        let discovery = DiscoveryServer::new(Arc::clone(&app), stop.clone());
        let discovery = discovery.with_settings(settings.clone()).with_clients(app.clients());
        let clients = discovery.clients();
        let counted = middleware::from_fn_with_state(App::clone(&app), count);
        let routes = discovery.into_routes().into_axum_router().layer(counted);
        let routes = Routes::from(routes)
            .add_service(health_service)
            .add_service(LoadServer::new(Arc::clone(&app), stop.clone()))
            .add_service(StatusServer::new(clients, app, stop.clone()))
            .add_service(Reflection::<V1>::new(&SERVICES, stop.clone()))
            .add_service(Reflection::<V1Alpha>::new(&SERVICES, stop.clone()));
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

/// Counts the calls of discovery services.
async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    if let Some((_, method)) = request.uri().path().rsplit_once('/') {
        app.count_call(method);
    }
    next.run(request).await
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
