//! A GraphQL request as HTTP carries it, read to the letter.
//!
//! Source: the GraphQL-over-HTTP specification,
//! <https://graphql.github.io/graphql-over-http/draft/>. Two things are stricter here:
//! only `application/json` is read, so that no page of another origin can have a
//! browser send a mutation unasked, and a list of requests is refused.

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationType};
use async_graphql::{Request, Variables};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value};

use super::documents::Documents;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `application/json`: what went wrong is in the body alone.
    Json,
    /// `application/graphql-response+json`: a request that is wrong has a status of its own.
    Response,
    /// `text/event-stream`: an event for each result.
    Events,
}

/// Why a request is not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: &'static str,
}

impl Format {
    /// How one answer is written to a client that would take events.
    pub(super) fn of_one(self) -> Self {
        match self {
            Self::Events | Self::Json => Self::Json,
            Self::Response => Self::Response,
        }
    }

    /// The media type that is said of an answer.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::Response => "application/graphql-response+json; charset=utf-8",
            Self::Events => "text/event-stream",
        }
    }

    /// What the client likes best of what there is; none if it likes nothing of it.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let mut best: Option<(Self, f32)> = None;
        let accepts = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
        let mut said = false;
        for range in accepts.flat_map(|accept| accept.split(',')) {
            said = true;
            let Some((format, quality)) = read_range(range) else { continue };
            // Of equals the first.
            if quality > 0.0 && best.is_none_or(|(_, than)| quality > than) {
                best = Some((format, quality));
            }
        }
        // A client of before 2025 says nothing, and reads JSON.
        if said { best.map(|(format, _)| format) } else { Some(Self::Json) }
    }
}

/// Reads one media range with its weight (RFC 9110, section 12.5.1).
fn read_range(range: &str) -> Option<(Format, f32)> {
    let mut parts = range.split(';').map(str::trim);
    let format = match &*parts.next()?.to_ascii_lowercase() {
        "application/graphql-response+json" => Format::Response,
        "application/json" | "application/*" | "*/*" => Format::Json,
        "text/event-stream" => Format::Events,
        _ => return None,
    };
    let mut quality = 1.0;
    for part in parts {
        let (name, value) = part.split_once('=')?;
        match &*name.trim().to_ascii_lowercase() {
            "q" => quality = value.trim().parse().ok()?,
            "charset" if !is_utf8(value) => return None,
            _ => {}
        }
    }
    Some((format, quality))
}

fn is_utf8(charset: &str) -> bool {
    charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
}

/// The four parts of a request, before they are known to be right.
#[derive(Default)]
struct Parts {
    query: Option<Value>,
    document_id: Option<Value>,
    operation_name: Option<Value>,
    variables: Option<Value>,
    extensions: Option<Value>,
}

/// Reads a request.
pub(super) fn read(
    method: &Method,
    query: &str,
    headers: &HeaderMap,
    body: &[u8],
    documents: &Documents,
) -> Result<Request, Refusal> {
    let parts = if method == Method::GET { in_query(query)? } else { in_body(headers, body)? };
    parts.into_request(documents)
}

/// Reads a request as it stands in the payload of a message.
pub(super) fn read_payload(
    payload: Map<String, Value>,
    documents: &Documents,
) -> Result<Request, Refusal> {
    Parts::from(payload).into_request(documents)
}

fn in_query(query: &str) -> Result<Parts, Refusal> {
    let mut parts = Parts::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let text = Value::from(&*value);
        let json = || serde_json::from_str::<Value>(&value);
        match &*name {
            "query" => parts.query = Some(text),
            "documentId" => parts.document_id = Some(text),
            "operationName" => parts.operation_name = Some(text),
            "variables" => parts.variables = Some(json().map_err(|_| VARIABLES)?),
            "extensions" => parts.extensions = Some(json().map_err(|_| EXTENSIONS)?),
            _ => {}
        }
    }
    Ok(parts)
}

fn in_body(headers: &HeaderMap, body: &[u8]) -> Result<Parts, Refusal> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut parts = content_type.unwrap_or_default().split(';');
    let is_json = parts.next().is_some_and(|t| t.trim().eq_ignore_ascii_case("application/json"));
    let mut charsets = parts.filter_map(|p| p.trim().split_once('='));
    if !is_json || !charsets.all(|(name, v)| !name.eq_ignore_ascii_case("charset") || is_utf8(v)) {
        let message = "send `content-type: application/json`, in UTF-8";
        return Err(Refusal { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, message });
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(parts)) => Ok(parts.into()),
        Ok(Value::Array(_)) => Err(bad("one request at a time: lists of them are not taken")),
        Ok(_) | Err(_) => Err(bad("the body must be a JSON object")),
    }
}

