//! A client on the bare `h2` crate: it can do all that a client must not do.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use marchproxy_proto as proto;
use marchproxy_xds::{DiscoveryService, Protocol, ResourceType};
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A window that never makes a server wait.
pub(crate) const WIDE: u32 = 64 << 20;

/// A connection. It is closed when this is dropped.
pub(crate) struct RawConnection {
    send: SendRequest<Bytes>,
    driver: JoinSet<()>,
}

/// One gRPC stream, message by message.
pub(crate) struct RawStream {
    requests: SendStream<Bytes>,
    response: Option<ResponseFuture>,
    responses: Option<RecvStream>,
    buffer: BytesMut,
}

impl RawConnection {
    /// Connects, and lets the server send `window` bytes that are not read.
    pub(crate) async fn open(addr: SocketAddr, window: u32) -> io::Result<Self> {
        let socket = TcpStream::connect(addr).await?;
        socket.set_nodelay(true)?;
        let (send, connection) = h2::client::Builder::new()
            .initial_window_size(window)
            .initial_connection_window_size(window.max(65_535))
            .handshake(socket)
            .await
            .map_err(io::Error::other)?;
        let mut driver = JoinSet::new();
        driver.spawn(async move { drop(connection.await) });
        Ok(Self { send, driver })
    }

    /// Opens a stream of the aggregated service.
    pub(crate) async fn stream(&mut self, protocol: Protocol) -> Result<RawStream, h2::Error> {
        let method = match protocol {
            Protocol::Sotw => "StreamAggregatedResources",
            Protocol::Delta => "DeltaAggregatedResources",
        };
        let service = DiscoveryService::Aggregated.name();
        let request = http::Request::post(format!("http://xds/{service}/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("it is a request");
        let mut send = self.send.clone().ready().await?;
        let (response, requests) = send.send_request(request, false)?;
        let buffer = BytesMut::new();
        Ok(RawStream { requests, response: Some(response), responses: None, buffer })
    }

    /// Waits until the server, or what lies between, has closed the connection.
    pub(crate) async fn closed(&mut self) {
        self.driver.join_next().await;
    }
}

impl RawStream {
    /// Sends one message.
    pub(crate) fn say(&mut self, message: &impl Message) -> Result<(), h2::Error> {
        self.write(framed(message))
    }

    /// Sends bytes as they are.
    pub(crate) fn write(&mut self, bytes: Bytes) -> Result<(), h2::Error> {
        self.requests.send_data(bytes, false)
    }

    /// Breaks the stream off.
    pub(crate) fn reset(&mut self) {
        self.requests.send_reset(h2::Reason::CANCEL);
    }

    /// The next message, or `None` if the stream has ended, well or not.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        if let Some(response) = self.response.take() {
            self.responses = Some(response.await.ok()?.into_body());
        }
        let responses = self.responses.as_mut()?;
        loop {
            if let Some(message) = unframed(&mut self.buffer) {
                return Some(message);
            }
            let data = responses.data().await?.ok()?;
            responses.flow_control().release_capacity(data.len()).ok()?;
            self.buffer.extend_from_slice(&data);
        }
    }

    /// The status that the stream ends with, once all messages are read.
    pub(crate) async fn status(&mut self) -> Option<String> {
        let from = |headers: &http::HeaderMap| {
            headers.get("grpc-status").and_then(|s| s.to_str().ok()).map(str::to_owned)
        };
        if let Some(response) = self.response.take() {
            let response = response.await.ok()?;
            let at_once = from(response.headers());
            self.responses = Some(response.into_body());
            if at_once.is_some() {
                return at_once;
            }
        }
        while self.next().await.is_some() {}
        let trailers = self.responses.as_mut()?.trailers().await.ok()??;
        from(&trailers)
    }
}

/// The message as gRPC writes it: not compressed, the length, the bytes.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).expect("a message is shorter than 4 GiB"));
    message.encode(&mut frame).expect("there is room");
    frame.freeze()
}

/// Takes one whole message out of `buffer`, if there is one.
fn unframed(buffer: &mut BytesMut) -> Option<Bytes> {
    let length = u32::from_be_bytes(buffer.get(1..5)?.try_into().ok()?);
    let length = usize::try_from(length).ok()?;
    if buffer.len() < 5 + length {
        return None;
    }
    buffer.advance(5);
    Some(buffer.split_to(length).freeze())
}

/// What a client knows of a response that it must answer.
pub(crate) struct Heard {
    pub(crate) type_url: String,
    pub(crate) version: String,
    pub(crate) nonce: String,
    pub(crate) resources: Vec<Bytes>,
}

impl Heard {
    /// Reads a message of that protocol; `None` if it is not one.
    pub(crate) fn read(protocol: Protocol, message: Bytes) -> Option<Self> {
        match protocol {
            Protocol::Sotw => {
                let r = proto::DiscoveryResponse::decode(message).ok()?;
                let (version, resources) = (r.version_info, r.resources);
                Some(Self { type_url: r.type_url, version, nonce: r.nonce, resources })
            }
            Protocol::Delta => {
                let r = proto::DeltaDiscoveryResponse::decode(message).ok()?;
                let (version, resources) = (r.system_version_info, r.resources);
                Some(Self { type_url: r.type_url, version, nonce: r.nonce, resources })
            }
        }
    }

    /// The request that accepts it, from a client that names `names`.
    pub(crate) fn ack(&self, protocol: Protocol, names: &[String]) -> Bytes {
        match protocol {
            Protocol::Sotw => framed(&proto::DiscoveryRequest {
                version_info: self.version.clone(),
                resource_names: names.to_vec(),
                type_url: self.type_url.clone(),
                response_nonce: self.nonce.clone(),
                ..proto::DiscoveryRequest::default()
            }),
            Protocol::Delta => framed(&proto::DeltaDiscoveryRequest {
                type_url: self.type_url.clone(),
                response_nonce: self.nonce.clone(),
                ..proto::DeltaDiscoveryRequest::default()
            }),
        }
    }
}

/// A first request of a type, from the node of that id.
pub(crate) fn first_request(
    protocol: Protocol,
    node_id: &str,
    resource_type: ResourceType,
    names: &[String],
) -> Bytes {
    let node = proto::Node { id: node_id.to_owned(), ..proto::Node::default() };
    let node = Some(Bytes::from(node.encode_to_vec()));
    let type_url = resource_type.type_url().to_owned();
    match protocol {
        Protocol::Sotw => framed(&proto::DiscoveryRequest {
            node,
            resource_names: names.to_vec(),
            type_url,
            ..proto::DiscoveryRequest::default()
        }),
        Protocol::Delta => framed(&proto::DeltaDiscoveryRequest {
            node,
            resource_names_subscribe: names.to_vec(),
            type_url,
            ..proto::DeltaDiscoveryRequest::default()
        }),
    }
}

/// A first request of a type in delta, from a node that has some of it from before.
pub(crate) fn resumption(
    node_id: &str,
    resource_type: ResourceType,
    names: &[String],
    held: BTreeMap<String, String>,
) -> Bytes {
    let node = proto::Node { id: node_id.to_owned(), ..proto::Node::default() };
    framed(&proto::DeltaDiscoveryRequest {
        node: Some(Bytes::from(node.encode_to_vec())),
        resource_names_subscribe: names.to_vec(),
        type_url: resource_type.type_url().to_owned(),
        initial_resource_versions: held,
        ..proto::DeltaDiscoveryRequest::default()
    })
}
