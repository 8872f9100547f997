//! The status of clients, asked by a client generated for Envoy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use envoy_matcher::string_matcher::MatchPattern;
use envoy_status::client_status_discovery_service_client::ClientStatusDiscoveryServiceClient;
use envoy_status::{ClientStatusRequest, ClientStatusResponse};
use envoy_types::pb::envoy::admin::v3 as envoy_admin;
use envoy_types::pb::envoy::service::status::v3 as envoy_status;
use envoy_types::pb::envoy::r#type::matcher::v3 as envoy_matcher;
use marchproxy_xds::testing::resource;
use marchproxy_xds::{
    Authorize, CallInfo, ClientReport, Clients, DiscoveryService, NodeInfo, Protocol, Reporting,
    ResourceRefusal, ResourceReport, ResourceState, ResourceType, StatusServer, Visibility,
};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::codegen::http;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Status};
use tower::Service as _;

const PATIENCE: Duration = Duration::from_secs(5);

/// Lets each caller see what its header `sees` says: everything, or one node.
struct ByHeader;

impl Authorize for ByHeader {
    async fn authorize(&self, call: &CallInfo) -> Result<Visibility, Status> {
        assert!(call.peer.is_none_or(|peer| peer.ip().is_loopback()));
        let sees = call.headers.get("sees").and_then(|sees| sees.to_str().ok());
        match sees.map(str::to_owned) {
            None => Err(Status::unauthenticated("who are you?")),
            Some(all) if all == "all" => Ok(Visibility::All),
            Some(id) => Ok(Visibility::Only(Box::new(move |report| report.node.id == id))),
        }
    }
}

/// A stream that says what a test lets it say.
struct Stream(Mutex<ClientReport>);

impl Reporting for Stream {
    fn report(&self) -> ClientReport {
        self.0.lock().clone()
    }
}

fn stream(id: &str, port: u16, resources: &[ResourceReport]) -> Arc<Stream> {
    Arc::new(Stream(Mutex::new(ClientReport {
        tag: None,
        node: NodeInfo { id: id.into(), ..NodeInfo::default() },
        peer: Some(([10, 0, 0, 1], port).into()),
        protocol: Protocol::Delta,
        service: DiscoveryService::Aggregated,
        connected_at: SystemTime::UNIX_EPOCH,
        resources: resources.to_vec(),
    })))
}

fn held(resource_type: ResourceType, name: &str, state: ResourceState) -> ResourceReport {
    ResourceReport {
        sent_at: None,
        resource_type,
        name: name.into(),
        version: Some("v1".into()),
        state,
        since: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(5)),
        refusal: None,
        body: Some(resource(resource_type, name, "PRIVATE").body().clone()),
    }
}

/// A server for one test; it ends with the test.
struct Plane {
    client: ClientStatusDiscoveryServiceClient<Channel>,
    stop: CancellationToken,
    _tasks: JoinSet<()>,
}

impl Plane {
    async fn start(clients: &Clients) -> Self {
        let stop = CancellationToken::new();
        let status = StatusServer::new(clients.clone(), Arc::new(ByHeader), stop.clone());
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = socket.local_addr().expect("an address");
        let server = Server::builder().add_service(status);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            server.serve_with_incoming(TcpIncoming::from(socket)).await.expect("it serves");
        });
        let endpoint = Endpoint::from_shared(format!("http://{addr}")).expect("an address");
        let channel = endpoint.connect().await.expect("a server");
        Self { client: ClientStatusDiscoveryServiceClient::new(channel), stop, _tasks: tasks }
    }

    async fn fetch(
        &mut self,
        sees: &'static str,
        request: ClientStatusRequest,
    ) -> Result<ClientStatusResponse, Status> {
        let answer = self.client.fetch_client_status(seeing(sees, request));
        timeout(PATIENCE, answer).await.expect("an answer").map(tonic::Response::into_inner)
    }
}

fn seeing<T>(sees: &'static str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("sees", sees.parse().expect("a header"));
    request
}

fn by_id(pattern: MatchPattern) -> ClientStatusRequest {
    let node_id = envoy_matcher::StringMatcher { match_pattern: Some(pattern), ignore_case: false };
    let matcher = envoy_matcher::NodeMatcher {
        node_id: Some(node_id),
        ..envoy_matcher::NodeMatcher::default()
    };
    ClientStatusRequest { node_matchers: vec![matcher], ..ClientStatusRequest::default() }
}

fn ids(answer: &ClientStatusResponse) -> Vec<&str> {
    answer.config.iter().map(|config| config.node.as_ref().expect("a node").id.as_str()).collect()
}

