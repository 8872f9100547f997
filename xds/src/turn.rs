//! Lets one task look after several things, and only after those that call for it.
//!
//! A task that polls all it has whenever it is woken is polled too often: what one
//! part does wakes another part of the same task, and so the task once more, behind
//! all others that wait for their turn. Here each part has a waker of its own. What is
//! called for during a turn is looked at in that turn, and nothing else is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// How often a turn begins anew before other tasks have theirs.
const MOST_ROUNDS: usize = 16;

/// The turns of one task that looks after so many parts, known by their places.
#[derive(Debug)]
pub(crate) struct Turns<const PARTS: usize> {
    bell: Arc<Bell>,
    wakers: [Waker; PARTS],
}

/// Rung for parts, and heard by a task.
#[derive(Debug)]
struct Bell {
    /// The parts that call, and [`RUNNING`].
    rung: AtomicU8,
    task: AtomicWaker,
}

/// The waker of one part.
struct Rope {
    bell: Arc<Bell>,
    part: u8,
}

/// The task has its turn, so it need not be woken.
const RUNNING: u8 = 1 << 7;

const fn bit(place: usize) -> u8 {
    assert!(place < 7, "the last bit is taken");
    1 << place
}

// === impl Turns ===

impl<const PARTS: usize> Turns<PARTS> {
    /// All parts call at first.
    pub(crate) fn new() -> Self {
        let parts: [u8; PARTS] = std::array::from_fn(bit);
        let all = parts.iter().fold(0, |all, part| all | part);
        let bell = Arc::new(Bell { rung: AtomicU8::new(all), task: AtomicWaker::new() });
        let waker = |part| Waker::from(Arc::new(Rope { bell: Arc::clone(&bell), part }));
        Self { wakers: parts.map(waker), bell }
    }

    /// Has `round` look at the parts that call, until none does or it is done.
    pub(crate) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut round: impl FnMut(&Self) -> Poll<T>,
    ) -> Poll<T> {
        self.bell.task.register(cx.waker());
        self.bell.rung.fetch_or(RUNNING, Ordering::AcqRel);
        for _ in 0..MOST_ROUNDS {
            let idle =
                self.bell.rung.compare_exchange(RUNNING, 0, Ordering::AcqRel, Ordering::Acquire);
            if idle.is_ok() {
                return Poll::Pending;
            }
            if let Poll::Ready(done) = round(self) {
                return Poll::Ready(done);
            }
        }
        self.bell.rung.fetch_and(!RUNNING, Ordering::AcqRel);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The context to poll the part in that place with, if it calls; which it does
    /// not any more then.
    pub(crate) fn take(&self, place: usize) -> Option<Context<'_>> {
        let part = bit(place);
        let calls = self.bell.rung.fetch_and(!part, Ordering::AcqRel) & part != 0;
        calls.then(|| Context::from_waker(&self.wakers[place]))
    }

    /// Has that part looked at.
    pub(crate) fn call(&self, place: usize) {
        self.wakers[place].wake_by_ref();
    }
}

impl Wake for Rope {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Whoever rang before has woken the task, or it is at it.
        if self.bell.rung.fetch_or(self.part, Ordering::AcqRel) == 0 {
            self.bell.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Count {
        fn get(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    /// The places that a turn looks at, each of which may do something.
    fn looked_at(
        turns: &Turns<2>,
        count: &Arc<Count>,
        mut act: impl FnMut(&Turns<2>, usize),
    ) -> Vec<usize> {
        let waker = Waker::from(Arc::clone(count));
        let mut seen = Vec::new();
        let turn = turns.poll(&mut Context::from_waker(&waker), |turns| {
            for place in 0..2 {
                if turns.take(place).is_some() {
                    seen.push(place);
                    act(turns, place);
                }
            }
            Poll::<()>::Pending
        });
        assert!(turn.is_pending());
        seen
    }

    #[test]
    fn only_what_calls_is_looked_at() {
        let (turns, count) = (Turns::<2>::new(), Arc::new(Count::default()));
        assert_eq!(looked_at(&turns, &count, |_, _| {}), [0, 1], "all at first");
        assert_eq!(looked_at(&turns, &count, |_, _| {}), [0; 0]);
        turns.call(1);
        turns.call(1);
        assert_eq!(count.get(), 1, "it is woken once");
        assert_eq!(looked_at(&turns, &count, |_, _| {}), [1]);
    }

    #[test]
    fn what_calls_during_a_turn_is_looked_at_in_that_turn() {
        let (turns, count) = (Turns::<2>::new(), Arc::new(Count::default()));
        looked_at(&turns, &count, |_, _| {});
        turns.call(1);
        let seen = looked_at(&turns, &count, |turns, place| {
            if place == 1 {
                turns.call(0);
            }
        });
        assert_eq!((seen, count.get()), (vec![1, 0], 1), "and the task is not woken for it");
        turns.call(0);
        assert_eq!(count.get(), 2, "but it is after the turn");
    }

    #[test]
    fn others_have_their_turn_even_if_there_is_always_something() {
        let (turns, count) = (Turns::<2>::new(), Arc::new(Count::default()));
        let seen = looked_at(&turns, &count, Turns::call);
        assert!(seen.len() <= 2 * MOST_ROUNDS);
        assert_eq!(count.get(), 1, "it is not forgotten");
        assert_eq!(looked_at(&turns, &count, |_, _| {}), [0, 1]);
    }
}
