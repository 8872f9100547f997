//! gRPC server reflection: what is served here, and what its messages mean.
//!
//! The descriptors of Envoy's API are large and seldom asked for, so they are read
//! when somebody asks for the first time.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Frame;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};
use tower::{Service, ServiceExt as _};

/// The reflection service in the version `V`.
pub(super) struct Reflection<V> {
    listed: &'static [&'static str],
    stop: CancellationToken,
    built: Arc<OnceCell<Routes>>,
    version: PhantomData<fn() -> V>,
}

/// A version of the reflection service.
pub(super) trait Version: 'static {
    /// The full name of the service.
    const NAME: &'static str;

    fn build(builder: Builder<'_>) -> Result<Routes, Error>;
}

/// `grpc.reflection.v1`.
pub(super) struct V1;

/// `grpc.reflection.v1alpha`, which many tools still speak.
pub(super) struct V1Alpha;

/// The requests of a call, until the server stops: then the call ends.
struct Until {
    requests: Body,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Version for V1 {
    const NAME: &'static str = "grpc.reflection.v1.ServerReflection";

    fn build(builder: Builder<'_>) -> Result<Routes, Error> {
        builder.build_v1().map(Routes::new)
    }
}

impl Version for V1Alpha {
    const NAME: &'static str = "grpc.reflection.v1alpha.ServerReflection";

    fn build(builder: Builder<'_>) -> Result<Routes, Error> {
        builder.build_v1alpha().map(Routes::new)
    }
}

// === impl Reflection ===

impl<V: Version> Reflection<V> {
    /// Lists these services, and ends all calls on `stop`.
    pub(super) fn new(listed: &'static [&'static str], stop: CancellationToken) -> Self {
        Self { listed, stop, built: Arc::default(), version: PhantomData }
    }

    async fn built(&self) -> Result<Routes, Status> {
        let listed = self.listed;
        let build = || async move {
            match spawn_blocking(move || build::<V>(listed)).await {
                Ok(Ok(routes)) => Ok(routes),
                Ok(Err(error)) => Err(failed(&error)),
                Err(error) => Err(failed(&error)),
            }
        };
        self.built.get_or_try_init(build).await.cloned()
    }
}

impl<V: Version> Service<Request<Body>> for Reflection<V> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let reflection = self.clone();
        Box::pin(async move {
            let routes = match reflection.built().await {
                Ok(routes) => routes,
                Err(status) => return Ok(status.into_http()),
            };
            let stopped = Box::pin(reflection.stop.cancelled_owned());
            let request = request.map(|requests| Body::new(Until { requests, stopped }));
            routes.oneshot(request).await
        })
    }
}

impl<V: Version> NamedService for Reflection<V> {
    const NAME: &'static str = V::NAME;
}

impl<V> Clone for Reflection<V> {
    fn clone(&self) -> Self {
        let Self { listed, stop, built, version } = self;
        Self { listed, stop: stop.clone(), built: Arc::clone(built), version: *version }
    }
}

impl http_body::Body for Until {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.stopped.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.requests).poll_frame(context)
    }
}

/// Reads the descriptors. It takes a while.
fn build<V: Version>(listed: &[&str]) -> Result<Routes, Error> {
    let builder = Builder::configure()
        .register_encoded_file_descriptor_set(marchproxy_proto::file_descriptor_set())
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET);
    V::build(listed.iter().fold(builder, |builder, name| builder.with_service_name(*name)))
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Status {
    tracing::error!(error, "cannot read the descriptors");
    Status::internal("the descriptors cannot be read")
}
