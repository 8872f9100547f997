//! What a client has refused, and so is not sent again as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Resources by name with their versions; `None` stands for "is gone".
pub(crate) type Content = BTreeMap<Arc<str>, Option<Arc<str>>>;

/// Sets of resources that were refused together.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Vec<Content>);

impl Refusals {
    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Holds `content` from now on.
    pub(crate) fn hold(&mut self, content: Content) {
        self.0.push(content);
    }

    /// Whether this version of this name is held.
    pub(crate) fn holds(&self, name: &str, version: Option<&Arc<str>>) -> bool {
        self.0.iter().any(|set| set.get(name).is_some_and(|held| held.as_ref() == version))
    }

    /// Releases each set of which a member is no longer what was refused.
    ///
    /// As a whole: nobody knows whose fault it was, or what the change mends.
    pub(crate) fn release<'a>(&mut self, version_of: impl Fn(&str) -> Option<&'a Arc<str>>) {
        self.0.retain(|set| set.iter().all(|(name, held)| held.as_ref() == version_of(name)));
    }

    /// Releases everything unless `content` is exactly what was refused.
    pub(crate) fn release_unless(&mut self, content: &Content) {
        self.0.retain(|set| set == content);
    }

    /// Releases the set with `name` in it: without that name it is another one.
    pub(crate) fn forget(&mut self, name: &str) {
        self.0.retain(|set| !set.contains_key(name));
    }

    /// Lets only `name` go, since the client itself asks for it again.
    pub(crate) fn let_go(&mut self, name: &str) {
        self.0.retain_mut(|set| set.remove(name).is_none() || !set.is_empty());
    }

    /// Releases everything.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The names in `refused` that a client blames in its `message`.
///
/// Envoy lists listeners and clusters as `NAME: reason`, one after the other. If
/// no name stands like that, those that stand anywhere as whole words are meant.
pub(crate) fn culprits(message: &str, refused: &Content) -> BTreeSet<Arc<str>> {
    let matching = |is_meant: fn(&str, &str) -> bool| -> BTreeSet<Arc<str>> {
        refused.keys().filter(|name| is_meant(message, name)).cloned().collect()
    };
    let listed = matching(is_listed);
    if listed.is_empty() { matching(is_mentioned) } else { listed }
}

/// Whether `name` stands in a list after `adding/updating listener(s)`.
fn is_listed(message: &str, name: &str) -> bool {
    let Some((_, list)) = message.split_once("(s) ") else { return false };
    list.match_indices(name).any(|(start, _)| {
        let (before, after) = (&list[..start], &list[start + name.len()..]);
        let begins = before.is_empty() || before.ends_with('\n') || before.ends_with(", ");
        begins && after.starts_with(": ")
    })
}

/// Whether `name` stands anywhere, and not as a part of another name.
fn is_mentioned(message: &str, name: &str) -> bool {
    message.match_indices(name).any(|(start, _)| {
        !goes_on(message[..start].chars().rev()) && !goes_on(message[start + name.len()..].chars())
    })
}

/// Whether a word goes on with these characters.
fn goes_on(mut chars: impl Iterator<Item = char>) -> bool {
    let is_inner = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    match chars.next() {
        Some('.' | ':' | '/' | '@') => chars.next().is_some_and(is_inner),
        Some(c) => is_inner(c),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(names: &[(&str, Option<&str>)]) -> Content {
        names.iter().map(|&(name, version)| (name.into(), version.map(Arc::from))).collect()
    }

    #[test]
    fn a_set_is_held_until_a_member_changes_or_vanishes() {
        let mut refusals = Refusals::default();
        refusals.hold(content(&[("a", Some("1")), ("b", Some("1")), ("gone", None)]));
        let latest = content(&[("a", Some("1")), ("b", Some("1")), ("c", Some("9"))]);
        refusals.release(|name| latest.get(name)?.as_ref());
        assert!(refusals.holds("a", Some(&"1".into())));
        assert!(!refusals.holds("a", Some(&"2".into())));
        assert!(refusals.holds("gone", None));
        assert!(!refusals.holds("a", None));

        let latest = content(&[("a", Some("1"))]);
        refusals.release(|name| latest.get(name)?.as_ref());
        assert!(refusals.is_empty());
    }

    #[test]
    fn c8_culprits_are_found_in_the_clients_own_words() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("Error adding/updating listener(s) l1: no", &["l1", "l2"], &["l1"]),
            ("Error adding/updating listener(s) l1: a\nl2: b", &["l1", "l2", "l3"], &["l1", "l2"]),
            ("Error adding/updating cluster(s) c1: x, c2: y", &["c1", "c2", "x"], &["c1", "c2"]),
            ("Error adding/updating listener(s) l1: unknown 'l2'", &["l1", "l2"], &["l1"]),
            ("Proto constraint failed for web.", &["web", "web2"], &["web"]),
            ("bad web.internal:80 here", &["web", "web.internal", "80"], &[]),
            ("bad web.internal: here", &["web", "web.internal"], &["web.internal"]),
            ("bad a-b, b_c and 'c'", &["a", "b", "c", "a-b"], &["a-b", "c"]),
            ("naïve ü/x: no", &["x", "ü/x", "na"], &["ü/x"]),
            ("INTERNAL", &["a"], &[]),
            ("", &["a"], &[]),
        ];
        for (message, names, want) in table {
            let refused = names.iter().map(|&name| (name.into(), None)).collect();
            let got = culprits(message, &refused);
            assert!(got.iter().map(|name| &**name).eq(want.iter().copied()), "{message}: {got:?}");
        }
    }
}
