//! GraphQL over server-sent events, for networks that break WebSockets: one operation
//! for each connection.
//!
//! Source: GraphQL over SSE, the "distinct connections mode",
//! <https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Data, Request, Response};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response as HttpResponse};
use futures_util::stream::{Stream, StreamExt as _, iter};

use super::{Serving, end_of_rights, identified};
use crate::app::Authenticated as Caller;
use crate::error::Error;
use crate::graphql::refusal;

/// How often something is sent where there is nothing to say, so that whoever is between
/// does not take the connection for dead.
const PULSE: Duration = Duration::from_secs(12);

/// Streams the results of one operation, then says that they are complete. Where the
/// connection ends without that, the client is to come back.
pub(super) fn answer(
    serving: &Serving,
    request: Request,
    caller: Option<Caller>,
    request_id: Option<String>,
) -> HttpResponse {
    let (stop, rights) = (serving.stop.clone(), end_of_rights(&serving.app, caller.as_ref()));
    let mut session = Data::default();
    if let Some(caller) = caller {
        session.insert(caller);
    }
    let results = serving.schema.execute_stream_with_session_data(request, Arc::new(session));
    let results = unbroken(results).map(move |response| {
        let response = identified(response, request_id.as_deref());
        Event::default().event("next").json_data(response).unwrap_or_default()
    });
    // `data` must be there, else a browser does not dispatch the event.
    let complete = Event::default().event("complete").data("");
    let events = results.chain(iter([complete])).map(Ok::<_, Infallible>);
    let events = events.take_until(Box::pin(async move {
        tokio::select! {
            () = stop.cancelled_owned() => {}
            _ = rights => {}
        }
    }));
    Sse::new(events).keep_alive(KeepAlive::new().interval(PULSE)).into_response()
}

/// A stream that ends with an error where it would panic.
pub(super) fn unbroken(responses: impl Stream<Item = Response>) -> impl Stream<Item = Response> {
    AssertUnwindSafe(responses).catch_unwind().map(|caught| {
        caught.unwrap_or_else(|_| {
            tracing::error!("a subscription panicked");
            refusal(Error::internal("a subscription panicked"))
        })
    })
}
