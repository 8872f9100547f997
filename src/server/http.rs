//! The socket that people, dashboards and scripts talk to.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use axum::serve::ListenerExt as _;
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::normalize_path::NormalizePath;

use super::address::TrustedProxies;
use super::graphql::GraphqlSettings;
use super::headers::{Origins, secure};
use super::limits::{Limits, limit};
use super::origin::note_origin;
use super::requests::{end, identify};
use super::{bind, dashboard, docs, graphql, metrics};
use crate::app::App;
use crate::rest;

/// How HTTP is served.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Which pages of other origins may read answers.
    pub cors: Origins,
    /// Who is believed where a request comes from.
    pub trusted_proxies: TrustedProxies,
    /// How often a client may ask.
    pub limits: Limits,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How GraphQL is served.
    pub graphql: GraphqlSettings,
    /// How many bytes a body may have.
    pub largest_body: usize,
    /// Where the internal API is, as clients of the document know it.
    pub xds_server_url: String,
}

/// The HTTP server, bound and not yet serving.
#[derive(Debug)]
pub struct HttpServer(TcpListener);

impl HttpServer {
    /// Binds `address`.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        bind(address).map(Self)
    }

    /// Where it is bound.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Serves until `stop`; requests that are under way are answered.
    pub async fn serve(
        self,
        app: App,
        settings: HttpSettings,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let router = router(app, settings, stop.clone());
        let listener = self.0.tap_io(|stream| {
            // Without it small answers may wait for the client's next ACK.
            stream.set_nodelay(true).ok();
        });
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await?;
        Ok(())
    }
}

fn router(app: App, settings: HttpSettings, stop: CancellationToken) -> Router {
    let HttpSettings { cors, trusted_proxies, limits, request_timeout, largest_body, .. } =
        settings;
    let api = graphql::router(app.clone(), settings.graphql, cors.clone(), stop);
    let surroundings =
        rest::Surroundings { xds_server_url: settings.xds_server_url, metrics: metrics::text };
    // The last layer is the outermost.
    let router = Router::new()
        .merge(api)
        .merge(dashboard::router())
        .merge(docs::router())
        .merge(rest::router(app, surroundings))
        .fallback(rest::error::not_found)
        .method_not_allowed_fallback(rest::error::method_not_allowed)
        .layer(middleware::from_fn(dashboard::greet))
        .layer(RequestBodyLimitLayer::new(largest_body))
        .layer(middleware::from_fn_with_state(request_timeout, end))
        .layer(middleware::from_fn_with_state(limits, limit))
        .layer(middleware::from_fn_with_state(trusted_proxies, note_origin))
        .layer(CompressionLayer::new())
        .layer(cors.layer())
        .layer(middleware::from_fn(secure))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(metrics::measure))
        .layer(middleware::from_fn(identify));
    // Around the router, since a path is matched before its layers are asked.
    Router::new().fallback_service(NormalizePath::trim_trailing_slash(router))
}

/// The answer to a request that broke something of ours; the panic is in the log.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    rest::error::refusal(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}
