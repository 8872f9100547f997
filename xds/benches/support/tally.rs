//! Counts the streams that have answered.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// How many of the streams are done with the round of now.
#[derive(Debug)]
pub(crate) struct Tally {
    streams: usize,
    revision: AtomicU64,
    done: AtomicUsize,
    all: Notify,
}

impl Tally {
    /// Waits for so many streams in each round, the first of which makes revision 1.
    pub(crate) fn new(streams: usize) -> Self {
        let (revision, done) = (AtomicU64::new(1), AtomicUsize::new(0));
        Self { streams, revision, done, all: Notify::new() }
    }

    /// Starts the round that makes this revision.
    pub(crate) fn start(&self, revision: u64) {
        self.done.store(0, Ordering::SeqCst);
        self.revision.store(revision, Ordering::SeqCst);
    }

    /// Counts one stream, if it is done with the round of now.
    pub(crate) fn add_at(&self, revision: u64) {
        if self.revision.load(Ordering::SeqCst) == revision {
            self.add();
        }
    }

    /// Counts one stream.
    pub(crate) fn add(&self) {
        if self.done.fetch_add(1, Ordering::SeqCst) + 1 == self.streams {
            self.all.notify_one();
        }
    }

    /// Waits until all streams are done.
    pub(crate) async fn all(&self) {
        while self.done.load(Ordering::SeqCst) < self.streams {
            self.all.notified().await;
        }
    }
}
