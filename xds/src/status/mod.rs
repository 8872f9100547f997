//! The status of clients: `envoy.service.status.v3` (CSDS).
//!
//! Answers from the [`Clients`] that are connected, at the moment of the question.
//! Each request is authorised anew and answered once, on a stream as well as by a
//! fetch. A client that talks on several streams of one connection is one client.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream;
use marchproxy_proto::client_status as proto;
use prost::Message as _;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

use self::matchers::Matchers;
use crate::{CallInfo, ClientReport, Clients};

mod answer;
mod matchers;

const STREAM: &str = "/envoy.service.status.v3.ClientStatusDiscoveryService/StreamClientStatus";
const FETCH: &str = "/envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus";
/// The caller may be an Envoy that tells all about itself; that is some 61 kB.
const MAX_REQUEST_SIZE: usize = 1 << 20;
/// What is larger would take memory that streams need.
const MAX_ANSWER_SIZE: usize = 64 << 20;

/// Decides who may see which clients.
pub trait Authorize: Send + Sync + 'static {
    /// What this caller may see. Asked for each request.
    ///
    /// The status ends the call.
    fn authorize(&self, call: &CallInfo)
    -> impl Future<Output = Result<Visibility, Status>> + Send;
}

/// Which clients somebody may see. The others do not exist for them.
pub enum Visibility {
    /// All.
    All,
    /// Those for which this is true.
    Only(Box<dyn Fn(&ClientReport) -> bool + Send + Sync>),
}

/// Serves `envoy.service.status.v3.ClientStatusDiscoveryService`.
///
/// A [`tower::Service`] for any HTTP/2 server. The address of the peer is taken from
/// tonic's connection info, or else from a [`SocketAddr`](std::net::SocketAddr) among
/// the extensions of the request.
///
/// Never tells what is in a secret, nor a client's words about one: they may quote it.
pub struct StatusServer<A>(Backend<A>);

struct Backend<A> {
    clients: Clients,
    authorize: Arc<A>,
    stop: CancellationToken,
}

impl<A: Authorize> StatusServer<A> {
    /// Tells of `clients` what `authorize` lets the caller see, and ends all streams
    /// with OK on `stop`.
    pub fn new(clients: Clients, authorize: Arc<A>, stop: CancellationToken) -> Self {
        Self(Backend { clients, authorize, stop })
    }
}

impl<A> NamedService for StatusServer<A> {
    const NAME: &'static str = "envoy.service.status.v3.ClientStatusDiscoveryService";
}

impl<A, B> tower::Service<http::Request<B>> for StatusServer<A>
where
    A: Authorize,
    B: http_body::Body + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let backend = self.0.clone();
        match request.uri().path() {
            STREAM => Box::pin(async move { Ok(grpc().streaming(backend, request).await) }),
            FETCH => Box::pin(async move {
                let fetch = tower::service_fn(move |request: tonic::Request<_>| {
                    let backend = backend.clone();
                    async move {
                        let (call, request) = CallInfo::split(request);
                        Ok(tonic::Response::new(backend.answer(&call, &request).await?))
                    }
                });
                Ok(grpc().unary(fetch, request).await)
            }),
            _ => Box::pin(ready(Ok(Status::unimplemented("no such method").into_http()))),
        }
    }
}

// === impl Backend ===

impl<A: Authorize> Backend<A> {
    async fn answer(
        &self,
        call: &CallInfo,
        request: &proto::ClientStatusRequest,
    ) -> Result<proto::ClientStatusResponse, Status> {
        let visibility = self.authorize.authorize(call).await?;
        let matchers = Matchers::read(&request.node_matchers)?;
        let too_large = || {
            Status::resource_exhausted(
                "the answer is too large: name fewer clients by `node_matchers`, \
                 or set `exclude_resource_contents`",
            )
        };
        let exclude_contents = request.exclude_resource_contents;
        let (mut reports, mut size) = (Vec::new(), 0);
        self.clients.each(|report| {
            if visibility.covers(&report) && matchers.fit(&report.node.id) {
                size += answer::least_size(&report, exclude_contents);
                reports.push(report);
            }
            // Streams of one client may tell of the same resource, which counts once in the end.
            if size > 2 * MAX_ANSWER_SIZE {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        if size > 2 * MAX_ANSWER_SIZE {
            return Err(too_large());
        }
        let answer = answer::answer(reports, exclude_contents);
        if answer.encoded_len() > MAX_ANSWER_SIZE {
            return Err(too_large());
        }
        Ok(answer)
    }
}

impl<A: Authorize> StreamingService<proto::ClientStatusRequest> for Backend<A> {
    type Response = proto::ClientStatusResponse;
    type ResponseStream =
        Pin<Box<dyn Stream<Item = Result<proto::ClientStatusResponse, Status>> + Send>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(
        &mut self,
        request: tonic::Request<Streaming<proto::ClientStatusRequest>>,
    ) -> Self::Future {
        let (call, requests) = CallInfo::split(request);
        let state = (self.clone(), call, requests);
        let answers = stream::try_unfold(state, |(backend, call, mut requests)| async move {
            let request = tokio::select! {
                biased;
                () = backend.stop.cancelled() => return Ok(None),
                request = requests.next() => request.transpose()?,
            };
            let Some(request) = request else { return Ok(None) };
            let answer = backend.answer(&call, &request).await?;
            Ok(Some((answer, (backend, call, requests))))
        });
        ready(Ok(tonic::Response::new(Box::pin(answers))))
    }
}

impl Visibility {
    fn covers(&self, report: &ClientReport) -> bool {
        match self {
            Self::All => true,
            Self::Only(is_visible) => is_visible(report),
        }
    }
}

fn grpc() -> Grpc<ProstCodec<proto::ClientStatusResponse, proto::ClientStatusRequest>> {
    Grpc::new(ProstCodec::default()).max_decoding_message_size(MAX_REQUEST_SIZE)
}

impl<A> Clone for Backend<A> {
    fn clone(&self) -> Self {
        Self {
            clients: self.clients.clone(),
            authorize: self.authorize.clone(),
            stop: self.stop.clone(),
        }
    }
}

impl<A> Clone for StatusServer<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A> fmt::Debug for StatusServer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusServer").field("clients", &self.0.clients).finish_non_exhaustive()
    }
}

impl fmt::Debug for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "All",
            Self::Only(_) => "Only",
        })
    }
}
