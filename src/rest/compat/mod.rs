//! The API of the MarchProxy that this one takes the place of: `/api/v1`.
//!
//! Its words differ from ours: a *cluster* there is a node group here. Where
//! its answers differ from ours is listed in `docs/compatibility.md`.

mod assignments;
mod auth;
mod certificates;
mod clusters;
mod config;
mod licence;
mod mappings;
mod metrics;
mod proxies;
mod services;
mod users;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// Every route below `/api/v1`.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(auth::router())
        .merge(users::router())
        .merge(assignments::router())
        .merge(clusters::router())
        .merge(services::router())
        .merge(mappings::router())
        .merge(certificates::router())
        .merge(proxies::router())
        .merge(config::router())
        .merge(licence::router())
}
