//! Responses in part: delta, and state of the world for what is asked for by name.
//!
//! Most streams are plain: what they hold is a shelf, without oddities. They share
//! one batch. The others are looked at name by name, but only at names that may be
//! due: those that differ between the shelves, are odd, or are forced.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{InFlight, Known, Lane, Push};
use crate::Resource;
use crate::batch::{Batch, LARGEST};

/// How many bytes it takes at most to say that a name is not there, beside twice the name.
const ABSENT: usize = 32;

/// What was found to be due.
#[derive(Default)]
struct Due {
    resources: Vec<Resource>,
    /// Gone, and the client has had it.
    removed: Vec<Arc<str>>,
    /// Not there, and the client has not had it.
    never: Vec<Arc<str>>,
    size: usize,
    /// What does not go into this response, and is for the next.
    left: BTreeSet<Arc<str>>,
    /// Where the client will stand otherwise than by the shelf all the same.
    exceptions: Vec<(Arc<str>, Known)>,
    /// What is gone, and stays for now.
    departs: Vec<Arc<str>>,
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
        if let Some(flight) = self.push_trials(push) {
            return Some(flight);
        }
        let due = self.due(push, None);
        self.forced.retain(|name| due.left.contains(name));
        if due.is_empty() && !self.answers_wildcard() {
            let mut arrived = self.flight(push, due.batch(self, push));
            arrived.exceptions = due.exceptions;
            self.rebase(*arrived);
            return None;
        }
        let mut flight = self.flight(push, due.batch(self, push));
        flight.in_part = !due.left.is_empty();
        flight.exceptions = due.exceptions;
        self.dirty |= flight.in_part;
        Some(flight)
    }

    /// What streams like this one are told, unless this one must be told otherwise.
    fn shared_batch(&self, push: &Push<'_>) -> Option<Arc<Batch>> {
        let base = self.base.as_deref();
        let batch = push.shelf.batch(self.tongue, base, &self.interest, false);
        let stays = push.keeps_departing && !batch.removed.is_empty() && base.is_some();
        (!stays && batch.size() <= LARGEST).then_some(batch)
    }

    /// What of this part is still due, if anything is; and what of it stays for now.
    pub(super) fn part_trial(
        &mut self,
        push: &Push<'_>,
        part: &BTreeSet<Arc<str>>,
    ) -> (Option<Box<InFlight>>, Vec<Arc<str>>) {
        let mut due = self.due(push, Some(part));
        let departs = std::mem::take(&mut due.departs);
        if due.is_empty() {
            return (None, departs);
        }
        self.forced.retain(|name| !part.contains(name) || due.left.contains(name));
        (Some(self.flight(push, due.batch(self, push))), departs)
    }

    /// Whether what the client holds is a shelf, and nothing is to be looked at.
    pub(super) fn is_plain(&self) -> bool {
        self.odd.is_empty()
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
    pub(super) fn candidates(&self, push: &Push<'_>) -> BTreeSet<Arc<str>> {
        let mut names = BTreeSet::new();
        match &self.base {
            Some(base) => {
                let diff = push.shelf.diff(Some(base));
                let changed = diff.changed.iter();
                let changed = changed.filter(|r| self.interest.covers_resource(r));
                names.extend(changed.map(|resource| resource.name().clone()));
                let gone = diff.gone.iter();
                names.extend(gone.filter(|name| self.covers_in(Some(base), name)).cloned());
                names.extend(push.shelf.denied(Some(base), &self.interest).cloned());
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
        let is_denied = found.is_none() && self.is_denied(name, push);
        if is_known && !is_denied && !self.forced.contains(name) {
            return;
        }
        match found {
            Some(resource) if due.has(resource) => {}
            Some(resource) => {
                if !due.takes(resource.wrapped().len()) {
                    due.left.insert(name.clone());
                    return;
                }
                due.resources.push(resource.clone());
            }
            None if !self.announces_absence() && is_denied => due.never.push(name.clone()),
            None if !self.announces_absence() => {
                // Nobody tells the client, but when it comes back it is sent again.
                self.odd.insert(name.clone(), Known::Unknown);
            }
            None if self.stays(name, push) => {
                self.departing = true;
                self.dirty = true;
                due.departs.push(name.clone());
                due.exceptions.push((name.clone(), known));
            }
            // Why it is not there is told in whichever part comes next: only that counts.
            None if !is_denied && !due.takes(ABSENT + 2 * name.len()) => {
                due.left.insert(name.clone());
            }
            None => match known {
                Known::Version(_) | Known::Uncertain => due.removed.push(name.clone()),
                Known::Unknown | Known::Absent => due.never.push(name.clone()),
            },
        }
    }

    /// Whether `name`, which is gone, is not said to be gone for now.
    pub(super) fn stays(&self, name: &Arc<str>, push: &Push<'_>) -> bool {
        let is_deferred = self.search.as_ref().is_some_and(|search| search.defers(name));
        is_deferred || (push.keeps_departing && self.may_hold(name))
    }

    /// Whether the client, that asks for this name, was not told yet why it is not there.
    fn is_denied(&self, name: &Arc<str>, push: &Push<'_>) -> bool {
        let why = push.shelf.denial(name).filter(|_| self.interest.names().contains(name));
        let told = self.base.as_ref().and_then(|base| base.denial(name));
        let may_know = self.known(name) == Known::Absent && !self.forced.contains(name);
        why.is_some() && !(may_know && told == why)
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
}

impl Due {
    /// Whether there is room for so many bytes more, which is taken then. One alone may
    /// be larger.
    fn takes(&mut self, size: usize) -> bool {
        let fits = self.size == 0 || self.size + size <= LARGEST;
        if fits {
            self.size += size;
        }
        fits
    }

    /// Whether it is there already, under another of its names.
    fn has(&self, resource: &Resource) -> bool {
        !resource.aliases().is_empty() && self.resources.iter().any(|other| other.is(resource))
    }

    fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.removed.is_empty() && self.never.is_empty()
    }

    fn batch(&self, lane: &Lane, push: &Push<'_>) -> Arc<Batch> {
        Arc::new(Batch::new(
            lane.tongue,
            push.shelf,
            &lane.interest,
            self.resources.clone(),
            self.removed.clone(),
            self.never.clone(),
            push.shelf.version(),
        ))
    }
}
