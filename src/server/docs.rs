//! The REST API described: as JSON, by Swagger UI, and by `ReDoc`.
//!
//! Both pages come with this binary and load nothing from elsewhere. Scripts and
//! pages are files of their own, for the content security policy.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa_swagger_ui::Config;

use super::dashboard;
use crate::rest;

/// Where the document is.
const DOCUMENT: &str = "/api/openapi.json";

/// Both pages style elements in place, and show images that stand in their styles.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; worker-src 'self' blob:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SWAGGER: &str = r#"<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>MarchProxy API</title>
    <link rel="icon" type="image/png" href="/api/docs/favicon-32x32.png">
    <link rel="stylesheet" href="/api/docs/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/api/docs/swagger-ui-bundle.js"></script>
    <script src="/api/docs/swagger-ui-standalone-preset.js"></script>
    <script src="/api/docs/swagger-initializer.js"></script>
  </body>
</html>
"#;

/// The document as it is sent.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    serde_json::to_string(&rest::openapi()).unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "cannot write the document");
        "{}".to_owned()
    })
});

pub(super) fn router() -> Router {
    Router::new()
        .route(DOCUMENT, get(document))
        .route("/api/docs", get(async || page(SWAGGER.as_bytes().to_vec())))
        .route("/api/docs/{file}", get(swagger_file))
        .route("/api/redoc", get(async || redoc()))
}

async fn document() -> Response {
    ([(CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

async fn swagger_file(Path(name): Path<String>) -> Response {
    let file = utoipa_swagger_ui::serve(&name, Arc::new(Config::from(DOCUMENT)));
    match file {
        Ok(Some(file)) => {
            let headers = [
                (CONTENT_TYPE, file.content_type),
                (CACHE_CONTROL, "no-cache".to_owned()),
                (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
            ];
            (headers, file.bytes.into_owned()).into_response()
        }
        Ok(None) | Err(_) => rest::error::refusal(StatusCode::NOT_FOUND, "Not Found"),
    }
}

fn page(html: Vec<u8>) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, html).into_response()
}

/// The page for `ReDoc`, whose script is built with the other pages.
fn redoc() -> Response {
    match dashboard::bytes("redoc.html") {
        Some(html) => page(html),
        None => dashboard::missing(),
    }
}
