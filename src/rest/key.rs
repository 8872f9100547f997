//! The key of a cluster, by which its proxies prove themselves.

use axum::http::{HeaderMap, StatusCode};

use super::error::{Failure, Problem, Result};
use super::extract::bearer;
use crate::auth::PresentedToken;
use crate::error::Error;

/// Where existing proxies put it.
const HEADERS: [&str; 3] = ["cluster-api-key", "x-cluster-api-key", "x-api-key"];

/// The key in the body, or else in a header. Without one, what is missing is named
/// by its `place` and field.
pub(in crate::rest) fn key(
    headers: &HeaderMap,
    in_body: Option<&str>,
    (place, field): (&'static str, &'static str),
) -> Result<PresentedToken> {
    let in_header = || HEADERS.into_iter().find_map(|name| headers.get(name)?.to_str().ok());
    let key = in_body.or_else(in_header).or_else(|| bearer(headers).ok());
    let missing = || Problem::new("missing", vec![place.into(), field.into()], "Field required");
    let key = key.ok_or_else(|| Failure::Unreadable(missing()))?;
    Ok(PresentedToken::of_group_key(key))
}

/// Says what is wrong with the key as existing proxies know it.
pub(in crate::rest) fn by_key<T>(result: Result<T, Error>) -> Result<T> {
    result.map_err(|error| {
        if matches!(error, Error::UnprovenNode(_)) {
            Failure::Unauthenticated("Invalid cluster API key")
        } else if matches!(error, Error::ForbiddenNode(_)) {
            Failure::refused(StatusCode::FORBIDDEN, "Cluster ID does not match API key")
        } else if let Error::NotFound { kind: "proxy", id } = &error {
            Failure::refused(StatusCode::NOT_FOUND, format!("Proxy {id} not found"))
        } else {
            error.into()
        }
    })
}
