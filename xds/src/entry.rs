//! The way in: how many streams are given their first response at once.
//!
//! After a restart all clients come at the same time. What they are sent is encoded
//! once, but each has to be compared with what there is, and written. So they go in
//! one after the other, a number of them at a time: the next one goes in when what
//! one of them was sent has been taken by the transport.
//! <https://github.com/istio/istio/issues/35263> is what happens otherwise.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_util::sync::PollSemaphore;

use crate::{Request, Settings, Snapshot};

/// Where streams wait for each other.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    places: Arc<Semaphore>,
    patience: Duration,
}

/// A stream that has not had its first response.
pub(crate) struct Entry {
    places: PollSemaphore,
    patience: Duration,
    /// Runs while it waits.
    wait: Option<Pin<Box<Sleep>>>,
    /// Given back when the entry is dropped.
    place: Option<OwnedSemaphorePermit>,
    /// Whether it need not wait any more.
    is_in: bool,
    /// Whether its client says that it holds something already.
    returns: bool,
    /// What it is to begin with.
    first: Option<Arc<Snapshot>>,
    has_begun: bool,
}

impl Door {
    pub(crate) fn new(settings: &Settings) -> Self {
        let places = settings.first_responses.clamp(1, Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), patience: settings.first_response_wait }
    }

    /// The entry of a client that says this first.
    pub(crate) fn entry(&self, first: &Request) -> Entry {
        let returns = match first {
            Request::Sotw(_) | Request::Again(_) => false, // it is sent all of it anyway
            Request::Delta(request) => !request.initial_resource_versions.is_empty(),
        };
        Entry {
            places: PollSemaphore::new(Arc::clone(&self.places)),
            patience: self.patience,
            wait: None,
            place: None,
            is_in: false,
            returns,
            first: None,
            has_begun: false,
        }
    }
}

impl Entry {
    /// Takes the snapshot to begin with, in place of an older one.
    pub(crate) fn put(&mut self, snapshot: Arc<Snapshot>) {
        self.first = Some(snapshot);
    }

    /// The snapshot to begin with, if there is one and it is this stream's turn.
    ///
    /// A client that comes back need not wait for that: it may hold everything.
    pub(crate) fn poll_begin(&mut self, cx: &mut Context<'_>) -> Option<Arc<Snapshot>> {
        if self.first.is_none() || (!self.returns && self.poll_place(cx).is_pending()) {
            return None;
        }
        self.has_begun = true;
        self.first.take()
    }

