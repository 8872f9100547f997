//! Bounds what is kept of requests that have not come whole.
//!
//! A request may be large, and nobody knows who it is from before it has come. Many that
//! come slowly at once must not take all memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tonic::Status;

/// How much each stream may keep beside that, in bytes: more than an Envoy usually says.
const FREE: usize = 128 << 10;

/// What all streams keep, in bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unread(Arc<AtomicUsize>);

/// What one stream keeps of that.
#[derive(Debug)]
pub(super) struct Share {
    all: Unread,
    most: usize,
    taken: usize,
}

impl Unread {
    /// The share of one stream, where all of them may have no more than `most`.
    pub(super) fn share(&self, most: usize) -> Share {
        Share { all: self.clone(), most, taken: 0 }
    }
}

impl Share {
    /// Takes note that the stream keeps so much now.
    pub(super) fn keep(&mut self, bytes: usize) -> Result<(), Status> {
        let taken = bytes.saturating_sub(FREE);
        let before = std::mem::replace(&mut self.taken, taken);
        let all = &self.all.0;
        if taken <= before {
            all.fetch_sub(before - taken, Ordering::Relaxed);
            return Ok(());
        }
        let more = taken - before;
        if all.fetch_add(more, Ordering::Relaxed) + more <= self.most {
            return Ok(());
        }
        Err(Status::resource_exhausted("too many large requests are on their way already"))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn what_is_kept_is_bounded_for_all_streams_together() {
        let unread = Unread::default();
        let [mut one, mut two] = [unread.share(1000), unread.share(1000)];
        assert!(one.keep(FREE + 600).is_ok() && two.keep(FREE + 400).is_ok());
        let refused = two.keep(FREE + 401).expect_err("that is too much");
        assert_eq!(refused.code(), Code::ResourceExhausted);
        drop(two);
        let mut three = unread.share(1000);
        assert!(three.keep(FREE).is_ok() && three.keep(FREE + 400).is_ok());
        assert!(one.keep(0).is_ok() && three.keep(FREE + 1000).is_ok());
        drop((one, three));
        assert_eq!(unread.0.load(Ordering::Relaxed), 0);
    }
}
