//! Responses in part: delta, and state of the world for what is asked for by name.
//!
//! Most streams are plain: what they hold is a shelf, without oddities. They share
//! one batch. The others are looked at name by name, but only at names that may be
//! due: those that differ between the shelves, are odd, or are forced.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{InFlight, Known, Lane, Push};
use crate::Resource;
use crate::batch::Batch;
use crate::refusals::{Reason, Search, Verdict};

/// How large a response may be in part, in bytes: gRPC clients take 4 MiB.
const LARGEST: usize = 3 << 20;

/// What was found to be due.
#[derive(Default)]
struct Due {
    resources: Vec<Resource>,
    /// Gone, and the client has had it.
    removed: Vec<Arc<str>>,
    /// Not there, and the client has not had it.
    never: Vec<Arc<str>>,
    size: usize,
    /// Whether there is more than goes into one response.
    more: bool,
    /// Where the client will stand otherwise than by the shelf all the same.
    exceptions: Vec<(Arc<str>, Known)>,
}

impl Lane {
    /// What the client does not hold of what is asked for, and what is gone.
    pub(super) fn push_part(&mut self, push: &Push<'_>) -> Option<Box<InFlight>> {
        if !self.refusals.is_empty() {
            self.refusals.release(|name| push.shelf.version_of(name));
        }
        if self.is_plain()
            && let Some(batch) = self.shared_batch(push)
        {
            if batch.is_empty() {
                self.base = Some(Arc::clone(push.shelf));
            }
            let is_due = !batch.is_empty() || self.answers_wildcard();
            return is_due.then(|| self.flight(push, batch));
        }
        while self.search.is_some() {
            if let Some(flight) = self.push_trial(push) {
                return Some(flight);
            }
        }
        let due = self.due(push, None);
        self.forced.clear();
        if due.is_empty() && !self.answers_wildcard() {
            let mut arrived = self.flight(push, due.batch(self, push));
            arrived.exceptions = due.exceptions;
            self.rebase(*arrived);
            return None;
        }
        let mut flight = self.flight(push, due.batch(self, push));
        flight.in_part = due.more;
        flight.exceptions = due.exceptions;
        self.dirty |= due.more;
        Some(flight)
    }

    /// What streams like this one are told, unless this one must be told otherwise.
    fn shared_batch(&self, push: &Push<'_>) -> Option<Arc<Batch>> {
        let base = self.base.as_deref();
        let batch = push.shelf.batch(self.protocol, base, &self.interest, false);
        let stays = push.keeps_departing && !batch.removed.is_empty() && base.is_some();
        (!stays && batch.size() <= LARGEST).then_some(batch)
    }

    /// The next part of what is searched, if anything of it is still due.
    fn push_trial(&mut self, push: &Push<'_>) -> Option<Box<InFlight>> {
        let search = self.search.as_mut()?;
        let Some(part) = search.part() else {
            self.search = None;
            self.dirty = false;
            return None;
        };
        let part: BTreeSet<Arc<str>> = part.iter().cloned().collect();
        let due = self.due(push, Some(&part));
        self.dirty = true; // there is more to come, whatever becomes of this
        if due.is_empty() {
            if let Some(search) = &mut self.search {
                search.acquit();
            }
            return None;
        }
        self.forced.retain(|name| !part.contains(name));
        let mut flight = self.flight(push, due.batch(self, push));
        flight.in_part = true;
        flight.is_trial = true;
        Some(flight)
    }

    /// Whether what the client holds is a shelf, and nothing is to be looked at.
    pub(super) fn is_plain(&self) -> bool {
        self.odd.is_empty()
            && !self.doubtful
            && self.listed.is_empty()
            && self.forced.is_empty()
            && self.refusals.is_empty()
            && self.search.is_none()
    }

    /// Whether the client must be answered even if there is nothing to say: Envoy
    /// waits for that, as it asked for everything.
    fn answers_wildcard(&self) -> bool {
        self.owed && self.interest.is_wildcard() && self.is_delta()
    }

    /// What is due, of these names or of all that may be.
    fn due(&mut self, push: &Push<'_>, part: Option<&BTreeSet<Arc<str>>>) -> Due {
        let names = match part {
            Some(part) => part.clone(),
            None => self.candidates(push),
        };
        let mut due = Due::default();
        for name in &names {
            self.consider(name, push, &mut due);
        }
        due
    }

    /// The names about which there may be something to say.
    fn candidates(&self, push: &Push<'_>) -> BTreeSet<Arc<str>> {
        let mut names = BTreeSet::new();
        match &self.base {
            Some(base) => {
                let diff = push.shelf.diff(Some(base));
                let changed = diff.changed.iter();
                let changed = changed.filter(|r| self.interest.covers_resource(r));
                names.extend(changed.map(|resource| resource.name().clone()));
                let gone = diff.gone.iter();
                names.extend(gone.filter(|name| self.covers_in(Some(base), name)).cloned());
            }
            None => {
                names.extend(push.shelf.pick(&self.interest).map(|r| r.name().clone()));
                names.extend(self.interest.names().iter().cloned());
            }
        }
        names.extend(self.odd.keys().chain(&self.forced).cloned());
        names
    }

