//! Reports of load, from a client generated for Envoy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use envoy_load_stats::load_reporting_service_client::LoadReportingServiceClient;
use envoy_load_stats::{LoadStatsRequest, LoadStatsResponse};
use envoy_types::pb::envoy::config::core::v3 as envoy_core;
use envoy_types::pb::envoy::config::endpoint::v3 as envoy_endpoint;
use envoy_types::pb::envoy::service::load_stats::v3 as envoy_load_stats;
use envoy_types::pb::google::protobuf::Duration as GoogleDuration;
use marchproxy_xds::LoadServer;
use marchproxy_xds::loads::{
    LoadAsk, LoadClusters, LoadHello, LoadLimits, LoadObserver, LoadReport, LoadSession, LoadSink,
};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::{ReceiverStream, WatchStream};
use tokio_util::sync::CancellationToken;
use tonic::codegen::http;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Code, Status, Streaming};
use tower::Service as _;

const PATIENCE: Duration = Duration::from_secs(5);

/// What a [`Sink`] was told.
#[derive(Debug)]
enum News {
    Hello(Box<LoadHello>),
    Report(LoadReport),
    Ended,
}

/// Asks for this, and tells of everything; does not know `"nobody"`.
struct Sink {
    asks: watch::Receiver<LoadAsk>,
    news: mpsc::UnboundedSender<News>,
}

struct Teller(mpsc::UnboundedSender<News>);

impl LoadSink for Sink {
    async fn connect(&self, hello: LoadHello) -> Result<LoadSession, Status> {
        if hello.node.id == "nobody" {
            return Err(Status::permission_denied("not you"));
        }
        self.news.send(News::Hello(Box::new(hello))).expect("somebody listens");
        Ok(LoadSession {
            asks: Box::pin(WatchStream::new(self.asks.clone())),
            observer: Box::new(Teller(self.news.clone())),
        })
    }
}

impl LoadObserver for Teller {
    fn observe(&mut self, report: LoadReport) {
        self.0.send(News::Report(report)).ok();
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.0.send(News::Ended).ok();
    }
}

/// A server for one test; it ends with the test.
struct Plane {
    addr: SocketAddr,
    stop: CancellationToken,
    asks: watch::Sender<LoadAsk>,
    news: mpsc::UnboundedReceiver<News>,
    _tasks: JoinSet<()>,
}

impl Plane {
    async fn start(clusters: LoadClusters) -> Self {
        Self::start_with(clusters, Duration::from_secs(3), LoadLimits::default()).await
    }

    async fn start_with(clusters: LoadClusters, interval: Duration, limits: LoadLimits) -> Self {
        let (news, heard) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let (asks, wanted) = watch::channel(LoadAsk { interval, clusters });
        let sink = Arc::new(Sink { asks: wanted, news });
        let loads = LoadServer::new(sink, stop.clone()).with_limits(limits);
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = socket.local_addr().expect("an address");
        let server = Server::builder().add_service(loads);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            server.serve_with_incoming(TcpIncoming::from(socket)).await.expect("it serves");
        });
        Self { addr, stop, asks, news: heard, _tasks: tasks }
    }

    async fn client(&self) -> Client {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.addr)).expect("an address");
        let channel = endpoint.connect().await.expect("a server");
        let (requests, queue) = mpsc::channel(4);
        let mut client = LoadReportingServiceClient::new(channel);
        let answers = client.stream_load_stats(ReceiverStream::new(queue)).await;
        Client { requests, answers: answers.expect("a stream").into_inner() }
    }

    async fn next(&mut self) -> News {
        timeout(PATIENCE, self.news.recv()).await.expect("some news").expect("a server")
    }

    async fn report(&mut self) -> LoadReport {
        match self.next().await {
            News::Report(report) => report,
            other @ (News::Hello(_) | News::Ended) => panic!("not a report but {other:?}"),
        }
    }

    async fn hello(&mut self) -> LoadHello {
        match self.next().await {
            News::Hello(hello) => *hello,
            other @ (News::Report(_) | News::Ended) => panic!("not a hello but {other:?}"),
        }
    }
}

struct Client {
    requests: mpsc::Sender<LoadStatsRequest>,
    answers: Streaming<LoadStatsResponse>,
}

impl Client {
    async fn say(&self, request: LoadStatsRequest) {
        self.requests.send(request).await.expect("a stream");
    }

