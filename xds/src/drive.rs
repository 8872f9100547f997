//! The only async: drives one session with requests and snapshots.
//!
//! What comes out is a stream that does nothing unless it is polled. No task and
//! no queue: as long as a client does not read, nothing new is taken in, and it
//! costs one batch of responses. A snapshot that it misses meanwhile is waiting,
//! as the latest one, in the source.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Sleep;
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

use crate::batch::Response;
use crate::entry::{Door, Entry};
use crate::report::{ClientReport, Clients, Membership, Reporting};
use crate::session::{Output, Request, Session, Violation};
use crate::streams::Seat;
use crate::{CallInfo, Connection, DiscoveryService, Hello, NodeInfo, Protocol, Settings, Source};

/// A stream whose client has not introduced itself.
pub(crate) struct Caller<S, R> {
    pub(crate) source: Arc<S>,
    pub(crate) stop: CancellationToken,
    pub(crate) settings: Arc<Settings>,
    pub(crate) protocol: Protocol,
    pub(crate) call: Call,
    pub(crate) requests: R,
    /// Its place among the streams that are counted.
    pub(crate) seat: Seat,
    pub(crate) door: Door,
    pub(crate) clients: Clients,
}

/// What there is to know about a call before its first message.
pub(crate) struct Call {
    service: DiscoveryService,
    pub(crate) info: CallInfo,
}

/// One stream: responses for as long as it is polled.
pub(crate) struct Drive<S, R> {
    stage: Stage<S, R>,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

enum Stage<S, R> {
    Calling(Option<Box<Caller<S, R>>>),
    Connecting(BoxFuture<'static, Result<Connection, Status>>, Option<Box<Served<R>>>),
    Serving(Connection, Box<Served<R>>),
    Over,
}

/// A stream that is served.
struct Served<R> {
    settings: Arc<Settings>,
    requests: R,
    first: Option<Request>,
    shared: Arc<Shared>,
    outputs: VecDeque<Output>,
    /// Until the first response, if there was any, has been taken.
    entry: Option<Box<Entry>>,
    /// When listeners and routes stop waiting for their clusters.
    gate: Timer,
    /// When what nobody uses any more goes.
    grace: Timer,
    /// When the next heartbeat is due.
    alarm: Alarm,
    _seat: Seat,
    _membership: Membership,
}

/// What others may ask about a stream.
struct Shared {
    /// Locked for a step at a time, never while anything is written.
    session: Mutex<Session>,
    node: NodeInfo,
    peer: Option<SocketAddr>,
    protocol: Protocol,
    service: DiscoveryService,
    connected_at: SystemTime,
    tag: OnceLock<Option<u64>>,
}

/// How much memory what is kept of a node may take for as long as its stream is open, in
/// bytes.
const LARGEST_NODE: usize = 256 << 10;

/// Goes off at a time.
#[derive(Default)]
struct Alarm(Option<Box<(SystemTime, Timer)>>);

/// Runs as long as something waits.
#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

// === impl Call ===

impl Call {
    pub(crate) fn new(service: DiscoveryService, info: CallInfo) -> Self {
        Self { service, info }
    }

