//! GraphQL over WebSocket: many operations, of which each may have many results.
//!
//! Nothing is queued here. A result is taken from its operation when the one before has
//! been written, each operation in its turn; who follows a channel too slowly is
//! skipped to what is newest, there where it is known what that is. A client that
//! does not read is let go after [`WRITE`].

mod message;
mod sockets;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Data, Response};
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response as HttpResponse};
use futures_util::stream::{Stream, StreamExt as _};
use serde_json::{Map, Value};
use tokio::time::{Interval, interval, timeout};
use tokio_stream::StreamMap;

use self::message::{Close, FromClient, PROTOCOL, ToClient};
use self::sockets::Seat;
pub(super) use self::sockets::Sockets;
use super::events::unbroken;
use super::request::read_payload;
use super::{Served, Serving, bearer, end_of_rights, identified, is_refused};
use crate::app::Authenticated as Caller;
use crate::auth::Origin;
use crate::error::{Error, Result};
use crate::graphql::refusal;

/// How long a client may take to say who it is.
const INIT: Duration = Duration::from_secs(10);
/// How long a client may take to read a message.
const WRITE: Duration = Duration::from_secs(10);
/// How often a client is asked whether it is there.
const PING: Duration = Duration::from_secs(20);
/// How often in a row it may leave that unanswered: it may be busy.
const MOST_UNANSWERED: u8 = 2;
/// How long a request that comes as a message may be, in bytes.
const LARGEST_MESSAGE: usize = 1 << 20;

/// Opens a WebSocket; who asks is said in `connection_init`, or by a cookie.
pub(super) async fn open(
    State(served): State<Served>,
    origin: Option<Extension<Origin>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> HttpResponse {
    if !served.lets_in(&headers) {
        return (StatusCode::FORBIDDEN, "pages of this origin may not connect").into_response();
    }
    let origin = origin.map(|Extension(origin)| origin).unwrap_or_default();
    let browser = served.browser(&headers, origin.clone()).await.unwrap_or_default();
    let upgrade = upgrade.protocols([PROTOCOL]);
    let upgrade = upgrade.max_message_size(LARGEST_MESSAGE).max_frame_size(LARGEST_MESSAGE);
    upgrade.on_upgrade(|io| Socket { io, served, origin }.run(browser))
}

impl Serving {
    /// Whether a page of the origin that a browser says may connect (CORS is not asked
    /// for WebSockets). Programs say none.
    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = origin.to_str().ok().and_then(|o| o.split_once("://")).map(|(_, a)| a);
        let own = authority.zip(host).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
        own || self.origins.allow(origin)
    }

    /// Who a client is, by what it says first: `{"authorization": "Bearer <token>"}`.
    async fn told(
        &self,
        payload: Option<Map<String, Value>>,
        origin: Origin,
    ) -> Result<Option<Caller>> {
        let payload = payload.unwrap_or_default();
        let header = ["authorization", "Authorization"].iter().find_map(|key| payload.get(*key));
        let Some(header) = header else { return Ok(None) };
        let token = bearer(header.as_str().unwrap_or_default())?;
        self.app.authenticate(token, origin).await.map(Some)
    }
}

/// A socket whose client has not said yet who it is.
struct Socket {
    io: WebSocket,
    served: Served,
    origin: Origin,
}

/// What an operation results in, to the last: `None`.
type Results = Pin<Box<dyn Stream<Item = Option<Response>> + Send>>;

/// A socket whose client is known.
struct Session {
    socket: Socket,
    data: Arc<Data>,
    caller: Option<Caller>,
    operations: StreamMap<String, Results>,
    /// How many pings have had no answer; whatever the client says is one.
    unanswered: u8,
    pings: Interval,
    _seat: Seat,
}

impl Socket {
    async fn run(mut self, browser: Option<Caller>) {
        if self.io.protocol().is_none_or(|protocol| protocol != PROTOCOL) {
            return self.close(&Close::Subprotocol).await;
        }
        let stop = self.served.stop.clone();
        let initialised = tokio::select! {
            biased;
            () = stop.cancelled() => Err(Close::GoingAway),
            initialised = timeout(INIT, self.initialised(browser)) => {
                initialised.unwrap_or(Err(Close::InitTimeout))
            }
        };
        match initialised {
            Ok(Some((caller, seat))) => Session::new(self, caller, seat).run().await,
            Ok(None) => {} // it has gone
            Err(close) => self.close(&close).await,
        }
    }

    /// Waits until the client has said who it is, and may go on; none if it has gone.
    async fn initialised(
        &mut self,
        browser: Option<Caller>,
    ) -> Result<Option<(Option<Caller>, Seat)>, Close> {
        loop {
            let Some(text) = self.hear().await? else { return Ok(None) };
            let Some(text) = text else { continue };
            match FromClient::read(&text)? {
                FromClient::ConnectionInit { payload } => {
                    let forbidden = |error: Error| Close::Forbidden(error.to_string());
                    let (served, origin) = (self.served.clone(), self.origin.clone());
                    let told = served.told(payload, origin).await.map_err(forbidden)?;
                    let caller = told.or(browser);
                    let user = caller.as_ref().map(|caller| caller.actor.user);
                    let seat = self.served.sockets.take(user).ok_or(Close::TooManySockets)?;
                    self.say(&ToClient::ConnectionAck).await?;
                    return Ok(Some((caller, seat)));
                }
                FromClient::Ping { payload } => self.say(&ToClient::Pong { payload }).await?,
                FromClient::Pong {} | FromClient::Complete { .. } => {}
                FromClient::Subscribe { .. } => return Err(Close::Unauthorized),
            }
        }
    }

