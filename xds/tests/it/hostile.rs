//! Clients that do what they must not, and an honest one that does not notice.

use bytes::{BufMut as _, Bytes, BytesMut};
use marchproxy_proto as proto;
use marchproxy_xds::testing::{FakeEnvoy, News, cluster, endpoint, resource, snapshot};
use marchproxy_xds::{Event, Protocol, Resource, ResourceType};
use prost::Message as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::raw::{Heard, RawConnection, RawStream, first_request, framed};
use crate::{BOTH, Plane, sent_to, settled};

/// The window that HTTP/2 starts with.
const USUAL: u32 = 65_535;

/// A client that follows every change, and what it follows.
struct Honest<'a> {
    plane: &'a Plane,
    envoy: FakeEnvoy,
    revision: u64,
}

impl<'a> Honest<'a> {
    async fn start(plane: &'a Plane) -> Self {
        let mut envoy = plane.envoy(Protocol::Delta, "honest").await;
        envoy.subscribe(ResourceType::Endpoint, &["e"]).await;
        let mut honest = Self { plane, envoy, revision: 0 };
        honest.follows(1).await;
        honest
    }

    /// Makes so many changes, and sees each of them arrive and be reported.
    async fn follows(&mut self, changes: usize) {
        for _ in 0..changes {
            self.revision += 1;
            let content = self.revision.to_string();
            self.plane.source.publish(snapshot(self.revision, resources(&content)));
            let received = self.envoy.next().await;
            assert_eq!(received.find("e").expect("it is there").content(), content);
            self.envoy.ack(&received).await;
            let is_heard = |news: &News| {
                matches!(news, News::Event(node, Event::Settled { revision, .. })
                    if node == "honest" && *revision == self.revision)
            };
            self.plane.source.wait_for(is_heard).await;
        }
    }
}

/// Endpoints for the honest, and a listener that does not fit into a small window.
fn resources(content: &str) -> [Resource; 2] {
    let large = format!("{content}{}", "x".repeat(64 << 10));
    [endpoint("e", content), resource(ResourceType::Listener, "l", &large)]
}

async fn raw_stream(plane: &Plane, window: u32, protocol: Protocol) -> (RawConnection, RawStream) {
    let mut connection = RawConnection::open(plane.addr, window).await.expect("it connects");
    let stream = connection.stream(protocol).await.expect("a stream");
    (connection, stream)
}

#[tokio::test]
async fn c66_a_hundred_clients_that_stop_reading_cost_one_response_each() {
    const CLIENTS: usize = 100;
    for protocol in BOTH {
        let plane = Plane::start().await;
        let mut honest = Honest::start(&plane).await;
        let mut stuck = Vec::new();
        for id in 0..CLIENTS {
            let (connection, mut stream) = raw_stream(&plane, 0, protocol).await;
            let node = format!("stuck-{id}");
            let ask = first_request(protocol, &node, ResourceType::Listener, &[]);
            stream.write(ask).expect("it is heard");
            stuck.push((connection, stream));
        }
        let sent = |news: &[News]| {
            let to_stuck = |news: &&News| match news {
                News::Event(node, Event::Sent { .. }) => node.starts_with("stuck-"),
                News::Event(..) | News::Connected(_) | News::Ended(_) => false,
            };
            news.iter().filter(to_stuck).count()
        };
        plane.source.wait_until(|news| sent(news) == CLIENTS).await;
        honest.follows(20).await;
        assert_eq!(sent(&plane.source.news()), CLIENTS, "no other response was made for them");
    }
}

#[tokio::test]
async fn connections_that_say_nothing_or_half_of_it_hold_up_nobody() {
    let plane = Plane::start().await;
    let mut honest = Honest::start(&plane).await;
    let mut open = Vec::new();
    for id in 0..100 {
        let mut socket = TcpStream::connect(plane.addr).await.expect("it connects");
        let said: &[u8] = match id % 4 {
            0 => b"",
            1 => b"PRI * HTTP/2.0\r\n",
            2 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0",
            _ => b"GET / HTTP/1.1\r\n",
        };
        socket.write_all(said).await.expect("it is sent");
        open.push(socket);
    }
    for protocol in BOTH {
        // The headers of a call, and half a message.
        let (connection, mut stream) = raw_stream(&plane, USUAL, protocol).await;
        stream.write(Bytes::from_static(b"\0\0\0\0\x20half")).expect("it is sent");
        honest.follows(3).await;
        drop(connection);
    }
    honest.follows(3).await;
}

