//! The gRPC service, and the loop of one stream.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use marchproxy_proto::load_stats as proto;
use prost::Message as _;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

use super::{LoadAsk, LoadClusters, LoadHello, LoadLimits, LoadSession, LoadSink};
use crate::CallInfo;
use crate::drive::introduced;

const METHOD: &str = "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats";
/// What a client that can report on all clusters says of itself.
const ALL_CLUSTERS: &str = "envoy.lrs.supports_send_all_clusters";
/// A client that reports without a pause does nothing else.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);

/// Serves `envoy.service.load_stats.v3.LoadReportingService`.
///
/// A [`tower::Service`] for any HTTP/2 server. The address of the peer is taken from
/// tonic's connection info, or else from a [`SocketAddr`](std::net::SocketAddr) among
/// the extensions of the request.
pub struct LoadServer<S> {
    sink: Arc<S>,
    stop: CancellationToken,
    limits: LoadLimits,
}

/// A stream whose client has not introduced itself.
struct Caller<S, R> {
    server: LoadServer<S>,
    call: CallInfo,
    requests: R,
}

/// A stream that reports.
struct Reports<R> {
    requests: R,
    stop: CancellationToken,
    limits: LoadLimits,
    session: LoadSession,
    has_asked: bool,
    /// What is to be asked next.
    pending: Option<LoadAsk>,
    /// Whether a question now would not put off the next report again.
    may_ask: bool,
    /// Who it is, for the log.
    node: String,
}

enum Stage<S, R> {
    Calling(Caller<S, R>),
    Reporting(Reports<R>),
}

// === impl LoadServer ===

impl<S: LoadSink> LoadServer<S> {
    /// Gives what is reported to `sink`, and ends all streams with OK on `stop`.
    pub fn new(sink: Arc<S>, stop: CancellationToken) -> Self {
        Self { sink, stop, limits: LoadLimits::default() }
    }

    /// Reads no more of a report than this.
    #[must_use]
    pub fn with_limits(mut self, limits: LoadLimits) -> Self {
        self.limits = limits;
        self
    }
}

impl<S> NamedService for LoadServer<S> {
    const NAME: &'static str = "envoy.service.load_stats.v3.LoadReportingService";
}

impl<S, B> tower::Service<http::Request<B>> for LoadServer<S>
where
    S: LoadSink,
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
        if request.uri().path() != METHOD {
            return Box::pin(ready(Ok(Status::unimplemented("no such method").into_http())));
        }
        let server = self.clone();
        let codec = ProstCodec::<proto::LoadStatsResponse, proto::LoadStatsRequest>::default();
        let mut grpc = Grpc::new(codec).max_decoding_message_size(self.limits.message);
        Box::pin(async move { Ok(grpc.streaming(server, request).await) })
    }
}

impl<S: LoadSink> StreamingService<proto::LoadStatsRequest> for LoadServer<S> {
    type Response = proto::LoadStatsResponse;
    type ResponseStream =
        Pin<Box<dyn Stream<Item = Result<proto::LoadStatsResponse, Status>> + Send>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(
        &mut self,
        request: tonic::Request<Streaming<proto::LoadStatsRequest>>,
    ) -> Self::Future {
        let (call, requests) = CallInfo::split(request);
        let responses = serve(Caller { server: self.clone(), call, requests });
        ready(Ok(tonic::Response::new(Box::pin(responses))))
    }
}

/// Serves one stream until it is stopped, or the client or the sink is done. Does
/// nothing unless it is polled.
fn serve<S, R>(
    caller: Caller<S, R>,
) -> impl Stream<Item = Result<proto::LoadStatsResponse, Status>> + Send
where
    S: LoadSink,
    R: Stream<Item = Result<proto::LoadStatsRequest, Status>> + Send + Unpin,
{
    stream::try_unfold(Stage::Calling(caller), |stage| async move {
        let mut reports = match stage {
            Stage::Calling(caller) => match caller.connect().await? {
                Some(reports) => reports,
                None => return Ok(None),
            },
            Stage::Reporting(reports) => reports,
        };
        let answer = reports.next().await?;
        Ok(answer.map(|answer| (answer, Stage::Reporting(reports))))
    })
}

