//! A small HTTP/2 server for gRPC streams that stay open for days.
//!
//! Connection and streams are one task: what wakes a stream writes to the socket in
//! the same turn, and an idle connection costs little more than its buffers. It
//! sees which client has stopped reading, drops it in time, and ends connections
//! in good order. Any services can be mounted; nothing in here knows of xDS.

use std::error::Error;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use h2::server::{Connection, SendResponse};
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use http_body::{Body as _, Frame};
use rand::Rng as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service as _;

use crate::Settings;
use crate::streams::Streams;
use crate::turn::Turns;

/// The parts of a connection: what comes and goes on the socket.
const CONNECTION: usize = 0;
/// The streams on it.
const STREAMS: usize = 1;
/// What it waits for: its end, and the answers to pings.
const TIMES: usize = 2;

/// How long a client has to say that it speaks HTTP/2.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How much of a request may come unasked, for the connection as a whole, in bytes.
const CONNECTION_WINDOW: u32 = 1 << 20;

/// Serves routes over HTTP/2.
#[derive(Clone, Debug)]
pub struct Server {
    routes: Routes,
    settings: Arc<Settings>,
    /// The calls that are open, of all services.
    calls: Streams,
    /// Says how many those may be.
    limits: Arc<Settings>,
}

/// Ends the streams of one connection; in the extensions of its requests.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionEnd(pub(crate) CancellationToken);

/// The body of a request.
struct Incoming(RecvStream);

/// Asks now and then whether the client is still there.
struct Keepalive {
    pings: Option<PingPong>,
    interval: Duration,
    answer: Duration,
    /// When to ask again, or by when the answer must be here.
    timer: Pin<Box<Sleep>>,
    asked: bool,
}

// === impl Server ===

impl Server {
    /// Serves `routes`, which may be of any services.
    ///
    /// Twice as many calls may be open, of whatever services, as the settings allow streams:
    /// a client that has a stream may report its load as well. More are refused.
    pub fn new(routes: Routes, settings: Settings) -> Self {
        let limits = Settings {
            streams: settings.streams.saturating_mul(2),
            streams_per_peer: settings.streams_per_peer.saturating_mul(2),
            ..settings.clone()
        };
        let (settings, limits) = (Arc::new(settings), Arc::new(limits));
        Self { routes: routes.prepare(), settings, calls: Streams::default(), limits }
    }