#[tokio::test]
async fn a_request_of_more_than_64_mib_is_refused_before_it_is_read() {
    let plane = Plane::start().await;
    let mut honest = Honest::start(&plane).await;
    for protocol in BOTH {
        let (_connection, mut stream) = raw_stream(&plane, USUAL, protocol).await;
        let mut header = BytesMut::new();
        header.put_u8(0);
        header.put_u32((64 << 20) + 1);
        stream.write(header.freeze()).expect("it is sent");
        assert_eq!(stream.status().await.as_deref(), Some("8"), "RESOURCE_EXHAUSTED");
        honest.follows(1).await;
    }
}

#[tokio::test]
async fn a_request_of_nearly_64_mib_is_taken_and_kept_no_longer_than_needed() {
    let plane = Plane::start().await;
    let mut honest = Honest::start(&plane).await;
    let (_connection, mut stream) = raw_stream(&plane, USUAL, Protocol::Delta).await;
    // The largest part is one that nothing reads: an extension of the node.
    let mut node = proto::Node { id: "large".into(), ..proto::Node::default() }.encode_to_vec();
    let padding = 63 << 20;
    node.push(9 << 3 | 2);
    prost::encoding::encode_varint(padding, &mut node);
    node.resize(node.len() + usize::try_from(padding).expect("it fits"), b'x');
    let request = proto::DeltaDiscoveryRequest {
        node: Some(node.into()),
        type_url: ResourceType::Endpoint.type_url().into(),
        resource_names_subscribe: vec!["e".into()],
        ..proto::DeltaDiscoveryRequest::default()
    };
    stream.write(framed(&request)).expect("it is sent");
    drop(request);
    let message = stream.next().await.expect("it is answered");
    let heard = Heard::read(Protocol::Delta, message).expect("a response");
    assert_eq!(heard.resources.len(), 1);
    honest.follows(3).await;
}

#[tokio::test]
async fn a_node_that_says_too_much_of_itself_is_refused() {
    let plane = Plane::start().await;
    let mut honest = Honest::start(&plane).await;
    for protocol in BOTH {
        let (_connection, mut stream) = raw_stream(&plane, USUAL, protocol).await;
        let node = "n".repeat(300 << 10);
        stream.write(first_request(protocol, &node, ResourceType::Endpoint, &[])).expect("heard");
        assert_eq!(stream.status().await.as_deref(), Some("8"), "RESOURCE_EXHAUSTED");
        let (_connection, mut stream) = raw_stream(&plane, USUAL, protocol).await;
        let ask =
            first_request(protocol, &node[..(200 << 10)], ResourceType::Endpoint, &["e".into()]);
        stream.write(ask).expect("heard");
        assert!(stream.next().await.is_some(), "much is not too much");
        honest.follows(1).await;
    }
}

