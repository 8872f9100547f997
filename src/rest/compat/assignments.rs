//! What users are assigned to: clusters, and single services.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::model::{AssignedRole, At as _, Invalid, NodeGroupId, ServiceId, UserId};
use crate::rest::error::{Detail, Result};
use crate::rest::extract::{Json, Path, Paths, Signed};
use crate::rest::time::Time;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_cluster_assignments, assign_cluster))
        .routes(routes!(unassign_cluster))
        .routes(routes!(list_service_assignments, assign_service))
        .routes(routes!(unassign_service))
}

/// What a user may do in a cluster.
#[derive(Deserialize, ToSchema)]
struct AssignClusterIn {
    /// As in the path; may be left out.
    user_id: Option<i32>,
    #[schema(example = 1, minimum = 1)]
    cluster_id: i32,
    /// `service_owner` (or `operator`) changes what is in it, `viewer` looks.
    #[serde(default = "service_owner")]
    #[schema(example = "service_owner")]
    role: String,
}

/// What a user may do with a service.
#[derive(Deserialize, ToSchema)]
struct AssignServiceIn {
    /// As in the path; may be left out.
    user_id: Option<i32>,
    #[schema(example = 1, minimum = 1)]
    service_id: i32,
    /// `service_owner` (or `operator`) changes it, `viewer` looks.
    #[serde(default = "service_owner")]
    #[schema(example = "service_owner")]
    role: String,
}

/// That it was done.
#[derive(Serialize, ToSchema)]
struct Assigned {
    #[schema(example = "ok")]
    status: &'static str,
    #[schema(example = "User assigned to cluster")]
    message: &'static str,
}

/// The clusters that a user is assigned to.
#[derive(Serialize, ToSchema)]
struct ClusterAssignmentList {
    total: usize,
    cluster_assignments: Vec<ClusterAssignmentOut>,
}

/// What a user may do in a cluster.
#[derive(Serialize, ToSchema)]
struct ClusterAssignmentOut {
    user_id: i32,
    cluster_id: i32,
    /// `service_owner` or `viewer`.
    role: &'static str,
    /// By whom; none if they are gone.
    assigned_by: Option<i32>,
    assigned_at: Time,
}

/// The services that a user is assigned to.
#[derive(Serialize, ToSchema)]
struct ServiceAssignmentList {
    total: usize,
    service_assignments: Vec<ServiceAssignmentOut>,
}

/// What a user may do with a service.
#[derive(Serialize, ToSchema)]
struct ServiceAssignmentOut {
    user_id: i32,
    service_id: i32,
    /// `service_owner` or `viewer`.
    role: &'static str,
    /// By whom; none if they are gone.
    assigned_by: Option<i32>,
    assigned_at: Time,
}

/// Lists the clusters that a user is assigned to
#[utoipa::path(
    get,
    path = "/api/v1/users/{user_id}/cluster-assignments",
    tag = "users",
    params(("user_id" = i32, Path, description = "Which user.", minimum = 1)),
    responses((status = 200, description = "The clusters.", body = ClusterAssignmentList))
)]
async fn list_cluster_assignments(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<UserId>,
) -> Result<Json<ClusterAssignmentList>> {
    let groups = app.group_assignments(&actor, id).await?;
    let shown = groups.into_iter().map(|assignment| ClusterAssignmentOut {
        user_id: assignment.user.into(),
        cluster_id: assignment.group.into(),
        role: role_name(assignment.role),
        assigned_by: assignment.assigned_by.map(Into::into),
        assigned_at: assignment.created_at.into(),
    });
    let cluster_assignments: Vec<_> = shown.collect();
    Ok(Json(ClusterAssignmentList { total: cluster_assignments.len(), cluster_assignments }))
}

/// Assigns a user to a cluster, or changes what they may do there
#[utoipa::path(
    post,
    path = "/api/v1/users/{user_id}/cluster-assignments",
    tag = "users",
    params(("user_id" = i32, Path, description = "Which user.", minimum = 1)),
    request_body = AssignClusterIn,
    responses(
        (status = 201, description = "Assigned.", body = Assigned),
        (status = 404, description = "There is no such user or cluster.", body = Detail)
    )
)]
async fn assign_cluster(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(user): Path<UserId>,
    Json(input): Json<AssignClusterIn>,
) -> Result<(StatusCode, Json<Assigned>)> {
    same_user(input.user_id, user)?;
    let group = NodeGroupId::try_from(input.cluster_id).at("cluster_id")?;
    app.assign_group(&actor, user, group, role(&input.role)?).await?;
    let assigned = Assigned { status: "ok", message: "User assigned to cluster" };
    Ok((StatusCode::CREATED, Json(assigned)))
}

