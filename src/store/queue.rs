//! Waiting for a connection, in a queue that knows whether it moves.
//!
//! Many who come at once are served one after the other: that is no reason to
//! refuse any. That the database does not answer is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::{DatabaseConnection, DbErr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, interval};

use super::failure::late;

/// How long to wait in a queue.
struct Patience {
    /// While nobody is answered.
    standstill: Duration,
    /// At the most.
    longest: Duration,
    /// How often to look whether it moves.
    look: Duration,
}

const PATIENCE: Patience = Patience {
    standstill: Duration::from_secs(8),
    longest: Duration::from_secs(30),
    look: Duration::from_secs(1),
};

/// Connections, and those who wait for one, first come, first served.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) db: DatabaseConnection,
    places: Arc<Semaphore>,
    pub(super) pulse: Pulse,
}

/// When the database last answered.
#[derive(Clone, Debug)]
pub(super) struct Pulse(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    start: Instant,
    /// When the last one was, in milliseconds since the start.
    last: AtomicU64,
    count: AtomicU64,
}

impl Queue {
    /// A queue for the connections of `db`, of which there are so many.
    pub(super) fn new(db: DatabaseConnection, connections: u32) -> Self {
        let places = Semaphore::new(usize::try_from(connections).unwrap_or(usize::MAX));
        Self { db, places: Arc::new(places), pulse: Pulse::new() }
    }

    /// Waits until a connection is one's own, for as long as the place is kept.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, DbErr> {
        self.place_within(PATIENCE).await
    }

    async fn place_within(&self, patience: Patience) -> Result<OwnedSemaphorePermit, DbErr> {
        let Patience { standstill, longest, look } = patience;
        let mut place = Box::pin(Arc::clone(&self.places).acquire_owned());
        let (began, mut look) = (Instant::now(), interval(look));
        loop {
            tokio::select! {
                biased;
                place = &mut place => return place.map_err(|_| late()),
                _ = look.tick() => {
                    let waited = began.elapsed();
                    if waited > longest || self.pulse.since().min(waited) > standstill {
                        return Err(late());
                    }
                }
            }
        }
    }
}

impl Pulse {
    fn new() -> Self {
        let (last, count) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Beats { start: Instant::now(), last, count }))
    }

    /// Takes note that the database has answered.
    pub(super) fn beat(&self) {
        let Beats { start, last, count } = &*self.0;
        count.fetch_add(1, Ordering::Relaxed);
        let now = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        last.fetch_max(now, Ordering::Relaxed);
    }

    /// How often it has answered.
    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }

    /// How long ago it last did.
    fn since(&self) -> Duration {
        let Beats { start, last, .. } = &*self.0;
        start.elapsed().saturating_sub(Duration::from_millis(last.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::Database;
    use tokio::time::sleep;

    use super::*;

    const SHORT: Patience = Patience {
        standstill: Duration::from_millis(400),
        longest: Duration::from_secs(30),
        look: Duration::from_millis(20),
    };

    async fn queue() -> Queue {
        Queue::new(Database::connect("sqlite::memory:").await.unwrap(), 1)
    }

    #[tokio::test]
    async fn who_waits_in_a_queue_that_moves_is_served() {
        let queue = queue().await;
        let first = queue.place().await.unwrap();
        let (second, ()) = tokio::join!(queue.place_within(SHORT), async {
            for _ in 0..20 {
                sleep(SHORT.standstill / 8).await;
                queue.pulse.beat();
            }
            drop(first);
        });
        assert!(second.is_ok());
    }

    #[tokio::test]
    async fn who_waits_in_one_that_stands_still_is_told() {
        let queue = queue().await;
        let _first = queue.place().await.unwrap();
        let began = Instant::now();
        assert!(queue.place_within(SHORT).await.is_err());
        assert!(began.elapsed() >= SHORT.standstill, "{:?}", began.elapsed());
    }
}
