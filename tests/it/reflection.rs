//! What the xDS port says of itself, to clients generated for gRPC reflection.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use prost::Message as _;
use prost_types::FileDescriptorProto;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServiceResponse};
use tonic_reflection::pb::v1alpha;

use crate::support::Plane;

const SERVED: [&str; 15] = [
    "envoy.service.discovery.v3.AggregatedDiscoveryService",
    "envoy.service.runtime.v3.RuntimeDiscoveryService",
    "envoy.service.secret.v3.SecretDiscoveryService",
    "envoy.service.cluster.v3.ClusterDiscoveryService",
    "envoy.service.endpoint.v3.EndpointDiscoveryService",
    "envoy.service.extension.v3.ExtensionConfigDiscoveryService",
    "envoy.service.listener.v3.ListenerDiscoveryService",
    "envoy.service.route.v3.ScopedRoutesDiscoveryService",
    "envoy.service.route.v3.RouteDiscoveryService",
    "envoy.service.route.v3.VirtualHostDiscoveryService",
    "envoy.service.load_stats.v3.LoadReportingService",
    "envoy.service.status.v3.ClientStatusDiscoveryService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

async fn channel(plane: &Plane) -> Channel {
    let address = format!("http://127.0.0.1:{}", plane.xds_port());
    Endpoint::from_shared(address).unwrap().connect().await.unwrap()
}

fn request(message: MessageRequest) -> ServerReflectionRequest {
    ServerReflectionRequest { host: String::new(), message_request: Some(message) }
}

async fn ask(channel: &Channel, message: MessageRequest) -> Result<MessageResponse, Status> {
    let mut client = ServerReflectionClient::new(channel.clone());
    let requests = stream::iter([request(message)]);
    let mut answers = client.server_reflection_info(requests).await?.into_inner();
    Ok(answers.message().await?.unwrap().message_response.unwrap())
}

/// The file that an answer brings.
fn file(answer: MessageResponse) -> FileDescriptorProto {
    let MessageResponse::FileDescriptorResponse(answer) = answer else { panic!("{answer:?}") };
    let [file] = answer.file_descriptor_proto.as_slice() else { panic!("{answer:?}") };
    FileDescriptorProto::decode(file.as_slice()).unwrap()
}

#[tokio::test]
async fn reflection_lists_what_is_served_and_knows_its_messages() {
    let plane = Plane::start_as_newcomers_do().await;
    let channel = channel(&plane).await;
    let listed = ask(&channel, MessageRequest::ListServices(String::new())).await.unwrap();
    let MessageResponse::ListServicesResponse(listed) = listed else { panic!("{listed:?}") };
    let names: Vec<_> = listed.service.iter().map(|ServiceResponse { name }| name).collect();
    assert_eq!(names, SERVED);
    for service in SERVED {
        let symbol = MessageRequest::FileContainingSymbol(service.to_owned());
        let file = file(ask(&channel, symbol).await.unwrap());
        let described = file.service.iter().any(|s| service.ends_with(s.name()));
        assert!(described, "{} does not describe {service}", file.name());
    }

    // A cluster, and every file that it takes to read one.
    let symbol = MessageRequest::FileContainingSymbol("envoy.config.cluster.v3.Cluster".to_owned());
    let cluster = file(ask(&channel, symbol).await.unwrap());
    assert!(cluster.message_type.iter().any(|message| message.name() == "Cluster"));
    let (mut known, mut wanted) = (BTreeSet::new(), cluster.dependency);
    while let Some(name) = wanted.pop() {
        if known.insert(name.clone()) {
            let found = file(ask(&channel, MessageRequest::FileByFilename(name)).await.unwrap());
            wanted.extend(found.dependency);
        }
    }
    assert!(known.len() > 30, "{known:?}");

    let symbol = MessageRequest::FileContainingSymbol("envoy.NoSuch".to_owned());
    assert_eq!(ask(&channel, symbol).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn reflection_speaks_the_older_version_too() {
    use v1alpha::server_reflection_client::ServerReflectionClient;
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;

    let plane = Plane::start_as_newcomers_do().await;
    let mut client = ServerReflectionClient::new(channel(&plane).await);
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = client.server_reflection_info(stream::iter([request])).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(listed) = answer else { panic!("{answer:?}") };
    let names: Vec<_> = listed.service.iter().map(|service| &service.name).collect();
    assert_eq!(names, SERVED);
}

#[tokio::test(flavor = "multi_thread")] // the client lives on while it waits
async fn a_call_of_reflection_ends_when_the_server_stops() {
    let mut plane = Plane::start_as_newcomers_do().await;
    let mut client = ServerReflectionClient::new(channel(&plane).await);
    let first = request(MessageRequest::ListServices(String::new()));
    let requests = stream::iter([first]).chain(stream::pending());
    let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    assert!(plane.terminate().success());
    assert_eq!(answers.message().await.unwrap(), None);
    assert!(!plane.log().contains("still open at the deadline"), "{}", plane.log());
}
