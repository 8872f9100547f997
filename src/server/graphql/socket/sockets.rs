//! How many sockets each user has open.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::UserId;

/// Counts the sockets of each user; those of nobody together.
#[derive(Clone)]
pub(in crate::server::graphql) struct Sockets {
    open: Arc<Mutex<HashMap<Option<UserId>, usize>>>,
    most: usize,
}

/// That a socket is open; it is no more when this is dropped.
pub(super) struct Seat {
    open: Arc<Mutex<HashMap<Option<UserId>, usize>>>,
    user: Option<UserId>,
}

impl Sockets {
    /// So many for one user.
    pub(in crate::server::graphql) fn new(most: usize) -> Self {
        Self { open: Arc::default(), most }
    }

    /// Takes one more for this user; none if there are too many.
    pub(super) fn take(&self, user: Option<UserId>) -> Option<Seat> {
        let mut open = self.open.lock();
        let of_user = open.entry(user).or_default();
        if *of_user >= self.most {
            return None;
        }
        *of_user += 1;
        Some(Seat { open: Arc::clone(&self.open), user })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(of_user) = open.get_mut(&self.user) {
            *of_user -= 1;
            if *of_user == 0 {
                open.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_so_many_and_others_theirs() {
        let sockets = Sockets::new(2);
        let [one, two] = [1, 2].map(|id| UserId::try_from(id).ok());
        let first = sockets.take(one).unwrap();
        let _second = sockets.take(one).unwrap();
        assert!(sockets.take(one).is_none());
        assert!(sockets.take(two).is_some());
        drop(first);
        assert!(sockets.take(one).is_some());
        assert_eq!(sockets.open.lock().len(), 1, "who has none takes no room");
    }
}
