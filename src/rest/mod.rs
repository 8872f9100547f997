//! Floor 5: REST, as existing clients speak it.
//!
//! Handlers translate between JSON and operations and decide nothing. Each is
//! described by `#[utoipa::path]` and registered on an [`OpenApiRouter`], so
//! that the OpenAPI document *is* the table of routes. What went wrong is a
//! [`Failure`](error::Failure); `error::render` makes `{"detail": ...}` of it.

#![expect(unused_qualifications, reason = "utoipa writes them")]

mod compat;
mod echo;
pub mod error;
mod extract;
mod input;
pub mod internal;
mod key;
mod list;
mod object;
mod openapi;
mod root;
#[cfg(test)]
mod tests;
mod time;

use axum::{Extension, Router, middleware};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

pub use root::Surroundings;

/// Every route, ready to be served.
pub fn router(app: App, surroundings: Surroundings) -> Router {
    let (router, _) = routes().with_state(app).split_for_parts();
    router.layer(Extension(surroundings)).layer(middleware::from_fn(error::render))
}

/// The OpenAPI document of every route.
pub fn openapi() -> OpenApi {
    openapi::completed(routes().into_openapi())
}

/// The document as text, as it is kept beside the code.
pub fn openapi_text() -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(&openapi())? + "\n")
}

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::Base::openapi())
        .merge(root::router())
        .merge(compat::router())
}
