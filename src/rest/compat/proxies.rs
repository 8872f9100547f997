//! Proxies that register: with their cluster's key, which nobody else has.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::metrics::{MetricsIn, MetricsOut, MetricsReport};
use crate::app::App;
use crate::model::{
    At as _, Heartbeat, Invalid, Listed, NodeGroupId, Proxy, ProxyId, ProxySpec, ProxyStatus,
};
use crate::rest::error::{Detail, Result};
use crate::rest::extract::{Json, Path, Query, Signed};
use crate::rest::input::parsed;
use crate::rest::key::{by_key, key};
use crate::rest::list::{ListQuery, optional_id};
use crate::rest::object::object;
use crate::rest::time::Time;

const IN_BODY: (&str, &str) = ("body", "cluster_api_key");
const LARGEST_CAPABILITIES: usize = 1 << 14;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register_proxy))
        .routes(routes!(proxy_heartbeat))
        .routes(routes!(list_proxies))
        .routes(routes!(get_proxy, delete_proxy))
        .routes(routes!(get_proxy_metrics, report_proxy_metrics))
}

/// What a proxy says of itself.
#[derive(Deserialize, ToSchema)]
struct Registration {
    /// Unique in its cluster: who registers again by it is the same proxy.
    #[schema(min_length = 1, max_length = 100, example = "egress-1")]
    name: String,
    /// The name of its machine.
    #[schema(min_length = 1, max_length = 255, example = "egress-1.internal")]
    hostname: String,
    /// Where it is.
    #[schema(example = "10.0.0.7")]
    ip_address: String,
    /// The port there.
    #[schema(minimum = 1, maximum = 65535, default = 8080)]
    port: Option<i32>,
    /// Which version of it runs.
    #[schema(max_length = 50)]
    version: Option<String>,
    /// What it can do: an object, or a list of words.
    #[schema(example = json!({"xdp": true}))]
    capabilities: Option<Value>,
    /// The cluster's key, if no header has it.
    cluster_api_key: Option<String>,
}

/// A sign of life.
#[derive(Deserialize, ToSchema)]
struct HeartbeatIn {
    /// Whose.
    #[schema(minimum = 1)]
    proxy_id: i32,
    /// The cluster's key, if no header has it.
    cluster_api_key: Option<String>,
    /// `pending`, `active`, `degraded` or `offline`.
    #[schema(default = "active")]
    status: Option<String>,
    /// Which configuration it has.
    #[schema(max_length = 64)]
    config_version: Option<String>,
    /// What it measured.
    #[serde(default, deserialize_with = "object")]
    metrics: Option<MetricsIn>,
}

/// A proxy as clients read it.
#[derive(Serialize, ToSchema)]
#[schema(as = Proxy)]
struct ProxyOut {
    /// Its identity.
    id: i32,
    name: String,
    hostname: String,
    ip_address: String,
    port: u16,
    cluster_id: i32,
    /// `pending`, `active`, `degraded` or `offline`. Degraded after 90 seconds
    /// without a heartbeat, offline after 5 minutes.
    status: &'static str,
    version: Option<String>,
    /// What it can do.
    #[schema(value_type = Option<Object>)]
    capabilities: Option<Value>,
    /// Whether it was counted against the licence: as long as it is not offline.
    license_validated: bool,
    /// When it was counted.
    license_validation_at: Option<Time>,
    last_seen: Option<Time>,
    last_config_fetch: Option<Time>,
    /// Which configuration it has.
    config_version: Option<String>,
    registered_at: Time,
}

/// A window on a list of proxies.
#[derive(Serialize, ToSchema)]
struct ProxyList {
    /// How many there are in all.
    total: u64,
    /// Those in the window, the newest first.
    proxies: Vec<ProxyOut>,
}

/// What a proxy measured.
#[derive(Serialize, ToSchema)]
struct ProxyMetrics {
    proxy_id: i32,
    proxy_name: String,
    metrics_count: usize,
    /// The latest first.
    metrics: Vec<MetricsOut>,
}

/// That it was heard.
#[derive(Serialize, ToSchema)]
struct Heard {
    #[schema(example = "ok")]
    status: &'static str,
    #[schema(example = "Heartbeat received")]
    message: &'static str,
}

/// Which proxies.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ProxyQuery {
    /// Those of this cluster only.
    #[serde(default)]
    #[param(minimum = 1)]
    cluster_id: Option<i32>,
}

/// How many reports.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct MetricsQuery {
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<i64>,
}

