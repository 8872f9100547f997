//! Following events: each once, in order; or being told that this is not possible.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{EventLog, Found};
use crate::error::{Error, Result};
use crate::model::{Event, EventCursor, ResetReason};

/// How many events a follower is given at a time.
const MOST: usize = 256;
/// After how long to try again what the database did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// What a follower is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// What came next.
    Event(Arc<Event>),
    /// That something before this is not told.
    Reset(Reset),
}

/// That a follower has to look for itself how things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// Why.
    pub reason: ResetReason,
    /// From where it goes on: whoever looks after this misses nothing.
    pub cursor: EventCursor,
}

struct Follower {
    log: Arc<EventLog>,
    news: watch::Receiver<u64>,
    /// What was queued or told last.
    at: EventCursor,
    queue: VecDeque<Told>,
}

impl EventLog {
    /// What comes after a cursor, or from now on: then, and where the cursor is not good
    /// (any more), a [`Reset`] comes first.
    pub async fn follow(
        self: &Arc<Self>,
        after: Option<EventCursor>,
    ) -> Result<impl Stream<Item = Told> + Send + use<>> {
        // Subscribed before the first look, so there is no gap. The look is one that
        // whoever has a good cursor is in.
        let news = self.news.subscribe();
        self.look().await?;
        let ends = self.ends().ok_or_else(|| Error::internal("there is no event log"))?;
        let at = after.unwrap_or(ends.end());
        let mut follower = Follower { log: Arc::clone(self), news, at, queue: VecDeque::new() };
        let lost = after.map_or(Some(ResetReason::NoCursor), |after| ends.lost_since(after));
        if let Some(reason) = lost {
            follower.reset(reason, ends.end());
        }
        Ok(stream::unfold(follower, |mut follower| async move {
            let told = follower.next().await?;
            Some((told, follower))
        }))
    }
}

impl Follower {
    async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(told) = self.queue.pop_front() {
                return Some(told);
            }
            self.news.borrow_and_update();
            let found = self.log.ring.read().after(self.at, MOST);
            match found {
                Found::Next(events) if events.is_empty() => self.news.changed().await.ok()?,
                Found::Next(events) => self.queue(events),
                Found::Lost(reason) => self.lose(reason),
                Found::Older(last) => {
                    if !self.has_read(last).await {
                        sleep(RETRY).await;
                    }
                }
            }
        }
    }

    /// As [`Follower::read`]; whether that went well.
    async fn has_read(&mut self, last: i64) -> bool {
        let read = self.read(last).await;
        if let Err(e) = &read {
            let error = e as &dyn std::error::Error;
            tracing::warn!(error, "cannot read events; trying again");
        }
        read.is_ok()
    }

    /// Reads what is older than the ring, up to the number `last`.
    async fn read(&mut self, last: i64) -> Result<()> {
        let tx = self.log.store.read().await?;
        let ends = tx.event_log().await?;
        if let Some(reason) = ends.lost_since(self.at) {
            drop(tx);
            // So that it goes on after what is gone.
            self.log.look().await?;
            self.lose(reason);
            return Ok(());
        }
        let events = tx.events_after(self.at.seq, MOST as u64).await?;
        let known = events.into_iter().filter(|event| event.cursor.seq <= last);
        self.queue(known.map(Arc::new).collect());
        Ok(())
    }

    fn queue(&mut self, events: Vec<Arc<Event>>) {
        if let Some(newest) = events.last() {
            self.at = newest.cursor;
        }
        self.queue.extend(events.into_iter().map(Told::Event));
    }

    fn lose(&mut self, reason: ResetReason) {
        if let Some(ends) = self.log.ends() {
            self.reset(reason, ends.end());
        }
    }

    fn reset(&mut self, reason: ResetReason, cursor: EventCursor) {
        self.at = cursor;
        self.queue.push_back(Told::Reset(Reset { reason, cursor }));
    }
}
