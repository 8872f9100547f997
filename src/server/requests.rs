//! What every request has: an id, a place in the log, and an end.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::rest::error::{REQUEST_ID, refusal};

/// What is open for as long as both ends like.
const ENDLESS: [&str; 1] = ["/graphql/ws"];

/// Gives a request an id, unless it brings a good one, and says it in the answer
/// and in all that is logged meanwhile.
pub(super) async fn identify(mut request: Request, next: Next) -> Response {
    let brought = request.headers().get(REQUEST_ID).filter(|id| is_good(id)).cloned();
    let id = brought.unwrap_or_else(new_id);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let span = tracing::info_span!(
        "request",
        request.id = id.to_str().unwrap_or_default(),
        http.request.method = %request.method(),
        url.path = request.uri().path(),
    );
    if let Some(caller) = trace_of(request.headers()) {
        // Without a collector there is nothing to be part of.
        span.set_parent(caller).ok();
    }
    let answered = async {
        let response = next.run(request).await;
        tracing::debug!(http.response.status_code = response.status().as_u16(), "answered");
        response
    };
    let mut response = answered.instrument(span).await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The span that a request is part of, if its `traceparent` names one (W3C Trace Context).
fn trace_of(headers: &HeaderMap) -> Option<Context> {
    let context = TraceContextPropagator::new().extract(&Headers(headers));
    let is_named = context.span().span_context().is_valid();
    is_named.then_some(context)
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// An id that a client may choose: it gets into the log.
fn is_good(id: &HeaderValue) -> bool {
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (1..=128).contains(&id.len()) && id.as_bytes().iter().all(good)
}

fn new_id() -> HeaderValue {
    let id = format!("{:032x}", rand::random::<u128>());
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

/// Ends a request that takes too long.
pub(super) async fn end(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    if ENDLESS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!("a request took too long");
            refusal(StatusCode::SERVICE_UNAVAILABLE, "The request took too long")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_a_client_is_fit_for_the_log() {
        let long = "x".repeat(129);
        for (id, want) in [("a-B_3.4", true), ("", false), ("a b", false), (&*long, false)] {
            assert_eq!(is_good(&HeaderValue::from_str(id).unwrap()), want, "{id}");
        }
        assert!(is_good(&new_id()));
    }

    #[test]
    fn a_request_is_part_of_the_trace_that_it_names() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let span_of = |traceparent: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", HeaderValue::from_str(traceparent).unwrap());
            let context = trace_of(&headers)?;
            let span = context.span().span_context().clone();
            Some((span.trace_id().to_string(), span.span_id().to_string()))
        };
        let named = span_of(&format!("00-{trace}-00f067aa0ba902b7-01"));
        assert_eq!(named, Some((trace.to_owned(), "00f067aa0ba902b7".to_owned())));
        for bad in ["", "00-0-0-01", &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32))] {
            assert_eq!(span_of(bad), None, "{bad}");
        }
        assert!(trace_of(&HeaderMap::new()).is_none());
    }
}
