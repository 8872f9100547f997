//! A client that says just what a test tells it to say.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use marchproxy_proto as proto;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::fake_source::PATIENCE;
use super::name_and_content;
use crate::{DiscoveryService, Protocol, Request, ResourceType};

/// How many of the last responses a failing test is shown.
const SEEN: usize = 8;

type Responses = Pin<Box<dyn Stream<Item = Result<Received, Status>> + Send>>;

/// A client of a real server, over a real socket: one stream.
pub struct FakeEnvoy {
    channel: Channel,
    metadata: MetadataMap,
    protocol: Protocol,
    who: Option<Bytes>,
    /// Who it is, until it has been sent.
    node: Option<Bytes>,
    requests: mpsc::Sender<Request>,
    responses: Responses,
    lanes: BTreeMap<ResourceType, Lane>,
    seen: VecDeque<Received>,
}

#[derive(Default)]
struct Lane {
    /// What a state-of-the-world client names in each request.
    names: BTreeSet<String>,
    nonce: String,
    accepted: String,
}

/// A response that a [`FakeEnvoy`] got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The type that it is of.
    pub resource_type: ResourceType,
    /// The version of that type.
    pub version: String,
    /// The name of the response.
    pub nonce: String,
    /// What it brings.
    pub resources: Vec<ReceivedResource>,
    /// What it says is gone.
    pub removed: Vec<String>,
    /// Why names are not there: name, gRPC status code and message.
    pub denied: Vec<(String, i32, String)>,
}

/// A resource that a [`FakeEnvoy`] got.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedResource {
    /// Its name.
    pub name: String,
    /// Its own version, or state of the world that of its type.
    pub version: String,
    /// The encoded `google.protobuf.Any`; empty in a heartbeat, and if there is none.
    pub body: Bytes,
    /// After what time the client is to drop it.
    pub ttl: Option<Duration>,
}

impl FakeEnvoy {
    /// Connects as this node. Nothing is said until it [subscribes](Self::subscribe).
    ///
    /// # Panics
    ///
    /// If there is no server at `addr`, or it does not serve xDS.
    pub async fn connect(
        addr: SocketAddr,
        protocol: Protocol,
        node_id: &str,
        node_cluster: &str,
    ) -> Self {
        let node = proto::Node {
            id: node_id.to_owned(),
            cluster: node_cluster.to_owned(),
            user_agent_name: "fake-envoy".to_owned(),
            ..proto::Node::default()
        };
        Self::connect_as(addr, protocol, Some(&node)).await
    }

    /// Connects with all of `node` to say for itself, or with nothing.
    ///
    /// # Panics
    ///
    /// If there is no server at `addr`, or it does not serve xDS.
    pub async fn connect_as(
        addr: SocketAddr,
        protocol: Protocol,
        node: Option<&proto::Node>,
    ) -> Self {
        Self::connect_to(addr, DiscoveryService::Aggregated, protocol, node).await
    }

    /// Connects to the service for one type, or to that for all.
    ///
    /// # Panics
    ///
    /// If there is no server at `addr`, or it does not serve that.
    pub async fn connect_to(
        addr: SocketAddr,
        service: DiscoveryService,
        protocol: Protocol,
        node: Option<&proto::Node>,
    ) -> Self {
        Self::over(connect(addr).await, MetadataMap::new(), service, protocol, node).await
    }

    /// Opens a stream on a connection that was made elsewhere, for instance over
    /// TLS, and says this `metadata` with its call, for instance a token.
    ///
    /// # Panics
    ///
    /// If the server does not serve that.
    pub async fn over(
        channel: Channel,
        metadata: MetadataMap,
        service: DiscoveryService,
        protocol: Protocol,
        node: Option<&proto::Node>,
    ) -> Self {
        let who = node.map(|node| node.encode_to_vec().into());
        Self::open(channel, metadata, service, protocol, who).await
    }

