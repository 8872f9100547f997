//! gRPC frames, in and out, without a copy where one can be avoided.
//!
//! Not tonic's codecs: those keep two buffers of 8 kB for each stream, and copy
//! every response into one of them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame};
use marchproxy_proto as proto;
use prost::Message as _;
use tokio_stream::Stream;
use tonic::Status;

use super::DiscoveryService;
use super::said::Said;
use super::unread::Share;
use crate::drive::Drive;
use crate::session::Request;
use crate::{Protocol, Source};

/// A flag and a length.
const PREFIX: usize = 5;

/// The requests in the body of a call.
pub(super) struct Requests<B> {
    body: B,
    service: DiscoveryService,
    protocol: Protocol,
    largest: usize,
    /// What has come and was not read.
    chunk: Bytes,
    /// The start of a message that did not come in one piece.
    partial: BytesMut,
    /// What that takes of the memory that there is for all.
    share: Share,
    said: Said,
}

/// The responses of a call, as a body.
pub(super) struct Responses<S, R> {
    drive: Option<Drive<S, R>>,
    /// The second part of a frame.
    rest: Option<Bytes>,
}

impl<B> Requests<B> {
    pub(super) fn new(
        body: B,
        service: DiscoveryService,
        protocol: Protocol,
        largest: usize,
        share: Share,
    ) -> Self {
        let (chunk, partial) = (Bytes::new(), BytesMut::new());
        Self { body, service, protocol, largest, chunk, partial, share, said: Said::default() }
    }

    /// The next message, if all of it has come.
    fn message(&mut self) -> Result<Option<Bytes>, Status> {
        if self.partial.is_empty() {
            let Some(length) = self.length(&self.chunk)? else {
                self.partial.extend_from_slice(&std::mem::take(&mut self.chunk));
                return Ok(None); // a few bytes
            };
            if self.chunk.len() >= PREFIX + length {
                self.chunk.advance(PREFIX);
                return Ok(Some(self.chunk.split_to(length)));
            }
        }
        self.partial.extend_from_slice(&std::mem::take(&mut self.chunk));
        let Some(length) = self.length(&self.partial)? else { return Ok(None) };
        if self.partial.len() < PREFIX + length {
            self.share.keep(self.partial.len())?;
            return Ok(None);
        }
        self.share.keep(0)?;
        let mut whole = std::mem::take(&mut self.partial).freeze();
        whole.advance(PREFIX);
        let message = whole.split_to(length);
        self.chunk = whole;
        Ok(Some(message))
    }

    /// How long the message is that begins here, once that has come.
    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, Status> {
        let Some((&[flag, a, b, c, d], _)) = bytes.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        if flag != 0 {
            return Err(Status::unimplemented("requests must not be compressed"));
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > self.largest {
            let largest = self.largest;
            let message = format!("a request of {length} bytes is larger than {largest}");
            return Err(Status::resource_exhausted(message));
        }
        Ok(Some(length))
    }

    fn read(&mut self, message: Bytes) -> Result<Request, Status> {
        let unreadable =
            |error| Status::invalid_argument(format!("the request cannot be read: {error}"));
        Ok(match self.protocol {
            Protocol::Sotw => {
                let is_alone = self.service != DiscoveryService::Aggregated;
                let mut request = self.said.read(message, is_alone).map_err(unreadable)?;
                if let Request::Sotw(request) | Request::Again(request) = &mut request {
                    self.service.settle_type(&mut request.type_url)?;
                }
                request
            }
            Protocol::Delta => {
                let mut request =
                    proto::DeltaDiscoveryRequest::decode(message).map_err(unreadable)?;
                self.service.settle_type(&mut request.type_url)?;
                Request::Delta(request)
            }
        })
    }
}

impl<B> Stream for Requests<B>
where
    B: Body + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Item = Result<Request, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if !self.chunk.is_empty()
                && let Some(message) = self.message()?
            {
                return Poll::Ready(Some(self.read(message)));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(mut data) = frame.into_data() {
                        self.chunk = data.copy_to_bytes(data.remaining());
                    }
                }
                // The client has gone away; that is no fault of anybody's.
                Some(Err(_)) | None => return Poll::Ready(None),
            }
        }
    }
}

impl<S, R> Responses<S, R> {
    pub(super) fn new(drive: Drive<S, R>) -> Self {
        Self { drive: Some(drive), rest: None }
    }
}

