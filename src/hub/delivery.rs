//! Proxies first: whoever only watches is told of a snapshot when those have taken it
//! that are to serve by it.
//!
//! All are woken by the same news, and on a busy machine a thousand watchers would be
//! served before the last proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How long watchers wait for proxies, which may be busy or stuck.
const PATIENCE: Duration = Duration::from_millis(50);

/// How many follow a group to serve by it.
#[derive(Clone, Debug, Default)]
pub(super) struct Takers(Arc<AtomicUsize>);

/// One who follows a group to serve by it, for as long as this is kept.
#[derive(Debug)]
pub(super) struct Taker(Takers);

/// How far one publication has come with them.
#[derive(Clone, Debug)]
pub(super) struct Delivery(Arc<Pending>);

#[derive(Debug)]
struct Pending {
    left: AtomicUsize,
    is_done: Notify,
    deadline: Instant,
}

impl Takers {
    pub(super) fn enter(&self) -> Taker {
        self.0.fetch_add(1, Ordering::Relaxed);
        Taker(self.clone())
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Delivery {
    /// Of a publication now, to those who are there.
    pub(super) fn to(takers: &Takers) -> Self {
        let left = AtomicUsize::new(takers.0.load(Ordering::Relaxed));
        let deadline = Instant::now() + PATIENCE;
        Self(Arc::new(Pending { left, is_done: Notify::new(), deadline }))
    }

    /// Takes note that one of them has it. Those who come later count as well: then
    /// watchers wait a little less.
    pub(super) fn take(&self) {
        let one_less = |left: usize| left.checked_sub(1);
        let left = &self.0.left;
        if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) == Ok(1) {
            self.0.is_done.notify_waiters();
        }
    }

    /// Comes when all of them have it, or it has taken long enough.
    pub(super) async fn done(&self) {
        let is_done = self.0.is_done.notified(); // it hears from here on
        if self.0.left.load(Ordering::Relaxed) > 0 {
            timeout_at(self.0.deadline, is_done).await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn watchers_wait_for_the_last_proxy_and_not_for_long() {
        let takers = Takers::default();
        assert!(Delivery::to(&takers).done().now_or_never().is_some(), "there is nobody");
        let both = [takers.enter(), takers.enter()];
        let delivery = Delivery::to(&takers);
        let mut done = Box::pin(delivery.done());
        assert!(done.as_mut().now_or_never().is_none());
        delivery.take();
        assert!(done.as_mut().now_or_never().is_none());
        delivery.take();
        assert!(done.as_mut().now_or_never().is_some());
        delivery.take(); // one that came later

        let (stuck, began) = (Delivery::to(&takers), Instant::now());
        stuck.done().await;
        assert_eq!(began.elapsed(), PATIENCE);
        assert!(stuck.done().now_or_never().is_some(), "it is late already");
        drop(both);
        assert!(Delivery::to(&takers).done().now_or_never().is_some());
    }
}