/// Registers a proxy
///
/// In the cluster whose key it shows, in the body, as `X-Cluster-API-Key` or as
/// `Authorization: Bearer`. By its name it may be one that was here before.
#[utoipa::path(
    post,
    path = "/api/v1/proxies/register",
    tag = "proxies",
    security(("cluster_key" = [])),
    request_body = Registration,
    responses(
        (status = 201, description = "The proxy.", body = ProxyOut),
        (status = 401, description = "The key is no active cluster's.", body = Detail),
        (status = 429, description = "The cluster has as many as it may have.", body = Detail)
    )
)]
async fn register_proxy(
    State(app): State<App>,
    headers: HeaderMap,
    Json(input): Json<Registration>,
) -> Result<(StatusCode, Json<ProxyOut>)> {
    let key = key(&headers, input.cluster_api_key.as_deref(), IN_BODY)?;
    let proxy = by_key(app.register_proxy(key, input.parse()?).await)?;
    Ok((StatusCode::CREATED, Json(proxy.into())))
}

/// Takes a proxy's sign of life
#[utoipa::path(
    post,
    path = "/api/v1/proxies/heartbeat",
    tag = "proxies",
    security(("cluster_key" = [])),
    request_body = HeartbeatIn,
    responses(
        (status = 200, description = "It was heard.", body = Heard),
        (status = 401, description = "The key is no active cluster's.", body = Detail),
        (status = 404, description = "The cluster has no such proxy.", body = Detail),
        (status = 429, description = "It was offline, and there is no room now.", body = Detail)
    )
)]
async fn proxy_heartbeat(
    State(app): State<App>,
    headers: HeaderMap,
    Json(input): Json<HeartbeatIn>,
) -> Result<Json<Heard>> {
    let key = key(&headers, input.cluster_api_key.as_deref(), IN_BODY)?;
    by_key(app.heartbeat(key, input.parse()?).await)?;
    Ok(Json(Heard { status: "ok", message: "Heartbeat received" }))
}

/// Lists proxies
///
/// Those of one cluster, or of all clusters, the newest first; also those that are
/// offline.
#[utoipa::path(
    get,
    path = "/api/v1/proxies",
    tag = "proxies",
    params(ProxyQuery, ListQuery),
    responses((status = 200, description = "The proxies.", body = ProxyList))
)]
async fn list_proxies(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(of): Query<ProxyQuery>,
    Query(list): Query<ListQuery>,
) -> Result<Json<ProxyList>> {
    let group: Option<NodeGroupId> = optional_id(of.cluster_id, "cluster_id")?;
    let Listed { total, rows } = app.list_proxies(&actor, group, list.window()?).await?;
    Ok(Json(ProxyList { total, proxies: rows.into_iter().map(Into::into).collect() }))
}

/// Shows one proxy
#[utoipa::path(
    get,
    path = "/api/v1/proxies/{proxy_id}",
    tag = "proxies",
    params(("proxy_id" = i32, Path, description = "Which proxy.", minimum = 1)),
    responses(
        (status = 200, description = "The proxy.", body = ProxyOut),
        (status = 404, description = "There is none that the user may see.", body = Detail)
    )
)]
async fn get_proxy(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<ProxyId>,
) -> Result<Json<ProxyOut>> {
    Ok(Json(app.proxy(&actor, id).await?.into()))
}

/// Takes a proxy to be offline
///
/// Until it registers again, or is heard of.
#[utoipa::path(
    delete,
    path = "/api/v1/proxies/{proxy_id}",
    tag = "proxies",
    params(("proxy_id" = i32, Path, description = "Which proxy.", minimum = 1)),
    responses(
        (status = 204, description = "It is done."),
        (status = 404, description = "There is none.", body = Detail)
    )
)]
async fn delete_proxy(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<ProxyId>,
) -> Result<StatusCode> {
    app.retire_proxy(&actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows what a proxy measured
///
/// The latest first; of each proxy the last 1000 reports are kept.
#[utoipa::path(
    get,
    path = "/api/v1/proxies/{proxy_id}/metrics",
    tag = "proxies",
    params(
        ("proxy_id" = i32, Path, description = "Which proxy.", minimum = 1),
        MetricsQuery
    ),
    responses(
        (status = 200, description = "What it measured.", body = ProxyMetrics),
        (status = 404, description = "There is none that the user may see.", body = Detail)
    )
)]
async fn get_proxy_metrics(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<ProxyId>,
    Query(query): Query<MetricsQuery>,
) -> Result<Json<ProxyMetrics>> {
    let (proxy, reports) = app.proxy_metrics(&actor, id, query.limit()?).await?;
    Ok(Json(ProxyMetrics {
        proxy_id: proxy.id.into(),
        proxy_name: proxy.spec.name.into(),
        metrics_count: reports.len(),
        metrics: reports.into_iter().map(Into::into).collect(),
    }))
}