/// Takes a user off a cluster
#[utoipa::path(
    delete,
    path = "/api/v1/users/{user_id}/cluster-assignments/{cluster_id}",
    tag = "users",
    params(
        ("user_id" = i32, Path, description = "Which user.", minimum = 1),
        ("cluster_id" = i32, Path, description = "Which cluster.", minimum = 1)
    ),
    responses(
        (status = 204, description = "Done."),
        (status = 404, description = "They are not assigned to it.", body = Detail)
    )
)]
async fn unassign_cluster(
    State(app): State<App>,
    Signed(actor): Signed,
    Paths(user, group): Paths<UserId, NodeGroupId>,
) -> Result<StatusCode> {
    app.unassign_group(&actor, user, group).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the services that a user is assigned to
#[utoipa::path(
    get,
    path = "/api/v1/users/{user_id}/service-assignments",
    tag = "users",
    params(("user_id" = i32, Path, description = "Which user.", minimum = 1)),
    responses((status = 200, description = "The services.", body = ServiceAssignmentList))
)]
async fn list_service_assignments(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<UserId>,
) -> Result<Json<ServiceAssignmentList>> {
    let services = app.service_assignments(&actor, id).await?;
    let shown = services.into_iter().map(|assignment| ServiceAssignmentOut {
        user_id: assignment.user.into(),
        service_id: assignment.service.into(),
        role: role_name(assignment.role),
        assigned_by: assignment.assigned_by.map(Into::into),
        assigned_at: assignment.created_at.into(),
    });
    let service_assignments: Vec<_> = shown.collect();
    Ok(Json(ServiceAssignmentList { total: service_assignments.len(), service_assignments }))
}

/// Assigns a user to a service, or changes what they may do with it
#[utoipa::path(
    post,
    path = "/api/v1/users/{user_id}/service-assignments",
    tag = "users",
    params(("user_id" = i32, Path, description = "Which user.", minimum = 1)),
    request_body = AssignServiceIn,
    responses(
        (status = 201, description = "Assigned.", body = Assigned),
        (status = 404, description = "There is no such user or service.", body = Detail)
    )
)]
async fn assign_service(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(user): Path<UserId>,
    Json(input): Json<AssignServiceIn>,
) -> Result<(StatusCode, Json<Assigned>)> {
    same_user(input.user_id, user)?;
    let service = ServiceId::try_from(input.service_id).at("service_id")?;
    app.assign_service(&actor, user, service, role(&input.role)?).await?;
    let assigned = Assigned { status: "ok", message: "User assigned to service" };
    Ok((StatusCode::CREATED, Json(assigned)))
}

/// Takes a user off a service
#[utoipa::path(
    delete,
    path = "/api/v1/users/{user_id}/service-assignments/{service_id}",
    tag = "users",
    params(
        ("user_id" = i32, Path, description = "Which user.", minimum = 1),
        ("service_id" = i32, Path, description = "Which service.", minimum = 1)
    ),
    responses(
        (status = 204, description = "Done."),
        (status = 404, description = "They are not assigned to it.", body = Detail)
    )
)]
async fn unassign_service(
    State(app): State<App>,
    Signed(actor): Signed,
    Paths(user, service): Paths<UserId, ServiceId>,
) -> Result<StatusCode> {
    app.unassign_service(&actor, user, service).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A role as existing clients call it.
fn role(name: &str) -> Result<AssignedRole, Invalid> {
    let role = if name == "service_owner" { "operator" } else { name };
    AssignedRole::parse(role).ok_or("must be service_owner, operator or viewer").at("role")
}

fn role_name(role: AssignedRole) -> &'static str {
    match role {
        AssignedRole::Viewer => "viewer",
        AssignedRole::Operator => "service_owner",
    }
}

/// The user is named by the path; a body that names another is a mistake.
fn same_user(said: Option<i32>, user: UserId) -> Result<(), Invalid> {
    match said {
        Some(said) if said != i32::from(user) => {
            Err(Invalid::new("user_id", "must be the user that the path names"))
        }
        Some(_) | None => Ok(()),
    }
}

fn service_owner() -> String {
    "service_owner".to_owned()
}