    /// The next text; `Some(None)` is a message without one, `None` the end.
    async fn hear(&mut self) -> Result<Option<Option<String>>, Close> {
        match self.io.recv().await {
            None | Some(Err(_) | Ok(Message::Close(_))) => Ok(None),
            Some(Ok(Message::Text(text))) => Ok(Some(Some(text.as_str().to_owned()))),
            Some(Ok(Message::Binary(_))) => {
                Err(Close::Invalid("invalid message: it is no text".to_owned()))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Some(None)),
        }
    }

    async fn say(&mut self, message: &ToClient<'_>) -> Result<(), Close> {
        let written = message.written().map_err(|error| {
            tracing::error!(%error, "a message cannot be written");
            Close::TooSlow
        })?;
        self.send(written).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Close> {
        match timeout(WRITE, self.io.send(message)).await {
            // If it has gone, that is heard next.
            Ok(_) => Ok(()),
            Err(_) => Err(Close::TooSlow),
        }
    }

    async fn close(mut self, close: &Close) {
        tracing::debug!(?close, "a WebSocket is closed");
        drop(timeout(WRITE, self.io.send(close.frame())).await);
        // The client answers a close, and then the connection ends.
        drop(timeout(WRITE, async { while let Some(Ok(_)) = self.io.recv().await {} }).await);
    }
}

impl Session {
    fn new(socket: Socket, caller: Option<Caller>, seat: Seat) -> Self {
        let mut data = Data::default();
        data.insert(socket.origin.clone());
        if let Some(caller) = &caller {
            data.insert(caller.clone());
        }
        let pings = interval(PING);
        let (data, operations) = (Arc::new(data), StreamMap::new());
        Self { socket, data, caller, operations, unanswered: 0, pings, _seat: seat }
    }

    async fn run(mut self) {
        if let Err(close) = self.serve().await {
            self.operations.clear();
            self.socket.close(&close).await;
        }
    }

    /// Serves until the client goes.
    async fn serve(&mut self) -> Result<(), Close> {
        let stop = self.socket.served.stop.clone();
        let end = end_of_rights(&self.socket.served.app, self.caller.as_ref());
        tokio::pin!(end);
        // The first tick is at once.
        self.pings.tick().await;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Close::GoingAway),
                reason = &mut end => return Err(Close::Forbidden(reason.to_owned())),
                heard = self.socket.hear() => {
                    let Some(text) = heard? else { return Ok(()) };
                    self.unanswered = 0;
                    if let Some(text) = text {
                        self.take(FromClient::read(&text)?).await?;
                    }
                }
                _ = self.pings.tick() => self.ping().await?,
                Some((id, result)) = self.operations.next() => self.tell(&id, result).await?,
            }
        }
    }

    /// Takes in what the client says.
    async fn take(&mut self, message: FromClient) -> Result<(), Close> {
        match message {
            FromClient::ConnectionInit { .. } => Err(Close::TooManyInits),
            FromClient::Ping { payload } => self.socket.say(&ToClient::Pong { payload }).await,
            FromClient::Pong {} => Ok(()),
            FromClient::Complete { id } => {
                self.operations.remove(&id);
                Ok(())
            }
            FromClient::Subscribe { id, payload } => self.start(id, payload).await,
        }
    }

    /// Starts an operation, or says why not.
    async fn start(&mut self, id: String, payload: Map<String, Value>) -> Result<(), Close> {
        if self.operations.contains_key(&id) {
            return Err(Close::subscriber_exists(&id));
        }
        let served = &self.socket.served;
        if self.operations.len() >= served.settings.operations_per_socket {
            let too_many = Error::Refused("too many operations on one connection");
            return self.refuse(&id, &refusal(too_many)).await;
        }
        let request = match read_payload(payload, &served.settings.documents) {
            Ok(request) => request,
            Err(wrong) => return self.refuse(&id, &refusal(Error::Refused(wrong.message))).await,
        };
        let results = served.schema.execute_stream_with_session_data(request, self.data.clone());
        let last = futures_util::stream::iter([None]);
        self.operations.insert(id, Box::pin(unbroken(results).map(Some).chain(last)));
        Ok(())
    }

    /// Tells the client what an operation has resulted in.
    async fn tell(&mut self, id: &str, result: Option<Response>) -> Result<(), Close> {
        let Some(response) = result else {
            self.operations.remove(id);
            return self.socket.say(&ToClient::Complete { id }).await;
        };
        let response = identified(response, self.socket.origin.request_id.as_deref());
        if is_refused(&response) {
            self.operations.remove(id);
            return self.refuse(id, &response).await;
        }
        self.socket.say(&ToClient::Next { id, payload: &response }).await
    }

    async fn refuse(&mut self, id: &str, response: &Response) -> Result<(), Close> {
        self.socket.say(&ToClient::Error { id, payload: &response.errors }).await
    }

    /// Asks whether the client is there.
    async fn ping(&mut self) -> Result<(), Close> {
        if self.unanswered == MOST_UNANSWERED {
            return Err(Close::TooSlow);
        }
        self.unanswered += 1;
        self.socket.send(Message::Ping(axum::body::Bytes::new())).await
    }
}
