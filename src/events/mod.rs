//! Floor 2: the newest events of the log, and who follows them.
//!
//! The table is the truth. One look at a time brings what is new there into a ring in
//! memory; a follower reads from the ring, and from the table what is older. So a
//! thousand followers cost one query, and one that is slow costs its own alone. A
//! channel only says "look again": who lags has lost nothing, as long as it is kept.

mod follow;

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;
use rand::Rng as _;
use rand::distr::Alphanumeric;
use tokio::sync::watch;

use crate::error::Result;
use crate::model::{Event, EventCursor, LogEnds, ResetReason};
use crate::store::Store;

pub use follow::{Reset, Told};

/// How many events the ring holds. One takes about a kilobyte.
const RING: i64 = 8192;
/// How many are read at a time.
const PAGE: u64 = 1000;

/// The events of a database.
#[derive(Debug)]
pub struct EventLog {
    store: Store,
    instance: String,
    ring: RwLock<Ring>,
    /// How often the ring has changed.
    news: watch::Sender<u64>,
    looking: tokio::sync::Mutex<()>,
}

/// The newest events, as of the last look.
#[derive(Debug, Default)]
struct Ring {
    ends: Option<LogEnds>,
    /// Up to the end, without holes.
    events: VecDeque<Arc<Event>>,
}

/// What a ring has for who has seen everything up to a cursor.
enum Found {
    /// What came next; nothing if there is none.
    Next(Vec<Arc<Event>>),
    /// It is older: up to this number it is in the table.
    Older(i64),
    /// There is no going on.
    Lost(ResetReason),
}

impl EventLog {
    /// The log of a database. Empty until it is looked at.
    pub fn new(store: Store) -> Arc<Self> {
        let random = rand::rng().sample_iter(Alphanumeric).take(12);
        Arc::new(Self {
            store,
            instance: random.map(char::from).collect(),
            ring: RwLock::default(),
            news: watch::Sender::new(0),
            looking: tokio::sync::Mutex::default(),
        })
    }

    /// Tells this process from all others, also from itself before a restart.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Brings what is new in the database to who follows.
    pub async fn look(&self) -> Result<()> {
        let _alone = self.looking.lock().await;
        loop {
            let tx = self.store.read().await?;
            let ends = tx.event_log().await?;
            let from = self.ring.read().next(ends);
            let events = if from < ends.last { tx.events_after(from, PAGE).await? } else { vec![] };
            drop(tx);
            let is_done =
                events.is_empty() || events.last().is_some_and(|e| e.cursor.seq == ends.last);
            let is_news = self.ring.write().take(ends, from, events);
            self.news.send_if_modified(|changes| {
                *changes += u64::from(is_news);
                is_news
            });
            if is_done {
                return Ok(());
            }
        }
    }

    /// The log as of the last look; none before the first.
    fn ends(&self) -> Option<LogEnds> {
        self.ring.read().ends
    }
}

impl Ring {
    /// After which number to read, if the log has these ends by now.
    fn next(&self, ends: LogEnds) -> i64 {
        let oldest = (ends.first - 1).max(ends.last - RING);
        let of_log = self.ends.filter(|old| old.log == ends.log);
        let last = of_log.map(|old| old.last).filter(|last| (oldest..=ends.last).contains(last));
        last.unwrap_or(oldest)
    }

    /// Takes in what was read after the number `from`, and says whether that is news.
    fn take(&mut self, ends: LogEnds, from: i64, events: Vec<Event>) -> bool {
        let before = self.ends;
        if before.is_none_or(|old| (old.log, old.last) != (ends.log, from)) {
            self.events.clear();
        }
        let last = match events.last() {
            Some(newest) => newest.cursor.seq,
            // Nothing was read: there is nothing more, or nothing is kept.
            None => ends.last,
        };
        self.events.extend(events.into_iter().map(Arc::new));
        let surplus = self.events.len().saturating_sub(usize::try_from(RING).unwrap_or(usize::MAX));
        self.events.drain(..surplus);
        self.ends = Some(LogEnds { last, ..ends });
        before != self.ends
    }

    fn after(&self, at: EventCursor, most: usize) -> Found {
        let Some(ends) = self.ends else { return Found::Next(vec![]) };
        if at.log != ends.log || at.seq > ends.last {
            return Found::Lost(ResetReason::OtherLog);
        }
        if at.seq == ends.last {
            return Found::Next(vec![]);
        }
        let oldest = self.events.front().map_or(ends.last + 1, |oldest| oldest.cursor.seq);
        match usize::try_from(at.seq + 1 - oldest) {
            Ok(seen) => Found::Next(self.events.iter().skip(seen).take(most).cloned().collect()),
            Err(_) => Found::Older(ends.last),
        }
    }
}

#[cfg(test)]
mod tests;
