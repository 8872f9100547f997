//! What a client has refused, and so is not sent again as it was.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

/// Resources by name with their versions; `None` stands for "is gone".
pub(crate) type Content = BTreeMap<Arc<str>, Option<Arc<str>>>;

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    /// The client's own words.
    pub(crate) message: Arc<str>,
    pub(crate) at: SystemTime,
}

/// Sets of resources that were refused together.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Vec<(Content, Reason)>);

/// The search for those in a refused set that are to blame.
///
/// The set is taken apart, and its parts are sent one after the other. A part that
/// is refused is taken apart again, until one is left that is to blame.
#[derive(Debug)]
pub(crate) struct Search {
    /// What is still under suspicion. The first part is the one that is tried.
    parts: VecDeque<Vec<Arc<str>>>,
    /// Parts that cannot be tried yet: what is gone stays for now.
    later: Vec<Vec<Arc<str>>>,
    /// What is in those.
    deferred: HashSet<Arc<str>>,
    /// How many more refusals the search may cost.
    budget: u32,
    /// The complete lists that were refused so far, by the version of their content.
    lists: Vec<(Arc<str>, Refusal)>,
}

/// What a client said when it refused something.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: i32,
    pub(crate) reason: Reason,
}

/// What is to be done with a part that was refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The search goes on.
    Search,
    /// These are to blame, or nobody can tell who is.
    Hold(Vec<Arc<str>>),
}

/// How many bytes are compared to find names in a message: those of some thousand names
/// with all of a long one.
const MOST_STEPS: usize = 64 << 20;
/// How much of a message is looked at however many names there are, in bytes.
const SHORTEST: usize = 256;

/// How many refusals a search may cost: enough to find two among a thousand.
const BUDGET: u32 = 24;

impl Refusals {
    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Holds `content` from now on.
    pub(crate) fn hold(&mut self, content: Content, reason: Reason) {
        self.0.push((content, reason));
    }

    /// Whether this version of this name is held.
    pub(crate) fn holds(&self, name: &str, version: Option<&Arc<str>>) -> bool {
        self.reason(name, version).is_some()
    }

    /// Why this version of this name is held, if it is.
    pub(crate) fn reason(&self, name: &str, version: Option<&Arc<str>>) -> Option<&Reason> {
        let holds = |set: &Content| set.get(name).is_some_and(|held| held.as_ref() == version);
        self.0.iter().find(|(set, _)| holds(set)).map(|(_, reason)| reason)
    }

