//! Services.

mod input;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::input::{NewService, RotateToken, ServicePatch};
use crate::app::{App, Served};
use crate::auth::ServiceSecret;
use crate::model::{AuthKind, Listed, NodeGroupId, SecretAuth, Service, ServiceId, Verification};
use crate::rest::error::{Detail, Result};
use crate::rest::extract::{Json, Path, Query, Signed};
use crate::rest::input::DeleteQuery;
use crate::rest::list::{ListQuery, optional_id};
use crate::rest::time::Time;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_services, create_service))
        .routes(routes!(get_service, replace_service, update_service, delete_service))
        .routes(routes!(rotate_service_token))
        .routes(routes!(reload_service))
}

/// A service as clients read it.
#[derive(Serialize, ToSchema)]
#[schema(as = Service)]
struct ServiceOut {
    /// Its identity.
    #[schema(example = 7)]
    id: i32,
    /// Unique in its cluster.
    #[schema(example = "orders")]
    name: String,
    /// Where its traffic goes: an IP address or a DNS name.
    #[schema(example = "orders.internal")]
    ip_fqdn: String,
    /// The port there.
    #[schema(example = 8080)]
    port: u16,
    /// What is spoken there: `tcp`, `udp`, `http` or `https`.
    #[schema(example = "http")]
    protocol: &'static str,
    /// What it belongs to, in people's minds.
    collection: Option<String>,
    /// The cluster whose proxies know it.
    #[schema(example = 1)]
    cluster_id: i32,
    /// What its clients prove themselves with: `none`, `base64` or `jwt`.
    auth_type: &'static str,
    /// The token, if it was just made; it is shown that once.
    token_base64: Option<String>,
    /// What JWTs are signed with, if it was just made; it is shown that once.
    jwt_secret: Option<String>,
    /// How long a JWT is good, in seconds.
    jwt_expiry: i32,
    /// How a JWT is signed.
    jwt_algorithm: &'static str,
    /// Whether the way there is encrypted.
    tls_enabled: bool,
    /// Whether the certificate there is verified.
    tls_verify: bool,
    /// Whether its endpoints are probed.
    health_check_enabled: bool,
    /// The path to GET; without one a connection is opened.
    health_check_path: Option<String>,
    /// Seconds from one probe to the next.
    health_check_interval: i32,
    /// What else its proxies are told.
    #[schema(value_type = Option<Object>)]
    extra_metadata: Option<serde_json::Value>,
    /// Whether it counts.
    is_active: bool,
    /// The user who made it; null if that is not known.
    created_by: Option<i32>,
    /// When it was made.
    created_at: Time,
    /// When it was last changed.
    updated_at: Time,
}

/// A window on a list of services.
#[derive(Serialize, ToSchema)]
struct ServiceList {
    /// How many there are in all.
    total: u64,
    /// Those in the window, the newest first.
    services: Vec<ServiceOut>,
}

/// A service's new secret.
#[derive(Serialize, ToSchema)]
struct RotatedToken {
    service_id: i32,
    auth_type: &'static str,
    /// The new token; it is shown this once.
    new_token: Option<String>,
    /// What JWTs are signed with from now on; it is shown this once.
    new_jwt_secret: Option<String>,
    message: &'static str,
}

/// That it is done.
#[derive(Serialize, ToSchema)]
struct Reloaded {
    #[schema(example = "success")]
    status: &'static str,
    #[schema(example = "xDS configuration reloaded")]
    message: &'static str,
}

/// Which services.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ServiceQuery {
    /// Those of this cluster only.
    #[serde(default)]
    #[param(minimum = 1)]
    cluster_id: Option<i32>,
}

