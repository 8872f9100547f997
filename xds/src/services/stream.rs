//! Streams: the same drive for every service, in one of two protocols.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::pin::Pin;

use marchproxy_proto as proto;
use tokio_stream::{Stream, StreamExt as _};
use tonic::server::StreamingService;
use tonic::{Status, Streaming};

use super::{Backend, DiscoveryService, split};
use crate::drive::{Caller, drive};
use crate::session::{Request, Response};
use crate::{Protocol, Source};

/// A streaming method, in the protocol `W`.
pub(super) struct Streams<W, S> {
    backend: Backend<S>,
    service: DiscoveryService,
    wire: PhantomData<W>,
}

impl<W, S> Streams<W, S> {
    pub(super) fn new(backend: Backend<S>, service: DiscoveryService) -> Self {
        Self { backend, service, wire: PhantomData }
    }
}

impl<W: Wire, S: Source> StreamingService<W::Request> for Streams<W, S> {
    type Response = W::Response;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<W::Response, Status>> + Send>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    /// Answers at once: some clients wait for that before they say anything.
    fn call(&mut self, request: tonic::Request<Streaming<W::Request>>) -> Self::Future {
        let service = self.service;
        let (call, requests) = split(service, request);
        let requests = requests.map(move |request| {
            let mut request = request?;
            service.settle_type(W::type_url(&mut request))?;
            Ok(W::request(request))
        });
        let responses = drive(Caller {
            source: self.backend.source.clone(),
            stop: self.backend.stop.clone(),
            protocol: W::PROTOCOL,
            call,
            requests,
        });
        let responses = responses.filter_map(|response| response.map(W::response).transpose());
        ready(Ok(tonic::Response::new(Box::pin(responses))))
    }
}

/// The messages of one protocol.
pub(super) trait Wire: Send + 'static {
    const PROTOCOL: Protocol;
    type Request: prost::Message + Default + 'static;
    type Response: prost::Message + 'static;

    fn type_url(request: &mut Self::Request) -> &mut String;

    fn request(request: Self::Request) -> Request;

    /// `None` if it is one of the other protocol, which a session never says.
    fn response(response: Response) -> Option<Self::Response>;
}

pub(super) struct Sotw;

impl Wire for Sotw {
    const PROTOCOL: Protocol = Protocol::Sotw;
    type Request = proto::DiscoveryRequest;
    type Response = proto::DiscoveryResponse;

    fn type_url(request: &mut Self::Request) -> &mut String {
        &mut request.type_url
    }

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

pub(super) struct Delta;

impl Wire for Delta {
    const PROTOCOL: Protocol = Protocol::Delta;
    type Request = proto::DeltaDiscoveryRequest;
    type Response = proto::DeltaDiscoveryResponse;

    fn type_url(request: &mut Self::Request) -> &mut String {
        &mut request.type_url
    }

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
