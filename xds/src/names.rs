//! Sets of names, each kept once however many streams ask for it.
//!
//! The Envoys of a group ask for the same endpoints and routes. A thousand names
//! on each of ten thousand streams would be gigabytes; shared, they are one list.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;

/// A set of names, sorted. Cheap to clone; equal sets share their memory.
#[derive(Clone, Default)]
pub(crate) struct Names(Option<Arc<Set>>);

struct Set {
    /// The sum of the hashes of the names: adding one is adding its hash.
    hash: u128,
    /// How much memory the names take, in bytes, roughly.
    weight: usize,
    names: Box<[Arc<str>]>,
}

/// How much memory a name takes beside its own bytes, roughly.
const OVERHEAD: usize = 32;

/// How much memory a name takes, in bytes, roughly.
pub(crate) fn weight(name: &str) -> usize {
    name.len() + OVERHEAD
}

/// The sets that are in use. Only a cache: each set is its own truth.
static SETS: LazyLock<Mutex<Sets>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Sets {
    by_hash: HashMap<u128, Weak<Set>>,
    /// How many there may be before those no longer in use are swept out.
    sweep_at: usize,
}

/// Two keys that nobody outside knows: a client cannot make two sets collide.
static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);

impl Names {
    /// The set of these names, in any order.
    pub(crate) fn new(names: impl IntoIterator<Item = Arc<str>>) -> Self {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let hash = sum(names.iter().map(|name| &**name));
        Self::intern(hash, names.len(), || names)
    }

    /// The set that differs from this one by these names.
    ///
    /// `added` must not be in it, `removed` must, and both without a name twice.
    pub(crate) fn changed(&self, added: &[Arc<str>], removed: &[Arc<str>]) -> Self {
        if added.is_empty() && removed.is_empty() {
            return self.clone();
        }
        let hash = self.hash().wrapping_add(sum(added.iter().map(|name| &**name)));
        let hash = hash.wrapping_sub(sum(removed.iter().map(|name| &**name)));
        Self::intern(hash, self.len() + added.len() - removed.len(), || {
            let mut removed = removed.to_vec();
            removed.sort_unstable();
            let stay = self.iter().filter(|name| removed.binary_search(name).is_err());
            let mut names: Vec<_> = stay.chain(added).cloned().collect();
            names.sort_unstable();
            names
        })
    }

    fn intern(hash: u128, len: usize, make: impl FnOnce() -> Vec<Arc<str>>) -> Self {
        if len == 0 {
            return Self::default();
        }
        let mut sets = SETS.lock();
        if let Some(set) = sets.by_hash.get(&hash).and_then(Weak::upgrade)
            && set.names.len() == len
        {
            return Self(Some(set));
        }
        let names: Box<[_]> = make().into();
        let weight = names.iter().map(|name| weight(name)).sum();
        let set = Arc::new(Set { hash, weight, names });
        sets.keep(&set);
        Self(Some(set))
    }

    /// Whether these are exactly the names of the set, each once.
    pub(crate) fn are(&self, names: &[String]) -> bool {
        names.len() == self.len() && sum(names.iter().map(String::as_str)) == self.hash()
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The name as it is kept here, to be shared.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<str>> {
        let names = self.as_slice();
        names.binary_search_by(|known| (**known).cmp(name)).ok().map(|index| &names[index])
    }

    /// Whether each name of `self` is in `other`.
    pub(crate) fn is_subset(&self, other: &Self) -> bool {
        self == other || self.iter().all(|name| other.contains(name))
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Arc<str>> {
        self.as_slice().iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How much memory they take, in bytes, roughly, as if nobody shared it.
    pub(crate) fn weight(&self) -> usize {
        self.0.as_ref().map_or(0, |set| set.weight)
    }

    /// A hash that no two different sets share, within this process.
    pub(crate) fn hash(&self) -> u128 {
        self.0.as_ref().map_or(0, |set| set.hash)
    }

    fn as_slice(&self) -> &[Arc<str>] {
        self.0.as_ref().map_or(&[], |set| &set.names)
    }
}

fn sum<'a>(names: impl Iterator<Item = &'a str>) -> u128 {
    let [one, other] = &*KEYS;
    names.fold(0, |sum: u128, name| {
        let hash = (u128::from(one.hash_one(name)) << 64) | u128::from(other.hash_one(name));
        sum.wrapping_add(hash)
    })
}

impl Sets {
    fn keep(&mut self, set: &Arc<Set>) {
        if self.by_hash.len() >= self.sweep_at {
            self.by_hash.retain(|_, set| set.strong_count() > 0);
            self.sweep_at = (2 * self.by_hash.len()).max(64);
        }
        self.by_hash.insert(set.hash, Arc::downgrade(set));
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.hash() == other.hash() && self.len() == other.len()
    }
}

impl Eq for Names {}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Names {
        Names::new(names.iter().map(|&name| name.into()))
    }

    fn shared(one: &Names, other: &Names) -> bool {
        match (&one.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    #[test]
    fn equal_sets_are_one_however_they_came_about() {
        let one = names(&["b", "a", "c", "a"]);
        let other = names(&["a", "d"]).changed(&["b".into(), "c".into()], &["d".into()]);
        assert!(shared(&one, &other));
        assert!(one.iter().map(|name| &**name).eq(["a", "b", "c"]));
        assert!(one.are(&["c".into(), "b".into(), "a".into()]));
        assert!(!one.are(&["a".into(), "b".into(), "b".into()]));
        assert!(!one.are(&["a".into(), "b".into()]));
        assert_ne!(one, names(&["a", "b"]));
        let nothing = one.changed(&[], &["a".into(), "b".into(), "c".into()]);
        assert!(nothing.is_empty() && nothing == Names::default());
    }

    #[test]
    fn a_name_is_found_and_a_subset_known() {
        let some = names(&["a", "c"]);
        assert!(some.contains("c") && !some.contains("b"));
        assert!(some.is_subset(&names(&["c", "b", "a"])));
        assert!(!some.is_subset(&names(&["a", "b"])));
        assert!(Names::default().is_subset(&some));
    }

    #[test]
    fn sets_that_nobody_uses_are_forgotten() {
        for index in 0..10_000 {
            names(&[&format!("sweep-{index}")]);
        }
        let kept = SETS.lock().by_hash.len();
        assert!(kept < 1_000, "{kept} sets are kept");
    }
}