    /// Whether all that it had to begin with is made.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether something may be sent to the client.
    ///
    /// Nobody waits for ever: those before may be clients that do not read.
    pub(crate) fn poll_place(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_in {
            return Poll::Ready(());
        }
        if let Poll::Ready(place) = self.places.poll_acquire(cx) {
            self.place = place;
            self.is_in = true;
        } else {
            let patience = self.patience;
            let wait = self.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
            self.is_in = wait.as_mut().poll(cx).is_ready();
        }
        if self.is_in {
            self.wait = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use marchproxy_proto as proto;
    use tokio_stream::Stream;
    use tokio_util::sync::CancellationToken;
    use tonic::Status;

    use crate::drive::{Call, Caller, Drive};
    use crate::streams::Streams;
    use crate::testing::{FakeSource, News, cluster, endpoint, snapshot};
    use crate::{
        CallInfo, Clients, DiscoveryService, Event, Protocol, Resource, ResourceType, Response,
    };

    use super::*;

    const WAIT: Duration = Duration::from_secs(5);

    type Requests = Pin<Box<dyn Stream<Item = Result<Request, Status>> + Send>>;

    /// Many streams of one server, polled by hand.
    struct Crowd {
        source: Arc<FakeSource>,
        settings: Arc<Settings>,
        door: Door,
    }

    impl Crowd {
        fn new(places: usize) -> Self {
            let settings = Settings {
                first_responses: places,
                first_response_wait: WAIT,
                ..Settings::default()
            };
            let door = Door::new(&settings);
            let source = Arc::new(FakeSource::default());
            source.publish(snapshot(1, all()));
            Self { source, settings: Arc::new(settings), door }
        }

        /// A stream that asks for all clusters, holding these, and says nothing else.
        fn stream(&self, id: &str, held: &[Resource]) -> Drive<FakeSource, Requests> {
            let node = proto::Node { id: id.to_owned(), ..proto::Node::default() };
            let held = held.iter().map(|r| (r.name().to_string(), r.version().to_string()));
            let request = Request::Delta(proto::DeltaDiscoveryRequest {
                node: Some(prost::Message::encode_to_vec(&node).into()),
                type_url: ResourceType::Cluster.type_url().to_owned(),
                initial_resource_versions: held.collect(),
                ..proto::DeltaDiscoveryRequest::default()
            });
            let requests = tokio_stream::StreamExt::chain(
                tokio_stream::once(Ok(request)),
                tokio_stream::pending(),
            );
            Drive::new(Caller {
                source: Arc::clone(&self.source),
                stop: CancellationToken::new(),
                settings: Arc::clone(&self.settings),
                protocol: Protocol::Delta,
                call: Call::new(DiscoveryService::Aggregated, CallInfo::default()),
                requests: Box::pin(requests) as Requests,
                seat: Streams::default().take(None, &self.settings).expect("a place"),
                door: self.door.clone(),
                clients: Clients::default(),
            })
        }
    }

    fn all() -> [Resource; 2] {
        [cluster("a", "1"), endpoint("a", "1")]
    }

    /// What a transport gets that asks for the next response, if there is one by now.
    async fn ask(stream: &mut Drive<FakeSource, Requests>) -> Option<Response> {
        let next = poll_fn(|cx| match stream.poll_response(cx) {
            Poll::Ready(next) => Poll::Ready(Some(next)),
            Poll::Pending => Poll::Ready(None),
        });
        next.await.map(|next| next.expect("the stream is open").expect("it is in order"))
    }

    #[tokio::test]
    async fn c44_no_more_first_responses_are_under_way_than_there_are_places() {
        let crowd = Crowd::new(2);
        let mut streams: Vec<_> = (0..10).map(|n| crowd.stream(&n.to_string(), &[])).collect();
        let mut got = Vec::new();
        for stream in &mut streams {
            got.push(ask(stream).await.is_some());
        }
        assert_eq!(got.iter().filter(|got| **got).count(), 2, "{got:?}");
        assert_eq!(got[..2], [true, true], "who comes first is served first");
        let built = |news: &News| matches!(news, News::Event(_, Event::Sent { .. }));
        assert_eq!(crowd.source.news().iter().filter(|news| built(news)).count(), 2);
    }

    #[tokio::test]
    async fn c44_a_place_is_free_once_the_transport_has_taken_what_it_was_given() {
        let crowd = Crowd::new(1);
        let mut streams: Vec<_> = (0..4).map(|n| crowd.stream(&n.to_string(), &[])).collect();
        for stream in &mut streams {
            ask(stream).await;
        }
        for index in 0..3 {
            let (before, after) = streams.split_at_mut(index + 1);
            assert!(ask(&mut after[0]).await.is_none(), "{index} is still under way");
            assert!(ask(&mut before[index]).await.is_none(), "it has had it all");
            for later in &mut after[1..] {
                assert!(ask(later).await.is_none(), "nobody overtakes");
            }
            assert!(ask(&mut after[0]).await.is_some(), "the next in the line");
        }
    }

    #[tokio::test]
    async fn c44_a_stream_that_ends_leaves_its_place_and_its_place_in_the_line() {
        let crowd = Crowd::new(1);
        let [mut one, mut two, mut three] = ["1", "2", "3"].map(|id| crowd.stream(id, &[]));
        assert!(ask(&mut one).await.is_some());
        assert!(ask(&mut two).await.is_none());
        assert!(ask(&mut three).await.is_none());
        drop(two);
        drop(one);
        assert!(ask(&mut three).await.is_some());
    }

    #[tokio::test]
    async fn c44_who_holds_everything_does_not_wait_and_takes_no_place() {
        let crowd = Crowd::new(1);
        let mut one = crowd.stream("1", &[]);
        assert!(ask(&mut one).await.is_some());
        let mut back = crowd.stream("back", &all()[..1]);
        assert!(ask(&mut back).await.is_none(), "there is nothing to be sent");
        let accepted = |news: &News| match news {
            News::Event(id, Event::Acked { .. }) => id == "back",
            News::Event(..) | News::Connected(_) | News::Ended(_) => false,
        };
        assert!(crowd.source.news().iter().any(accepted), "but it was served");

        let mut old = crowd.stream("old", &[cluster("a", "of long ago")]);
        assert!(ask(&mut old).await.is_none(), "there is something to be sent: it waits");
        assert!(ask(&mut one).await.is_none());
        assert!(ask(&mut old).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn c44_nobody_waits_for_ever_for_clients_that_do_not_read() {
        let crowd = Crowd::new(1);
        let [mut stuck, mut other] = ["stuck", "other"].map(|id| crowd.stream(id, &[]));
        assert!(ask(&mut stuck).await.is_some());
        assert!(ask(&mut other).await.is_none());
        tokio::time::advance(WAIT + Duration::from_millis(1)).await;
        assert!(ask(&mut other).await.is_some());
    }

    #[tokio::test]
    async fn c44_who_waits_begins_with_the_latest() {
        let crowd = Crowd::new(1);
        let [mut one, mut two] = ["1", "2"].map(|id| crowd.stream(id, &[]));
        assert!(ask(&mut one).await.is_some());
        assert!(ask(&mut two).await.is_none());
        crowd.source.publish(snapshot(2, [cluster("a", "2"), endpoint("a", "1")]));
        assert!(ask(&mut two).await.is_none());
        assert!(ask(&mut one).await.is_none(), "its answer is awaited");
        let response = ask(&mut two).await.expect("its turn");
        let received = crate::testing::Received::read(&response);
        assert_eq!(received.find("a").map(|a| a.content()).as_deref(), Some("2"));
    }

    #[tokio::test]
    async fn c44_who_waits_for_a_snapshot_takes_no_place() {
        let crowd = Crowd::new(1);
        let empty = Crowd { source: Arc::default(), door: crowd.door.clone(), ..Crowd::new(1) };
        let mut early = empty.stream("early", &[]);
        assert!(ask(&mut early).await.is_none());
        assert!(ask(&mut crowd.stream("other", &[])).await.is_some());
    }
}
