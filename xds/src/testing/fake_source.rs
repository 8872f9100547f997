//! A source that a test publishes to by hand, and that remembers the news.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::WatchStream;

use crate::{Connection, Event, Hello, Observer, Snapshot, Source};

/// How long a test waits for what should come at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A source that gives the same snapshot to every client.
#[derive(Debug)]
pub struct FakeSource {
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    news: watch::Sender<Vec<News>>,
}

/// What a [`FakeSource`] was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A client with this node id connected.
    Connected(String),
    /// That happened on the stream of this node.
    Event(String, Event),
    /// The stream of this node ended.
    Ended(String),
}

impl Default for FakeSource {
    fn default() -> Self {
        Self { snapshots: watch::Sender::new(None), news: watch::Sender::new(Vec::new()) }
    }
}

impl FakeSource {
    /// Gives `snapshot` to all clients, from now on.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        self.snapshots.send_replace(Some(snapshot));
    }

    /// All news until now, in order.
    pub fn news(&self) -> Vec<News> {
        self.news.borrow().clone()
    }

    /// Waits until some news is such, at most twenty seconds.
    ///
    /// # Panics
    ///
    /// If nothing such comes; it then says what came.
    pub async fn wait_for(&self, is_such: impl Fn(&News) -> bool) {
        self.wait_until(|news| news.iter().any(&is_such)).await;
    }

    /// Waits until the news, all of it, is such, at most twenty seconds.
    ///
    /// # Panics
    ///
    /// If it never is; it then says what came.
    pub async fn wait_until(&self, is_such: impl Fn(&[News]) -> bool) {
        let mut news = self.news.subscribe();
        let wait = news.wait_for(|news| is_such(news));
        let is_there = tokio::time::timeout(PATIENCE, wait).await.is_ok();
        assert!(is_there, "no such news, only {:#?}", self.news());
    }
}

impl Source for FakeSource {
    async fn connect(&self, hello: Hello) -> Result<Connection, tonic::Status> {
        let teller = Teller { node: hello.node.id, news: self.news.clone() };
        teller.tell(News::Connected(teller.node.clone()));
        let snapshots = WatchStream::new(self.snapshots.subscribe()).filter_map(|latest| latest);
        Ok(Connection {
            snapshots: Box::pin(snapshots),
            observer: Box::new(teller),
            withheld: Vec::new(),
            tag: None,
        })
    }
}

struct Teller {
    node: String,
    news: watch::Sender<Vec<News>>,
}

impl Teller {
    fn tell(&self, news: News) {
        self.news.send_modify(|all| all.push(news));
    }
}

impl Observer for Teller {
    fn observe(&mut self, event: Event) {
        self.tell(News::Event(self.node.clone(), event));
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.tell(News::Ended(self.node.clone()));
    }
}