    /// Opens another stream on the same connection, as the same node.
    ///
    /// Envoy does so for every subscription that is not aggregated.
    ///
    /// # Panics
    ///
    /// If the server does not serve that.
    pub async fn beside(&self, service: DiscoveryService) -> Self {
        let (channel, metadata) = (self.channel.clone(), self.metadata.clone());
        Self::open(channel, metadata, service, self.protocol, self.who.clone()).await
    }

    /// Fetches once, saying this request as it is.
    ///
    /// # Panics
    ///
    /// If there is no server at `addr`.
    pub async fn fetch(
        addr: SocketAddr,
        service: DiscoveryService,
        request: proto::DiscoveryRequest,
    ) -> Result<Received, Status> {
        let codec = ProstCodec::<proto::DiscoveryRequest, proto::DiscoveryResponse>::default();
        let mut grpc = ready(connect(addr).await).await?;
        let path = path("Fetch", service);
        let response = grpc.unary(tonic::Request::new(request), path, codec).await?;
        Ok(Received::sotw(response.into_inner()))
    }

    async fn open(
        channel: Channel,
        metadata: MetadataMap,
        service: DiscoveryService,
        protocol: Protocol,
        who: Option<Bytes>,
    ) -> Self {
        let (requests, queue) = mpsc::channel(16);
        let queue = ReceiverStream::new(queue);
        let call = (channel.clone(), metadata.clone());
        let responses = match protocol {
            Protocol::Sotw => open_sotw(call, service, queue).await,
            Protocol::Delta => open_delta(call, service, queue).await,
        };
        Self {
            channel,
            metadata,
            protocol,
            node: who.clone(),
            who,
            requests,
            responses: responses.expect("a stream"),
            lanes: BTreeMap::new(),
            seen: VecDeque::new(),
        }
    }

    /// Asks for names, or by none (for listeners and clusters) for everything.
    pub async fn subscribe(&mut self, resource_type: ResourceType, names: &[&str]) {
        self.lane(resource_type).names.extend(owned(names));
        self.ask(resource_type, names, &[], &[]).await;
    }

    /// No longer asks for names.
    pub async fn unsubscribe(&mut self, resource_type: ResourceType, names: &[&str]) {
        self.lane(resource_type).names.retain(|name| !names.contains(&name.as_str()));
        self.ask(resource_type, &[], names, &[]).await;
    }

    /// Asks for names after a reconnect, holding resources by name and version.
    ///
    /// State of the world, the versions are not sent: it has no place for them.
    pub async fn resume(
        &mut self,
        resource_type: ResourceType,
        names: &[&str],
        held: &[(&str, &str)],
    ) {
        self.lane(resource_type).names.extend(owned(names));
        self.ask(resource_type, names, &[], held).await;
    }

    /// The next response, for which it waits at most twenty seconds.
    ///
    /// # Panics
    ///
    /// If none comes, or the stream ends; it then says what was seen last.
    pub async fn next(&mut self) -> Received {
        match tokio::time::timeout(PATIENCE, self.responses.next()).await {
            Ok(Some(Ok(received))) => {
                self.lane(received.resource_type).nonce.clone_from(&received.nonce);
                self.seen.truncate(SEEN - 1);
                self.seen.push_front(received.clone());
                received
            }
            Ok(Some(Err(status))) => panic!("{status}; seen last: {:#?}", self.seen),
            Ok(None) => panic!("the stream has ended; seen last: {:#?}", self.seen),
            Err(_) => panic!("no response came; seen last: {:#?}", self.seen),
        }
    }

    /// Accepts a response.
    pub async fn ack(&mut self, received: &Received) {
        self.lane(received.resource_type).accepted.clone_from(&received.version);
        self.answer(received, None).await;
    }

    /// Refuses a response, with the words that Envoy would use.
    pub async fn nack(&mut self, received: &Received, message: &str) {
        let error = proto::Status { code: 13, message: message.to_owned() };
        self.answer(received, Some(error)).await;
    }

