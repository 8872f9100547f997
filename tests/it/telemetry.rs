//! Traces: a real collector's end of OTLP is sent what an operation did.

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::support::{Plane, free_port};

struct Collector(mpsc::UnboundedSender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.send(request.into_inner()).ok();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_a_span_at_the_collector() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    let (sender, mut exported) = mpsc::unbounded_channel();
    let collector = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(Collector(sender)))
        .serve_with_incoming(TcpListenerStream::new(socket));
    let mut serving = JoinSet::new();
    serving.spawn(collector);

    let mut plane = Plane::start_with(vec![("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]).await;
    let input = json!({ "name": "traced", "ipFqdn": "127.0.0.1", "port": free_port() });
    plane.change("createService", "CreateServiceInput", input).await;
    let ended = tokio::task::block_in_place(|| plane.terminate());
    assert!(ended.success(), "{ended}");

    let mut spans = vec![];
    while let Ok(request) = exported.try_recv() {
        for resource in request.resource_spans {
            let described = format!("{:?}", resource.resource);
            assert!(described.contains("service.name") && described.contains("marchproxy"));
            for scope in resource.scope_spans {
                spans.extend(scope.spans.into_iter().map(|span| span.name));
            }
        }
    }
    assert!(spans.iter().any(|name| name == "create_service"), "{spans:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_holds_up_nobody() {
    let endpoint = format!("http://127.0.0.1:{}", free_port());
    let mut plane = Plane::start_with(vec![("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]).await;
    let input = json!({ "name": "untraced", "ipFqdn": "127.0.0.1", "port": free_port() });
    plane.change("createService", "CreateServiceInput", input).await;
    let ended = tokio::task::block_in_place(|| plane.terminate());
    assert!(ended.success(), "{ended}");
}
