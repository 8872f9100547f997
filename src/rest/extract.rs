//! Requests into what handlers take, and 422 for those that cannot be read.

use std::fmt::Display;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{FromRef, FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_path_to_error::Segment;

use super::echo::Echo;
use super::error::{Failure, Problem, Result};
use crate::app::{App, Authenticated};
use crate::auth::{Actor, Edge, Origin};
use crate::error::Error;

/// A body of JSON, in and out. What is said of unknown fields is ignored.
pub(in crate::rest) struct Json<T>(pub(in crate::rest) T);

/// A body of JSON, or a form with the same fields.
pub(in crate::rest) struct JsonOrForm<T>(pub(in crate::rest) T);

/// The one number in the path.
pub(in crate::rest) struct Path<T>(pub(in crate::rest) T);

/// The two numbers in the path.
pub(in crate::rest) struct Paths<A, B>(pub(in crate::rest) A, pub(in crate::rest) B);

/// What stands behind the `?`.
pub(in crate::rest) struct Query<T>(pub(in crate::rest) T);

/// Who asks, by `Authorization: Bearer <token>`. Without one it is 401.
pub(in crate::rest) struct Signed(pub(in crate::rest) Actor);

// === impl Json ===

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        body(request, state, json).await.map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonOrForm<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_form =
            kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        body(request, state, if is_form { form } else { json }).await.map(Self)
    }
}

/// Reads the body, and keeps it for the answer.
async fn body<T: DeserializeOwned, S: Send + Sync>(
    request: Request,
    state: &S,
    parse: impl FnOnce(&[u8]) -> Result<Value>,
) -> Result<T> {
    let echo = request.extensions().get::<Echo>().cloned();
    let body = Bytes::from_request(request, state).await.map_err(|rejection| {
        let status = rejection.status();
        Failure::refused(status, status.canonical_reason().unwrap_or_default())
    })?;
    let body = parse(&body)?;
    // Serde would take a list for the fields in their order.
    let read = if body.is_array() {
        let msg = "Input should be a valid dictionary";
        Err(unreadable("model_attributes_type", vec!["body".into()], msg))
    } else {
        read("body", &body, &body)
    };
    if let Some(echo) = echo {
        echo.keep(body);
    }
    read
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

fn json(body: &[u8]) -> Result<Value> {
    if body.is_empty() {
        return Err(unreadable("missing", vec!["body".into()], "Field required"));
    }
    serde_json::from_slice(body).map_err(|e| {
        let loc = vec!["body".into(), e.column().into()];
        unreadable("json_invalid", loc, format!("JSON decode error: {e}"))
    })
}

#[expect(clippy::unnecessary_wraps, reason = "as `json`; any bytes are a form")]
fn form(body: &[u8]) -> Result<Value> {
    let fields = form_urlencoded::parse(body);
    Ok(fields.map(|(field, value)| (field.into_owned(), value.into_owned())).collect())
}

/// Tells a field that is null from one that is left out, which needs
/// `#[serde(default)]` as well.
pub(in crate::rest) fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

// === impl Query ===

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let query = parts.uri.query().unwrap_or_default();
        let sent = form_urlencoded::parse(query.as_bytes());
        let sent: Value = sent.map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        let pairs = form_urlencoded::parse(query.as_bytes());
        read("query", &sent, serde_urlencoded::Deserializer::new(pairs)).map(Self)
    }
}

// === impl Path ===

impl<T: TryFrom<i32>, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        Ok(Self(number(&numbers(parts, state).await?, 0)?))
    }
}

impl<A: TryFrom<i32>, B: TryFrom<i32>, S: Send + Sync> FromRequestParts<S> for Paths<A, B> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let numbers = numbers(parts, state).await?;
        Ok(Self(number(&numbers, 0)?, number(&numbers, 1)?))
    }
}