    /// How the stream ends, for which it waits at most twenty seconds.
    ///
    /// # Panics
    ///
    /// If it does not end, or a response comes before the end.
    pub async fn end(&mut self) -> Result<(), Status> {
        match tokio::time::timeout(PATIENCE, self.responses.next()).await {
            Ok(None) => Ok(()),
            Ok(Some(Err(status))) => Err(status),
            Ok(Some(Ok(received))) => panic!("not the end but {received:#?}"),
            Err(_) => panic!("no end; seen last: {:#?}", self.seen),
        }
    }

    fn lane(&mut self, resource_type: ResourceType) -> &mut Lane {
        self.lanes.entry(resource_type).or_default()
    }

    async fn ask(
        &mut self,
        resource_type: ResourceType,
        subscribe: &[&str],
        unsubscribe: &[&str],
        held: &[(&str, &str)],
    ) {
        let held = held.iter().map(|&(name, version)| (name.to_owned(), version.to_owned()));
        let request = match self.protocol {
            Protocol::Sotw => Request::Sotw(self.sotw_request(resource_type)),
            Protocol::Delta => Request::Delta(proto::DeltaDiscoveryRequest {
                type_url: resource_type.type_url().to_owned(),
                resource_names_subscribe: owned(subscribe).collect(),
                resource_names_unsubscribe: owned(unsubscribe).collect(),
                initial_resource_versions: held.collect(),
                ..proto::DeltaDiscoveryRequest::default()
            }),
        };
        self.send(request).await;
    }

    async fn answer(&mut self, received: &Received, error: Option<proto::Status>) {
        let request = match self.protocol {
            Protocol::Sotw => Request::Sotw(proto::DiscoveryRequest {
                response_nonce: received.nonce.clone(),
                error_detail: error,
                ..self.sotw_request(received.resource_type)
            }),
            Protocol::Delta => Request::Delta(proto::DeltaDiscoveryRequest {
                type_url: received.resource_type.type_url().to_owned(),
                response_nonce: received.nonce.clone(),
                error_detail: error,
                ..proto::DeltaDiscoveryRequest::default()
            }),
        };
        self.send(request).await;
    }

    fn sotw_request(&mut self, resource_type: ResourceType) -> proto::DiscoveryRequest {
        let lane = self.lane(resource_type);
        proto::DiscoveryRequest {
            version_info: lane.accepted.clone(),
            resource_names: lane.names.iter().cloned().collect(),
            type_url: resource_type.type_url().to_owned(),
            response_nonce: lane.nonce.clone(),
            ..proto::DiscoveryRequest::default()
        }
    }

    /// Sends a request as it is, with the node if it is the first one.
    ///
    /// If the server has ended the stream nobody hears it: [`Self::end`] tells.
    pub async fn send(&mut self, mut request: Request) {
        match &mut request {
            Request::Sotw(request) | Request::Again(request) => request.node = self.node.take(),
            Request::Delta(request) => request.node = self.node.take(),
        }
        drop(self.requests.send(request).await);
    }
}

async fn open_sotw(
    (channel, metadata): (Channel, MetadataMap),
    service: DiscoveryService,
    requests: ReceiverStream<Request>,
) -> Result<Responses, Status> {
    let requests = requests.filter_map(|request| match request {
        Request::Sotw(request) | Request::Again(request) => Some(request),
        Request::Delta(_) => None,
    });
    let codec = ProstCodec::<proto::DiscoveryRequest, proto::DiscoveryResponse>::default();
    let mut grpc = ready(channel).await?;
    let responses = grpc
        .streaming(call(metadata, requests), path("Stream", service), codec)
        .await?
        .into_inner();
    Ok(Box::pin(responses.map(|response| response.map(Received::sotw))))
}

async fn open_delta(
    (channel, metadata): (Channel, MetadataMap),
    service: DiscoveryService,
    requests: ReceiverStream<Request>,
) -> Result<Responses, Status> {
    let requests = requests.filter_map(|request| match request {
        Request::Delta(request) => Some(request),
        Request::Sotw(_) | Request::Again(_) => None,
    });
    let codec =
        ProstCodec::<proto::DeltaDiscoveryRequest, proto::DeltaDiscoveryResponse>::default();
    let mut grpc = ready(channel).await?;
    let responses =
        grpc.streaming(call(metadata, requests), path("Delta", service), codec).await?.into_inner();
    Ok(Box::pin(responses.map(|response| response.map(Received::delta))))
}

