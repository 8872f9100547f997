//! GraphQL over HTTP: a request, an answer.

use std::collections::BTreeMap;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response, ServerError, Value};
use async_graphql_axum::GraphQLResponse;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response as HttpResponse};
use serde::Serialize;
use serde_json::json;

use super::request::{Format, Refusal, operation_type, read};
use super::{Served, Serving, events, identified, is_refused, unbroken};
use crate::app::Authenticated as Caller;
use crate::auth::Origin;
use crate::error::Error;
use crate::graphql::{CookieJar, REQUESTED_BY, access_token, refusal};

/// What is said of a request for neither.
const ACCEPT: Refusal = Refusal {
    status: StatusCode::NOT_ACCEPTABLE,
    message: "accept application/graphql-response+json, application/json or text/event-stream",
};

const METHOD: Refusal = Refusal {
    status: StatusCode::METHOD_NOT_ALLOWED,
    message: "send GET or POST, and anything but a query by POST",
};

/// Any page can have a browser send a form, with its cookies.
const NOT_ASKED_FOR: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    message: "with a cookie, a POST needs the header x-requested-by",
};

const NOT_ONE_ANSWER: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    message: "a subscription has many answers: accept text/event-stream, or use /graphql/ws",
};

/// Answers one request.
pub(super) async fn answer(
    State(served): State<Served>,
    origin: Option<Extension<Origin>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> HttpResponse {
    let origin = origin.map(|Extension(origin)| origin).unwrap_or_default();
    let Some(format) = Format::accepted(&headers) else { return refused(Format::Json, &ACCEPT) };
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            let message = "the body cannot be read, or is too large";
            return refused(format, &Refusal { status: rejection.status(), message });
        }
    };
    let query = uri.query().unwrap_or_default();
    let (request, asked) = match served.prepare(format, &method, query, &headers, &body) {
        Ok(prepared) => prepared,
        Err(refusal) => return refused(format, &refusal),
    };
    let caller = match served.caller(&headers, origin.clone()).await {
        Ok(caller) => caller,
        Err(error) => return unauthenticated(format, error, &origin),
    };
    let request_id = origin.request_id.clone();
    let mut request = request.data(origin);
    if let Some(caller) = &caller {
        request = request.data::<Caller>(caller.clone());
    }
    if let Some(jar) = CookieJar::read(&headers) {
        request = request.data(jar);
    }
    match format {
        Format::Events => events::answer(&served, request, caller, request_id),
        Format::Json | Format::Response => {
            written(format, served.execute(request, asked).await, request_id.as_deref())
        }
    }
}

impl Serving {
    /// Reads a request, and what kind of operation it asks for as far as that can be told;
    /// refuses one that may not be asked for in this way.
    fn prepare(
        &self,
        format: Format,
        method: &Method,
        query: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(Request, Option<OperationType>), Refusal> {
        if method != Method::GET && method != Method::POST {
            return Err(METHOD);
        }
        let by_cookie = access_token(headers).is_some() && !headers.contains_key(AUTHORIZATION);
        if by_cookie && method == Method::POST && !headers.contains_key(REQUESTED_BY) {
            return Err(NOT_ASKED_FOR);
        }
        let mut request = read(method, query, headers, body, &self.settings.documents)?;
        let name = request.operation_name.clone();
        // A document that cannot be parsed is told of by whoever executes it.
        let asked = request.parsed_query().ok().and_then(|d| operation_type(d, name.as_deref()));
        match asked {
            Some(OperationType::Mutation) if method == Method::GET => Err(METHOD),
            Some(OperationType::Subscription) if format != Format::Events => {
                Err(if method == Method::GET { METHOD } else { NOT_ONE_ANSWER })
            }
            Some(_) | None => Ok((request, asked)),
        }
    }

    /// Executes a query or a mutation.
    async fn execute(&self, request: Request, asked: Option<OperationType>) -> Response {
        let execution = unbroken(self.schema.execute(request));
        if asked == Some(OperationType::Mutation) {
            return execution.await; // it may wait for proxies, and must not be broken off
        }
        match tokio::time::timeout(self.settings.query_timeout, execution).await {
            Ok(response) => response,
            Err(elapsed) => refusal(Error::unavailable("an answer to so much", elapsed)),
        }
    }
}

/// The answer as it is sent.
fn written(format: Format, response: Response, request_id: Option<&str>) -> HttpResponse {
    let response = identified(response, request_id);
    let mut answer = if is_refused(&response) {
        let refused = Refused { errors: &response.errors, extensions: &response.extensions };
        let mut answer = axum::Json(refused).into_response();
        answer.headers_mut().extend(response.http_headers);
        if format == Format::Response {
            *answer.status_mut() = StatusCode::BAD_REQUEST;
        }
        answer
    } else {
        GraphQLResponse::from(response).into_response()
    };
    let media_type = HeaderValue::from_static(format.media_type());
    answer.headers_mut().insert(CONTENT_TYPE, media_type);
    answer
}

/// An answer without data.
#[derive(Serialize)]
struct Refused<'a> {
    errors: &'a [ServerError],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extensions: &'a BTreeMap<String, Value>,
}

/// The answer to whoever shows a token that is no good (any more).
fn unauthenticated(format: Format, error: Error, origin: &Origin) -> HttpResponse {
    let status = error.codes().http;
    let mut answer = written(format.of_one(), refusal(error), origin.request_id.as_deref());
    *answer.status_mut() = status;
    answer
}

/// The answer to what is no request that can be executed.
fn refused(format: Format, refusal: &Refusal) -> HttpResponse {
    let format = format.of_one();
    let error = json!({ "message": refusal.message, "extensions": { "code": "INVALID" } });
    let body = json!({ "errors": [error] }).to_string();
    let mut answer = (refusal.status, [(CONTENT_TYPE, format.media_type())], body).into_response();
    if refusal.status == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    answer
}
