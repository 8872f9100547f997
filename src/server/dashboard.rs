//! The web pages, embedded with the feature `dashboard`.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

#[cfg(feature = "dashboard")]
pub(super) fn router() -> Router {
    Router::new()
        .route("/graphiql", get(|| async { embedded::page("graphiql.html") }))
        .route("/ui/{*path}", get(embedded::asset))
}

#[cfg(not(feature = "dashboard"))]
pub(super) fn router() -> Router {
    async fn missing() -> Response {
        use axum::http::StatusCode;
        let hint = "This build has no web pages: they come with `--features dashboard`.\n";
        (StatusCode::NOT_FOUND, hint).into_response()
    }
    Router::new().route("/graphiql", get(missing))
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
