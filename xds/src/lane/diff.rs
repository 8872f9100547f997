//! What a client must be told: the difference between what it holds and a snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{InFlight, Known, Lane};
use crate::refusals::Content;
use crate::{Event, Resource, Snapshot};

/// What goes into one response.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) resources: Vec<Resource>,
    pub(crate) removed: Vec<Arc<str>>,
    /// How many of the resources are no longer in the snapshot.
    pub(crate) departing: usize,
}

impl Lane {
    /// Notes that the snapshot has changed in what this lane is about.
    pub(crate) fn touch(&mut self) {
        self.dirty = true;
    }

    /// Has the client told of `name` once more, if it asks for it at all.
    pub(crate) fn force(&mut self, name: &Arc<str>) {
        if self.interest.covers(name) {
            self.forced.insert(name.clone());
            self.dirty = true;
        }
    }

    /// What to send now. Nothing while an answer is awaited.
    ///
    /// With `keep_departing`, what the client holds and the snapshot has not stays
    /// with the client for now; it is still due.
    pub(crate) fn due(&mut self, snapshot: &Snapshot, keep_departing: bool) -> Option<Batch> {
        if !self.may_push() {
            return None;
        }
        self.dirty = false;
        let batch = if self.is_complete() {
            self.due_in_full(snapshot, keep_departing)
        } else {
            self.refresh(snapshot);
            self.due_in_part(snapshot, keep_departing)
        };
        if batch.is_none() && self.dirty {
            return None; // only what departs is due, and that stays for now
        }
        self.forced.clear();
        self.owed = false;
        batch
    }

    /// All there is of what is asked for, if the client does not hold just that.
    ///
    /// A full list removes what it leaves out, so what is to be kept is listed.
    fn due_in_full(&mut self, snapshot: &Snapshot, keep_departing: bool) -> Option<Batch> {
        if self.interest.is_empty() {
            return None;
        }
        let mut resources: Vec<_> =
            self.interest.pick(self.resource_type, snapshot).cloned().collect();
        let is_there = resources.len();
        if keep_departing {
            let departs = |r: &&Resource| {
                self.interest.covers(r.name())
                    && snapshot.find(self.resource_type, r.name()).is_none()
            };
            resources.extend(self.listed.values().filter(departs).cloned());
        }
        let departing = resources.len() - is_there;
        self.dirty = departing > 0;
        let batch = Batch { resources, removed: Vec::new(), departing };
        let content = batch.content();
        self.refusals.release_unless(&content);
        let is_due = self.refusals.is_empty() && (self.owed || !self.holds_exactly(&content));
        is_due.then_some(batch)
    }

    fn holds_exactly(&self, content: &Content) -> bool {
        let known = self.known.iter().map(|(name, known)| (name, known.version()));
        known.eq(content.iter().map(|(name, version)| (name, version.as_ref())))
    }

    /// Forgets what the snapshot has made void.
    fn refresh(&mut self, snapshot: &Snapshot) {
        let find = |name: &str| snapshot.find(self.resource_type, name);
        self.refusals.release(|name| find(name).map(Resource::version));
        if !self.announces_absence() {
            // Nobody tells the client, but when it comes back it must be sent again.
            self.known.retain(|name, _| find(name).is_some());
        }
    }

    /// What the client does not hold of what is asked for, and what is gone.
    fn due_in_part(&mut self, snapshot: &Snapshot, keep_departing: bool) -> Option<Batch> {
        let resources: Vec<_> = self
            .interest
            .pick(self.resource_type, snapshot)
            .filter(|resource| self.is_due(resource.name(), Some(resource.version())))
            .cloned()
            .collect();
        let mut batch = Batch { resources, removed: self.gone(snapshot), departing: 0 };
        if keep_departing {
            let all = batch.removed.len();
            batch.removed.retain(|name| !self.knows(name));
            self.dirty = batch.removed.len() < all;
        }
        let answers_wildcard = self.owed && self.interest.is_wildcard() && self.is_delta();
        (answers_wildcard || !batch.is_empty()).then_some(batch)
    }

    /// The names that the client must be told are not there.
    fn gone(&self, snapshot: &Snapshot) -> Vec<Arc<str>> {
        if !self.announces_absence() {
            return Vec::new();
        }
        let names = self.known.keys().chain(self.interest.names()).chain(&self.forced);
        let gone: BTreeSet<_> = names
            .filter(|name| snapshot.find(self.resource_type, name).is_none())
            .filter(|name| self.is_due(name, None))
            .collect();
        gone.into_iter().cloned().collect()
    }

    /// Whether the client must be told that this is the version of `name`.
    fn is_due(&self, name: &Arc<str>, version: Option<&Arc<str>>) -> bool {
        if self.refusals.holds(name, version) {
            return false;
        }
        let is_known = match self.known.get(name) {
            Some(Known::Version(known)) => version == Some(known),
            Some(Known::Absent) => version.is_none(),
            Some(Known::Uncertain) | None => false,
        };
        !is_known || self.forced.contains(name)
    }

    /// The resources in `batch` that are new or changed for the client.
    pub(crate) fn news<'a>(&'a self, batch: &'a Batch) -> impl Iterator<Item = &'a Resource> {
        batch.resources.iter().filter(|resource| {
            let known = self.known.get(resource.name()).and_then(Known::version);
            known != Some(resource.version())
        })
    }

    /// Awaits the answer to `batch` from now on.
    pub(crate) fn sent(&mut self, nonce: String, batch: &Batch, snapshot: &Snapshot) {
        self.in_flight = Some(InFlight {
            nonce,
            version: snapshot.version(self.resource_type).clone(),
            revision: snapshot.revision(),
            sent: batch.content(),
            listed: if self.is_complete() { batch.by_name() } else { BTreeMap::new() },
        });
    }

    /// Reports, once, that the client holds the latest without having been sent it.
    pub(crate) fn caught_up(&mut self, snapshot: &Snapshot) -> Option<Event> {
        let version = snapshot.version(self.resource_type);
        let is_idle = self.in_flight.is_none() && !self.dirty && !self.is_holding();
        if !is_idle || self.interest.is_empty() || self.accepted.as_ref() == Some(version) {
            return None;
        }
        self.accepted = Some(version.clone());
        Some(Event::Acked {
            resource_type: self.resource_type,
            version: version.clone(),
            revision: snapshot.revision(),
        })
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.removed.is_empty()
    }

    fn by_name(&self) -> BTreeMap<Arc<str>, Resource> {
        self.resources.iter().map(|r| (r.name().clone(), r.clone())).collect()
    }

    fn content(&self) -> Content {
        let there = self.resources.iter();
        let there =
            there.map(|resource| (resource.name().clone(), Some(resource.version().clone())));
        there.chain(self.removed.iter().map(|name| (name.clone(), None))).collect()
    }
}
