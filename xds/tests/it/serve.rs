//! The server under the streams: whom it drops, and how it ends connections.

use std::convert::Infallible;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::ResponseFuture;
use h2::{Reason, SendStream};
use marchproxy_proto as proto;
use marchproxy_xds::testing::{News, cluster, endpoint, resource, snapshot};
use marchproxy_xds::{Protocol, ResourceType, Server, Settings};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::body::Body;
use tonic::service::Routes;

use crate::{ADS, Plane, node};

const WAIT: Duration = Duration::from_secs(5);

/// A client on the bare protocol, which reads what it is told to.
struct Raw {
    response: ResponseFuture,
    _requests: SendStream<Bytes>,
    _tasks: JoinSet<()>,
}

impl Raw {
    /// Asks for everything of a type.
    async fn ask(plane: &Plane, id: &str, resource_type: ResourceType) -> Self {
        let socket = TcpStream::connect(plane.addr).await.expect("a server");
        let (client, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            connection.await.ok();
        });
        let uri = format!("http://x/{}/StreamAggregatedResources", ADS.name());
        let request = http::Request::post(uri).header("content-type", "application/grpc");
        let request = request.body(()).expect("a request");
        let mut client = client.ready().await.expect("ready");
        let (response, mut requests) = client.send_request(request, false).expect("a stream");
        let message = proto::DiscoveryRequest {
            node: Some(node(id).encode_to_vec().into()),
            type_url: resource_type.type_url().into(),
            ..Default::default()
        };
        let message = message.encode_to_vec();
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).expect("short"));
        frame.put_slice(&message);
        requests.send_data(frame.freeze(), false).expect("it is sent");
        Self { response, _requests: requests, _tasks: tasks }
    }
}

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}

#[tokio::test]
async fn c66_a_client_that_stops_reading_is_dropped_in_time() {
    let plane =
        Plane::start_with(settings(|s| s.write_deadline = Duration::from_millis(100))).await;
    let large = "x".repeat(1 << 20);
    plane.source.publish(snapshot(1, [resource(ResourceType::Listener, "l", &large)]));
    let stuck = Raw::ask(&plane, "stuck", ResourceType::Listener).await;
    let mut body = stuck.response.await.expect("an answer").into_body();
    // Nothing is given back to the window, so nothing more than one can come.
    plane.source.wait_for(|news| *news == News::Ended("stuck".into())).await;
    let error = loop {
        match body.data().await.expect("no good end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), Some(Reason::CANCEL));
}

#[tokio::test]
async fn a_client_that_has_vanished_is_noticed() {
    let plane = Plane::start_with(settings(|settings| {
        settings.keepalive = Duration::from_millis(50);
        settings.keepalive_answer = Duration::from_millis(50);
    }))
    .await;
    // Its socket is open, but nobody answers to a ping.
    let mut socket = TcpStream::connect(plane.addr).await.expect("a server");
    let empty_settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &empty_settings].concat();
    socket.write_all(&preface).await.expect("sent");
    let mut heard = Vec::new();
    let end = timeout(Duration::from_secs(5), socket.read_to_end(&mut heard)).await;
    end.expect("the server ends it").expect("in good order");
    assert!(!heard.is_empty(), "it said hello");
}

#[tokio::test]
async fn c43_an_old_connection_is_ended_in_good_order() {
    let plane =
        Plane::start_with(settings(|s| s.connection_age = Some(Duration::from_millis(200)))).await;
    plane.source.publish(snapshot(1, [cluster("a", "1"), endpoint("a", "1")]));
    for protocol in crate::BOTH {
        let mut envoy = plane.envoy(protocol, "n").await;
        envoy.subscribe(ResourceType::Cluster, &[]).await;
        let received = envoy.next().await;
        envoy.ack(&received).await;
        assert!(envoy.end().await.is_ok());
    }
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_with_a_reason() {
    let plane = Plane::start_with(settings(|s| s.streams_per_peer = 1)).await;
    plane.source.publish(snapshot(1, [cluster("a", "1"), endpoint("a", "1")]));
    let mut one = plane.envoy(Protocol::Delta, "one").await;
    one.subscribe(ResourceType::Cluster, &[]).await;
    one.next().await;
    let two = Raw::ask(&plane, "two", ResourceType::Cluster).await.response.await;
    let two = two.expect("an answer");
    let status = tonic::Status::from_header_map(two.headers()).expect("a status");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "1 streams are served to 127.0.0.1 already");
}

/// A connection to a server with a service that never answers.
struct Silent {
    client: h2::client::SendRequest<Bytes>,
    stop: CancellationToken,
    /// The server's side first.
    tasks: [JoinSet<()>; 2],
}

impl Silent {
    async fn start(settings: Settings) -> Self {
        let mut routes = Routes::default();
        let silent = tower::service_fn(|_: http::Request<_>| {
            std::future::pending::<Result<http::Response<Body>, Infallible>>()
        });
        let router = routes.axum_router_mut();
        *router = std::mem::take(router).route_service("/x.Silent/Call", silent);
        let server = Server::new(routes, settings);
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = socket.local_addr().expect("an address");
        let (stop, mut tasks) = (CancellationToken::new(), [JoinSet::new(), JoinSet::new()]);
        let stopped = stop.clone();
        tasks[0].spawn(async move {
            let (socket, peer) = socket.accept().await.expect("a client");
            let mut extensions = http::Extensions::new();
            extensions.insert(peer);
            server.serve_connection(socket, extensions, stopped).await;
        });
        let socket = TcpStream::connect(addr).await.expect("a server");
        let (client, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
        tasks[1].spawn(async move {
            connection.await.ok();
        });
        Self { client: client.ready().await.expect("ready"), stop, tasks }
    }

    fn call(&mut self) -> (ResponseFuture, SendStream<Bytes>) {
        let request = http::Request::post("http://x/x.Silent/Call").body(());
        self.client.send_request(request.expect("a request"), false).expect("a stream")
    }
}

#[tokio::test]
async fn calls_are_counted_whatever_service_they_are_of() {
    let mut plane = Silent::start(settings(|settings| settings.streams_per_peer = 2)).await;
    let mut open: Vec<_> = (0..4).map(|_| plane.call()).collect();
    let (refused, _body) = plane.call();
    let refused = timeout(WAIT, refused).await.expect("at once").expect("an answer");
    assert_eq!(refused.headers()["grpc-status"], "8", "RESOURCE_EXHAUSTED");
    for (answer, _) in &mut open {
        let answer = timeout(Duration::from_millis(1), answer).await;
        assert!(answer.is_err(), "the others are still open");
    }
    drop(open.pop()); // which resets it
    let is_free =
        async { while timeout(Duration::from_millis(100), plane.call().0).await.is_ok() {} };
    timeout(WAIT, is_free).await.expect("there is a place again");
}

#[tokio::test]
async fn c43_a_call_that_knows_of_no_end_does_not_hold_up_a_stop() {
    let short = settings(|settings| settings.write_deadline = Duration::from_millis(100));
    let mut plane = Silent::start(short).await;
    let (mut answer, _body) = plane.call();
    assert!(timeout(Duration::from_millis(50), &mut answer).await.is_err(), "it is open");
    plane.stop.cancel();
    let end = timeout(WAIT, plane.tasks[0].join_next()).await.expect("it has had its time");
    end.expect("a task").expect("it ends well");
    assert!(timeout(WAIT, answer).await.expect("at once").is_err());
}