fn everything() -> ClientStatusRequest {
    ClientStatusRequest::default()
}

#[tokio::test]
async fn a_fetch_tells_how_each_resource_stands() {
    let refused = ResourceReport {
        sent_at: None,
        refusal: Some(ResourceRefusal {
            message: "no such filter".into(),
            version: "v2".into(),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(6),
        }),
        ..held(ResourceType::Listener, "l", ResourceState::Nacked)
    };
    let clients = Clients::default();
    let _a =
        clients.enter(stream("a", 1, &[held(ResourceType::Cluster, "c", ResourceState::Acked)]));
    let _b = clients.enter(stream("a", 1, &[refused]));
    let mut plane = Plane::start(&clients).await;

    let answer = plane.fetch("all", everything()).await.expect("an answer");
    assert_eq!(ids(&answer), ["a"]);
    let [cluster, listener] = answer.config[0].generic_xds_configs.as_slice() else {
        panic!("{answer:#?}")
    };
    assert_eq!((cluster.name.as_str(), cluster.version_info.as_str()), ("c", "v1"));
    assert_eq!(cluster.type_url, ResourceType::Cluster.type_url());
    assert_eq!(cluster.config_status(), envoy_status::ConfigStatus::Synced);
    assert_eq!(cluster.client_status(), envoy_admin::ClientResourceStatus::Acked);
    assert_eq!(cluster.last_updated.expect("a time").seconds, 5);
    let any = cluster.xds_config.as_ref().expect("contents");
    assert_eq!(any.type_url, ResourceType::Cluster.type_url());
    assert_eq!(listener.config_status(), envoy_status::ConfigStatus::Error);
    assert_eq!(listener.client_status(), envoy_admin::ClientResourceStatus::Nacked);
    let error = listener.error_state.as_ref().expect("an error");
    assert_eq!((error.details.as_str(), error.version_info.as_str()), ("no such filter", "v2"));
    assert_eq!(error.last_update_attempt.expect("a time").seconds, 6);

    let request = ClientStatusRequest { exclude_resource_contents: true, ..everything() };
    let answer = plane.fetch("all", request).await.expect("an answer");
    let mut resources = answer.config[0].generic_xds_configs.iter();
    assert!(resources.all(|resource| resource.xds_config.is_none()));
}

#[tokio::test]
async fn a_secret_is_never_told() {
    use prost::Message as _;

    let secret = ResourceReport {
        sent_at: None,
        refusal: Some(ResourceRefusal {
            message: "bad key: PRIVATE".into(),
            version: "v2".into(),
            at: SystemTime::UNIX_EPOCH,
        }),
        ..held(ResourceType::Secret, "s", ResourceState::Nacked)
    };
    let clients = Clients::default();
    let _a = clients.enter(stream("a", 1, &[secret]));
    let mut plane = Plane::start(&clients).await;
    let answer = plane.fetch("all", everything()).await.expect("an answer");
    let [resource] = answer.config[0].generic_xds_configs.as_slice() else { panic!("{answer:#?}") };
    assert_eq!((resource.name.as_str(), resource.version_info.as_str()), ("s", "v1"));
    let bytes = answer.encode_to_vec();
    assert!(!bytes.windows(7).any(|part| part == b"PRIVATE"), "{answer:#?}");
}

#[tokio::test]
async fn a_caller_sees_what_it_may_see_and_has_asked_for() {
    let clients = Clients::default();
    let _streams = ["a", "ab", "b"].map(|id| clients.enter(stream(id, 1, &[])));
    let mut plane = Plane::start(&clients).await;

    let answer = plane.fetch("all", everything()).await.expect("an answer");
    assert_eq!(ids(&answer), ["a", "ab", "b"]);
    let answer = plane.fetch("ab", everything()).await.expect("an answer");
    assert_eq!(ids(&answer), ["ab"]);
    let prefix = || by_id(MatchPattern::Prefix("a".into()));
    assert_eq!(ids(&plane.fetch("all", prefix()).await.expect("an answer")), ["a", "ab"]);
    assert_eq!(ids(&plane.fetch("b", prefix()).await.expect("an answer")), [""; 0]);

    let error = plane.client.fetch_client_status(everything()).await.expect_err("it is refused");
    assert_eq!((error.code(), error.message()), (Code::Unauthenticated, "who are you?"));
    let regex = by_id(MatchPattern::SafeRegex(envoy_matcher::RegexMatcher::default()));
    let error = plane.fetch("all", regex).await.expect_err("it is refused");
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("node_matchers[0].node_id.safe_regex"), "{error}");
}