    /// Releases each set of which a member is no longer what was refused.
    ///
    /// As a whole: nobody knows whose fault it was, or what the change mends.
    pub(crate) fn release<'a>(&mut self, version_of: impl Fn(&str) -> Option<&'a Arc<str>>) {
        self.0.retain(|(set, _)| set.iter().all(|(name, held)| held.as_ref() == version_of(name)));
    }

    /// Releases what was refused without saying anything.
    pub(crate) fn release_empty(&mut self) {
        self.0.retain(|(set, _)| !set.is_empty());
    }

    /// Releases everything unless `content` is exactly what was refused.
    pub(crate) fn release_unless(&mut self, content: &Content) {
        self.0.retain(|(set, _)| set == content);
    }

    /// Releases the set with `name` in it: without that name it is another one.
    pub(crate) fn forget(&mut self, name: &str) {
        self.0.retain(|(set, _)| !set.contains_key(name));
    }

    /// Releases each set with a name that is not to be kept.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|(set, _)| set.keys().all(|name| keep(name)));
    }

    /// Lets only `name` go, since the client itself asks for it again.
    pub(crate) fn let_go(&mut self, name: &str) {
        self.0.retain_mut(|(set, _)| set.remove(name).is_none() || !set.is_empty());
    }

    /// Releases everything.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Search {
    /// Starts to search among `suspects`, of which there is more than one.
    pub(crate) fn new(suspects: Vec<Arc<str>>) -> Self {
        let mut search = Self {
            parts: VecDeque::new(),
            later: Vec::new(),
            deferred: HashSet::new(),
            budget: BUDGET,
            lists: Vec::new(),
        };
        search.split(suspects);
        search
    }

    /// The part to try, if there is one left.
    pub(crate) fn part(&self) -> Option<&[Arc<str>]> {
        self.parts.front().map(Vec::as_slice)
    }

    /// The part is not to blame, or there is nothing of it to be tried any more.
    pub(crate) fn acquit(&mut self) {
        self.parts.pop_front();
    }

    /// The part cannot be tried before what is gone may go.
    pub(crate) fn defer(&mut self) {
        let Some(part) = self.parts.pop_front() else { return };
        self.deferred.extend(part.iter().cloned());
        self.later.push(part);
    }

    /// The part is tried without these, which cannot be before what is gone may go.
    pub(crate) fn set_aside(&mut self, names: Vec<Arc<str>>) {
        if names.is_empty() {
            return;
        }
        self.deferred.extend(names.iter().cloned());
        if let Some(part) = self.parts.front_mut() {
            part.retain(|name| !self.deferred.contains(name));
        }
        self.later.push(names);
    }

    /// What is gone may go: what was deferred can be tried.
    pub(crate) fn resume(&mut self) {
        self.parts.extend(self.later.drain(..));
        self.deferred.clear();
    }

    /// Whether `name` is not to be told before it is tried.
    pub(crate) fn defers(&self, name: &Arc<str>) -> bool {
        self.deferred.contains(name)
    }

    /// Notes that a complete list was refused: it need not be tried again.
    pub(crate) fn note_list(&mut self, version: Arc<str>, refusal: Refusal) {
        self.lists.push((version, refusal));
    }

    /// What the client said of the list with this content, if that was refused.
    pub(crate) fn refusal_of(&self, version: &str) -> Option<&Refusal> {
        self.lists.iter().find(|(refused, _)| **refused == *version).map(|(_, refusal)| refusal)
    }

    /// Whether there is nothing left to be tried, now or later.
    pub(crate) fn is_over(&self) -> bool {
        self.parts.is_empty() && self.later.is_empty()
    }

    /// What was `told` of the part was refused, and the client named `culprits` in it.
    ///
    /// What was not told is not suspected any more: it is as the client has it.
    pub(crate) fn refuse(&mut self, told: &[Arc<str>], culprits: &BTreeSet<Arc<str>>) -> Verdict {
        let Some(mut part) = self.parts.pop_front() else { return Verdict::Hold(Vec::new()) };
        let told: HashSet<_> = told.iter().collect();
        part.retain(|name| told.contains(name));
        if !culprits.is_empty() {
            part.retain(|name| !culprits.contains(name));
            if !part.is_empty() {
                self.parts.push_front(part);
            }
            return Verdict::Hold(culprits.iter().cloned().collect());
        }
        self.budget = self.budget.saturating_sub(1);
        if self.budget == 0 {
            part.extend(self.parts.drain(..).flatten());
            return Verdict::Hold(part);
        }
        if part.len() <= 1 {
            return Verdict::Hold(part);
        }
        self.split(part);
        Verdict::Search
    }

    fn split(&mut self, mut suspects: Vec<Arc<str>>) {
        let half = suspects.split_off(suspects.len().div_ceil(2));
        self.parts.push_front(half);
        self.parts.push_front(suspects);
    }
}

/// The names in `refused` that a client blames in its `message`.
///
/// Envoy lists listeners and clusters as `NAME: reason`, one after the other. If
/// no name stands like that, those that stand anywhere as whole words are meant.
///
/// Where there are many names, only the start of the message is looked at.
pub(crate) fn culprits(message: &str, refused: &[Arc<str>]) -> BTreeSet<Arc<str>> {
    let message = head(message, (MOST_STEPS / refused.len().max(1)).max(SHORTEST));
    let matching = |is_meant: fn(&str, &str) -> bool| -> BTreeSet<Arc<str>> {
        refused.iter().filter(|name| is_meant(message, name)).cloned().collect()
    };
    let listed = matching(is_listed);
    if listed.is_empty() { matching(is_mentioned) } else { listed }
}

