//! The names of the methods, as the clients generated for Envoy know them.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3 as envoy_core;
use envoy_types::pb::envoy::service as envoy;
use envoy_types::pb::envoy::service::discovery::v3 as envoy_discovery;
use marchproxy_xds::testing::{FakeSource, resource, snapshot};
use marchproxy_xds::{AdsServer, DiscoveryServer, ResourceType};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::codegen::http;
use tower::Service as _;

/// Calls the three methods of a service, and expects one resource of each.
macro_rules! call {
    ($client:path, $stream:ident, $delta:ident, $fetch:ident) => {{
        let mut client = <$client>::new(server());
        let answer = client.$fetch(request()).await.expect("an answer");
        assert_eq!(answer.into_inner().resources.len(), 1);

        // The end of the requests is the end of the stream, so they do not end.
        let requests = tokio_stream::once(request()).chain(tokio_stream::pending());
        let mut stream = client.$stream(requests).await.expect("a stream").into_inner();
        let answer = stream.message().await.expect("no error").expect("a response");
        assert_eq!(answer.resources.len(), 1);

        let requests = tokio_stream::once(delta_request()).chain(tokio_stream::pending());
        let mut stream = client.$delta(requests).await.expect("a stream").into_inner();
        let answer = stream.message().await.expect("no error").expect("a response");
        assert_eq!(answer.resources.len(), 1);
    }};
}

#[tokio::test]
async fn the_methods_are_named_as_envoy_names_them() {
    use envoy::cluster::v3::cluster_discovery_service_client::ClusterDiscoveryServiceClient as Cds;
    use envoy::endpoint::v3::endpoint_discovery_service_client::EndpointDiscoveryServiceClient as Eds;
    use envoy::listener::v3::listener_discovery_service_client::ListenerDiscoveryServiceClient as Lds;
    use envoy::route::v3::route_discovery_service_client::RouteDiscoveryServiceClient as Rds;
    use envoy::runtime::v3::runtime_discovery_service_client::RuntimeDiscoveryServiceClient as Rtds;
    use envoy::secret::v3::secret_discovery_service_client::SecretDiscoveryServiceClient as Sds;

    call!(Lds<_>, stream_listeners, delta_listeners, fetch_listeners);
    call!(Cds<_>, stream_clusters, delta_clusters, fetch_clusters);
    call!(Rds<_>, stream_routes, delta_routes, fetch_routes);
    call!(Eds<_>, stream_endpoints, delta_endpoints, fetch_endpoints);
    call!(Sds<_>, stream_secrets, delta_secrets, fetch_secrets);
    call!(Rtds<_>, stream_runtime, delta_runtime, fetch_runtime);
}

#[tokio::test]
async fn the_aggregated_service_is_the_same_alone() {
    use envoy::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient as Ads;

    let source = Arc::new(FakeSource::default());
    source.publish(snapshot(1, [resource(ResourceType::Cluster, "a", "")]));
    let mut client = Ads::new(AdsServer::new(source, CancellationToken::new()));
    let type_url = ResourceType::Cluster.type_url().to_owned();

    let first = envoy_discovery::DiscoveryRequest { type_url: type_url.clone(), ..request() };
    let requests = tokio_stream::once(first).chain(tokio_stream::pending());
    let stream = client.stream_aggregated_resources(requests).await;
    let answer = stream.expect("a stream").into_inner().message().await.expect("no error");
    assert_eq!(answer.expect("a response").resources.len(), 1);

    let first = envoy_discovery::DeltaDiscoveryRequest { type_url, ..delta_request() };
    let requests = tokio_stream::once(first).chain(tokio_stream::pending());
    let stream = client.delta_aggregated_resources(requests).await;
    let answer = stream.expect("a stream").into_inner().message().await.expect("no error");
    assert_eq!(answer.expect("a response").resources.len(), 1);
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let lds = "/envoy.service.listener.v3.ListenerDiscoveryService/StreamListeners";
    let source = Arc::new(FakeSource::default());
    let mut ads = AdsServer::new(source, CancellationToken::new());
    for path in ["/x/Y", lds] {
        let request = http::Request::builder().uri(path).body(String::new()).expect("a request");
        let response = ads.call(request).await.expect("it cannot fail");
        assert_eq!(response.headers()["grpc-status"], (Code::Unimplemented as i32).to_string());
    }
    for path in ["/x/Y", "/envoy.service.listener.v3.ListenerDiscoveryService/Y"] {
        let request = http::Request::builder().uri(path).body(String::new()).expect("a request");
        let mut routes = server().into_routes();
        let response = routes.call(request).await.expect("it cannot fail");
        assert_eq!(response.headers()["grpc-status"], (Code::Unimplemented as i32).to_string());
    }
}

fn server() -> DiscoveryServer<FakeSource> {
    let source = Arc::new(FakeSource::default());
    let all = ResourceType::ALL.map(|resource_type| resource(resource_type, "a", ""));
    source.publish(snapshot(1, all));
    DiscoveryServer::new(source, CancellationToken::new())
}

fn node() -> Option<envoy_core::Node> {
    Some(envoy_core::Node { id: "n".into(), ..envoy_core::Node::default() })
}

fn request() -> envoy_discovery::DiscoveryRequest {
    envoy_discovery::DiscoveryRequest {
        node: node(),
        resource_names: vec!["a".into()],
        ..envoy_discovery::DiscoveryRequest::default()
    }
}

fn delta_request() -> envoy_discovery::DeltaDiscoveryRequest {
    envoy_discovery::DeltaDiscoveryRequest {
        node: node(),
        resource_names_subscribe: vec!["a".into()],
        ..envoy_discovery::DeltaDiscoveryRequest::default()
    }
}
