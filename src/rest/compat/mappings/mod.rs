//! Mappings: which services may reach which.

mod input;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::input::{MappingPatch, NewMapping};
use crate::app::App;
use crate::model::{Listed, Mapping, MappingId, NodeGroupId, PortRange, Services};
use crate::model::{MappingChange, MappingProtocol};
use crate::rest::error::{Detail, Result};
use crate::rest::extract::{Json, Path, Query, Signed};
use crate::rest::input::DeleteQuery;
use crate::rest::list::{ListQuery, optional_id};
use crate::rest::time::Time;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_mappings, create_mapping)).routes(routes!(
        get_mapping,
        replace_mapping,
        update_mapping,
        delete_mapping
    ))
}

/// A mapping as clients read it.
#[derive(Serialize, ToSchema)]
#[schema(as = Mapping)]
struct MappingOut {
    /// Its identity.
    #[schema(example = 3)]
    id: i32,
    /// Unique in its cluster.
    name: String,
    description: Option<String>,
    /// The cluster whose proxies know it.
    cluster_id: i32,
    /// Who may reach: ids of services, or `"all"` alone.
    source_services: Vec<Value>,
    /// Whom: ids of services, or `"all"` alone.
    dest_services: Vec<Value>,
    /// By what.
    protocols: Vec<&'static str>,
    /// At which ports: numbers, and `{"range": [first, last]}`; any if it is empty.
    ports: Vec<Value>,
    /// Whether who reaches must prove themselves to the proxy.
    auth_required: bool,
    comments: Option<String>,
    /// Whether it counts.
    is_active: bool,
    /// The user who made it; null if that is not known.
    created_by: Option<i32>,
    created_at: Time,
    updated_at: Time,
}

/// A window on a list of mappings.
#[derive(Serialize, ToSchema)]
struct MappingList {
    /// How many there are in all.
    total: u64,
    /// Those in the window, the newest first.
    mappings: Vec<MappingOut>,
}

/// Which mappings.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct MappingQuery {
    /// Those of this cluster only.
    #[serde(default)]
    #[param(minimum = 1)]
    cluster_id: Option<i32>,
}

/// Lists mappings
///
/// Those of one cluster, or of all clusters, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/mappings",
    tag = "mappings",
    params(MappingQuery, ListQuery),
    responses((status = 200, description = "The mappings.", body = MappingList))
)]
async fn list_mappings(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(of): Query<MappingQuery>,
    Query(list): Query<ListQuery>,
) -> Result<Json<MappingList>> {
    let group: Option<NodeGroupId> = optional_id(of.cluster_id, "cluster_id")?;
    let Listed { total, rows } = app.list_mappings(&actor, group, list.window()?).await?;
    Ok(Json(MappingList { total, mappings: rows.into_iter().map(Into::into).collect() }))
}

/// Creates a mapping
///
/// For Envoy it is a route for each source: what is asked of the source's host on the
/// cluster's default listener goes to the first destination that speaks HTTP.
#[utoipa::path(
    post,
    path = "/api/v1/mappings",
    tag = "mappings",
    request_body = NewMapping,
    responses(
        (status = 201, description = "The mapping.", body = MappingOut),
        (status = 400, description = "There is one of that name in the cluster.", body = Detail),
        (status = 404, description = "There is no such cluster.", body = Detail)
    )
)]
async fn create_mapping(
    State(app): State<App>,
    Signed(actor): Signed,
    Json(input): Json<NewMapping>,
) -> Result<(StatusCode, Json<MappingOut>)> {
    let (mapping, _) = app.create_mapping(&actor, input.parse()?).await?;
    Ok((StatusCode::CREATED, Json(mapping.into())))
}