/// Lists services
///
/// Those of one cluster, or of all clusters, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/services",
    tag = "services",
    params(ServiceQuery, ListQuery),
    responses((status = 200, description = "The services.", body = ServiceList))
)]
async fn list_services(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(of): Query<ServiceQuery>,
    Query(list): Query<ListQuery>,
) -> Result<Json<ServiceList>> {
    let group: Option<NodeGroupId> = optional_id(of.cluster_id, "cluster_id")?;
    let Listed { total, rows } = app.list_services(&actor, group, list.window()?).await?;
    Ok(Json(ServiceList { total, services: rows.into_iter().map(Into::into).collect() }))
}

/// Creates a service
///
/// If clients are to prove themselves, a secret is made up, and shown this once.
#[utoipa::path(
    post,
    path = "/api/v1/services",
    tag = "services",
    request_body = NewService,
    responses(
        (status = 201, description = "The service.", body = ServiceOut),
        (status = 400, description = "There is one of that name in the cluster.", body = Detail),
        (status = 404, description = "There is no such cluster.", body = Detail)
    )
)]
async fn create_service(
    State(app): State<App>,
    Signed(actor): Signed,
    Json(input): Json<NewService>,
) -> Result<(StatusCode, Json<ServiceOut>)> {
    let (served, _) = app.create_service(&actor, input.parse()?).await?;
    Ok((StatusCode::CREATED, Json(served.into())))
}

/// Shows one service
#[utoipa::path(
    get,
    path = "/api/v1/services/{service_id}",
    tag = "services",
    params(("service_id" = i32, Path, description = "Which service.", minimum = 1)),
    responses(
        (status = 200, description = "The service.", body = ServiceOut),
        (status = 404, description = "There is none that the user may see.", body = Detail)
    )
)]
async fn get_service(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<ServiceId>,
) -> Result<Json<ServiceOut>> {
    Ok(Json(app.service(&actor, id).await?.into()))
}

/// Changes a service
///
/// What is left out stays.
#[utoipa::path(
    patch,
    path = "/api/v1/services/{service_id}",
    tag = "services",
    params(("service_id" = i32, Path, description = "Which service.", minimum = 1)),
    request_body = ServicePatch,
    responses(
        (status = 200, description = "The service.", body = ServiceOut),
        (status = 400, description = "There is one of that name in the cluster.", body = Detail),
        (status = 404, description = "There is none.", body = Detail),
        (status = 409, description = "A route or listener needs it.", body = Detail)
    )
)]
async fn update_service(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<ServiceId>,
    Json(input): Json<ServicePatch>,
) -> Result<Json<ServiceOut>> {
    let (served, _) = app.update_service(&actor, id, input.parse()?).await?;
    Ok(Json(served.into()))
}

/// Changes a service, as PATCH does
#[utoipa::path(
    put,
    path = "/api/v1/services/{service_id}",
    tag = "services",
    params(("service_id" = i32, Path, description = "Which service.", minimum = 1)),
    request_body = ServicePatch,
    responses(
        (status = 200, description = "The service.", body = ServiceOut),
        (status = 400, description = "There is one of that name in the cluster.", body = Detail),
        (status = 404, description = "There is none.", body = Detail),
        (status = 409, description = "A route or listener needs it.", body = Detail)
    )
)]
async fn replace_service(
    app: State<App>,
    signed: Signed,
    id: Path<ServiceId>,
    input: Json<ServicePatch>,
) -> Result<Json<ServiceOut>> {
    update_service(app, signed, id, input).await
}

