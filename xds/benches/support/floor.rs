//! The floor: a server that writes one frame to each stream and drops the answers.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use marchproxy_proto as proto;
use marchproxy_xds::{Protocol, ResourceType};
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::mark;
use super::raw::framed;
use super::tally::Tally;

/// What every stream is sent in one round.
#[derive(Clone)]
pub(crate) struct Burst {
    pub(crate) frame: Bytes,
    /// How often.
    pub(crate) frames: usize,
}

/// A response of `bytes` bytes (or a little more) with the mark of the round.
pub(crate) fn burst(protocol: Protocol, round: u64, bytes: usize, frames: usize) -> Burst {
    let type_url = ResourceType::Endpoint.type_url().to_owned();
    let frame = |padding: usize| {
        let value = Bytes::from(format!("{}{}", "x".repeat(padding), mark(round)));
        let any = proto::Any { type_url: type_url.clone(), value };
        let (version, nonce) = (format!("{round:032}"), format!("{round:08x}"));
        let any = Bytes::from(any.encode_to_vec());
        match protocol {
            Protocol::Sotw => framed(&proto::DiscoveryResponse {
                version_info: version,
                resources: vec![any],
                type_url: type_url.clone(),
                nonce,
                ..proto::DiscoveryResponse::default()
            }),
            Protocol::Delta => {
                let name = "service-00000".to_owned();
                let resource = proto::Resource {
                    version: version.clone(),
                    resource: Some(any),
                    name,
                    ..proto::Resource::default()
                };
                framed(&proto::DeltaDiscoveryResponse {
                    system_version_info: version,
                    resources: vec![resource.encode_to_vec().into()],
                    type_url: type_url.clone(),
                    nonce,
                    ..proto::DeltaDiscoveryResponse::default()
                })
            }
        }
    };
    let least = frame(0).len();
    Burst { frame: frame(bytes.saturating_sub(least)), frames }
}

/// Serves until it is dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    bursts: watch::Sender<Burst>,
    tally: Arc<Tally>,
) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (socket, _) = accepted.expect("it accepts");
                let (bursts, tally) = (bursts.subscribe(), tally.clone());
                connections.spawn(async move { drop(connection(socket, bursts, tally).await) });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(
    socket: TcpStream,
    bursts: watch::Receiver<Burst>,
    tally: Arc<Tally>,
) -> Result<(), h2::Error> {
    socket.set_nodelay(true).map_err(|_| h2::Reason::INTERNAL_ERROR)?;
    let mut connection = h2::server::handshake(socket).await?;
    let mut streams = JoinSet::new();
    while let Some(accepted) = connection.accept().await {
        let (request, mut respond) = accepted?;
        let response = http::Response::builder()
            .header("content-type", "application/grpc")
            .body(())
            .expect("it is a response");
        let responses = respond.send_response(response, false)?;
        let (bursts, tally) = (bursts.clone(), tally.clone());
        streams.spawn(async move { drop(stream(request, responses, bursts, tally).await) });
    }
    Ok(())
}

async fn stream(
    request: http::Request<h2::RecvStream>,
    mut responses: h2::SendStream<Bytes>,
    mut bursts: watch::Receiver<Burst>,
    tally: Arc<Tally>,
) -> Result<(), h2::Error> {
    let mut requests = request.into_body();
    let mut answers = Answers::default();
    bursts.mark_changed();
    // The first message is no answer.
    let mut awaited = 1;
    loop {
        tokio::select! {
            data = requests.data() => {
                let Some(data) = data.transpose()? else { return Ok(()) };
                requests.flow_control().release_capacity(data.len())?;
                for _ in 0..answers.count(&data) {
                    awaited -= 1;
                    if awaited == 0 {
                        tally.add();
                    }
                }
            }
            changed = bursts.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                let burst = bursts.borrow_and_update().clone();
                awaited += i64::try_from(burst.frames).expect("a few");
                for _ in 0..burst.frames {
                    responses.send_data(burst.frame.clone(), false)?;
                }
            }
        }
    }
}

/// Counts gRPC messages without keeping them.
#[derive(Default)]
struct Answers {
    header: Vec<u8>,
    rest: usize,
}

impl Answers {
    fn count(&mut self, mut data: &[u8]) -> usize {
        let mut ended = 0;
        while !data.is_empty() {
            if self.rest == 0 {
                self.header.push(data[0]);
                data = &data[1..];
                let Ok([_, length @ ..]) = <[u8; 5]>::try_from(&*self.header) else { continue };
                self.header.clear();
                self.rest = u32::from_be_bytes(length) as usize;
            } else {
                let taken = self.rest.min(data.len());
                self.rest -= taken;
                data = &data[taken..];
            }
            ended += usize::from(self.rest == 0 && self.header.is_empty());
        }
        ended
    }
}
