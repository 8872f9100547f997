//! GraphQL over HTTP, over server-sent events, and over WebSocket.
//!
//! All three execute the same schema, and read the same requests: what differs is how
//! an answer, or many, get to the client.

mod answer;
mod documents;
mod events;
mod request;
mod socket;

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Response, ServerError, Value};
use axum::Router;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::routing::{any, get};
use chrono::Utc;
use futures_util::future::FutureExt as _;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::headers::Origins;
use crate::app::{App, Authenticated as Caller};
use crate::auth::Origin;
use crate::error::{Error, Result};
use crate::graphql::{ApiSchema, Introspection, access_token, schema};
use socket::Sockets;

pub use documents::Documents;

/// How GraphQL is served.
#[derive(Clone, Debug)]
pub struct GraphqlSettings {
    /// Which documents are executed.
    pub documents: Documents,
    /// Who may ask for the schema.
    pub introspection: Introspection,
    /// How long a query may take; a mutation may wait for proxies.
    pub query_timeout: Duration,
    /// How many operations may be open on one WebSocket.
    pub operations_per_socket: usize,
    /// How many WebSockets one user may have open, on this instance.
    pub sockets_per_user: usize,
}

/// What the handlers need.
#[derive(Clone)]
struct Served(Arc<Serving>);

struct Serving {
    schema: ApiSchema,
    app: App,
    settings: GraphqlSettings,
    /// The pages of other origins that may open a WebSocket.
    origins: Origins,
    sockets: Sockets,
    stop: CancellationToken,
}

/// The routes.
pub(super) fn router(
    app: App,
    settings: GraphqlSettings,
    origins: Origins,
    stop: CancellationToken,
) -> Router {
    let schema = schema(app.clone(), settings.introspection);
    let sockets = Sockets::new(settings.sockets_per_user);
    let serving = Serving { schema, app, settings, origins, sockets, stop };
    Router::new()
        .route("/graphql", any(answer::answer))
        .route("/graphql/ws", get(socket::open))
        .with_state(Served(Arc::new(serving)))
}

impl std::ops::Deref for Served {
    type Target = Serving;

    fn deref(&self) -> &Serving {
        &self.0
    }
}

impl Serving {
    /// Who asks, by a header: nobody, or whom the bearer token stands for.
    async fn caller(&self, headers: &HeaderMap, origin: Origin) -> Result<Option<Caller>> {
        match headers.get(AUTHORIZATION) {
            Some(header) => {
                let token = bearer(header.to_str().unwrap_or_default())?;
                self.app.authenticate(token, origin).await.map(Some)
            }
            None => self.browser(headers, origin).await,
        }
    }

    /// Who asks, by a cookie. One that is no good any more is nobody's: a browser sends
    /// it even to sign in again.
    async fn browser(&self, headers: &HeaderMap, origin: Origin) -> Result<Option<Caller>> {
        let Some(token) = access_token(headers) else { return Ok(None) };
        match self.app.authenticate(token, origin).await {
            Ok(caller) => Ok(Some(caller)),
            Err(Error::Unauthenticated(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The token in `Bearer <token>` (RFC 6750, section 2.1).
fn bearer(header: &str) -> Result<&str> {
    match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        Some(_) | None => Err(Error::Unauthenticated("send `Authorization: Bearer <token>`")),
    }
}

/// Runs `step`; a panic in it is an answer like any other fault of ours.
async fn unbroken(step: impl Future<Output = Response>) -> Response {
    let caught = AssertUnwindSafe(step).catch_unwind().await;
    caught.unwrap_or_else(|_| {
        tracing::error!("a resolver panicked");
        crate::graphql::refusal(Error::internal("a resolver panicked"))
    })
}

/// Waits until what the client signed in with is good no more, and says why; for ever
/// if it has not signed in.
fn end_of_rights(
    app: &App,
    caller: Option<&Caller>,
) -> impl Future<Output = &'static str> + Send + use<> {
    let signed_out = caller.map(|caller| app.signed_out(&caller.actor));
    let expires_at = caller.and_then(|caller| caller.expires_at);
    async move {
        let Some(signed_out) = signed_out else { return pending().await };
        let expired = async {
            let Some(at) = expires_at else { return pending().await };
            sleep((at - Utc::now()).to_std().unwrap_or_default()).await;
        };
        tokio::select! {
            () = expired => "the token has expired",
            () = signed_out => "signed out, or other rights than before",
        }
    }
}

/// Whether a request was refused before anything was resolved: then it has no `data`.
fn is_refused(response: &Response) -> bool {
    response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.is_empty())
}

/// Says in each fault of ours which request it was, as the log calls it.
fn identified(mut response: Response, request_id: Option<&str>) -> Response {
    let Some(id) = request_id else { return response };
    for ServerError { extensions, .. } in &mut response.errors {
        if let Some(extensions) = extensions
            && extensions.get("code") == Some(&Value::from("INTERNAL"))
        {
            extensions.set("requestId", id);
        }
    }
    response
}
