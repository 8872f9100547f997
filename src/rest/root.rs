//! What stands at the root, for whoever asks.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::Result;
use super::extract::Json;
use super::time::Time;
use crate::app::App;

/// What the process knows of itself, and operations do not.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where the internal API is, as clients of the document know it.
    pub xds_server_url: String,
    /// Writes the metrics, in the text format of Prometheus.
    pub metrics: fn(&App) -> String,
}

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(about))
        .routes(routes!(healthz))
        .routes(routes!(api_healthz))
        .routes(routes!(readyz))
        .routes(routes!(xds_stats))
        .routes(routes!(metrics))
}

/// What this is, and where things are.
#[derive(Serialize, ToSchema)]
struct About {
    #[schema(example = "MarchProxy API Server")]
    service: &'static str,
    version: &'static str,
    /// Swagger UI.
    docs: &'static str,
    redoc: &'static str,
    openapi: &'static str,
    health: &'static str,
    metrics: &'static str,
    graphql: &'static str,
    subscriptions: &'static str,
    /// None if the web pages were not built.
    graphiql: Option<&'static str>,
}

/// How the parts are doing: `healthy` or `unhealthy`.
#[derive(Serialize, ToSchema)]
struct HealthOut {
    #[schema(example = "healthy")]
    status: &'static str,
    version: &'static str,
    #[schema(example = "marchproxy-api-server")]
    service: &'static str,
    /// Whether there is something to give to a proxy that connects.
    #[schema(example = "healthy")]
    xds_server: &'static str,
    /// Whether the database answers.
    #[schema(example = "healthy")]
    database: &'static str,
}

/// Whether requests can be answered.
#[derive(Serialize, ToSchema)]
struct Readiness {
    #[schema(example = "ready")]
    status: &'static str,
}

/// How the control plane is doing, in numbers.
#[derive(Serialize, ToSchema)]
struct StatsOut {
    /// When something was last changed.
    last_update: Option<Time>,
    /// How many changes the clusters have seen that there are.
    update_count: u64,
    #[schema(example = "http://localhost:19000")]
    xds_server_url: String,
    /// What is wrong with what was sent last; none if nothing is.
    last_error: Option<String>,
    /// How many clusters have something to give to their proxies.
    clusters_published: usize,
    /// How many Envoys are connected.
    nodes_connected: usize,
    /// How many of them refuse some of what they are sent.
    nodes_refusing: usize,
}

/// Says what this is
///
/// A browser, which asks for HTML, is given the dashboard instead.
#[utoipa::path(
    get,
    path = "/",
    tag = "root",
    security(()),
    responses((status = 200, description = "What this is.", body = About))
)]
async fn about() -> Json<About> {
    Json(About {
        service: "MarchProxy API Server",
        version: env!("CARGO_PKG_VERSION"),
        docs: "/api/docs",
        redoc: "/api/redoc",
        openapi: "/api/openapi.json",
        health: "/healthz",
        metrics: "/metrics",
        graphql: "/graphql",
        subscriptions: "/graphql/ws",
        graphiql: cfg!(feature = "dashboard").then_some("/graphiql"),
    })
}

/// Says how the parts are doing
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "root",
    security(()),
    responses(
        (status = 200, description = "All are well.", body = HealthOut),
        (status = 503, description = "One is not.", body = HealthOut)
    )
)]
async fn healthz(State(app): State<App>) -> Response {
    health(&app).await
}

/// Says how the parts are doing, at a second place
#[utoipa::path(
    get,
    path = "/api/healthz",
    tag = "root",
    security(()),
    responses(
        (status = 200, description = "All are well.", body = HealthOut),
        (status = 503, description = "One is not.", body = HealthOut)
    )
)]
async fn api_healthz(State(app): State<App>) -> Response {
    health(&app).await
}

async fn health(app: &App) -> Response {
    let health = app.health().await;
    let shown = |good: bool| if good { "healthy" } else { "unhealthy" };
    let good = health.database && health.xds_server;
    let body = HealthOut {
        status: shown(good),
        version: env!("CARGO_PKG_VERSION"),
        service: "marchproxy-api-server",
        xds_server: shown(health.xds_server),
        database: shown(health.database),
    };
    (status(good), Json(body)).into_response()
}

/// Says whether requests can be answered
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "root",
    security(()),
    responses(
        (status = 200, description = "They can.", body = Readiness),
        (status = 503, description = "They cannot, at present.", body = Readiness)
    )
)]
async fn readyz(State(app): State<App>) -> Response {
    let health = app.health().await;
    let ready = health.database && health.xds_server;
    let body = Readiness { status: if ready { "ready" } else { "not ready" } };
    (status(ready), Json(body)).into_response()
}

fn status(good: bool) -> StatusCode {
    if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Counts changes, and the proxies that have them
#[utoipa::path(
    get,
    path = "/xds/stats",
    tag = "root",
    security(()),
    responses((status = 200, description = "The numbers.", body = StatsOut))
)]
async fn xds_stats(
    State(app): State<App>,
    Extension(surroundings): Extension<Surroundings>,
) -> Result<Json<StatsOut>> {
    let stats = app.xds_stats().await?;
    let refusing = stats.nodes_refusing;
    Ok(Json(StatsOut {
        last_update: stats.last_update.map(Time::from),
        update_count: stats.update_count,
        xds_server_url: surroundings.xds_server_url,
        last_error: (refusing > 0).then(|| format!("{refusing} node(s) refuse what they are sent")),
        clusters_published: stats.groups_published,
        nodes_connected: stats.nodes_connected,
        nodes_refusing: refusing,
    }))
}

/// Shows the metrics, in the text format of Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "root",
    security(()),
    responses(
        (status = 200, description = "The metrics.", body = String, content_type = "text/plain")
    )
)]
async fn metrics(
    State(app): State<App>,
    Extension(surroundings): Extension<Surroundings>,
) -> Response {
    let text = (surroundings.metrics)(&app);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