/// Deletes a service
///
/// It is switched off: no proxy is told of it, and it keeps its name. With
/// `permanent` it is gone.
#[utoipa::path(
    delete,
    path = "/api/v1/services/{service_id}",
    tag = "services",
    params(
        ("service_id" = i32, Path, description = "Which service.", minimum = 1),
        DeleteQuery
    ),
    responses(
        (status = 204, description = "It is done."),
        (status = 404, description = "There is none.", body = Detail),
        (status = 409, description = "A route, listener or mapping needs it.", body = Detail)
    )
)]
async fn delete_service(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<ServiceId>,
    Query(delete): Query<DeleteQuery>,
) -> Result<StatusCode> {
    if delete.permanent {
        app.delete_service(&actor, id, None).await?;
    } else {
        app.retire_service(&actor, id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a service a new secret
///
/// Of the kind that is asked for, whatever it had; the old one is good no more.
#[utoipa::path(
    post,
    path = "/api/v1/services/{service_id}/rotate-token",
    tag = "services",
    params(("service_id" = i32, Path, description = "Which service.", minimum = 1)),
    request_body = RotateToken,
    responses(
        (status = 200, description = "The new secret.", body = RotatedToken),
        (status = 404, description = "There is no such service.", body = Detail)
    )
)]
async fn rotate_service_token(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<ServiceId>,
    Json(input): Json<RotateToken>,
) -> Result<Json<RotatedToken>> {
    let (service, secret) = app.rotate_service_secret(&actor, id, input.parse()?).await?;
    let (new_token, new_jwt_secret) = shown(Some(&secret));
    Ok(Json(RotatedToken {
        service_id: service.id.into(),
        auth_type: AuthKind::from(secret.kind()).as_str(),
        new_token,
        new_jwt_secret,
        message: "Authentication token rotated successfully",
    }))
}

/// Publishes the service's cluster anew
///
/// It is compiled and published as if something had changed. An Envoy that already
/// has what comes out is not sent it again.
#[utoipa::path(
    post,
    path = "/api/v1/services/{service_id}/reload-xds",
    tag = "services",
    params(("service_id" = i32, Path, description = "Which service.", minimum = 1)),
    responses(
        (status = 200, description = "It is done.", body = Reloaded),
        (status = 404, description = "There is no such service.", body = Detail)
    )
)]
async fn reload_service(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<ServiceId>,
) -> Result<Json<Reloaded>> {
    app.reload_service(&actor, id).await?;
    Ok(Json(Reloaded { status: "success", message: "xDS configuration reloaded" }))
}

/// A secret that was just made: a token, or else what JWTs are signed with.
fn shown(secret: Option<&ServiceSecret>) -> (Option<String>, Option<String>) {
    match secret.map(|secret| (secret.kind(), secret.expose().to_owned())) {
        None => (None, None),
        Some((SecretAuth::Base64, token)) => (Some(token), None),
        Some((SecretAuth::Jwt, secret)) => (None, Some(secret)),
    }
}

impl From<Service> for ServiceOut {
    fn from(service: Service) -> Self {
        Served { service, secret: None }.into()
    }
}

impl From<Served> for ServiceOut {
    fn from(Served { service, secret }: Served) -> Self {
        let Service { id, group, created_by, spec, created_at, updated_at, .. } = service;
        let (first, tls, check) = (spec.endpoints.first(), &spec.tls, &spec.health_check);
        let (token_base64, jwt_secret) = shown(secret.as_ref());
        Self {
            id: id.into(),
            name: spec.name.to_string(),
            ip_fqdn: first.map(|e| e.host.to_string()).unwrap_or_default(),
            port: first.map(|e| e.port.get()).unwrap_or_default(),
            protocol: spec.scheme().as_str(),
            collection: spec.collection.as_ref().map(ToString::to_string),
            cluster_id: group.into(),
            auth_type: spec.auth.kind.as_str(),
            token_base64,
            jwt_secret,
            jwt_expiry: spec.auth.jwt_expiry.into(),
            jwt_algorithm: spec.auth.jwt_algorithm.as_str(),
            tls_enabled: spec.encrypted().is_some(),
            tls_verify: tls.as_ref().is_none_or(|tls| tls.verification != Verification::Off),
            health_check_enabled: spec.probed().is_some(),
            health_check_path: check
                .as_ref()
                .and_then(|check| check.path.as_ref().map(ToString::to_string)),
            health_check_interval: check.as_ref().map_or(30, |c| i32::from(c.interval) / 1000),
            extra_metadata: spec.metadata,
            is_active: spec.is_active,
            created_by: created_by.map(i32::from),
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}