    /// Serves the connections that come, until `stop` or until there are no more;
    /// then waits until those that are open have come to their end, for as long as
    /// [`Settings::write_deadline`] at most.
    ///
    /// What is known of a connection is in the extensions of its requests: where it
    /// comes from, as a [`SocketAddr`], and whatever else.
    /// A connection that could not be made is nobody's loss: the error is skipped.
    pub async fn serve<I, C>(self, incoming: I, stop: CancellationToken)
    where
        I: Stream<Item = io::Result<(C, http::Extensions)>>,
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut incoming = pin!(incoming);
        let mut connections = JoinSet::new();
        loop {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                next = incoming.next() => next,
            };
            match next {
                Some(Ok((connection, extensions))) => {
                    let server = self.clone();
                    let stop = stop.clone();
                    connections.spawn(server.serve_connection(connection, extensions, stop));
                }
                Some(Err(error)) => {
                    tracing::debug!(error = &error as &dyn Error, "no connection");
                }
                None => break,
            }
            while connections.try_join_next().is_some() {}
        }
        while connections.join_next().await.is_some() {}
    }

    /// Serves one connection until it ends, or `stop`.
    pub async fn serve_connection<C>(
        self,
        connection: C,
        mut extensions: http::Extensions,
        stop: CancellationToken,
    ) where
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let end = stop.child_token();
        extensions.insert(ConnectionEnd(end.clone()));
        let handshake = h2::server::Builder::new()
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(16 << 10)
            .handshake(connection);
        // Boxed, as all is that is over once the connection is at rest.
        let handshake = Box::pin(timeout(HANDSHAKE, handshake));
        let handshake = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            handshake = handshake => handshake.map(|connection| connection.map(Box::new)),
        };
        if let Ok(Ok(connection)) = handshake
            && let Err(error) = self.drive(connection, &extensions, &end).await
        {
            tracing::debug!(error = &error as &dyn Error, "a connection broke");
        }
    }

    /// Does all that a connection does, in one task.
    async fn drive<C>(
        &self,
        mut connection: Box<Connection<C, Bytes>>,
        extensions: &http::Extensions,
        end: &CancellationToken,
    ) -> Result<(), h2::Error>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        let mut keepalive = Keepalive::new(connection.ping_pong(), &self.settings);
        let mut ended = pin!(self.end(end));
        let mut is_ending = false;
        let mut patience: Option<Pin<Box<Sleep>>> = None;
        let mut streams = FuturesUnordered::new();
        let turns = Turns::<3>::new();
        let mut round = |turns: &Turns<3>| {
            if let Some(mut cx) = turns.take(TIMES) {
                if !is_ending && ended.as_mut().poll(&mut cx).is_ready() {
                    is_ending = true;
                    connection.graceful_shutdown();
                    turns.call(CONNECTION);
                    // Calls of other services may know of no end.
                    patience = Some(Box::pin(sleep(self.settings.write_deadline)));
                }
                if patience.as_mut().is_some_and(|time| time.as_mut().poll(&mut cx).is_ready()) {
                    connection.abrupt_shutdown(Reason::NO_ERROR);
                    return Poll::Ready(Ok(()));
                }
                if keepalive.poll(&mut cx).is_ready() {
                    connection.abrupt_shutdown(Reason::NO_ERROR);
                    return Poll::Ready(Ok(()));
                }
            }
            if let Some(mut cx) = turns.take(CONNECTION) {
                while let Poll::Ready(accepted) = connection.poll_accept(&mut cx) {
                    let Some(accepted) = accepted.transpose()? else { return Poll::Ready(Ok(())) };
                    let (request, respond) = accepted;
                    streams.push(self.answer(request, respond, extensions.clone()));
                    turns.call(STREAMS);
                }
            }
            // What they write is flushed by the connection, which they call for that.
            if let Some(mut cx) = turns.take(STREAMS) {
                while let Poll::Ready(Some(())) = Pin::new(&mut streams).poll_next(&mut cx) {}
            }
            Poll::Pending
        };
        poll_fn(|cx| turns.poll(cx, &mut round)).await
    }

    /// Comes when the connection is to end: it is told to, or it is too old.
    async fn end(&self, end: &CancellationToken) {
        tokio::select! {
            () = end.cancelled() => {}
            () = self.too_old() => end.cancel(),
        }
    }

    /// Comes when a connection has to make place for another, if ever: somewhere
    /// in the last fifth of its time, so that not all come to an end together.
    async fn too_old(&self) {
        let part: f64 = rand::rng().random_range(0.8..=1.0);
        match self.settings.connection_age {
            Some(age) => sleep(age.mul_f64(part)).await,
            None => pending().await,
        }
    }

    /// Answers one request.
    fn answer(
        &self,
        request: http::Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        extensions: http::Extensions,
    ) -> BoxFuture<'static, ()> {
        let mut request = request.map(|body| Body::new(Incoming(body)));
        request.extensions_mut().extend(extensions);
        let mut routes = self.routes.clone();
        let deadline = self.settings.write_deadline;
        let peer = request.extensions().get::<SocketAddr>().map(|peer| peer.ip().to_canonical());
        let (seat, refusal) = match self.calls.take(peer, &self.limits) {
            Ok(seat) => (Some(seat), None),
            Err(refusal) => (None, Some(refusal)),
        };
        let call = async move {
            let response = async {
                match refusal {
                    Some(refusal) => Ok(refusal.into_http()),
                    None => routes.call(request).await,
                }
            };
            let response = tokio::select! {
                biased;
                _ = poll_fn(|cx| respond.poll_reset(cx)) => return None,
                response = response => match response {
                    Ok(response) => response,
                    Err(never) => match never {},
                },
            };
            let (head, body) = response.into_parts();
            let head = http::Response::from_parts(head, ());
            // Fails only if the client has gone away.
            let stream = respond.send_response(head, body.is_end_stream()).ok()?;
            Some((body, stream))
        };
        let call = Box::pin(call);
        Box::pin(async move {
            let _seat = seat; // until all is said
            if let Some((body, stream)) = call.await {
                send(body, stream, deadline).await.ok();
            }
        })
    }
}