impl From<Map<String, Value>> for Parts {
    fn from(mut parts: Map<String, Value>) -> Self {
        Self {
            query: parts.remove("query"),
            document_id: parts.remove("documentId"),
            operation_name: parts.remove("operationName"),
            variables: parts.remove("variables"),
            extensions: parts.remove("extensions"),
        }
    }
}

const VARIABLES: Refusal = bad("`variables` must be an object");
const EXTENSIONS: Refusal = bad("`extensions` must be an object");

const fn bad(message: &'static str) -> Refusal {
    Refusal { status: StatusCode::BAD_REQUEST, message }
}

impl Parts {
    fn into_request(self, documents: &Documents) -> Result<Request, Refusal> {
        let query = text(self.query, "`query` must be a text")?;
        let id = text(self.document_id, "`documentId` must be a text")?;
        let mut request = Request::new(documents.resolve(query, id.as_deref())?);
        if let Some(name) = text(self.operation_name, "`operationName` must be a text")? {
            request = request.operation_name(name);
        }
        match self.variables {
            None | Some(Value::Null) => {}
            Some(variables @ Value::Object(_)) => {
                request = request.variables(Variables::from_json(variables));
            }
            Some(_) => return Err(VARIABLES),
        }
        match self.extensions {
            None | Some(Value::Null | Value::Object(_)) => Ok(request),
            Some(_) => Err(EXTENSIONS),
        }
    }
}

fn text(value: Option<Value>, wrong: &'static str) -> Result<Option<String>, Refusal> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad(wrong)),
    }
}

/// What kind of operation is asked for; none if that cannot be told.
pub(super) fn operation_type(
    document: &ExecutableDocument,
    name: Option<&str>,
) -> Option<OperationType> {
    let operation = match (&document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name),
        // One that has a name needs no choosing, either.
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => {
            operations.values().next()
        }
        (DocumentOperations::Multiple(_), None) => None,
    };
    operation.map(|operation| operation.node.ty)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::read as read_request;
    use super::*;

    fn accepted(accept: &'static str) -> Option<Format> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        Format::accepted(&headers)
    }

    #[test]
    fn a_client_gets_what_it_likes_best() {
        let response = "application/graphql-response+json";
        for (accept, want) in [
            ("application/json", Some(Format::Json)),
            (response, Some(Format::Response)),
            ("*/*", Some(Format::Json)),
            ("application/json;q=0.5, application/graphql-response+json", Some(Format::Response)),
            ("application/graphql-response+json, application/json", Some(Format::Response)),
            ("application/json; charset=utf-8", Some(Format::Json)),
            ("application/json; charset=latin1", None),
            ("application/json;q=0", None),
            ("text/event-stream", Some(Format::Events)),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(accepted(accept), want, "{accept}");
        }
        assert_eq!(Format::accepted(&HeaderMap::new()), Some(Format::Json));
    }

    #[test]
    fn only_json_is_read() {
        let read = |content_type: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(content_type) = content_type {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            }
            let body = br#"{"query": "{ a }"}"#;
            read_request(&Method::POST, "", &headers, body, &Documents::any()).map(|r| r.query)
        };
        for good in ["application/json", "application/json; charset=UTF-8", "Application/JSON"] {
            assert_eq!(read(Some(good)), Ok("{ a }".to_owned()), "{good}");
        }
        for bad in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("application/json; charset=latin1"),
        ] {
            let status = read(bad).map_err(|refusal| refusal.status);
            assert_eq!(status, Err(StatusCode::UNSUPPORTED_MEDIA_TYPE), "{bad:?}");
        }
    }

    #[test]
    fn a_part_of_the_wrong_kind_is_named() {
        for (body, names) in [
            (r#"{"query": 1}"#, "query"),
            (r#"{"query": "{ a }", "operationName": {}}"#, "operationName"),
            (r#"{"query": "{ a }", "variables": []}"#, "variables"),
            (r#"{"query": "{ a }", "extensions": "x"}"#, "extensions"),
            ("{}", "query"),
            (r#"[{"query": "{ a }"}]"#, "one request"),
            ("nonsense", "JSON object"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let read =
                read_request(&Method::POST, "", &headers, body.as_bytes(), &Documents::any());
            let refusal = read.expect_err(body);
            assert!(refusal.message.contains(names), "{body}: {}", refusal.message);
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
        }
    }

    #[test]
    fn an_operation_is_found_by_its_name() {
        let two = async_graphql::parser::parse_query("query a { b } mutation c { d }").unwrap();
        assert_eq!(operation_type(&two, Some("a")), Some(OperationType::Query));
        assert_eq!(operation_type(&two, Some("c")), Some(OperationType::Mutation));
        assert_eq!(operation_type(&two, None), None);
        let one = async_graphql::parser::parse_query("mutation c { d }").unwrap();
        assert_eq!(operation_type(&one, None), Some(OperationType::Mutation));
    }
}
