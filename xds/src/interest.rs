//! What a client has asked for of one type.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::Resource;
use crate::names::Names;

/// The name that means all resources of a type.
pub(crate) const WILDCARD: &str = "*";

/// Exact names, or all resources of the type, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    wildcard: bool,
    names: Names,
}

/// What a change of interest means for one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The client asks for it, which it did not do before.
    Asked(Arc<str>),
    /// The client asks again for what it asked for already: it must be told again.
    AskedAgain(Arc<str>),
    /// The client no longer wants it, and has dropped it.
    Dropped(Arc<str>),
    /// The client asks for everything of this type.
    AskedForAll,
    /// Only what was asked for by name is still wanted.
    DroppedAll,
}

impl Interest {
    /// Whether `name` is asked for, in one way or the other.
    pub(crate) fn covers(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    /// Whether `resource` is asked for, by its name, an alias, or as one of all.
    pub(crate) fn covers_resource(&self, resource: &Resource) -> bool {
        (self.wildcard && !resource.is_by_name_only())
            || self.names.contains(resource.name())
            || resource.aliases().iter().any(|alias| self.names.contains(alias))
    }

    /// The names that are themselves asked for.
    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// Whether everything of the type is asked for.
    pub(crate) fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// Whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        !self.wildcard && self.names.is_empty()
    }

    /// Takes over a full list of names, or the wildcard that an empty one stands for.
    pub(crate) fn replace(&mut self, names: &[String], legacy_wildcard: bool) -> Vec<Turn> {
        if self.wildcard == legacy_wildcard && self.names.are(names) {
            return Vec::new(); // as in most requests: those that only answer
        }
        let wildcard = legacy_wildcard || names.iter().any(|name| name == WILDCARD);
        let asked: BTreeSet<&str> = real_names(names).collect();
        let dropped = self.names.iter().filter(|name| !asked.contains(&***name)).cloned();
        let dropped: Vec<Arc<str>> = dropped.collect();
        let added = asked.iter().filter(|name| !self.names.contains(name));
        let added: Vec<Arc<str>> = added.map(|&name| Arc::from(name)).collect();
        self.names = self.names.changed(&added, &dropped);
        let mut turns: Vec<_> = dropped.into_iter().map(Turn::Dropped).collect();
        // As one of all, it was asked for before.
        let asked = if self.wildcard { Turn::AskedAgain } else { Turn::Asked };
        turns.extend(added.into_iter().map(asked));
        match (std::mem::replace(&mut self.wildcard, wildcard), wildcard) {
            (false, true) => turns.push(Turn::AskedForAll),
            (true, false) => turns.push(Turn::DroppedAll),
            (true, true) | (false, false) => {}
        }
        turns
    }

    /// Adds names; also one that is there already is asked for again.
    pub(crate) fn subscribe(&mut self, names: &[String]) -> Vec<Turn> {
        let mut turns = Vec::new();
        if names.iter().any(|name| name == WILDCARD) {
            turns.extend(self.subscribe_to_all());
        }
        let asked: BTreeSet<&str> = real_names(names).collect();
        let mut added: Vec<Arc<str>> = Vec::new();
        for name in asked {
            if let Some(known) = self.names.get(name) {
                turns.push(Turn::AskedAgain(known.clone()));
                continue;
            }
            let name: Arc<str> = name.into();
            added.push(name.clone());
            let is_new = !self.wildcard;
            turns.push(if is_new { Turn::Asked(name) } else { Turn::AskedAgain(name) });
        }
        self.names = self.names.changed(&added, &[]);
        turns
    }

    /// Adds the wildcard.
    pub(crate) fn subscribe_to_all(&mut self) -> Option<Turn> {
        let before = std::mem::replace(&mut self.wildcard, true);
        (!before).then_some(Turn::AskedForAll)
    }

    /// Takes names away. Those that are not there are ignored.
    ///
    /// While the wildcard stays, the client still wants what it takes away, and
    /// has to be told about it.
    pub(crate) fn unsubscribe(&mut self, names: &[String]) -> Vec<Turn> {
        let mut turns = Vec::new();
        if names.iter().any(|name| name == WILDCARD) && std::mem::take(&mut self.wildcard) {
            turns.push(Turn::DroppedAll);
        }
        let meant: BTreeSet<&str> = real_names(names).collect();
        let gone: Vec<Arc<str>> =
            meant.into_iter().filter_map(|name| self.names.get(name).cloned()).collect();
        self.names = self.names.changed(&[], &gone);
        let turn = if self.wildcard { Turn::AskedAgain } else { Turn::Dropped };
        turns.extend(gone.into_iter().map(turn));
        turns
    }
}

fn real_names(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().map(String::as_str).filter(|name| !name.is_empty() && *name != WILDCARD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn asked(name: &str) -> Turn {
        Turn::Asked(name.into())
    }

    fn dropped(name: &str) -> Turn {
        Turn::Dropped(name.into())
    }

    #[test]
    fn c13_a_full_list_drops_what_it_leaves_out() {
        let mut interest = Interest::default();
        assert_eq!(interest.replace(&names(&["a", "b"]), false), [asked("a"), asked("b")]);
        assert_eq!(interest.replace(&names(&["b", "c"]), false), [dropped("a"), asked("c")]);
        assert_eq!(interest.replace(&names(&["b", "c"]), false), []);
        assert!(interest.covers("b") && !interest.covers("a"));
    }

    #[test]
    fn c15_a_wildcard_and_names_come_and_go_apart() {
        let mut interest = Interest::default();
        interest.replace(&names(&["*", "a"]), false);
        assert!(interest.covers("x"));
        assert_eq!(interest.replace(&names(&["a"]), false), [Turn::DroppedAll]);
        assert!(interest.covers("a") && !interest.covers("x"));
    }

    #[test]
    fn c17_a_name_dropped_under_a_wildcard_is_still_wanted() {
        let mut interest = Interest::default();
        interest.subscribe_to_all();
        interest.subscribe(&names(&["a"]));
        assert_eq!(interest.unsubscribe(&names(&["a"])), [Turn::AskedAgain("a".into())]);
        assert_eq!(interest.unsubscribe(&names(&["*"])), [Turn::DroppedAll]);
        assert!(interest.is_empty());
    }

    #[test]
    fn c18_a_name_never_asked_for_cannot_be_dropped() {
        let mut interest = Interest::default();
        assert_eq!(interest.unsubscribe(&names(&["a", "*"])), []);
    }

    #[test]
    fn c60_what_is_for_askers_by_name_is_not_in_everything() {
        use crate::testing::{listener, snapshot};

        let api = listener("api", "r", "1").by_name_only();
        let snapshot = snapshot(1, [listener("l", "r", "1"), api, crate::testing::route("r", "1")]);
        let picked = |interest: &Interest| -> Vec<String> {
            let all = snapshot.resources(crate::ResourceType::Listener);
            let picked = all.filter(|resource| interest.covers_resource(resource));
            picked.map(|resource| resource.name().to_string()).collect()
        };
        let mut interest = Interest::default();
        interest.subscribe_to_all();
        assert_eq!(picked(&interest), ["l"]);
        interest.subscribe(&names(&["api"]));
        assert_eq!(picked(&interest), ["api", "l"]);
        interest.unsubscribe(&names(&["*"]));
        assert_eq!(picked(&interest), ["api"]);
    }
}
