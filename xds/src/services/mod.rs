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
use http::header::{CONTENT_TYPE, HeaderValue};
use marchproxy_proto as proto;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::service::Routes;
use tonic_prost::ProstCodec;

use self::catalog::Method;
use self::unread::Unread;
use self::wire::{Requests, Responses};
use crate::call;
use crate::drive::{Call, Caller, Drive};
use crate::entry::Door;
use crate::serve::ConnectionEnd;
use crate::streams::{Seat, Streams};
use crate::{CallInfo, Clients, Protocol, Settings, Source};

mod catalog;
mod fetch;
mod said;
mod unread;
mod wire;

pub use self::catalog::DiscoveryService;

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
    settings: Arc<Settings>,
    streams: Streams,
    unread: Unread,
    door: Door,
    clients: Clients,
}

impl<S: Source> DiscoveryServer<S> {
    /// Serves what `source` gives, and ends all streams with OK on `stop`.
    pub fn new(source: Arc<S>, stop: CancellationToken) -> Self {
        Self(Backend::new(source, stop, Settings::default()))
    }

    /// Sets limits and times. Not to be called on a clone that serves already.
    #[must_use]
    pub fn with_settings(self, settings: Settings) -> Self {
        Self(self.0.with_settings(settings))
    }

    /// Has its streams among these. Not to be called on a clone that serves already.
    #[must_use]
    pub fn with_clients(self, clients: Clients) -> Self {
        Self(Backend { clients, ..self.0 })
    }

    /// The streams that it serves, to be asked how they stand.
    pub fn clients(&self) -> Clients {
        self.0.clients.clone()
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
        Self(Backend::new(source, stop, Settings::default()))
    }

    /// Sets limits and times. Not to be called on a clone that serves already.
    #[must_use]
    pub fn with_settings(self, settings: Settings) -> Self {
        Self(self.0.with_settings(settings))
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
    fn new(source: Arc<S>, stop: CancellationToken, settings: Settings) -> Self {
        let (door, streams) = (Door::new(&settings), Streams::default());
        let (settings, unread, clients) =
            (Arc::new(settings), Unread::default(), Clients::default());
        Self { source, stop, settings, streams, unread, door, clients }
    }

    fn with_settings(self, settings: Settings) -> Self {
        Self { clients: self.clients, ..Self::new(self.source, self.stop, settings) }
    }

    /// A place for a stream, or a fetch, that comes from there.
    fn seat(&self, peer: Option<SocketAddr>) -> Result<Seat, Status> {
        self.streams.take(peer.map(|peer| peer.ip().to_canonical()), &self.settings)
    }

    fn answer<B>(
        &self,
        method: Option<Method>,
        request: http::Request<B>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, Infallible>>
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    {
        match method {
            Some(Method::Stream(service)) => {
                Box::pin(ready(Ok(self.stream(service, Protocol::Sotw, request))))
            }
            Some(Method::Delta(service)) => {
                Box::pin(ready(Ok(self.stream(service, Protocol::Delta, request))))
            }
            Some(Method::Fetch(resource_type)) => {
                let backend = self.clone();
                let seat = match self.seat(call::peer(request.extensions())) {
                    Ok(seat) => seat,
                    Err(status) => return Box::pin(ready(Ok(status.into_http()))),
                };
                Box::pin(async move {
                    let _seat = seat; // until it is answered
                    let largest = backend.settings.largest_request;
                    let fetch = tower::service_fn(move |request: tonic::Request<_>| {
                        let backend = backend.clone();
                        async move {
                            let (call, message) = CallInfo::split(request);
                            let call = Call::new(DiscoveryService::Of(resource_type), call);
                            let answer =
                                fetch::fetch(backend, resource_type, call, message).await?;
                            Ok(tonic::Response::new(answer))
                        }
                    });
                    let grpc = grpc::<proto::DiscoveryResponse, _>();
                    Ok(grpc.max_decoding_message_size(largest).unary(fetch, request).await)
                })
            }
            None => Box::pin(ready(Ok(Status::unimplemented("no such method").into_http()))),
        }
    }

    /// Answers at once: some clients wait for that before they say anything.
    fn stream<B>(
        &self,
        service: DiscoveryService,
        protocol: Protocol,
        request: http::Request<B>,
    ) -> http::Response<Body>
    where
        B: http_body::Body + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    {
        let (parts, body) = request.into_parts();
        let call = Call::new(service, CallInfo::new(parts.headers, parts.extensions));
        let seat = match self.seat(call.info.peer) {
            Ok(seat) => seat,
            Err(status) => return status.into_http(),
        };
        let end = call.info.extensions.get::<ConnectionEnd>().map(|end| end.0.clone());
        let (largest, unread) = (self.settings.largest_request, self.settings.unread_requests);
        let share = self.unread.share(unread);
        let requests = Requests::new(Box::pin(body), service, protocol, largest, share);
        let drive = Drive::new(Caller {
            source: Arc::clone(&self.source),
            stop: end.unwrap_or_else(|| self.stop.clone()),
            settings: Arc::clone(&self.settings),
            clients: self.clients.clone(),
            protocol,
            call,
            requests,
            seat,
            door: self.door.clone(),
        });
        let mut response = http::Response::new(Body::new(Responses::new(drive)));
        let grpc = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(CONTENT_TYPE, grpc);
        response
    }
}

fn grpc<T, U>() -> Grpc<ProstCodec<T, U>>
where
    T: prost::Message + 'static,
    U: prost::Message + Default + 'static,
{
    Grpc::new(ProstCodec::default())
}

impl<S> Clone for Backend<S> {
    fn clone(&self) -> Self {
        Self {
            source: Arc::clone(&self.source),
            stop: self.stop.clone(),
            settings: Arc::clone(&self.settings),
            streams: self.streams.clone(),
            unread: self.unread.clone(),
            door: self.door.clone(),
            clients: self.clients.clone(),
        }
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
