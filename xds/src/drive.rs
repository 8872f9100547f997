//! The only async: drives one session with requests and snapshots.
//!
//! What comes out is a stream that does nothing unless it is polled. No task and
//! no queue: as long as a client does not read, nothing new is taken in, and it
//! costs one batch of responses. A snapshot that it misses meanwhile is waiting,
//! as the latest one, in the source.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use tokio::time::Sleep;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::session::{Output, Request, Response, Session, Violation};
use crate::{Connection, DiscoveryService, Hello, NodeInfo, Protocol, Source};

/// A stream whose client has not introduced itself.
pub(crate) struct Caller<S, R> {
    pub(crate) source: Arc<S>,
    pub(crate) stop: CancellationToken,
    pub(crate) protocol: Protocol,
    pub(crate) call: Call,
    pub(crate) requests: R,
}

/// What there is to know about a call before its first message.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) service: DiscoveryService,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) headers: http::HeaderMap,
    pub(crate) extensions: http::Extensions,
}

/// A stream that is served.
struct Drive<R> {
    stop: CancellationToken,
    requests: R,
    session: Session,
    connection: Connection,
    outputs: VecDeque<Output>,
    /// When listeners and routes stop waiting for their clusters.
    gate: Option<Pin<Box<Sleep>>>,
}

/// How long listeners and routes wait for the answer to their clusters: longer
/// than the 15 s after which an Envoy gives up on a cluster's endpoints.
const GATE: Duration = Duration::from_secs(20);

enum Stage<S, R> {
    Calling(Caller<S, R>),
    Driving(Box<Drive<R>>),
}

/// Serves one stream until it is stopped, or the client or the source is done.
pub(crate) fn drive<S, R>(caller: Caller<S, R>) -> impl Stream<Item = Result<Response, Status>>
where
    S: Source,
    R: Stream<Item = Result<Request, Status>> + Send + Unpin,
{
    stream::try_unfold(Stage::Calling(caller), |stage| async move {
        let mut drive = match stage {
            Stage::Calling(caller) => match caller.connect().await? {
                Some(drive) => Box::new(drive),
                None => return Ok(None),
            },
            Stage::Driving(drive) => drive,
        };
        let response = drive.next().await?;
        Ok(response.map(|response| (response, Stage::Driving(drive))))
    })
}

impl Call {
    /// The introduction of `node` in this call.
    pub(crate) fn hello(self, node: NodeInfo, protocol: Protocol) -> Hello {
        let Self { service, peer, headers, extensions } = self;
        Hello { node, peer, protocol, service, headers, extensions }
    }
}

impl<S, R> Caller<S, R>
where
    S: Source,
    R: Stream<Item = Result<Request, Status>> + Send + Unpin,
{
    /// Reads who it is, and asks the source what it gets.
    async fn connect(mut self) -> Result<Option<Drive<R>>, Status> {
        let first = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(None),
            first = self.requests.next() => first,
        };
        let Some(first) = first.transpose()? else { return Ok(None) };
        let hello = self.call.hello(introduction(&first)?, self.protocol);
        tracing::debug!(
            node.id = %hello.node.id,
            node.cluster = %hello.node.cluster,
            peer.addr = ?hello.peer,
            protocol = ?hello.protocol,
            "xds stream opened",
        );
        let connection = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(None),
            connection = self.source.connect(hello) => connection?,
        };
        let mut session = Session::new(self.protocol);
        let outputs = session.on_request(first)?.into();
        Ok(Some(Drive {
            stop: self.stop,
            requests: self.requests,
            session,
            connection,
            outputs,
            gate: None,
        }))
    }
}

impl<R> Drive<R>
where
    R: Stream<Item = Result<Request, Status>> + Send + Unpin,
{
    /// The next response, or `None` when the stream ends well.
    async fn next(&mut self) -> Result<Option<Response>, Status> {
        loop {
            if self.stop.is_cancelled() {
                return Ok(None);
            }
            while let Some(output) = self.outputs.pop_front() {
                match output {
                    Output::Report(event) => self.connection.observer.observe(event),
                    Output::Send(response) => return Ok(Some(response)),
                }
            }
            self.watch_gate();
            self.outputs = tokio::select! {
                biased; // an ACK that is already here is heard before a new push
                () = self.stop.cancelled() => return Ok(None),
                request = self.requests.next() => match request.transpose()? {
                    Some(request) => self.session.on_request(request)?.into(),
                    None => return Ok(None),
                },
                snapshot = self.connection.snapshots.next() => match snapshot {
                    Some(snapshot) => self.session.on_snapshot(snapshot).into(),
                    None => return Ok(None),
                },
                () = lifted(&mut self.gate) => {
                    self.gate = None;
                    self.session.lift_gate().into()
                }
            };
        }
    }

    /// Starts or stops the clock of what waits for clusters.
    fn watch_gate(&mut self) {
        if !self.session.is_gated() {
            self.gate = None;
        } else if self.gate.is_none() {
            self.gate = Some(Box::pin(tokio::time::sleep(GATE)));
        }
    }
}

/// Comes when the gate's time is up; never while there is none.
async fn lifted(gate: &mut Option<Pin<Box<Sleep>>>) {
    match gate {
        Some(gate) => gate.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Who the client says it is. It must say so in its first request.
fn introduction(first: &Request) -> Result<NodeInfo, Status> {
    let node = match first {
        Request::Sotw(request) => &request.node,
        Request::Delta(request) => &request.node,
    };
    introduced(node.as_deref(), "the first request of a stream must have a node")
}

/// Who a client says it is in `node`; `missing` is what it is told if it does not.
pub(crate) fn introduced(node: Option<&[u8]>, missing: &'static str) -> Result<NodeInfo, Status> {
    let node = node.ok_or_else(|| Status::invalid_argument(missing))?;
    NodeInfo::decode(node)
        .map_err(|error| Status::invalid_argument(format!("the node cannot be read: {error}")))
}

impl From<Violation> for Status {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::MissingTypeUrl | Violation::WrongProtocol => {
                Self::invalid_argument(violation.to_string())
            }
        }
    }
}
