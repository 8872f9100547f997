//! Where a request came from, for whoever answers it.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;

use super::address::TrustedProxies;
use crate::auth::{Edge, Origin};
use crate::rest::error::REQUEST_ID;

/// Puts a request's [`Origin`] among its extensions.
pub(super) async fn note_origin(
    State(proxies): State<TrustedProxies>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let origin = Origin {
        edge: Edge::default(), // each edge says its own
        address: peer.map(|ConnectInfo(peer)| proxies.client(peer.ip(), request.headers())),
        user_agent: text(request.headers(), header::USER_AGENT.as_str()),
        request_id: text(request.headers(), REQUEST_ID),
    };
    request.extensions_mut().insert(origin);
    next.run(request).await
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
}