impl<S, R> Body for Responses<S, R>
where
    S: Source,
    R: Stream<Item = Result<Request, Status>> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(rest) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        let Some(drive) = &mut self.drive else { return Poll::Ready(None) };
        let status = match ready!(drive.poll_response(cx)) {
            Some(Ok(response)) => {
                let (own, shared) = response.frame();
                self.rest = Some(shared).filter(|shared| !shared.is_empty());
                return Poll::Ready(Some(Ok(Frame::data(own))));
            }
            Some(Err(status)) => status,
            None => Status::ok(""),
        };
        self.drive = None; // the observer goes before the client is told
        Poll::Ready(Some(Ok(Frame::trailers(trailers(&status)))))
    }

    fn is_end_stream(&self) -> bool {
        self.drive.is_none() && self.rest.is_none()
    }
}

/// How a stream ends.
fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        // Only a message that no header can carry, which tonic encodes away.
        trailers.insert("grpc-status", i32::from(status.code()).into());
    }
    trailers
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use proptest::prelude::*;
    use tokio_stream::StreamExt as _;

    use super::*;
    use crate::ResourceType;
    use crate::services::unread::Unread;

    /// A body that comes in these pieces.
    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn requests(pieces: VecDeque<Bytes>) -> Requests<Pieces> {
        sharing(pieces, 1000, Unread::default().share(0))
    }

    fn sharing(pieces: VecDeque<Bytes>, largest: usize, share: Share) -> Requests<Pieces> {
        let service = DiscoveryService::Aggregated;
        Requests::new(Pieces(pieces), service, Protocol::Delta, largest, share)
    }

    fn frame(names: usize) -> Vec<u8> {
        let request = proto::DeltaDiscoveryRequest {
            type_url: ResourceType::Endpoint.type_url().into(),
            resource_names_subscribe: (0..names).map(|index| index.to_string()).collect(),
            ..Default::default()
        };
        let message = request.encode_to_vec();
        let length = u32::try_from(message.len()).expect("short");
        [&[0][..], &length.to_be_bytes(), &message].concat()
    }

    proptest! {
        #[test]
        fn messages_are_found_however_they_are_cut(
            counts in prop::collection::vec(0..20_usize, 0..6),
            cuts in prop::collection::vec(1..40_usize, 1..40),
        ) {
            let mut all: Bytes = counts.iter().flat_map(|count| frame(*count)).collect::<Vec<_>>().into();
            let mut pieces = VecDeque::new();
            for cut in cuts.iter().cycle() {
                if all.is_empty() {
                    break;
                }
                pieces.push_back(all.split_to((*cut).min(all.len())));
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let read: Vec<_> = runtime.block_on(requests(pieces).collect());
            let read: Vec<_> = read
                .into_iter()
                .map(|request| match request {
                    Ok(Request::Delta(request)) => request.resource_names_subscribe.len(),
                    other => panic!("{other:?}"),
                })
                .collect();
            prop_assert_eq!(read, counts);
        }
    }

    #[tokio::test]
    async fn large_requests_that_do_not_come_whole_are_bounded_together() {
        const LARGE: usize = 1 << 20;
        let unread = Unread::default();
        let start = || {
            let prefix: &[u8] = &[0, 0, 0x20, 0, 0]; // of 2 MiB, of which a half comes
            [Bytes::from_static(prefix), vec![0; LARGE].into()].into()
        };
        let share = || unread.share(LARGE);
        let waiting = |pieces| {
            let mut requests = sharing(pieces, 64 << 20, share());
            requests.body.0.pop_front().into_iter().for_each(|piece| requests.chunk = piece);
            assert!(requests.message().expect("it goes on").is_none());
            requests
        };
        let mut one = waiting(start());
        one.chunk = vec![0; LARGE].into();
        assert!(one.message().expect("there is room").is_none());
        let mut two = sharing(start(), 64 << 20, share());
        let refused = two.next().await.expect("an answer").expect_err("there is no room");
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        drop(two);
        one.chunk = vec![0; LARGE].into();
        assert_eq!(one.message().expect("it is whole").map(|whole| whole.len()), Some(2 * LARGE));
        let mut two = sharing(start(), 64 << 20, share());
        assert!(two.next().await.is_none(), "there is room again");
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused() {
        let table: [(&[u8], tonic::Code); 3] = [
            (&[1, 0, 0, 0, 0], tonic::Code::Unimplemented),
            (&[0, 0xff, 0, 0, 0], tonic::Code::ResourceExhausted),
            (&[0, 0, 0, 0, 1, 0xff], tonic::Code::InvalidArgument),
        ];
        for (bytes, code) in table {
            let mut requests = requests([Bytes::copy_from_slice(bytes)].into());
            let refused = requests.next().await.expect("an answer").expect_err("no request");
            assert_eq!(refused.code(), code, "{bytes:?}");
        }
    }
}