    /// Puts `name` where it belongs: told, kept for now, or not worth a word.
    fn consider(&mut self, name: &Arc<str>, push: &Push<'_>, due: &mut Due) {
        let found = push.shelf.find(name).filter(|r| self.interest.covers_resource(r));
        if found.is_none() && !self.covers_in(self.base.as_ref(), name) {
            return;
        }
        let version = found.map(Resource::version);
        let known = self.known(name);
        if self.refusals.holds(name, version) {
            due.exceptions.push((name.clone(), known));
            return;
        }
        let is_known = match &known {
            Known::Version(known) => version == Some(known),
            Known::Absent => version.is_none(),
            Known::Unknown | Known::Uncertain => false,
        };
        if is_known && !self.forced.contains(name) {
            return;
        }
        match found {
            Some(resource) if due.has(resource) => {}
            Some(resource) => {
                let size = resource.wrapped().len();
                if due.size > 0 && due.size + size > LARGEST {
                    due.more = true;
                    return;
                }
                due.size += size;
                due.resources.push(resource.clone());
            }
            None if !self.announces_absence() => {
                // Nobody tells the client, but when it comes back it is sent again.
                self.odd.insert(name.clone(), Known::Unknown);
            }
            None if push.keeps_departing && self.may_hold(name) => {
                self.departing = true;
                self.dirty = true;
                due.exceptions.push((name.clone(), known));
            }
            None => match known {
                Known::Version(_) | Known::Uncertain => due.removed.push(name.clone()),
                Known::Unknown | Known::Absent => due.never.push(name.clone()),
            },
        }
    }

    /// Goes by the shelf of a response from now on, but for its exceptions.
    pub(super) fn rebase(&mut self, arrived: InFlight) {
        let InFlight { shelf, batch, exceptions, dropped, .. } = arrived;
        let announces = self.announces_absence();
        if !self.odd.is_empty() {
            let mut told = BTreeSet::new();
            for (name, _) in batch.content().filter(|(name, _)| !dropped.contains(*name)) {
                told.insert(name);
            }
            let aliases = batch.resources.iter().flat_map(Resource::aliases);
            told.extend(aliases.filter(|alias| !dropped.contains(*alias)));
            let interest = &self.interest;
            self.odd.retain(|name, known| {
                let is_odd = match known {
                    Known::Version(known) => shelf.version_of(name) != Some(known),
                    Known::Absent => shelf.find(name).is_some(),
                    Known::Unknown | Known::Uncertain => announces || shelf.find(name).is_some(),
                };
                let is_wanted = interest.covers(name)
                    || shelf.find(name).is_some_and(|r| interest.covers_resource(r));
                is_odd && is_wanted && !told.contains(name)
            });
        }
        for (name, known) in exceptions {
            if self.covers_in(self.base.as_ref(), &name) && !dropped.contains(&name) {
                self.odd.entry(name).or_insert(known);
            }
        }
        self.base = Some(shelf);
    }

    /// Finds out whom to blame for a refusal, and holds those; returns them.
    pub(super) fn refuse_in_part(
        &mut self,
        refused: &InFlight,
        culprits: &BTreeSet<Arc<str>>,
        reason: Reason,
    ) -> Vec<Arc<str>> {
        let told = refused.batch.content().map(|(name, _)| name);
        let told: Vec<_> = told.filter(|name| !refused.dropped.contains(*name)).cloned().collect();
        for name in &told {
            if self.covers_in(Some(&refused.shelf), name) {
                self.odd.insert(name.clone(), Known::Uncertain);
            }
        }
        let culprits: BTreeSet<_> =
            culprits.iter().filter(|name| told.contains(name)).cloned().collect();
        let verdict = match &mut self.search {
            Some(search) if refused.is_trial => search.refuse(&culprits),
            Some(_) | None if !culprits.is_empty() => {
                Verdict::Hold(culprits.iter().cloned().collect())
            }
            Some(_) | None if told.len() > 1 => {
                self.search = Some(Box::new(Search::new(told)));
                Verdict::Search
            }
            Some(_) | None => Verdict::Hold(told),
        };
        let Verdict::Hold(held) = verdict else { return Vec::new() };
        let version = |name: &Arc<str>| {
            let found = refused.shelf.find(name);
            found.filter(|r| self.interest.covers_resource(r)).map(|r| r.version().clone())
        };
        if culprits.is_empty() && !held.is_empty() {
            // A set that nobody could take apart is held, and released, as one.
            let set = held.iter().map(|name| (name.clone(), version(name))).collect();
            self.refusals.hold(set, reason);
            return if held.len() == 1 { held } else { Vec::new() };
        }
        for name in &held {
            let one = [(name.clone(), version(name))].into();
            self.refusals.hold(one, reason.clone());
        }
        held
    }
}

impl Due {
    /// Whether it is there already, under another of its names.
    fn has(&self, resource: &Resource) -> bool {
        !resource.aliases().is_empty() && self.resources.iter().any(|other| other.is(resource))
    }

    fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.removed.is_empty() && self.never.is_empty()
    }

    fn batch(&self, lane: &Lane, push: &Push<'_>) -> Arc<Batch> {
        Arc::new(Batch::new(
            lane.protocol,
            push.shelf,
            self.resources.clone(),
            self.removed.clone(),
            self.never.clone(),
            &[],
        ))
    }
}