/// Takes what a proxy measured
#[utoipa::path(
    post,
    path = "/api/v1/proxies/{proxy_id}/metrics",
    tag = "proxies",
    security(("cluster_key" = [])),
    params(("proxy_id" = i32, Path, description = "Which proxy.", minimum = 1)),
    request_body = MetricsReport,
    responses(
        (status = 200, description = "It was noted.", body = Heard),
        (status = 401, description = "The key is no active cluster's.", body = Detail),
        (status = 404, description = "The cluster has no such proxy.", body = Detail)
    )
)]
async fn report_proxy_metrics(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<ProxyId>,
    Json(input): Json<MetricsReport>,
) -> Result<Json<Heard>> {
    let key = key(&headers, input.cluster_api_key.as_deref(), IN_BODY)?;
    by_key(app.report_metrics(key, id, input.parse()?).await)?;
    Ok(Json(Heard { status: "ok", message: "Metrics recorded" }))
}

impl Registration {
    fn parse(self) -> Result<ProxySpec, Invalid> {
        Ok(ProxySpec {
            name: self.name.try_into().at("name")?,
            hostname: self.hostname.try_into().at("hostname")?,
            ip_address: self
                .ip_address
                .parse()
                .map_err(|_| "is not an IP address")
                .at("ip_address")?,
            port: self.port.unwrap_or(8080).try_into().at("port")?,
            version: parsed(self.version.filter(|version| !version.is_empty()), "version")?,
            capabilities: self.capabilities.map(capabilities).transpose()?.flatten(),
        })
    }
}

/// An object; of a list of words, each is true.
fn capabilities(value: Value) -> Result<Option<Value>, Invalid> {
    let wrong = |why: &str| Invalid::new("capabilities", why);
    if value.to_string().len() > LARGEST_CAPABILITIES {
        return Err(wrong("must be at most 16384 bytes long, as JSON"));
    }
    match value {
        Value::Null => Ok(None),
        Value::Object(_) => Ok(Some(value)),
        Value::Array(words) => {
            let word = |word: Value| Some((word.as_str()?.to_owned(), Value::Bool(true)));
            let words: Option<Map<String, Value>> = words.into_iter().map(word).collect();
            words.map(|words| Some(words.into())).ok_or_else(|| wrong("must be words"))
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(wrong("must be an object, or a list of words"))
        }
    }
}

impl HeartbeatIn {
    fn parse(self) -> Result<Heartbeat, Invalid> {
        let metrics = self.metrics.map(MetricsIn::parse).transpose();
        Ok(Heartbeat {
            proxy: self.proxy_id.try_into().at("proxy_id")?,
            status: parsed(self.status, "status")?.unwrap_or(ProxyStatus::Active),
            config_version: parsed(
                self.config_version.filter(|version| !version.is_empty()),
                "config_version",
            )?,
            metrics: metrics.map_err(|e| e.within("metrics"))?,
        })
    }
}

impl MetricsQuery {
    fn limit(&self) -> Result<u64, Invalid> {
        let limit = self.limit.unwrap_or(100);
        let in_range = u64::try_from(limit).ok().filter(|limit| (1..=1000).contains(limit));
        in_range.ok_or("must be 1 to 1000").at("limit")
    }
}

impl From<Proxy> for ProxyOut {
    fn from(proxy: Proxy) -> Self {
        let counted = proxy.status != ProxyStatus::Offline;
        let last_seen = proxy.last_seen.map(Time::from);
        Self {
            id: proxy.id.into(),
            name: proxy.spec.name.into(),
            hostname: proxy.spec.hostname.into(),
            ip_address: proxy.spec.ip_address.to_string(),
            port: proxy.spec.port.get(),
            cluster_id: proxy.group.into(),
            status: proxy.status.as_str(),
            version: proxy.spec.version.map(String::from),
            capabilities: proxy.spec.capabilities,
            license_validated: counted,
            license_validation_at: last_seen.filter(|_| counted),
            last_seen,
            last_config_fetch: proxy.last_config_fetch.map(Into::into),
            config_version: proxy.config_version.map(String::from),
            registered_at: proxy.registered_at.into(),
        }
    }
}
