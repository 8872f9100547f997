//! The socket that people, dashboards and scripts talk to.

use std::io;
use std::net::SocketAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

use super::{bind, dashboard, graphql};
use crate::app::App;
use crate::graphql::schema;

const LARGEST_BODY: usize = 1 << 20;

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
    pub async fn serve(self, app: App, stop: CancellationToken) -> anyhow::Result<()> {
        let router = router(app, stop.clone());
        let listener = self.0.tap_io(|stream| {
            // Without it small answers may wait for the client's next ACK.
            stream.set_nodelay(true).ok();
        });
        axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await?;
        Ok(())
    }
}

fn router(app: App, stop: CancellationToken) -> Router {
    let graphql = graphql::State { schema: schema(app.clone(), stop), app: app.clone() };
    let api = Router::new()
        .route("/graphql", post(graphql::answer))
        .route("/graphql/ws", get(graphql::subscribe))
        .with_state(graphql);
    Router::new()
        .route("/", get(about))
        .route("/healthz", get(health))
        .with_state(app)
        .merge(api)
        .merge(dashboard::router())
        .layer(RequestBodyLimitLayer::new(LARGEST_BODY))
        .layer(CatchPanicLayer::new())
}

/// `GET /`: what this is, and where things are.
async fn about() -> Response {
    let about = json!({
        "service": "MarchProxy control plane",
        "version": env!("CARGO_PKG_VERSION"),
        "graphql": "/graphql",
        "subscriptions": "/graphql/ws",
        "graphiql": cfg!(feature = "dashboard").then_some("/graphiql"),
        "health": "/healthz",
    });
    Json(about).into_response()
}

/// `GET /healthz`: whether the database answers, and proxies can be served.
async fn health(State(app): State<App>) -> Response {
    let health = app.health().await;
    let shown = |good: bool| if good { "healthy" } else { "unhealthy" };
    let good = health.database && health.xds_server;
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": shown(good),
        "version": env!("CARGO_PKG_VERSION"),
        "service": "marchproxy-control-plane",
        "database": shown(health.database),
        "xds_server": shown(health.xds_server),
    });
    (status, Json(body)).into_response()
}
