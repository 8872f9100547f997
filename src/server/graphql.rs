//! GraphQL over HTTP and over WebSocket (graphql-transport-ws).

use std::str::FromStr as _;

use async_graphql::Data;
use async_graphql::http::ALL_WEBSOCKET_PROTOCOLS;
use async_graphql_axum::{GraphQLProtocol, GraphQLRequest, GraphQLResponse, GraphQLWebSocket};
use axum::extract;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::response::Response;

use crate::app::App;
use crate::error::{Error, Result};
use crate::graphql::{ApiSchema, Caller, refusal};

const LARGEST_MESSAGE: usize = 1 << 20;

/// What the handlers need.
#[derive(Clone)]
pub(super) struct State {
    pub(super) schema: ApiSchema,
    pub(super) app: App,
}

/// Answers one request.
pub(super) async fn answer(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    request: GraphQLRequest,
) -> GraphQLResponse {
    let header = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let mut request = request.into_inner();
    match caller(&state.app, header).await {
        Ok(None) => {}
        Ok(Some(caller)) => request = request.data(caller),
        Err(error) => return refusal(error).into(),
    }
    state.schema.execute(request).await.into()
}

/// Opens a WebSocket; who asks is said in `connection_init`.
pub(super) async fn subscribe(
    extract::State(state): extract::State<State>,
    protocol: GraphQLProtocol,
    upgrade: WebSocketUpgrade,
) -> Response {
    let State { schema, app } = state;
    let upgrade = upgrade.protocols(ALL_WEBSOCKET_PROTOCOLS).max_message_size(LARGEST_MESSAGE);
    upgrade.on_upgrade(move |socket| {
        let socket = GraphQLWebSocket::new(socket, schema, protocol);
        socket.on_connection_init(move |payload| initialised(app, payload)).serve()
    })
}

/// Who opens a connection, by what it sends first:
/// `{"authorization": "Bearer <token>"}`.
async fn initialised(app: App, payload: serde_json::Value) -> async_graphql::Result<Data> {
    let mut data = Data::default();
    let header = ["authorization", "Authorization"].iter().find_map(|key| payload.get(key));
    if let Some(caller) = caller(&app, header.map(|h| h.as_str().unwrap_or_default())).await? {
        data.insert(caller);
    }
    Ok(data)
}

/// Who asks: nobody, or whom the bearer token stands for.
async fn caller(app: &App, header: Option<&str>) -> Result<Option<Caller>> {
    let Some(header) = header else { return Ok(None) };
    let token = Bearer::from_str(header)?;
    let (actor, expires_at) = app.authenticate(&token.0).await?;
    Ok(Some(Caller { actor, expires_at }))
}

/// The token in `Bearer <token>` (RFC 6750, section 2.1).
struct Bearer(String);

impl std::str::FromStr for Bearer {
    type Err = Error;

    fn from_str(header: &str) -> Result<Self> {
        match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                Ok(Self(token.trim().to_owned()))
            }
            Some(_) | None => Err(Error::Unauthenticated("send `Authorization: Bearer <token>`")),
        }
    }
}