    async fn next(&mut self) -> Result<Option<LoadStatsResponse>, Status> {
        timeout(PATIENCE, self.answers.message()).await.expect("an answer or the end")
    }
}

fn from(id: &str) -> LoadStatsRequest {
    let node = envoy_core::Node { id: id.into(), ..Default::default() };
    LoadStatsRequest { node: Some(node), cluster_stats: Vec::new() }
}

fn with(names: &[&str]) -> LoadStatsRequest {
    let stats = names.iter().map(|name| envoy_endpoint::ClusterStats {
        cluster_name: (*name).to_owned(),
        total_dropped_requests: 2,
        load_report_interval: Some(GoogleDuration { seconds: 3, nanos: 0 }),
        upstream_locality_stats: vec![envoy_endpoint::UpstreamLocalityStats {
            total_issued_requests: 5,
            ..Default::default()
        }],
        ..Default::default()
    });
    LoadStatsRequest { node: None, cluster_stats: stats.collect() }
}

fn ask(names: &[&str]) -> LoadAsk {
    let names = names.iter().map(|&name| name.to_owned());
    LoadAsk { interval: Duration::from_secs(3), clusters: LoadClusters::Named(names.collect()) }
}

fn names(report: &LoadReport) -> Vec<&str> {
    report.clusters.iter().map(|load| load.cluster.as_str()).collect()
}

#[tokio::test]
async fn a_client_is_answered_at_once_and_its_reports_are_passed_on() {
    let mut plane = Plane::start(LoadClusters::Named(vec!["a".into(), "b".into()])).await;
    let mut client = plane.client().await;
    client.say(from("n")).await;
    let asked = client.next().await.expect("no error").expect("an answer");
    assert_eq!(asked.clusters, ["a", "b"]);
    assert!(!asked.send_all_clusters && !asked.report_endpoint_granularity);
    assert_eq!(asked.load_reporting_interval, Some(GoogleDuration { seconds: 3, nanos: 0 }));
    let hello = plane.hello().await;
    assert_eq!(hello.node.id, "n");
    assert!(hello.call.peer.is_some_and(|peer| peer.ip().is_loopback()));
    assert!(!hello.knows_all);

    client.say(with(&["a"])).await;
    let report = plane.report().await;
    let [load] = report.clusters.as_slice() else { panic!("{report:#?}") };
    assert_eq!((load.cluster.as_str(), load.dropped), ("a", 2));
    assert_eq!(load.interval, Duration::from_secs(3));
    assert_eq!(load.localities[0].issued, 5);
    // That nothing was done is news as well.
    client.say(with(&[])).await;
    assert_eq!(names(&plane.report().await), [""; 0]);

    drop(client.requests);
    assert!(matches!(plane.next().await, News::Ended));
    assert_eq!(timeout(PATIENCE, client.answers.message()).await.expect("the end").unwrap(), None);
}

#[tokio::test]
async fn a_client_that_knows_all_of_its_clusters_says_so() {
    let mut plane = Plane::start(LoadClusters::All).await;
    let mut client = plane.client().await;
    let mut first = from("n");
    first.node.as_mut().expect("a node").client_features =
        vec!["other".into(), "envoy.lrs.supports_send_all_clusters".into()];
    // What a first request reports is heard, too.
    first.cluster_stats = with(&["a"]).cluster_stats;
    client.say(first).await;
    let asked = client.next().await.expect("no error").expect("an answer");
    assert!(asked.send_all_clusters && asked.clusters.is_empty());
    assert!(plane.hello().await.knows_all);
    assert_eq!(names(&plane.report().await), ["a"]);
}

#[tokio::test]
async fn no_client_is_asked_to_report_without_a_pause() {
    let limits = LoadLimits::default();
    let plane = Plane::start_with(LoadClusters::All, Duration::ZERO, limits).await;
    let mut client = plane.client().await;
    client.say(from("n")).await;
    let asked = client.next().await.expect("no error").expect("an answer");
    let interval = asked.load_reporting_interval.expect("an interval");
    assert_eq!((interval.seconds, interval.nanos), (0, 100_000_000));
}

#[tokio::test]
async fn a_first_request_without_a_node_ends_the_stream() {
    let plane = Plane::start(LoadClusters::All).await;
    let mut client = plane.client().await;
    client.say(with(&["a"])).await;
    let error = client.next().await.expect_err("it is refused");
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("node"), "{error}");
}

