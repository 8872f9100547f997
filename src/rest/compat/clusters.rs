//! Clusters: our node groups.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, CountedGroup};
use crate::model::{
    At as _, Invalid, Listed, NodeGroup, NodeGroupChange, NodeGroupId, NodeGroupSpec,
};
use crate::rest::error::{Detail, Result};
use crate::rest::extract::{Json, Path, Query, Signed};
use crate::rest::input::{DeleteQuery, parsed, present, replaced, text};
use crate::rest::list::ListQuery;
use crate::rest::time::Time;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_clusters, create_cluster))
        .routes(routes!(get_cluster, replace_cluster, update_cluster, delete_cluster))
        .routes(routes!(rotate_cluster_key))
}

/// A cluster to be made.
#[derive(Deserialize, ToSchema)]
struct NewCluster {
    /// Unique.
    #[schema(min_length = 1, max_length = 100, example = "production")]
    name: String,
    /// What it is for.
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// The syslog server of its proxies, as in `syslog.internal:514`.
    #[schema(max_length = 255)]
    syslog_endpoint: Option<String>,
    /// Whether its proxies log who proved themselves.
    #[schema(default = true)]
    log_auth: Option<bool>,
    /// Whether they log connections.
    #[schema(default = true)]
    log_netflow: Option<bool>,
    /// Whether they log more than usual.
    #[schema(default = false)]
    log_debug: Option<bool>,
    /// How many proxies may be registered at once.
    #[schema(minimum = 1, default = 3)]
    max_proxies: Option<i32>,
}

/// What to change of a cluster; what is left out stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
struct ClusterPatch {
    /// Unique.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// Null takes it away.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 1000)]
    description: Option<Option<String>>,
    /// Null: its proxies log to no server.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 255)]
    syslog_endpoint: Option<Option<String>>,
    log_auth: Option<bool>,
    log_netflow: Option<bool>,
    log_debug: Option<bool>,
    #[schema(minimum = 1)]
    max_proxies: Option<i32>,
    /// Whether it counts. An inactive one's Envoys are given nothing to serve, and
    /// its key opens nothing.
    is_active: Option<bool>,
}

/// A cluster as clients read it.
#[derive(Serialize, ToSchema)]
#[schema(as = Cluster)]
struct ClusterOut {
    /// Its identity; an Envoy whose node id is `cluster-<id>` belongs to it.
    #[schema(example = 1)]
    id: i32,
    name: String,
    description: Option<String>,
    syslog_endpoint: Option<String>,
    log_auth: bool,
    log_netflow: bool,
    log_debug: bool,
    max_proxies: i32,
    is_active: bool,
    /// Whether Envoys that name no cluster belong to it.
    is_default: bool,
    /// How many proxies are registered and not offline.
    proxy_count: u64,
    /// The user who made it; null if the server did.
    created_by: Option<i32>,
    created_at: Time,
    updated_at: Time,
}

/// A cluster that was just made, and its key.
#[derive(Serialize, ToSchema)]
struct MadeCluster {
    #[serde(flatten)]
    cluster: ClusterOut,
    /// What its proxies prove themselves with. It is shown this once.
    api_key: String,
}

/// A window on a list of clusters.
#[derive(Serialize, ToSchema)]
struct ClusterList {
    /// How many there are in all.
    total: u64,
    /// Those in the window, the newest first.
    clusters: Vec<ClusterOut>,
}

/// A cluster's new key.
#[derive(Serialize, ToSchema)]
struct RotatedKey {
    cluster_id: i32,
    /// It is shown this once; the old one is good no more.
    new_api_key: String,
    message: &'static str,
}

/// Lists clusters
///
/// Those that the user may see, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/clusters",
    tag = "clusters",
    params(ListQuery),
    responses((status = 200, description = "The clusters.", body = ClusterList))
)]
async fn list_clusters(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(list): Query<ListQuery>,
) -> Result<Json<ClusterList>> {
    let Listed { total, rows } = app.list_node_groups(&actor, list.window()?).await?;
    Ok(Json(ClusterList { total, clusters: rows.into_iter().map(Into::into).collect() }))
}

/// Creates a cluster, with a key for its proxies
#[utoipa::path(
    post,
    path = "/api/v1/clusters",
    tag = "clusters",
    request_body = NewCluster,
    responses(
        (status = 201, description = "The cluster and its key.", body = MadeCluster),
        (status = 400, description = "There is one of that name.", body = Detail),
        (status = 402, description = "The licence allows no more.", body = Detail)
    )
)]
async fn create_cluster(
    State(app): State<App>,
    Signed(actor): Signed,
    Json(input): Json<NewCluster>,
) -> Result<(StatusCode, Json<MadeCluster>)> {
    let (group, key) = app.create_node_group_with_key(&actor, input.parse()?).await?;
    let cluster = CountedGroup { group, proxies: 0 }.into();
    let api_key = key.expose().to_owned();
    Ok((StatusCode::CREATED, Json(MadeCluster { cluster, api_key })))
}

/// Shows one cluster
#[utoipa::path(
    get,
    path = "/api/v1/clusters/{cluster_id}",
    tag = "clusters",
    params(("cluster_id" = i32, Path, description = "Which cluster.", minimum = 1)),
    responses(
        (status = 200, description = "The cluster.", body = ClusterOut),
        (status = 404, description = "There is none that the user may see.", body = Detail)
    )
)]
async fn get_cluster(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<NodeGroupId>,
) -> Result<Json<ClusterOut>> {
    Ok(Json(app.counted_node_group(&actor, id).await?.into()))
}

