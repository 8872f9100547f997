//! The gRPC services: all types on one stream, or one type alone.
//!
//! Written by hand over the lite messages, so that nothing has to be generated.
//! They differ only in which types a request may be about.

use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use marchproxy_proto as proto;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::service::Routes;
use tonic_prost::ProstCodec;

use self::catalog::Method;
use self::stream::{Delta, Sotw, Streams, Wire};
use crate::Source;
use crate::drive::Call;

mod catalog;
mod fetch;
mod stream;

pub use self::catalog::DiscoveryService;

/// A client that reconnects names all it holds: that is more than gRPC's 4 MB.
const MAX_REQUEST_SIZE: usize = 64 << 20;

/// Serves every [`DiscoveryService`], told apart by the path of a request.
///
/// A [`tower::Service`] for any HTTP/2 server, or [routes](Self::into_routes) for
/// tonic's. The address of the peer is taken from tonic's connection info, or else
/// from a [`SocketAddr`] among the extensions of the request.
pub struct DiscoveryServer<S>(Backend<S>);

/// Serves [`DiscoveryService::Aggregated`] and nothing else.
///
/// Otherwise like [`DiscoveryServer`].
pub struct AdsServer<S>(Backend<S>);

/// What all methods need.
struct Backend<S> {
    source: Arc<S>,
    stop: CancellationToken,
}

impl<S: Source> DiscoveryServer<S> {
    /// Serves what `source` gives, and ends all streams with OK on `stop`.
    pub fn new(source: Arc<S>, stop: CancellationToken) -> Self {
        Self(Backend { source, stop })
    }

    /// Routes to every service, for tonic's server, next to others.
    pub fn into_routes(self) -> Routes {
        let mut routes = Routes::default();
        for service in DiscoveryService::ALL {
            let router = routes.axum_router_mut();
            let path = format!("/{}/{{*method}}", service.name());
            *router = std::mem::take(router).route_service(&path, self.clone());
        }
        routes
    }
}

impl<S: Source> AdsServer<S> {
    /// Serves what `source` gives, and ends all streams with OK on `stop`.
    pub fn new(source: Arc<S>, stop: CancellationToken) -> Self {
        Self(Backend { source, stop })
    }
}

impl<S> NamedService for AdsServer<S> {
    const NAME: &'static str = DiscoveryService::Aggregated.name();
}

impl<S, B> tower::Service<http::Request<B>> for DiscoveryServer<S>
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
        self.0.answer(Method::find(request.uri().path()), request)
    }
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
        let method = Method::find(request.uri().path());
        let ours = method.filter(|method| method.service() == DiscoveryService::Aggregated);
        self.0.answer(ours, request)
    }
}

// === impl Backend ===

impl<S: Source> Backend<S> {
    fn answer<B>(
        &self,
        method: Option<Method>,
        request: http::Request<B>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, Infallible>>
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    {
        let backend = self.clone();
        match method {
            Some(Method::Stream(service)) => Box::pin(backend.stream::<Sotw, B>(service, request)),
            Some(Method::Delta(service)) => Box::pin(backend.stream::<Delta, B>(service, request)),
            Some(Method::Fetch(resource_type)) => Box::pin(async move {
                let fetch = tower::service_fn(move |request: tonic::Request<_>| {
                    let backend = backend.clone();
                    async move {
                        let (call, request) = split(DiscoveryService::Of(resource_type), request);
                        let answer = fetch::fetch(backend, resource_type, call, request).await?;
                        Ok(tonic::Response::new(answer))
                    }
                });
                Ok(grpc::<proto::DiscoveryResponse, _>().unary(fetch, request).await)
            }),
            None => Box::pin(ready(Ok(Status::unimplemented("no such method").into_http()))),
        }
    }

    async fn stream<W, B>(
        self,
        service: DiscoveryService,
        request: http::Request<B>,
    ) -> Result<http::Response<Body>, Infallible>
    where
        W: Wire,
        B: http_body::Body + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    {
        let streams = Streams::<W, S>::new(self, service);
        Ok(grpc::<W::Response, W::Request>().streaming(streams, request).await)
    }
}

fn grpc<T, U>() -> Grpc<ProstCodec<T, U>>
where
    T: prost::Message + 'static,
    U: prost::Message + Default + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(MAX_REQUEST_SIZE)
}

/// What is known of a call, and what it says.
///
/// The server tells where it comes from, if it does at all.
fn split<T>(service: DiscoveryService, request: tonic::Request<T>) -> (Call, T) {
    let peer = request.remote_addr();
    let peer = peer.or_else(|| request.extensions().get::<SocketAddr>().copied());
    let (metadata, extensions, message) = request.into_parts();
    (Call { service, peer, headers: metadata.into_headers(), extensions }, message)
}

impl<S> Clone for Backend<S> {
    fn clone(&self) -> Self {
        Self { source: self.source.clone(), stop: self.stop.clone() }
    }
}

impl<S> Clone for DiscoveryServer<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> Clone for AdsServer<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> fmt::Debug for DiscoveryServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiscoveryServer").finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for AdsServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdsServer").finish_non_exhaustive()
    }
}
