//! The configuration of registered proxies, by their cluster's key.

mod output;

use axum::extract::State;
use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::output::{ConfigOut, ValidationOut, VersionOut};
use crate::app::App;
use crate::model::{NodeGroupId, ProxyId};
use crate::rest::error::{Detail, Result};
use crate::rest::extract::{Json, Path, Query};
use crate::rest::key::{by_key, key};
use crate::rest::list::{flag, optional_id};

const IN_HEADER: (&str, &str) = ("header", "cluster-api-key");

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get_config))
        .routes(routes!(get_config_version))
        .routes(routes!(validate_config))
}

/// What of it, and for whom.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ConfigQuery {
    /// Whether certificates are to be in it.
    #[serde(default = "yes", deserialize_with = "flag")]
    #[param(default = true)]
    include_certificates: bool,
    /// Which proxy asks; that it has fetched this is noted.
    #[param(minimum = 1)]
    proxy_id: Option<i32>,
}

/// What a cluster's proxies are to do
///
/// With the secrets of its services. `config_version`, which is the `ETag` too,
/// changes when the configuration does, and at no other time.
#[utoipa::path(
    get,
    path = "/api/v1/config/{cluster_id}",
    tag = "config",
    security(("cluster_key" = [])),
    params(
        ("cluster_id" = i32, Path, description = "Which cluster.", minimum = 1),
        ("cluster-api-key" = String, Header, description = "The cluster's key."),
        ("if-none-match" = Option<String>, Header, description = "What the proxy has."),
        ConfigQuery
    ),
    responses(
        (status = 200, description = "The configuration.", body = ConfigOut,
            headers(("etag" = String, description = "`config_version`, in quotes."))),
        (status = 304, description = "It is what the proxy has."),
        (status = 401, description = "The key is no active cluster's.", body = Detail),
        (status = 403, description = "The key is another cluster's.", body = Detail),
        (status = 404, description = "The cluster has no such proxy.", body = Detail)
    )
)]
async fn get_config(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<NodeGroupId>,
    Query(query): Query<ConfigQuery>,
) -> Result<Response> {
    let key = key(&headers, None, IN_HEADER)?;
    let proxy: Option<ProxyId> = optional_id(query.proxy_id, "proxy_id")?;
    let config = by_key(app.proxy_config(key, id).await)?;
    let config = ConfigOut::new(&config, query.include_certificates);
    if let Some(proxy) = proxy {
        by_key(app.note_config_fetch(key, proxy, &config.version()).await)?;
    }
    let tag = config.tag();
    let is_known = headers.get_all(IF_NONE_MATCH).iter().any(|known| names(known, &tag));
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(config).into_response()
    };
    let tag = HeaderValue::from_str(&tag).expect("hexadecimal digits in quotes");
    response.headers_mut().insert(ETAG, tag);
    Ok(response)
}

/// Which configuration a cluster's proxies are to have
#[utoipa::path(
    get,
    path = "/api/v1/config/version/{cluster_id}",
    tag = "config",
    security(("cluster_key" = [])),
    params(
        ("cluster_id" = i32, Path, description = "Which cluster.", minimum = 1),
        ("cluster-api-key" = String, Header, description = "The cluster's key.")
    ),
    responses(
        (status = 200, description = "Its version.", body = VersionOut),
        (status = 401, description = "The key is no active cluster's.", body = Detail),
        (status = 403, description = "The key is another cluster's.", body = Detail)
    )
)]
async fn get_config_version(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<NodeGroupId>,
) -> Result<Json<VersionOut>> {
    let key = key(&headers, None, IN_HEADER)?;
    Ok(Json(VersionOut::new(by_key(app.proxy_config(key, id).await)?)))
}

/// What is to be said of a cluster's configuration
///
/// Warnings are of the types `no_mappings`, `unmapped_services`, `no_auth`,
/// `expiring_certificate` (within 30 days) and `expired_certificate`; errors of the
/// type `no_secret`.
#[utoipa::path(
    get,
    path = "/api/v1/config/validate/{cluster_id}",
    tag = "config",
    security(("cluster_key" = [])),
    params(
        ("cluster_id" = i32, Path, description = "Which cluster.", minimum = 1),
        ("cluster-api-key" = String, Header, description = "The cluster's key.")
    ),
    responses(
        (status = 200, description = "What there is to say.", body = ValidationOut),
        (status = 401, description = "The key is no active cluster's.", body = Detail),
        (status = 403, description = "The key is another cluster's.", body = Detail)
    )
)]
async fn validate_config(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<NodeGroupId>,
) -> Result<Json<ValidationOut>> {
    let key = key(&headers, None, IN_HEADER)?;
    Ok(Json(ValidationOut::new(by_key(app.proxy_config(key, id).await)?)))
}

/// Whether `If-None-Match` names this tag (RFC 9110, section 13.1.2).
fn names(header: &HeaderValue, tag: &str) -> bool {
    let known = header.to_str().unwrap_or_default().split(',').map(str::trim);
    known.map(|known| known.strip_prefix("W/").unwrap_or(known)).any(|k| k == "*" || k == tag)
}

fn yes() -> bool {
    true
}