#[tokio::test]
async fn each_request_on_a_stream_is_answered_as_things_are_then() {
    let clients = Clients::default();
    let a = stream("a", 1, &[held(ResourceType::Cluster, "c", ResourceState::Sent)]);
    let membership = clients.enter(a.clone());
    let mut plane = Plane::start(&clients).await;
    let (requests, queue) = mpsc::channel(1);
    let call = seeing("all", ReceiverStream::new(queue));
    let mut answers = plane.client.stream_client_status(call).await.expect("a stream").into_inner();
    let mut ask = async |request| {
        requests.send(request).await.expect("a stream");
        timeout(PATIENCE, answers.message()).await.expect("an answer or the end")
    };

    let status =
        |answer: &ClientStatusResponse| answer.config[0].generic_xds_configs[0].config_status();
    let answer = ask(everything()).await.expect("no error").expect("an answer");
    assert_eq!(status(&answer), envoy_status::ConfigStatus::Stale);
    a.0.lock().resources[0].state = ResourceState::Acked;
    let answer = ask(everything()).await.expect("no error").expect("an answer");
    assert_eq!(status(&answer), envoy_status::ConfigStatus::Synced);
    drop(membership);
    let answer = ask(everything()).await.expect("no error").expect("an answer");
    assert_eq!(answer, ClientStatusResponse::default());
    let bad = by_id(MatchPattern::Contains(String::new()));
    assert_eq!(ask(bad).await.expect_err("it is refused").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_status_stream_ends_well_when_the_server_stops() {
    let mut plane = Plane::start(&Clients::default()).await;
    let (_requests, queue) = mpsc::channel(1);
    let call = seeing("all", ReceiverStream::new(queue));
    let mut answers = plane.client.stream_client_status(call).await.expect("a stream").into_inner();
    plane.stop.cancel();
    let end = timeout(PATIENCE, answers.message()).await.expect("the end");
    assert_eq!(end.expect("no error"), None);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused_with_advice() {
    let large = ResourceReport {
        body: Some(Bytes::from(vec![0; 65 << 20])),
        ..held(ResourceType::Cluster, "c", ResourceState::Acked)
    };
    let clients = Clients::default();
    let _a = clients.enter(stream("a", 1, &[large]));
    let mut plane = Plane::start(&clients).await;
    let error = plane.fetch("all", everything()).await.expect_err("it is refused");
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert!(error.message().contains("exclude_resource_contents"), "{error}");
    let request = ClientStatusRequest { exclude_resource_contents: true, ..everything() };
    assert_eq!(ids(&plane.fetch("all", request).await.expect("an answer")), ["a"]);
}

/// A stream with much to tell, that counts how often it is asked.
struct Large(Arc<AtomicUsize>, Bytes);

impl Reporting for Large {
    fn report(&self) -> ClientReport {
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        let resource = ResourceReport {
            body: Some(self.1.clone()),
            ..held(ResourceType::Cluster, &count.to_string(), ResourceState::Acked)
        };
        stream("large", 1, &[resource]).report()
    }
}

#[tokio::test]
async fn no_more_streams_are_asked_than_an_answer_has_room_for() {
    let (asked, body) = (Arc::new(AtomicUsize::new(0)), Bytes::from(vec![0; 20 << 20]));
    let clients = Clients::default();
    let large = || clients.enter(Arc::new(Large(asked.clone(), body.clone())));
    let _entered: Vec<_> = (0..100).map(|_| large()).collect();
    let mut plane = Plane::start(&clients).await;
    let error = plane.fetch("all", everything()).await.expect_err("it is refused");
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert_eq!(asked.swap(0, Ordering::SeqCst), 7, "7 times 20 MiB is more than twice 64");
    let of_others = by_id(MatchPattern::Exact("small".into()));
    assert!(plane.fetch("all", of_others).await.expect("an answer").config.is_empty());
    assert_eq!(asked.load(Ordering::SeqCst), 100, "each is asked once");
}

#[tokio::test]
async fn another_method_of_it_is_unimplemented() {
    let clients = Clients::default();
    let mut server = StatusServer::new(clients, Arc::new(ByHeader), CancellationToken::new());
    let path = "/envoy.service.status.v3.ClientStatusDiscoveryService/X";
    let request = http::Request::builder().uri(path).body(String::new()).expect("a request");
    let response = server.call(request).await.expect("it cannot fail");
    assert_eq!(response.headers()["grpc-status"], (Code::Unimplemented as i32).to_string());
}

#[test]
fn it_is_named_as_envoy_names_it() {
    use envoy_status::client_status_discovery_service_server::SERVICE_NAME;
    use tonic::server::NamedService as _;
    assert_eq!(StatusServer::<ByHeader>::NAME, SERVICE_NAME);
}