/// The start of `text`, at most `length` bytes.
pub(crate) fn head(text: &str, length: usize) -> &str {
    let end = (0..=length.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
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

    fn reason() -> Reason {
        Reason { message: "no".into(), at: SystemTime::UNIX_EPOCH }
    }

    /// Searches `bad` among `count` names, and says what was held in how many tries.
    fn search(count: usize, bad: &[usize]) -> (Vec<String>, u32) {
        let name = |index: usize| Arc::from(format!("{index}").as_str());
        let bad: BTreeSet<Arc<str>> = bad.iter().map(|&index| name(index)).collect();
        let mut search = Search::new((0..count).map(name).collect());
        let (mut held, mut tries) = (Vec::new(), 0);
        while let Some(part) = search.part() {
            tries += 1;
            if part.iter().any(|name| bad.contains(name)) {
                let told = part.to_vec();
                if let Verdict::Hold(names) = search.refuse(&told, &BTreeSet::new()) {
                    held.extend(names.iter().map(ToString::to_string));
                }
            } else {
                search.acquit();
            }
        }
        (held, tries)
    }

    #[test]
    fn a_search_finds_whom_to_blame() {
        let (held, tries) = search(100, &[57]);
        assert_eq!(held, ["57"]);
        assert!(tries <= 2 * 7, "{tries}");
        let (held, tries) = search(1000, &[0, 999]);
        assert_eq!(held, ["0", "999"]);
        assert!(tries <= 2 * 2 * 10, "{tries}");
        assert_eq!(search(2, &[0, 1]).0, ["0", "1"]);
    }

    #[test]
    fn a_search_is_bounded() {
        let all: Vec<usize> = (0..1000).collect();
        let (held, tries) = search(1000, &all);
        assert_eq!(held.len(), 1000, "all that is left is held together");
        assert!(tries <= BUDGET, "{tries}");
    }

    #[test]
    fn a_search_among_very_many_takes_no_time() {
        let name = |index: usize| Arc::from(format!("{index}").as_str());
        let mut search = Search::new((0..200_000).map(name).collect());
        search.defer();
        assert!(search.defers(&name(0)) && !search.defers(&name(199_999)));
        search.resume();
        while let Some(part) = search.part() {
            let told = part.to_vec();
            search.refuse(&told, &BTreeSet::new());
        }
    }

    #[test]
    fn of_very_many_names_only_the_start_of_a_message_is_searched() {
        let message = format!("{} n7: no", "x".repeat(2 * SHORTEST));
        let names = |count: usize| (0..count).map(|index| format!("n{index}").into()).collect();
        let (few, many): (Vec<Arc<str>>, Vec<_>) = (names(100), names(1_000_000));
        assert_eq!(culprits(&message, &few), [few[7].clone()].into());
        assert!(culprits(&message, &many).is_empty());
        assert_eq!(culprits("n7: no", &many), [few[7].clone()].into());
    }

    #[test]
    fn a_search_listens_to_the_client() {
        let mut search = Search::new(["a", "b", "c", "d"].map(Arc::from).into());
        assert_eq!(search.part(), Some(&["a".into(), "b".into()][..]));
        let named = BTreeSet::from(["b".into()]);
        let told = ["a".into(), "b".into()];
        assert_eq!(search.refuse(&told, &named), Verdict::Hold(vec!["b".into()]));
        assert_eq!(search.part(), Some(&["a".into()][..]));
        search.acquit();
        assert_eq!(search.part(), Some(&["c".into(), "d".into()][..]));
    }

    #[test]
    fn a_set_is_held_until_a_member_changes_or_vanishes() {
        let mut refusals = Refusals::default();
        refusals.hold(content(&[("a", Some("1")), ("b", Some("1")), ("gone", None)]), reason());
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
            let refused: Vec<Arc<str>> = names.iter().map(|&name| name.into()).collect();
            let got = culprits(message, &refused);
            assert!(got.iter().map(|name| &**name).eq(want.iter().copied()), "{message}: {got:?}");
        }
    }
}