impl<S, R> Caller<S, R>
where
    S: LoadSink,
    R: Stream<Item = Result<proto::LoadStatsRequest, Status>> + Send + Unpin,
{
    /// Reads who it is, and asks the sink what it wants to know.
    async fn connect(mut self) -> Result<Option<Reports<R>>, Status> {
        let LoadServer { sink, stop, limits } = self.server;
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            first = self.requests.next() => first,
        };
        let Some(first) = first.transpose()? else { return Ok(None) };
        let hello = introduction(self.call, first.node.as_ref())?;
        tracing::debug!(
            node.id = %hello.node.id,
            node.cluster = %hello.node.cluster,
            peer.addr = ?hello.call.peer,
            "load stream opened",
        );
        let node = hello.node.id.clone();
        let session = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            session = sink.connect(hello) => session?,
        };
        let mut reports = Reports {
            requests: self.requests,
            stop,
            limits,
            session,
            has_asked: false,
            pending: None,
            may_ask: true,
            node,
        };
        if !first.cluster_stats.is_empty() {
            reports.take(&first.cluster_stats)?;
        }
        Ok(Some(reports))
    }
}

impl<R> Reports<R>
where
    R: Stream<Item = Result<proto::LoadStatsRequest, Status>> + Send + Unpin,
{
    /// Passes on what comes, until there is something to ask; `None` at the end.
    async fn next(&mut self) -> Result<Option<proto::LoadStatsResponse>, Status> {
        loop {
            if self.may_ask
                && let Some(ask) = self.pending.take()
            {
                self.may_ask = !self.has_asked;
                self.has_asked = true;
                return Ok(Some(answer(ask)));
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(None),
                request = self.requests.next() => match request.transpose()? {
                    Some(request) => {
                        self.take(&request.cluster_stats)?;
                        self.may_ask = true;
                    }
                    None => return Ok(None),
                },
                ask = self.session.asks.next() => match ask {
                    Some(ask) => self.pending = Some(ask),
                    None => return Ok(None),
                },
            }
        }
    }

    fn take(&mut self, clusters: &[Bytes]) -> Result<(), Status> {
        let report = self.limits.read(clusters)?;
        if !report.left_out.is_nothing() {
            tracing::debug!(node.id = self.node, left_out = ?report.left_out, "a load report is large");
        }
        self.session.observer.observe(report);
        Ok(())
    }
}

fn introduction(call: CallInfo, node: Option<&Bytes>) -> Result<LoadHello, Status> {
    let missing = "the first request of a stream must have a node";
    let info = introduced(node.map(|node| &**node), missing)?;
    let features = node.map(|node| proto::NodeFeatures::decode(node.clone())).transpose();
    let features = features
        .map_err(|error| Status::invalid_argument(format!("the node cannot be read: {error}")))?;
    let features = features.unwrap_or_default().client_features;
    let knows_all = features.iter().any(|feature| feature == ALL_CLUSTERS);
    Ok(LoadHello { node: info, call, knows_all })
}

fn answer(ask: LoadAsk) -> proto::LoadStatsResponse {
    let LoadAsk { interval, clusters } = ask;
    let (clusters, send_all_clusters) = match clusters {
        LoadClusters::All => (Vec::new(), true),
        LoadClusters::Named(names) => (names, false),
    };
    proto::LoadStatsResponse {
        clusters,
        send_all_clusters,
        load_reporting_interval: Some(interval.max(LEAST_INTERVAL).into()),
        report_endpoint_granularity: false,
    }
}

impl<S> Clone for LoadServer<S> {
    fn clone(&self) -> Self {
        Self { sink: self.sink.clone(), stop: self.stop.clone(), limits: self.limits }
    }
}

impl<S> fmt::Debug for LoadServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadServer").field("limits", &self.limits).finish_non_exhaustive()
    }
}
