//! The aggregated discovery service: all types of resources on one stream.
//!
//! Written by hand over the lite messages, so that nothing has to be generated.
//! A service for one type of its own would be another path to the same [`serve`].

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use marchproxy_proto as proto;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

use crate::drive::{Caller, drive};
use crate::session::{Request, Response};
use crate::{Protocol, Source};

const STREAM: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
const DELTA: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

/// A client that reconnects names all it holds: that is more than gRPC's 4 MB.
const MAX_REQUEST_SIZE: usize = 64 << 20;

/// Serves `envoy.service.discovery.v3.AggregatedDiscoveryService`.
///
/// A [`tower::Service`] for tonic's router, or for any other HTTP/2 server. The
/// address of the peer is taken from tonic's connection info, or else from a
/// [`SocketAddr`] among the extensions of the request.
pub struct AdsServer<S> {
    source: Arc<S>,
    stop: CancellationToken,
}

impl<S: Source> AdsServer<S> {
    /// Serves what `source` gives, and ends all streams with OK on `stop`.
    pub fn new(source: Arc<S>, stop: CancellationToken) -> Self {
        Self { source, stop }
    }
}

impl<S> Clone for AdsServer<S> {
    fn clone(&self) -> Self {
        Self { source: self.source.clone(), stop: self.stop.clone() }
    }
}

impl<S> fmt::Debug for AdsServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdsServer").finish_non_exhaustive()
    }
}

impl<S> NamedService for AdsServer<S> {
    const NAME: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
}

impl<S, B> tower::Service<http::Request<B>> for AdsServer<S>
where
    S: Source,
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
        match request.uri().path() {
            STREAM => Box::pin(serve::<Sotw, S, B>(self.clone(), request)),
            DELTA => Box::pin(serve::<Delta, S, B>(self.clone(), request)),
            _ => Box::pin(ready(Ok(Status::unimplemented("no such method").into_http()))),
        }
    }
}

/// Serves one stream in the protocol `W`.
async fn serve<W, S, B>(
    server: AdsServer<S>,
    request: http::Request<B>,
) -> Result<http::Response<Body>, Infallible>
where
    W: Wire,
    S: Source,
    B: http_body::Body + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    let codec = ProstCodec::<W::Response, W::Request>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST_SIZE);
    Ok(grpc.streaming(Method::<W, S> { server, wire: PhantomData }, request).await)
}

/// One of the two methods.
struct Method<W, S> {
    server: AdsServer<S>,
    wire: PhantomData<W>,
}

impl<W: Wire, S: Source> StreamingService<W::Request> for Method<W, S> {
    type Response = W::Response;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<W::Response, Status>> + Send>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    /// Answers at once: some clients wait for that before they say anything.
    fn call(&mut self, request: tonic::Request<Streaming<W::Request>>) -> Self::Future {
        let peer = request.remote_addr();
        let peer = peer.or_else(|| request.extensions().get::<SocketAddr>().copied());
        let responses = drive(Caller {
            source: self.server.source.clone(),
            stop: self.server.stop.clone(),
            peer,
            protocol: W::PROTOCOL,
            requests: request.into_inner().map(|request| request.map(W::request)),
        });
        let responses = responses.filter_map(|response| response.map(W::response).transpose());
        ready(Ok(tonic::Response::new(Box::pin(responses))))
    }
}

/// The messages of one protocol.
trait Wire: Send + 'static {
    const PROTOCOL: Protocol;
    type Request: prost::Message + Default + 'static;
    type Response: prost::Message + 'static;

    fn request(request: Self::Request) -> Request;

    /// `None` if it is one of the other protocol, which a session never says.
    fn response(response: Response) -> Option<Self::Response>;
}

struct Sotw;

impl Wire for Sotw {
    const PROTOCOL: Protocol = Protocol::Sotw;
    type Request = proto::DiscoveryRequest;
    type Response = proto::DiscoveryResponse;

    fn request(request: Self::Request) -> Request {
        Request::Sotw(request)
    }

    fn response(response: Response) -> Option<Self::Response> {
        match response {
            Response::Sotw(response) => Some(response),
            Response::Delta(_) => None,
        }
    }
}

struct Delta;

impl Wire for Delta {
    const PROTOCOL: Protocol = Protocol::Delta;
    type Request = proto::DeltaDiscoveryRequest;
    type Response = proto::DeltaDiscoveryResponse;

    fn request(request: Self::Request) -> Request {
        Request::Delta(request)
    }

    fn response(response: Response) -> Option<Self::Response> {
        match response {
            Response::Delta(response) => Some(response),
            Response::Sotw(_) => None,
        }
    }
}
