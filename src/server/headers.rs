//! What browsers are told of every answer.

use std::str::FromStr;

use axum::extract::Request;
use axum::http::Method;
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::limits::{LIMIT, REMAINING, RESET};
use crate::graphql::REQUESTED_BY;
use crate::rest::error::REQUEST_ID;

/// An answer that is no page loads nothing and stands in no frame.
const NOTHING: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// The web pages that may read what is answered: `CORS_ORIGINS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins(Vec<HeaderValue>);

/// A text that is no list of origins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginsError {
    /// It begins like JSON, and is none.
    #[error("must be a JSON list of texts, or texts with commas between them")]
    NotAList,
    /// A part of it is no origin.
    #[error("{0:?} is no origin like https://example.com:8443")]
    NotAnOrigin(String),
}

impl Origins {
    /// Whether a page of this origin is one of them.
    pub(super) fn allow(&self, origin: &HeaderValue) -> bool {
        self.0.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    }

    /// What lets these pages, and no others, read answers, with credentials.
    pub(super) fn layer(&self) -> CorsLayer {
        let exposed = [REQUEST_ID, LIMIT, REMAINING, RESET].map(HeaderName::from_static);
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(self.0.clone()))
            .allow_credentials(true)
            .allow_methods([
                Method::GET,
                Method::HEAD,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ])
            .allow_headers(AllowHeaders::list([
                AUTHORIZATION,
                CONTENT_TYPE,
                HeaderName::from_static(REQUEST_ID),
                HeaderName::from_static("cluster-api-key"),
                REQUESTED_BY,
            ]))
            .expose_headers(exposed.into_iter().chain([RETRY_AFTER]).collect::<Vec<_>>())
    }
}

impl FromStr for Origins {
    type Err = OriginsError;

    /// Commas between them, or a JSON list; empty for none.
    fn from_str(text: &str) -> Result<Self, OriginsError> {
        let list: Vec<String> = if text.trim_start().starts_with('[') {
            serde_json::from_str(text).map_err(|_| OriginsError::NotAList)?
        } else {
            text.split(',').map(ToOwned::to_owned).collect()
        };
        let list = list.iter().map(|origin| origin.trim().trim_end_matches('/'));
        list.filter(|origin| !origin.is_empty()).map(origin).collect::<Result<_, _>>().map(Self)
    }
}

/// A scheme, a host, and perhaps a port (RFC 6454, section 6.2).
fn origin(text: &str) -> Result<HeaderValue, OriginsError> {
    let wrong = || OriginsError::NotAnOrigin(text.to_owned());
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let good = host.is_some_and(|host| {
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c))
    });
    if !good {
        return Err(wrong());
    }
    HeaderValue::from_str(&text.to_ascii_lowercase()).map_err(|_| wrong())
}

/// Adds what an answer has not said for itself.
pub(super) async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (CONTENT_SECURITY_POLICY, NOTHING),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_come_with_commas_or_as_json() {
        let parsed = |text: &str| {
            let origins = text.parse::<Origins>()?.0;
            Ok(origins.iter().map(|o| o.to_str().unwrap().to_owned()).collect::<Vec<_>>())
        };
        let two = vec!["http://localhost:3000".to_owned(), "https://a.example".to_owned()];
        let wrong = |text: &str| Err(OriginsError::NotAnOrigin(text.to_owned()));
        let table = [
            ("http://localhost:3000,https://a.example", Ok(two.clone())),
            (" http://localhost:3000/ , https://A.example ", Ok(two.clone())),
            (r#"["http://localhost:3000", "https://a.example"]"#, Ok(two)),
            ("", Ok(vec![])),
            ("[]", Ok(vec![])),
            ("[1]", Err(OriginsError::NotAList)),
            ("*", wrong("*")),
            ("a.example", wrong("a.example")),
            ("https://a.example/path", wrong("https://a.example/path")),
        ];
        for (text, want) in table {
            assert_eq!(parsed(text), want, "{text}");
        }
    }
}