#[tokio::test]
async fn nonsense_ends_its_own_stream_and_no_other() {
    let node = |node: &'static [u8]| {
        framed(&proto::DeltaDiscoveryRequest {
            node: Some(Bytes::from_static(node)),
            type_url: ResourceType::Endpoint.type_url().into(),
            ..proto::DeltaDiscoveryRequest::default()
        })
    };
    let table = [
        (
            "a varint without end",
            Bytes::from_static(b"\0\0\0\0\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        ),
        ("a length beyond the end", Bytes::from_static(b"\0\0\0\0\x03\x12\xff\x01")),
        ("a text that is none", Bytes::from_static(b"\0\0\0\0\x04\x12\x02\xff\xfe")),
        ("a group", Bytes::from_static(b"\0\0\0\0\x02\x0b\x0b")),
        ("compression nobody agreed to", Bytes::from_static(b"\x01\0\0\0\x01x")),
        ("a flag that is none", Bytes::from_static(b"\x07\0\0\0\x01x")),
        ("nothing at all", Bytes::from_static(b"\0\0\0\0\0")),
        ("a node that is none", node(b"\x0a\xff")),
        ("a node without end", node(b"\x1a\x05\x0a\x03\x0a\xff")),
    ];
    let plane = Plane::start().await;
    let mut honest = Honest::start(&plane).await;
    let mut connection = RawConnection::open(plane.addr, USUAL).await.expect("it connects");
    let mut beside = connection.stream(Protocol::Delta).await.expect("a stream");
    let ask = first_request(Protocol::Delta, "beside", ResourceType::Endpoint, &["e".into()]);
    beside.write(ask).expect("it is heard");
    assert!(beside.next().await.is_some());
    for (what, bytes) in table {
        for protocol in BOTH {
            let mut stream = connection.stream(protocol).await.expect("a stream");
            stream.write(bytes.clone()).expect("it is sent");
            let status = stream.status().await;
            assert!(!matches!(status.as_deref(), None | Some("0")), "{what}: {status:?}");
        }
        honest.follows(1).await;
    }
    plane.source.wait_for(|news| sent_to(news, "beside")).await;
    assert!(!plane.source.news().contains(&News::Ended("beside".into())));
}

#[tokio::test]
async fn ten_thousand_names_that_are_not_there_are_answered_once() {
    let names: Vec<_> = (0..10_000).map(|n| format!("nobody-{n}")).collect();
    for protocol in BOTH {
        let plane = Plane::start().await;
        let mut honest = Honest::start(&plane).await;
        let (_connection, mut stream) = raw_stream(&plane, 64 << 20, protocol).await;
        let ask = first_request(protocol, "curious", ResourceType::Endpoint, &names);
        stream.write(ask).expect("it is heard");
        if protocol == Protocol::Delta {
            let message = stream.next().await.expect("it is answered");
            let answer = proto::DeltaDiscoveryResponse::decode(message.clone()).expect("delta");
            assert_eq!(answer.removed_resources.len(), names.len());
            let heard = Heard::read(protocol, message).expect("a response");
            stream.write(heard.ack(protocol, &names)).expect("it is heard");
        } else {
            plane.source.wait_for(|news| *news == News::Connected("curious".into())).await;
        }
        honest.follows(10).await;
        let sent = plane.source.news().iter().filter(|news| sent_to(news, "curious")).count();
        assert_eq!(sent, usize::from(protocol == Protocol::Delta));
    }
}

#[tokio::test]
async fn a_flood_of_resets_leaves_nothing_behind() {
    let plane = Plane::start().await;
    let mut honest = Honest::start(&plane).await;
    let ask = first_request(Protocol::Delta, "flood", ResourceType::Endpoint, &["e".into()]);
    let mut broken_off = 0;
    while broken_off < 2_000 {
        let mut connection = RawConnection::open(plane.addr, USUAL).await.expect("it connects");
        // The server may have enough of it, and close the connection.
        while broken_off < 2_000 {
            let Ok(mut stream) = connection.stream(Protocol::Delta).await else { break };
            if stream.write(ask.clone()).is_err() {
                break;
            }
            stream.reset();
            broken_off += 1;
        }
        honest.follows(1).await;
    }
    let is_over = |news: &[News]| {
        let count = |what: News| news.iter().filter(|&news| *news == what).count();
        count(News::Connected("flood".into())) == count(News::Ended("flood".into()))
    };
    plane.source.wait_until(is_over).await;
    honest.follows(3).await;
}

#[tokio::test]
async fn c41_a_node_that_changes_its_name_on_a_stream_stays_who_it_was() {
    for protocol in BOTH {
        let plane = Plane::start().await;
        let all = |content: &str| [cluster("a", content), endpoint("a", content)];
        plane.source.publish(snapshot(1, all("1")));
        let (_connection, mut stream) = raw_stream(&plane, USUAL, protocol).await;
        let names = ["a".to_owned()];
        stream.write(first_request(protocol, "one", ResourceType::Cluster, &[])).expect("heard");
        let clusters =
            Heard::read(protocol, stream.next().await.expect("clusters")).expect("it is");
        stream
            .write(first_request(protocol, "two", ResourceType::Endpoint, &names))
            .expect("heard");
        let endpoints =
            Heard::read(protocol, stream.next().await.expect("endpoints")).expect("it is");
        assert_eq!(endpoints.type_url, ResourceType::Endpoint.type_url());
        stream.write(clusters.ack(protocol, &[])).expect("heard");
        stream.write(endpoints.ack(protocol, &names)).expect("heard");
        plane.source.wait_for(|news| settled(news, 1, &[])).await;
        let is_two = |news: &News| match news {
            News::Connected(node) | News::Event(node, _) | News::Ended(node) => node == "two",
        };
        assert!(!plane.source.news().iter().any(is_two), "{:#?}", plane.source.news());
    }
}