/// Writes a body, at the pace of the client; fails if that has gone away.
async fn send(
    mut body: Body,
    mut stream: SendStream<Bytes>,
    deadline: Duration,
) -> Result<(), h2::Error> {
    while !body.is_end_stream() {
        let next = poll_fn(|cx| {
            if stream.poll_reset(cx).is_ready() {
                return Poll::Ready(None);
            }
            Pin::new(&mut body).poll_frame(cx)
        });
        let frame = match next.await {
            Some(Ok(frame)) => frame,
            Some(Err(status)) => {
                tracing::debug!(error = &status as &dyn Error, "a body failed");
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
            None => break,
        };
        match frame.into_data() {
            Ok(data) => send_data(data, &mut stream, deadline).await?,
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => return stream.send_trailers(trailers),
                Err(_) => return Ok(()), // HTTP has no third kind
            },
        }
    }
    stream.send_data(Bytes::new(), true)
}

/// Writes all of `data`, unless the client takes nothing of it for too long.
async fn send_data(
    mut data: Bytes,
    stream: &mut SendStream<Bytes>,
    deadline: Duration,
) -> Result<(), h2::Error> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let mut patience = None;
        let capacity = poll_fn(|cx| {
            if let Poll::Ready(capacity) = stream.poll_capacity(cx) {
                return Poll::Ready(capacity);
            }
            let patience = patience.get_or_insert_with(|| Box::pin(sleep(deadline)));
            patience.as_mut().poll(cx).map(|()| None)
        });
        let Some(capacity) = capacity.await.transpose()? else {
            tracing::warn!(?deadline, "a client does not read: it is dropped");
            stream.send_reset(Reason::CANCEL);
            return Err(Reason::CANCEL.into());
        };
        let part = data.split_to(capacity.min(data.len()));
        stream.send_data(part, false)?;
    }
    Ok(())
}

// === impl Incoming ===

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if let Some(data) = ready!(self.0.poll_data(cx)) {
            let data = data?;
            self.0.flow_control().release_capacity(data.len())?;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let trailers = ready!(self.0.poll_trailers(cx))?;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}

// === impl Keepalive ===

impl Keepalive {
    fn new(pings: Option<PingPong>, settings: &Settings) -> Self {
        let (interval, answer) = (settings.keepalive, settings.keepalive_answer);
        Self { pings, interval, answer, timer: Box::pin(sleep(interval)), asked: false }
    }

    /// Ready when the client is gone.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(pings) = &mut self.pings else { return Poll::Pending };
        loop {
            if self.asked && pings.poll_pong(cx).is_ready() {
                self.asked = false;
                self.timer.as_mut().reset(Instant::now() + self.interval);
            }
            ready!(self.timer.as_mut().poll(cx));
            if self.asked {
                tracing::debug!("a client does not answer to pings");
                return Poll::Ready(());
            }
            // Fails only if the connection is over, which it will tell itself.
            self.asked = pings.send_ping(Ping::opaque()).is_ok();
            let wait = if self.asked { self.answer } else { self.interval };
            self.timer.as_mut().reset(Instant::now() + wait);
        }
    }
}
