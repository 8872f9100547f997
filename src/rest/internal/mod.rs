//! The internal API: a whole configuration posted, looked up, and rolled back.
//!
//! What MarchProxy's first xDS server had, shape for shape: JSON where it goes
//! well, plain text where it does not. A version here is a revision of a node
//! group: the default one, or the one that `?cluster=` or `node_id` names.

mod config;
mod metrics;

use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Json, Router, body::Bytes};
use serde::Deserialize;
use serde_json::json;

use crate::app::{App, By};
use crate::auth::{Edge, Origin};
use crate::error::Error;
use crate::model::{NodeGroupId, Revision};

/// Where the content of a group comes from, and whose it is if nobody says.
#[derive(Clone, Debug)]
struct Internal {
    app: App,
    /// What this server calls itself.
    node_id: String,
}

/// Which group is meant.
#[derive(Debug, Default, Deserialize)]
struct Which {
    cluster: Option<String>,
    node_id: Option<String>,
}

/// An answer in plain text, as Go's `http.Error` gives it.
struct Refusal(StatusCode, String);

/// The routes of the internal API; `node_id` is what the server calls itself.
pub fn router(app: App, node_id: String) -> Router {
    let internal = Internal { app, node_id };
    Router::new()
        .route("/v1/config", post(post_config))
        .route("/v1/version", get(version))
        .route("/v1/snapshot/{n}", get(snapshot))
        .route("/v1/rollback/{n}", post(rollback))
        .route("/health", any(health))
        .route("/healthz", any(health))
        .route("/metrics", any(metrics))
        .method_not_allowed_fallback(async || {
            Refusal(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed".to_owned())
        })
        .fallback(async || Refusal(StatusCode::NOT_FOUND, "404 page not found".to_owned()))
        .with_state(internal)
}

/// `POST /v1/config`: makes the body all that a group consists of.
async fn post_config(
    State(internal): State<Internal>,
    Extension(origin): Extension<Origin>,
    Query(which): Query<Which>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let invalid =
        |why: String| Refusal(StatusCode::BAD_REQUEST, format!("Invalid configuration: {why}"));
    let body = body.map_err(|e| Refusal(e.status(), format!("Invalid configuration: {e}")))?;
    let posted = config::Posted::parse(&body).map_err(|e| invalid(e.to_string()))?;
    let which = Which { node_id: which.node_id.or(posted.node_id), ..which };
    let origin = Origin { edge: Edge::Internal, ..origin };
    let by = By::Internal(&origin);
    let group = internal.group(by, &which).await.map_err(|e| invalid(e.to_string()))?;
    let replaced = internal.app.replace_content(by, group, posted.content).await;
    let (_, change) = replaced.map_err(|e| {
        let refusal = Refusal::from_error(&e, "Failed to update configuration");
        let Refusal(status, _) = refusal;
        if status.is_server_error() { refusal } else { invalid(e.to_string()) }
    })?;
    let answer = json!({
        "status": "success",
        "version": change.revision.to_string(),
        "message": "Configuration updated successfully",
    });
    Ok(Json(answer).into_response())
}

/// `GET /v1/version`: the revision of a group.
async fn version(
    State(internal): State<Internal>,
    Extension(origin): Extension<Origin>,
    Query(which): Query<Which>,
) -> Result<Response, Refusal> {
    let (current, _) = internal.revision(&origin, &which, Revision::default()).await?;
    let answer = json!({ "version": i64::from(current), "node_id": internal.node_id });
    Ok(Json(answer).into_response())
}

/// `GET /v1/snapshot/{n}`: whether a revision can be rolled back to.
async fn snapshot(
    State(internal): State<Internal>,
    Extension(origin): Extension<Origin>,
    Path(n): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, Refusal> {
    let wanted = number(&n)?;
    match internal.revision(&origin, &which, wanted).await? {
        (_, false) => Err(not_kept(wanted)),
        (current, true) => {
            let (n, current) = (i64::from(wanted), i64::from(current));
            let answer = json!({ "version": n, "current_version": current, "available": true });
            Ok(Json(answer).into_response())
        }
    }
}

/// `POST /v1/rollback/{n}`: makes a group what it was at a revision.
async fn rollback(
    State(internal): State<Internal>,
    Extension(origin): Extension<Origin>,
    Path(n): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, Refusal> {
    let wanted = number(&n)?;
    let origin = Origin { edge: Edge::Internal, ..origin };
    let by = By::Internal(&origin);
    let group = internal.group(by, &which).await;
    let group = group.map_err(|e| Refusal::from_error(&e, "Rollback"))?;
    let made = internal.app.rollback_to_revision(by, group, wanted).await;
    let (_, change) = made.map_err(|e| {
        if matches!(e, Error::NotFound { .. }) {
            not_kept(wanted)
        } else {
            Refusal::from_error(&e, "Failed to roll back")
        }
    })?;
    let answer = json!({
        "status": "success",
        "rolled_back_to": i64::from(wanted),
        "new_version": i64::from(change.revision),
        "version_string": wanted.to_string(),
        "message": format!("Successfully rolled back to version {wanted}"),
    });
    Ok(Json(answer).into_response())
}

/// `/health` and `/healthz`: whether the database answers and Envoys are served.
async fn health(State(internal): State<Internal>) -> Response {
    let health = internal.app.health().await;
    let good = health.database && health.xds_server;
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let shown = if good { "healthy" } else { "unhealthy" };
    (status, Json(json!({ "status": shown, "service": "marchproxy-xds-server" }))).into_response()
}

/// `/metrics`: what upstream counted.
async fn metrics(State(internal): State<Internal>) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], metrics::text(&internal.app)).into_response()
}

impl Internal {
    /// The group that is meant: the default one if none is named, or this server.
    async fn group(&self, by: By<'_>, which: &Which) -> Result<NodeGroupId, Error> {
        let own = |name: &&String| **name != self.node_id && !name.is_empty();
        match which.cluster.as_ref().or(which.node_id.as_ref()).filter(own) {
            None => Ok(self.app.default_group()),
            Some(name) => Ok(self.app.named_group(by, name).await?.id),
        }
    }

    async fn revision(
        &self,
        origin: &Origin,
        which: &Which,
        wanted: Revision,
    ) -> Result<(Revision, bool), Refusal> {
        let by = By::Internal(origin);
        let found = async {
            let group = self.group(by, which).await?;
            self.app.revision(by, group, wanted).await
        };
        found.await.map_err(|e| Refusal::from_error(&e, "Failed to look"))
    }
}

fn number(n: &str) -> Result<Revision, Refusal> {
    let good = n.parse::<i64>().ok().filter(|n| *n >= 0);
    let bad = || Refusal(StatusCode::BAD_REQUEST, "Invalid version number".to_owned());
    Ok(good.ok_or_else(bad)?.into())
}

fn not_kept(wanted: Revision) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("Version {wanted} not found"))
}

impl Refusal {
    /// An error as plain text; its cause goes to the log.
    fn from_error(error: &Error, what: &str) -> Self {
        if let Error::Internal(cause) = error {
            tracing::error!(error = &**cause as &dyn std::error::Error, "an operation failed");
        }
        Self(error.codes().http, format!("{what}: {error}"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, text) = self;
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        let sniff = HeaderValue::from_static("nosniff");
        let headers = [(header::CONTENT_TYPE, kind), (header::X_CONTENT_TYPE_OPTIONS, sniff)];
        (status, headers, format!("{text}\n")).into_response()
    }
}