/// The numbers in the path, in their order.
async fn numbers<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Vec<i128>> {
    let params = RawPathParams::from_request_parts(parts, state).await;
    let params = params.map_err(|_| not_found())?; // not UTF-8
    params
        .iter()
        .map(|(name, text)| {
            text.parse().map_err(|_| {
                let loc = vec!["path".into(), name.into()];
                let msg = "Input should be a valid integer, unable to parse string as an integer";
                Failure::Unreadable(Problem::new("int_parsing", loc, msg).showing(text))
            })
        })
        .collect()
}

/// A number that cannot be the id of anything leads to nothing.
fn number<T: TryFrom<i32>>(numbers: &[i128], at: usize) -> Result<T> {
    let id = numbers.get(at).and_then(|number| i32::try_from(*number).ok());
    id.and_then(|id| T::try_from(id).ok()).ok_or_else(not_found)
}

fn not_found() -> Failure {
    Failure::refused(StatusCode::NOT_FOUND, "Not Found")
}

// === impl Signed ===

impl<S: Send + Sync> FromRequestParts<S> for Signed
where
    App: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let token = bearer(&parts.headers)?;
        let origin = over_rest(parts.extensions.get().cloned().map(Extension));
        match App::from_ref(state).authenticate(token, origin).await {
            Ok(Authenticated { actor, .. }) => Ok(Self(actor)),
            Err(Error::Unauthenticated(_)) => {
                Err(Failure::Unauthenticated("Could not validate credentials"))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Where a request came from, for a handler that is asked by nobody in particular.
pub(in crate::rest) fn over_rest(origin: Option<Extension<Origin>>) -> Origin {
    let known = origin.map(|Extension(origin)| origin).unwrap_or_default();
    Origin { edge: Edge::Rest, ..known }
}

/// The token in `Authorization: Bearer <token>` (RFC 6750, section 2.1).
pub(in crate::rest) fn bearer(headers: &HeaderMap) -> Result<&str> {
    let header = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    match header.and_then(|header| header.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        Some(_) | None => Err(Failure::Unauthenticated("Not authenticated")),
    }
}

// === reading ===

/// Reads a `T` out of what was sent in `place`; an error names the field.
fn read<'de, T, D>(place: &'static str, sent: &Value, from: D) -> Result<T>
where
    T: DeserializeOwned,
    D: Deserializer<'de, Error: Display>,
{
    serde_path_to_error::deserialize(from).map_err(|e| {
        let mut loc = vec![Value::from(place)];
        let mut input = Some(sent);
        for segment in e.path() {
            match segment {
                Segment::Seq { index } => {
                    loc.push((*index).into());
                    input = input.and_then(|at| at.get(index));
                }
                Segment::Map { key } | Segment::Enum { variant: key } => {
                    loc.push(key.as_str().into());
                    input = input.and_then(|at| at.get(key));
                }
                Segment::Unknown => {}
            }
        }
        let said = e.into_inner().to_string();
        if let Some(field) = missing_field(&said) {
            loc.push(field.into());
            return unreadable("missing", loc, "Field required");
        }
        let (kind, msg) = worded(&said);
        Failure::Unreadable(Problem::new(kind, loc, msg).showing(input.cloned()))
    })
}

/// Which field serde misses, if that is what it says.
fn missing_field(said: &str) -> Option<&str> {
    said.strip_prefix("missing field `")?.split('`').next()
}

/// What serde says of a value, in the words that existing clients know.
fn worded(said: &str) -> (&'static str, String) {
    let expected = said.split("expected ").nth(1).unwrap_or_default();
    let expected = expected.split(" at line").next().unwrap_or_default();
    let (kind, what) = match expected {
        "a string" => ("string_type", "string"),
        "a boolean" => ("bool_type", "boolean"),
        "i16" | "i32" | "i64" | "u16" | "u32" | "u64" => ("int_type", "integer"),
        "f64" => ("float_type", "number"),
        "a sequence" => ("list_type", "list"),
        "a map" => ("dict_type", "dictionary"),
        e if e.starts_with("struct ") => ("model_attributes_type", "dictionary"),
        _ if said.starts_with("invalid digit") || said.starts_with("number too") => {
            ("int_parsing", "integer")
        }
        _ if said.starts_with("unknown variant") => return ("enum", said.to_owned()),
        _ => return ("value_error", said.to_owned()),
    };
    (kind, format!("Input should be a valid {what}"))
}

fn unreadable(kind: &'static str, loc: Vec<Value>, msg: impl Into<String>) -> Failure {
    Failure::Unreadable(Problem::new(kind, loc, msg))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde_json::json;

    use super::*;
    use crate::rest::list::flag;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read, and that is all")]
    struct Input {
        name: String,
        port: i32,
        #[serde(default)]
        ports: Vec<u16>,
        #[serde(default)]
        tls: bool,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read, and that is all")]
    struct Filter {
        skip: Option<i32>,
        #[serde(default, deserialize_with = "flag")]
        active: bool,
    }

    fn problem<T>(read: Result<T>) -> Value {
        match read {
            Ok(_) => Value::Null,
            Err(Failure::Unreadable(problem)) => json!(problem),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_body_that_cannot_be_read_names_the_field() {
        let table = [
            (r#"{"name": "a", "port": 1, "more": []}"#, Value::Null, ""),
            (r#"{"name": "a"}"#, json!(["body", "port"]), "missing"),
            (r#"{"name": 1, "port": 1}"#, json!(["body", "name"]), "string_type"),
            (r#"{"name": "a", "port": "x"}"#, json!(["body", "port"]), "int_type"),
            (r#"{"name": "a", "port": 1.5}"#, json!(["body", "port"]), "int_type"),
            (r#"{"name": "a", "port": 99999999999}"#, json!(["body", "port"]), "int_type"),
            (r#"{"name": "a", "port": 1, "ports": 1}"#, json!(["body", "ports"]), "list_type"),
            (r#"{"name": "a", "port": 1, "ports": [-1]}"#, json!(["body", "ports", 0]), "int_type"),
            (r#"{"name": "a", "port": 1, "tls": 7}"#, json!(["body", "tls"]), "bool_type"),
            ("[]", json!(["body"]), "model_attributes_type"),
            (r#"["a", 1]"#, json!(["body"]), "model_attributes_type"),
            ("7", json!(["body"]), "model_attributes_type"),
            ("", json!(["body"]), "missing"),
            (r#"{"name"#, json!(["body", 6]), "json_invalid"),
            ("\u{1}", json!(["body", 1]), "json_invalid"),
        ];
        for (body, loc, kind) in table {
            let request = Request::new(Body::from(body));
            let read = Json::<Input>::from_request(request, &()).await;
            let got = problem(read);
            assert_eq!(got["loc"], loc, "{body}: {got}");
            assert_eq!(got["type"].as_str().unwrap_or_default(), kind, "{body}: {got}");
        }
    }

    #[tokio::test]
    async fn a_query_that_cannot_be_read_names_the_parameter() {
        let table = [
            ("", Value::Null, ""),
            ("skip=1&active=True&more=1", Value::Null, ""),
            ("skip=x", json!(["query", "skip"]), "int_parsing"),
            ("skip=99999999999", json!(["query", "skip"]), "int_parsing"),
            ("active=x", json!(["query", "active"]), "value_error"),
        ];
        for (query, loc, kind) in table {
            let request = Request::builder().uri(format!("/?{query}")).body(()).unwrap();
            let read = Query::<Filter>::from_request_parts(&mut request.into_parts().0, &()).await;
            let got = problem(read);
            assert_eq!(got["loc"], loc, "{query}: {got}");
            assert_eq!(got["type"].as_str().unwrap_or_default(), kind, "{query}: {got}");
        }
    }
}