/// Shows one mapping
#[utoipa::path(
    get,
    path = "/api/v1/mappings/{mapping_id}",
    tag = "mappings",
    params(("mapping_id" = i32, Path, description = "Which mapping.", minimum = 1)),
    responses(
        (status = 200, description = "The mapping.", body = MappingOut),
        (status = 404, description = "There is none that the user may see.", body = Detail)
    )
)]
async fn get_mapping(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<MappingId>,
) -> Result<Json<MappingOut>> {
    Ok(Json(app.mapping(&actor, id).await?.into()))
}

/// Changes a mapping
///
/// What is left out stays.
#[utoipa::path(
    patch,
    path = "/api/v1/mappings/{mapping_id}",
    tag = "mappings",
    params(("mapping_id" = i32, Path, description = "Which mapping.", minimum = 1)),
    request_body = MappingPatch,
    responses(
        (status = 200, description = "The mapping.", body = MappingOut),
        (status = 400, description = "There is one of that name in the cluster.", body = Detail),
        (status = 404, description = "There is none.", body = Detail)
    )
)]
async fn update_mapping(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<MappingId>,
    Json(input): Json<MappingPatch>,
) -> Result<Json<MappingOut>> {
    let (mapping, _) = app.update_mapping(&actor, id, input.parse()?).await?;
    Ok(Json(mapping.into()))
}

/// Changes a mapping, as PATCH does
#[utoipa::path(
    put,
    path = "/api/v1/mappings/{mapping_id}",
    tag = "mappings",
    params(("mapping_id" = i32, Path, description = "Which mapping.", minimum = 1)),
    request_body = MappingPatch,
    responses(
        (status = 200, description = "The mapping.", body = MappingOut),
        (status = 400, description = "There is one of that name in the cluster.", body = Detail),
        (status = 404, description = "There is none.", body = Detail)
    )
)]
async fn replace_mapping(
    app: State<App>,
    signed: Signed,
    id: Path<MappingId>,
    input: Json<MappingPatch>,
) -> Result<Json<MappingOut>> {
    update_mapping(app, signed, id, input).await
}

/// Deletes a mapping
///
/// It is switched off, and keeps its name. With `permanent` it is gone.
#[utoipa::path(
    delete,
    path = "/api/v1/mappings/{mapping_id}",
    tag = "mappings",
    params(
        ("mapping_id" = i32, Path, description = "Which mapping.", minimum = 1),
        DeleteQuery
    ),
    responses(
        (status = 204, description = "It is done."),
        (status = 404, description = "There is none.", body = Detail)
    )
)]
async fn delete_mapping(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<MappingId>,
    Query(delete): Query<DeleteQuery>,
) -> Result<StatusCode> {
    if delete.permanent {
        app.delete_mapping(&actor, id, None).await?;
    } else {
        let off = MappingChange { is_active: Some(false), ..Default::default() };
        app.update_mapping(&actor, id, off).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// As ids, or `"all"` alone.
pub(super) fn services(services: &Services) -> Vec<Value> {
    match services {
        Services::All => vec!["all".into()],
        Services::These(ids) => ids.iter().map(|id| i32::from(*id).into()).collect(),
    }
}

/// As a number, or as `{"range": [first, last]}`.
pub(super) fn port(range: &PortRange) -> Value {
    let (first, last) = (range.first().get(), range.last().get());
    if first == last { first.into() } else { json!({ "range": [first, last] }) }
}

impl From<Mapping> for MappingOut {
    fn from(mapping: Mapping) -> Self {
        let Mapping { id, group, created_by, spec, created_at, updated_at, .. } = mapping;
        let said = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            id: id.into(),
            name: spec.name.to_string(),
            description: said(spec.description),
            cluster_id: group.into(),
            source_services: services(&spec.sources),
            dest_services: services(&spec.destinations),
            protocols: spec.protocols.into_iter().map(MappingProtocol::as_str).collect(),
            ports: spec.ports.iter().map(port).collect(),
            auth_required: spec.auth_required,
            comments: said(spec.comments),
            is_active: spec.is_active,
            created_by: created_by.map(i32::from),
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}