/// Changes a cluster
///
/// What is left out stays.
#[utoipa::path(
    patch,
    path = "/api/v1/clusters/{cluster_id}",
    tag = "clusters",
    params(("cluster_id" = i32, Path, description = "Which cluster.", minimum = 1)),
    request_body = ClusterPatch,
    responses(
        (status = 200, description = "The cluster.", body = ClusterOut),
        (status = 400, description = "It is the default one, or its name is taken.", body = Detail),
        (status = 404, description = "There is none.", body = Detail)
    )
)]
async fn update_cluster(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<NodeGroupId>,
    Json(input): Json<ClusterPatch>,
) -> Result<Json<ClusterOut>> {
    app.update_node_group(&actor, id, input.parse()?).await?;
    Ok(Json(app.counted_node_group(&actor, id).await?.into()))
}

/// Changes a cluster, as PATCH does
#[utoipa::path(
    put,
    path = "/api/v1/clusters/{cluster_id}",
    tag = "clusters",
    params(("cluster_id" = i32, Path, description = "Which cluster.", minimum = 1)),
    request_body = ClusterPatch,
    responses(
        (status = 200, description = "The cluster.", body = ClusterOut),
        (status = 400, description = "It is the default one, or its name is taken.", body = Detail),
        (status = 404, description = "There is none.", body = Detail)
    )
)]
async fn replace_cluster(
    app: State<App>,
    signed: Signed,
    id: Path<NodeGroupId>,
    input: Json<ClusterPatch>,
) -> Result<Json<ClusterOut>> {
    update_cluster(app, signed, id, input).await
}

/// Deletes a cluster
///
/// It is switched off: its Envoys are given nothing to serve, and its key opens
/// nothing. With `permanent` it is gone, if nothing stands in it any more.
#[utoipa::path(
    delete,
    path = "/api/v1/clusters/{cluster_id}",
    tag = "clusters",
    params(
        ("cluster_id" = i32, Path, description = "Which cluster.", minimum = 1),
        DeleteQuery
    ),
    responses(
        (status = 204, description = "It is done."),
        (status = 400, description = "It is the default cluster.", body = Detail),
        (status = 404, description = "There is none.", body = Detail),
        (status = 409, description = "Something stands in it.", body = Detail)
    )
)]
async fn delete_cluster(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<NodeGroupId>,
    Query(delete): Query<DeleteQuery>,
) -> Result<StatusCode> {
    if delete.permanent {
        app.delete_node_group(&actor, id, None).await?;
    } else {
        let off = NodeGroupChange { is_active: Some(false), ..Default::default() };
        app.update_node_group(&actor, id, off).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a cluster a new key
///
/// The old one is good no more, from now on.
#[utoipa::path(
    post,
    path = "/api/v1/clusters/{cluster_id}/rotate-api-key",
    tag = "clusters",
    params(("cluster_id" = i32, Path, description = "Which cluster.", minimum = 1)),
    responses(
        (status = 200, description = "The new key.", body = RotatedKey),
        (status = 404, description = "There is none.", body = Detail)
    )
)]
async fn rotate_cluster_key(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<NodeGroupId>,
) -> Result<Json<RotatedKey>> {
    let (group, key) = app.rotate_node_group_key(&actor, id).await?;
    Ok(Json(RotatedKey {
        cluster_id: group.id.into(),
        new_api_key: key.expose().to_owned(),
        message: "API key rotated successfully. Update all proxies with the new key.",
    }))
}

impl NewCluster {
    fn parse(self) -> Result<NodeGroupSpec, Invalid> {
        let name = self.name.try_into().at("name")?;
        let rest = ClusterPatch {
            description: self.description.map(Some),
            syslog_endpoint: self.syslog_endpoint.map(Some),
            log_auth: self.log_auth,
            log_netflow: self.log_netflow,
            log_debug: self.log_debug,
            max_proxies: self.max_proxies,
            ..Default::default()
        };
        Ok(NodeGroupSpec::named(name).changed(rest.parse()?))
    }
}

impl ClusterPatch {
    fn parse(self) -> Result<NodeGroupChange, Invalid> {
        let description = self.description.map(Option::unwrap_or_default);
        Ok(NodeGroupChange {
            name: parsed(self.name, "name")?,
            description: description.map(|d| text(d, "description")).transpose()?,
            syslog_endpoint: replaced(self.syslog_endpoint, "syslog_endpoint")?,
            log_auth: self.log_auth,
            log_netflow: self.log_netflow,
            log_debug: self.log_debug,
            max_proxies: parsed(self.max_proxies, "max_proxies")?,
            is_active: self.is_active,
            ..Default::default()
        })
    }
}

impl From<CountedGroup> for ClusterOut {
    fn from(CountedGroup { group, proxies }: CountedGroup) -> Self {
        let NodeGroup { id, is_default, spec, created_by, created_at, updated_at, .. } = group;
        Self {
            id: id.into(),
            name: spec.name.to_string(),
            description: Some(spec.description).filter(|description| !description.is_empty()),
            syslog_endpoint: spec.logging.endpoint.map(String::from),
            log_auth: spec.logging.auth,
            log_netflow: spec.logging.netflow,
            log_debug: spec.logging.debug,
            max_proxies: spec.max_proxies.into(),
            is_active: spec.is_active,
            is_default,
            proxy_count: proxies,
            created_by: created_by.map(i32::from),
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}
