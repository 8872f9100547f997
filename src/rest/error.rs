//! What went wrong, as existing clients read it: `{"detail": ...}`.
//!
//! The detail is a text, or for an input that cannot be taken (422) a list of
//! [`Problem`]s, each of which names a field. A handler ends with a
//! [`Failure`]; `render` knows the request, too, and writes the answer.

use std::error::Error as _;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::echo::Echo;
use crate::error::Error;
use crate::model::{Invalid, Licence};

/// The result of a handler.
pub(in crate::rest) type Result<T, E = Failure> = std::result::Result<T, E>;

/// The header that carries a request's id, in and out.
pub const REQUEST_ID: &str = "x-request-id";

/// Why a request was not done.
#[derive(Debug)]
pub enum Failure {
    /// The operation said no.
    Operation(Error),
    /// The input cannot be read.
    Unreadable(Problem),
    /// Nobody is signed in, or not (any more) as whom they say.
    Unauthenticated(&'static str),
    /// Anything else: a status, and what is said of it.
    Refused(StatusCode, Value),
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Problem {
    /// A word for programs.
    #[serde(rename = "type")]
    #[schema(example = "value_error")]
    kind: &'static str,
    /// Where: `body`, `query`, `path` or `header`, then the way to the field.
    #[schema(value_type = Vec<Value>, example = json!(["body", "port"]))]
    loc: Vec<Value>,
    /// A sentence for people.
    #[schema(example = "must be 1 to 65535, not 0")]
    msg: String,
    /// What was sent there; null if nothing was, or if it may be a secret.
    #[schema(value_type = Value, example = 0)]
    input: Value,
}

/// What a client reads of a request that was not done.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `refusal` writes")]
pub(in crate::rest) struct Detail {
    /// Why.
    #[schema(example = "Not Found")]
    detail: String,
}

/// What a client reads of an input that cannot be taken.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `render` writes")]
pub(in crate::rest) struct Problems {
    /// What is wrong, field by field.
    detail: Vec<Problem>,
}

/// What a client reads of a fault of ours.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `render` writes")]
pub(in crate::rest) struct Fault {
    #[schema(example = "Internal Server Error")]
    detail: String,
    /// By which the log is searched for the cause.
    #[schema(example = "0b6f6d0e-5d8a-4f0c-a1a5-2f0b8f7e9f63")]
    request_id: Option<String>,
}

/// A whole answer: `status`, and `{"detail": detail}`.
pub fn refusal(status: StatusCode, detail: impl Into<Value>) -> Response {
    let body = json!({ "detail": detail.into() });
    let mut response = (status, axum::Json(body)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The answer to a path that leads nowhere.
pub async fn not_found() -> Response {
    refusal(StatusCode::NOT_FOUND, "Not Found")
}

/// The answer to a method that a path does not have.
pub async fn method_not_allowed() -> Response {
    refusal(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

// === impl Failure ===

impl Failure {
    /// A status of our choosing, and what is said of it.
    pub fn refused(status: StatusCode, detail: impl Into<Value>) -> Self {
        Self::Refused(status, detail.into())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Operation(error)
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Operation(invalid.into())
    }
}

/// A failure on its way from the handler to [`render`].
#[derive(Clone)]
struct Pending(Arc<Failure>);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(Pending(Arc::new(self)));
        response
    }
}

/// Writes the answer to a request that failed, and logs a cause once.
pub(in crate::rest) async fn render(mut request: Request, next: Next) -> Response {
    let echo = Echo::default();
    request.extensions_mut().insert(echo.clone());
    let asked = Asked {
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        id: request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).map(str::to_owned),
    };
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Pending>() {
        Some(Pending(failure)) => asked.answer(&failure, echo.sent()),
        None => response,
    }
}

/// What a request asked for.
struct Asked {
    method: Method,
    path: String,
    id: Option<String>,
}

impl Asked {
    /// The answer to a failure; `sent` is the request's body, if it has one.
    fn answer(&self, failure: &Failure, sent: Option<&Value>) -> Response {
        match failure {
            Failure::Operation(error) => self.operation(error, sent),
            Failure::Unreadable(problem) => problems(problem),
            Failure::Unauthenticated(why) => refusal(StatusCode::UNAUTHORIZED, *why),
            Failure::Refused(status, detail) => refusal(*status, detail.clone()),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "they say it in their own words")]
    fn operation(&self, error: &Error, sent: Option<&Value>) -> Response {
        let status = error.codes().http;
        match error {
            Error::Invalid(invalid) => problems(&Problem::of(invalid, sent)),
            Error::Unauthenticated(why) | Error::Mistaken(why) => refusal(status, capitalised(why)),
            Error::NotFound { kind, .. } => {
                let kind = noun(kind);
                let or = match kind {
                    // As it was always said of these, where somebody looks.
                    "cluster" | "service" if self.method == Method::GET => " or access denied",
                    _ => "",
                };
                refusal(status, format!("{} not found{or}", capitalised(kind)))
            }
            // Where others say 409, existing clients look for this.
            Error::AlreadyExists { kind: "user", .. } => {
                refusal(StatusCode::BAD_REQUEST, "Username or email already exists")
            }
            Error::AlreadyExists { kind, name, .. } => {
                let said = format!("{} with name '{name}' already exists", capitalised(noun(kind)));
                refusal(StatusCode::BAD_REQUEST, said)
            }
            Error::InUse { kind, name, by } => {
                refusal(status, format!("{} {name} is in use by {by}", capitalised(noun(kind))))
            }
            // Where others say 409, existing clients look for this.
            Error::DefaultGroup => {
                refusal(StatusCode::BAD_REQUEST, "Cannot delete the default cluster")
            }
            // As it was always said.
            Error::LicenceLimit { tier } if tier == Licence::COMMUNITY => refusal(
                status,
                "Community tier limited to 1 cluster. \
                 Upgrade to Enterprise for multi-cluster support.",
            ),
            Error::LicenceLimit { .. } => {
                refusal(status, "Your Enterprise license does not include multi-cluster support.")
            }
            Error::TooMany { retry_after: wait } => {
                let mut response = refusal(status, capitalised(&error.to_string()));
                retry_after(&mut response, wait.as_secs().max(1));
                response
            }
            Error::Internal(_) => self.fault(error),
            _ => {
                if error.source().is_some() {
                    self.log(error);
                }
                refusal(status, capitalised(&error.to_string()))
            }
        }
    }

    fn fault(&self, error: &Error) -> Response {
        self.log(error);
        let fault = json!({ "detail": "Internal Server Error", "request_id": self.id });
        (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(fault)).into_response()
    }

    /// Tells the log the cause.
    fn log(&self, error: &Error) {
        tracing::error!(
            error = error.source(), http.request.method = %self.method, url.path = self.path,
            request.id = self.id, "a request failed"
        );
    }
}

fn problems(problem: &Problem) -> Response {
    refusal(StatusCode::UNPROCESSABLE_ENTITY, json!([problem]))
}

/// What clients of this edge call a kind of ours.
fn noun(kind: &str) -> &str {
    match kind {
        "node group" => "cluster",
        "node group assignment" => "cluster assignment",
        _ => kind,
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

/// The seconds after which it makes sense to ask again, as a header.
pub fn retry_after(response: &mut Response, seconds: u64) {
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
}

// === impl Problem ===

impl Problem {
    /// Something is wrong at `loc`.
    pub(in crate::rest) fn new(
        kind: &'static str,
        loc: Vec<Value>,
        msg: impl Into<String>,
    ) -> Self {
        Self { kind, loc, msg: msg.into(), input: Value::Null }
    }

    /// Shows what was sent, unless it may be a secret.
    #[must_use]
    pub(in crate::rest) fn showing(mut self, input: impl Into<Value>) -> Self {
        if !self.loc.iter().filter_map(Value::as_str).any(is_secret) {
            let input = input.into();
            // A whole body may hold a secret somewhere.
            self.input = if input.is_object() || input.is_array() { Value::Null } else { input };
        }
        self
    }

    /// What a rule of ours says of a field, found in the body by its path.
    fn of(invalid: &Invalid, sent: Option<&Value>) -> Self {
        let path: Vec<String> = invalid.path().iter().map(|part| snake(part)).collect();
        let Some(sent) = sent else {
            let loc = std::iter::once("query".to_owned()).chain(path).map(Value::from).collect();
            return Self::new("value_error", loc, invalid.reason());
        };
        let (path, input) = located(path, sent);
        let loc = std::iter::once(Value::from("body")).chain(path).collect();
        Self::new("value_error", loc, invalid.reason()).showing(input)
    }
}

/// The way to a field in `sent`, and what stands there.
///
/// Our paths are nested where the bodies are flat: `healthCheck.path` is
/// `health_check_path` in them.
fn located(path: Vec<String>, sent: &Value) -> (Vec<Value>, Value) {
    let joined = path.join("_");
    if let Some(input) = sent.get(&joined) {
        return (vec![joined.into()], input.clone());
    }
    let mut at = Some(sent);
    let mut loc = vec![];
    for part in path {
        let index = part.parse::<usize>().ok();
        at = at.and_then(|at| index.map_or_else(|| at.get(&part), |i| at.get(i)));
        loc.push(index.map_or_else(|| Value::from(part), Value::from));
    }
    (loc, at.cloned().unwrap_or_default())
}

/// `ipFqdn` as `ip_fqdn`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// Whether what stands in a field of this name is not to be said again.
fn is_secret(field: &str) -> bool {
    ["password", "secret", "token", "key", "totp"].iter().any(|word| field.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(path: &[&str], sent: Option<&Value>) -> Value {
        let mut invalid = Invalid::new(path[path.len() - 1], "is wrong");
        for outer in path[..path.len() - 1].iter().rev() {
            invalid = invalid.within(outer);
        }
        json!(Problem::of(&invalid, sent))
    }

    #[test]
    fn a_problem_names_the_field_as_the_client_wrote_it() {
        let table = [
            (&["port"][..], json!({"port": 0}), json!(["body", "port"]), json!(0)),
            (&["ipFqdn"], json!({"ip_fqdn": "_"}), json!(["body", "ip_fqdn"]), json!("_")),
            (
                &["healthCheck", "path"],
                json!({"health_check_path": "x"}),
                json!(["body", "health_check_path"]),
                json!("x"),
            ),
            (&["ports", "1"], json!({"ports": [80, 0]}), json!(["body", "ports", 1]), json!(0)),
            (&["name"], json!({}), json!(["body", "name"]), Value::Null),
            (&["password"], json!({"password": "x"}), json!(["body", "password"]), Value::Null),
        ];
        for (path, sent, loc, input) in table {
            let want =
                json!({"type": "value_error", "loc": loc, "msg": "is wrong", "input": input});
            assert_eq!(problem(path, Some(&sent)), want, "{path:?}");
        }
        assert_eq!(problem(&["limit"], None)["loc"], json!(["query", "limit"]));
    }
}
