//! The web pages, embedded with the feature `dashboard`.

use axum::Router;
use axum::extract::Request;
use axum::http::header::{ACCEPT, HeaderValue, VARY};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

#[cfg(feature = "dashboard")]
pub(super) fn router() -> Router {
    Router::new()
        .route("/graphiql", get(|| async { embedded::page("graphiql.html") }))
        .route("/ui/{*path}", get(embedded::asset))
}

#[cfg(not(feature = "dashboard"))]
pub(super) fn router() -> Router {
    Router::new().route("/graphiql", get(async || missing()))
}

/// A page, for whom this build has it.
#[cfg(feature = "dashboard")]
pub(super) use embedded::bytes;

#[cfg(not(feature = "dashboard"))]
pub(super) fn bytes(_: &str) -> Option<Vec<u8>> {
    None
}

/// The answer where a page would be.
pub(super) fn missing() -> Response {
    let hint = "This build has no web pages: they come with `--features dashboard`.\n";
    (StatusCode::NOT_FOUND, hint).into_response()
}

/// Gives a browser the dashboard at `/`, and everybody else what the API says there.
pub(super) async fn greet(request: Request, next: Next) -> Response {
    let at_root = request.uri().path() == "/" && request.method() == Method::GET;
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let wants_html = accept.is_some_and(|accept| accept.contains("text/html"));
    let mut response = if at_root && wants_html && cfg!(feature = "dashboard") {
        front().into_response()
    } else {
        next.run(request).await
    };
    if at_root {
        response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    }
    response
}

#[cfg(feature = "dashboard")]
fn front() -> Response {
    match bytes("index.html") {
        Some(_) => embedded::page("index.html"),
        None => Redirect::to("/graphiql").into_response(),
    }
}

#[cfg(not(feature = "dashboard"))]
fn front() -> Response {
    Redirect::to("/api/docs").into_response()
}

#[cfg(feature = "dashboard")]
mod embedded {
    use axum::extract::Path;
    use axum::http::StatusCode;
    use axum::http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
    };
    use rust_embed::{Embed, EmbeddedFile};

    use super::{IntoResponse as _, Response};

    /// GraphiQL styles elements in place; nothing else is inline, and nothing
    /// comes from elsewhere.
    const POLICY: &str = "default-src 'none'; script-src 'self'; \
        style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self'; worker-src 'self'; \
        connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    #[derive(Embed)]
    #[folder = "dashboard/dist"]
    struct Dist;

    /// A file of the pages.
    pub(in crate::server) fn bytes(name: &str) -> Option<Vec<u8>> {
        Dist::get(name).map(|file| file.data.into_owned())
    }

    /// One of the pages.
    pub(super) fn page(name: &str) -> Response {
        served(name, Dist::get(name), "no-cache")
    }

    /// What the pages load; the names of most hold a hash of the content.
    pub(super) async fn asset(Path(path): Path<String>) -> Response {
        let hashed = path.starts_with("assets/");
        let cache = if hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
        served(&path, Dist::get(&path), cache)
    }

    fn served(name: &str, file: Option<EmbeddedFile>, cache: &'static str) -> Response {
        let Some(file) = file else {
            return (StatusCode::NOT_FOUND, "There is no such page.\n").into_response();
        };
        let kind = if name.ends_with(".html") {
            "text/html; charset=utf-8"
        } else {
            file.metadata.mimetype()
        };
        let headers = [
            (CONTENT_TYPE, kind.to_owned()),
            (CACHE_CONTROL, cache.to_owned()),
            (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
            (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        ];
        (headers, file.data).into_response()
    }
}