fn call<T>(metadata: MetadataMap, message: T) -> tonic::Request<T> {
    tonic::Request::from_parts(metadata, tonic::Extensions::new(), message)
}

async fn connect(addr: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{addr}")).expect("an address");
    endpoint.connect().await.expect("a server")
}

async fn ready(channel: Channel) -> Result<Grpc<Channel>, Status> {
    let mut grpc = Grpc::new(channel).max_decoding_message_size(usize::MAX);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    Ok(grpc)
}

fn path(prefix: &str, service: DiscoveryService) -> PathAndQuery {
    let path = format!("/{}/{prefix}{}", service.name(), service.noun());
    path.parse().expect("a path")
}

fn owned(names: &[&str]) -> impl Iterator<Item = String> {
    names.iter().map(|&name| name.to_owned())
}

impl Received {
    /// The resource of that name, if it is in the response.
    pub fn find(&self, name: &str) -> Option<&ReceivedResource> {
        self.resources.iter().find(|resource| resource.name == name)
    }

    /// The names of the resources, in order.
    pub fn names(&self) -> Vec<&str> {
        self.resources.iter().map(|resource| resource.name.as_str()).collect()
    }

    /// Reads a response of a session, as it goes over the wire.
    ///
    /// # Panics
    ///
    /// If it is not one that a server should send.
    pub fn read(response: &crate::Response) -> Self {
        let message = response.message();
        match response.protocol {
            Protocol::Sotw => Self::sotw(proto::DiscoveryResponse::decode(message).expect("sound")),
            Protocol::Delta => {
                Self::delta(proto::DeltaDiscoveryResponse::decode(message).expect("sound"))
            }
        }
    }

    fn sotw(response: proto::DiscoveryResponse) -> Self {
        let read = |any: Bytes| {
            let version = response.version_info.clone();
            let outer = proto::Any::decode(any.clone()).expect("an Any");
            if outer.type_url.ends_with("/envoy.service.discovery.v3.Resource") {
                return ReceivedResource { version, ..ReceivedResource::read(&outer.value) };
            }
            ReceivedResource { name: name_and_content(&any).0, version, body: any, ttl: None }
        };
        Self {
            resource_type: known(&response.type_url),
            resources: response.resources.into_iter().map(read).collect(),
            version: response.version_info,
            nonce: response.nonce,
            removed: Vec::new(),
            denied: denied(response.resource_errors),
        }
    }

    fn delta(response: proto::DeltaDiscoveryResponse) -> Self {
        Self {
            resource_type: known(&response.type_url),
            version: response.system_version_info,
            nonce: response.nonce,
            resources: response.resources.iter().map(ReceivedResource::read).collect(),
            removed: response.removed_resources,
            denied: denied(response.resource_errors),
        }
    }
}

fn denied(errors: Vec<proto::ResourceError>) -> Vec<(String, i32, String)> {
    let read = |error: proto::ResourceError| {
        let (name, why) = (error.resource_name?.name, error.error_detail?);
        Some((name, why.code, why.message))
    };
    errors.into_iter().filter_map(read).collect()
}

fn known(type_url: &str) -> ResourceType {
    ResourceType::from_type_url(type_url).expect("a response is of a known type")
}

impl ReceivedResource {
    /// What a [`resource`](super::resource) was made with.
    pub fn content(&self) -> String {
        name_and_content(&self.body).1
    }

    fn read(wrapped: &Bytes) -> Self {
        let resource = proto::Resource::decode(wrapped.clone()).expect("a delta resource");
        let body = resource.resource.unwrap_or_default();
        let ttl = resource.ttl.map(Into::into);
        Self { name: resource.name, version: resource.version, body, ttl }
    }
}

/// With the start of the content in place of the body.
impl std::fmt::Debug for ReceivedResource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let content: String = self.content().chars().take(40).collect();
        write!(f, "{} {content:?} {}", self.name, self.version)
    }
}