    /// The introduction of `node` in this call,
    /// that asks for `names` first.
    pub(crate) fn hello(self, node: NodeInfo, protocol: Protocol, names: &[String]) -> Hello {
        let Self { service, info: CallInfo { peer, headers, extensions } } = self;
        Hello { node, peer, protocol, service, names: names.to_vec(), headers, extensions }
    }
}

// === impl Drive ===

impl<S, R> Drive<S, R>
where
    S: Source,
    R: Stream<Item = Result<Request, Status>> + Unpin,
{
    pub(crate) fn new(caller: Caller<S, R>) -> Self {
        let stopped = Box::pin(caller.stop.clone().cancelled_owned());
        Self { stage: Stage::Calling(Some(Box::new(caller))), stopped }
    }

    /// The next response, or `None` when the stream ends well.
    pub(crate) fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Response, Status>>> {
        if self.stopped.as_mut().poll(cx).is_ready() {
            self.stage = Stage::Over;
        }
        let next = match self.poll_stage(cx) {
            Poll::Ready(next) => next,
            Poll::Pending => return Poll::Pending,
        };
        if !matches!(next, Ok(Some(_))) {
            self.stage = Stage::Over;
        }
        Poll::Ready(next.transpose())
    }

    fn poll_stage(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Response>, Status>> {
        loop {
            match &mut self.stage {
                Stage::Calling(caller) => {
                    let Some(waiting) = caller else { return Poll::Ready(Ok(None)) };
                    let first = ready!(Pin::new(&mut waiting.requests).poll_next(cx));
                    let (Some(first), Some(caller)) = (first.transpose()?, caller.take()) else {
                        return Poll::Ready(Ok(None));
                    };
                    self.stage = caller.connect(first)?;
                }
                Stage::Connecting(connecting, served) => {
                    let connection = ready!(connecting.as_mut().poll(cx))?;
                    let Some(mut served) = served.take() else { return Poll::Ready(Ok(None)) };
                    served.begin(&connection)?;
                    self.stage = Stage::Serving(connection, served);
                }
                Stage::Serving(connection, served) => return served.poll_next(connection, cx),
                Stage::Over => return Poll::Ready(Ok(None)),
            }
        }
    }
}

impl<S: Source, R> Caller<S, R> {
    /// Asks the source what the client gets that introduces itself like this.
    fn connect(self, first: Request) -> Result<Stage<S, R>, Status> {
        let hello = self.call.hello(introduction(&first)?, self.protocol, first.names());
        tracing::debug!(
            node.id = %hello.node.id,
            node.cluster = %hello.node.cluster,
            peer.addr = ?hello.peer,
            protocol = ?hello.protocol,
            "xds stream opened",
        );
        let mut session = match hello.service {
            DiscoveryService::Aggregated => Session::new(self.protocol),
            DiscoveryService::Of(_) => Session::alone(self.protocol),
        };
        if !self.settings.grace.is_zero() {
            session = session.with_grace();
        }
        if hello.node.knows_ttl(self.protocol) {
            session = session.with_ttl();
        }
        let shared = Arc::new(Shared {
            session: Mutex::new(session),
            node: hello.node.clone(),
            peer: hello.peer,
            protocol: self.protocol,
            service: hello.service,
            connected_at: now(),
            tag: OnceLock::new(),
        });
        let membership = self.clients.enter(Arc::clone(&shared) as Arc<dyn Reporting>);
        let source = self.source;
        let connecting = Box::pin(async move { source.connect(hello).await });
        let served = Served {
            settings: self.settings,
            requests: self.requests,
            entry: Some(Box::new(self.door.entry(&first))),
            first: Some(first),
            shared,
            outputs: VecDeque::new(),
            gate: Timer::default(),
            grace: Timer::default(),
            alarm: Alarm::default(),
            _seat: self.seat,
            _membership: membership,
        };
        Ok(Stage::Connecting(connecting, Some(Box::new(served))))
    }
}

impl<R> Served<R>
where
    R: Stream<Item = Result<Request, Status>> + Unpin,
{
    fn begin(&mut self, connection: &Connection) -> Result<(), Status> {
        self.shared.tag.get_or_init(|| connection.tag);
        self.shared.session().withhold(connection.withheld.clone());
        if let Some(first) = self.first.take() {
            self.outputs = self.shared.session().on_request(first, now())?.into();
        }
        Ok(())
    }

    fn poll_next(
        &mut self,
        connection: &mut Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Response>, Status>> {
        loop {
            while let Some(output) = self.outputs.pop_front() {
                match output {
                    Output::Report(event) => connection.observer.observe(event),
                    Output::Send(response) => {
                        let entry = self.entry.as_mut();
                        if entry.is_some_and(|entry| entry.poll_place(cx).is_pending()) {
                            self.outputs.push_front(Output::Send(response));
                            return Poll::Pending;
                        }
                        return Poll::Ready(Ok(Some(response)));
                    }
                }
            }
            // Asked for more, so what was given has been taken.
            self.entry.take_if(|entry| entry.has_begun());
            // An ACK that is already here is heard before a new push.
            if let Poll::Ready(request) = Pin::new(&mut self.requests).poll_next(cx) {
                let Some(request) = request.transpose()? else { return Poll::Ready(Ok(None)) };
                self.outputs = self.shared.session().on_request(request, now())?.into();
                continue;
            }
            if let Poll::Ready(snapshot) = connection.snapshots.as_mut().poll_next(cx) {
                let Some(snapshot) = snapshot else { return Poll::Ready(Ok(None)) };
                match &mut self.entry {
                    Some(entry) => entry.put(snapshot),
                    None => {
                        self.outputs = self.shared.session().on_snapshot(snapshot, now()).into();
                    }
                }
                continue;
            }
            let first = self.entry.as_mut().and_then(|entry| entry.poll_begin(cx));
            if let Some(snapshot) = first {
                self.outputs = self.shared.session().on_snapshot(snapshot, now()).into();
                continue;
            }
            let mut session = self.shared.session();
            if self.gate.poll(cx, session.is_gated(), self.settings.gate) {
                self.outputs = session.lift_gate(now()).into();
                continue;
            }
            if self.grace.poll(cx, session.is_in_grace(), self.settings.grace) {
                self.outputs = session.end_grace(now()).into();
                continue;
            }
            if self.alarm.poll(cx, session.wakes_at()) {
                self.outputs = session.wake(now()).into();
                continue;
            }
            return Poll::Pending;
        }
    }
}

// === impl Shared ===

impl Shared {
    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock()
    }
}

impl Reporting for Shared {
    fn report(&self) -> ClientReport {
        ClientReport {
            node: self.node.clone(),
            peer: self.peer,
            protocol: self.protocol,
            service: self.service,
            connected_at: self.connected_at,
            tag: self.tag(),
            resources: self.session().report(),
        }
    }

    fn tag(&self) -> Option<u64> {
        self.tag.get().copied().flatten()
    }
}

// === impl Alarm ===

impl Alarm {
    /// Whether it is that time, if there is one.
    fn poll(&mut self, cx: &mut Context<'_>, at: Option<SystemTime>) -> bool {
        let Some(at) = at else {
            self.0 = None;
            return false;
        };
        if self.0.as_ref().is_none_or(|alarm| alarm.0 != at) {
            self.0 = Some(Box::new((at, Timer::default())));
        }
        let left = || at.duration_since(now()).unwrap_or_default();
        let Some(alarm) = &mut self.0 else { return false };
        let is_time = alarm.1.poll_for(cx, left);
        if is_time {
            self.0 = None;
        }
        is_time
    }
}

// === impl Timer ===

impl Timer {
    /// Whether its time is up. It runs only while something `waits`.
    fn poll(&mut self, cx: &mut Context<'_>, waits: bool, time: Duration) -> bool {
        if !waits {
            self.0 = None;
            return false;
        }
        self.poll_for(cx, || time)
    }

    /// The same while it is known to wait; `time` is asked for when it begins.
    fn poll_for(&mut self, cx: &mut Context<'_>, time: impl FnOnce() -> Duration) -> bool {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep(time())));
        let is_up = sleep.as_mut().poll(cx).is_ready();
        if is_up {
            self.0 = None;
        }
        is_up
    }
}

#[expect(clippy::disallowed_methods, reason = "the engine does without chrono")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Who the client says it is. It must say so in its first request.
fn introduction(first: &Request) -> Result<NodeInfo, Status> {
    let node = match first {
        Request::Sotw(request) | Request::Again(request) => &request.node,
        Request::Delta(request) => &request.node,
    };
    introduced(node.as_deref(), "the first request of a stream must have a node")
}

/// Who a client says it is in `node`; `missing` is what it is told if it does not.
pub(crate) fn introduced(node: Option<&[u8]>, missing: &'static str) -> Result<NodeInfo, Status> {
    let node = node.ok_or_else(|| Status::invalid_argument(missing))?;
    let node = NodeInfo::decode(node)
        .map_err(|error| Status::invalid_argument(format!("the node cannot be read: {error}")))?;
    if node.weight() > LARGEST_NODE {
        let largest = LARGEST_NODE >> 10;
        let message = format!("what the node says of itself takes more than {largest} KiB");
        return Err(Status::resource_exhausted(message));
    }
    Ok(node)
}

impl From<Violation> for Status {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::MissingTypeUrl | Violation::WrongProtocol => {
                Self::invalid_argument(violation.to_string())
            }
            Violation::TooManyNames => Self::resource_exhausted(violation.to_string()),
        }
    }
}