#[tokio::test]
async fn whom_the_sink_refuses_is_told_its_status() {
    let plane = Plane::start(LoadClusters::All).await;
    let mut client = plane.client().await;
    client.say(from("nobody")).await;
    let error = client.next().await.expect_err("it is refused");
    assert_eq!((error.code(), error.message()), (Code::PermissionDenied, "not you"));
}

#[tokio::test]
async fn what_is_beyond_the_limits_is_counted() {
    let limits = LoadLimits { clusters: 2, message: 4096, ..LoadLimits::default() };
    let mut plane = Plane::start_with(LoadClusters::All, Duration::from_secs(1), limits).await;
    let mut client = plane.client().await;
    client.say(from("n")).await;
    client.next().await.expect("no error").expect("an answer");
    plane.hello().await;
    client.say(with(&["a", "b", "c", "d"])).await;
    let report = plane.report().await;
    assert_eq!(names(&report), ["a", "b"]);
    assert_eq!(report.left_out.clusters, 2);

    // A message that is too large is not even taken in.
    client.say(with(&[&"x".repeat(4096)])).await;
    assert_eq!(client.next().await.expect_err("it is refused").code(), Code::OutOfRange);
    assert!(matches!(plane.next().await, News::Ended));
}

#[tokio::test]
async fn streams_end_well_when_the_server_stops() {
    let mut plane = Plane::start(LoadClusters::All).await;
    let (mut told, mut silent) = (plane.client().await, plane.client().await);
    told.say(from("n")).await;
    told.next().await.expect("no error").expect("an answer");
    plane.hello().await;
    plane.stop.cancel();
    assert_eq!(told.next().await.expect("no error"), None);
    assert_eq!(silent.next().await.expect("no error"), None);
    assert!(matches!(plane.next().await, News::Ended));
}

#[tokio::test]
async fn a_stream_ends_well_when_the_sink_is_done_with_it() {
    let mut plane = Plane::start(LoadClusters::All).await;
    let mut client = plane.client().await;
    client.say(from("n")).await;
    client.next().await.expect("no error").expect("an answer");
    plane.hello().await;
    drop(plane.asks);
    assert_eq!(client.next().await.expect("no error"), None);
    let end = timeout(PATIENCE, plane.news.recv()).await.expect("some news");
    assert!(matches!(end, Some(News::Ended)));
}

#[tokio::test]
async fn what_is_asked_may_change_but_never_twice_without_a_report() {
    let mut plane = Plane::start(LoadClusters::Named(vec!["a".into()])).await;
    let mut client = plane.client().await;
    client.say(from("n")).await;
    let mut asked =
        async || client.next().await.expect("no error").expect("an answer").clusters.join(" ");
    assert_eq!(asked().await, "a");
    plane.asks.send_replace(ask(&["a", "b"]));
    assert_eq!(asked().await, "a b");
    plane.hello().await;
    // Neither of these is asked before the report, and the first one never.
    plane.asks.send_replace(ask(&["c"]));
    plane.asks.send_replace(ask(&["d"]));
    let requests = client.requests.clone();
    requests.send(with(&["a"])).await.expect("a stream");
    assert_eq!(names(&plane.report().await), ["a"]);
    let mut asked =
        async || client.next().await.expect("no error").expect("an answer").clusters.join(" ");
    assert_eq!(asked().await, "d");
    plane.asks.send_replace(ask(&["e"]));
    requests.send(with(&["b"])).await.expect("a stream");
    assert_eq!(names(&plane.report().await), ["b"]);
    assert_eq!(asked().await, "e");
    // The end does not wait for a report.
    drop(plane.asks);
    assert_eq!(client.next().await.expect("no error"), None);
}

#[tokio::test]
async fn another_method_is_unimplemented() {
    let (news, _heard) = mpsc::unbounded_channel();
    let sink = Sink { asks: watch::channel(ask(&[])).1, news };
    let mut server = LoadServer::new(Arc::new(sink), CancellationToken::new());
    let path = "/envoy.service.load_stats.v3.LoadReportingService/X";
    let request = http::Request::builder().uri(path).body(String::new()).expect("a request");
    let response = server.call(request).await.expect("it cannot fail");
    assert_eq!(response.headers()["grpc-status"], (Code::Unimplemented as i32).to_string());
}

#[test]
fn it_is_named_as_envoy_names_it() {
    use envoy_load_stats::load_reporting_service_server::SERVICE_NAME;
    use tonic::server::NamedService as _;
    assert_eq!(LoadServer::<Sink>::NAME, SERVICE_NAME);
}
