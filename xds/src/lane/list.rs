//! Complete lists: state of the world, listeners and clusters.
//!
//! A list that differs in one resource is sent whole, and whatever it leaves out is
//! removed by the client. So what is to stay has to be listed: what departs later,
//! and of what was refused, or is suspected, the version that was accepted last. A
//! list is compared with the last one that was accepted, name by name.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::{InFlight, Kept, Known, Lane, Push};
use crate::Resource;
use crate::batch::Batch;
use crate::refusals::{Content, Refusal, culprits};
use crate::shelf::{Shelf, version};

/// How a list differs from the shelf, and from what the client has.
#[derive(Default)]
struct Comparison {
    kept: Kept,
    /// What is gone, and stays for now.
    departs: Vec<Arc<str>>,
    /// Whether it brings anything that the client does not hold.
    is_due: bool,
}

impl Lane {
    /// All there is of what is asked for, if the client does not hold just that.
    pub(super) fn push_list(&mut self, push: &Push<'_>) -> Option<Box<InFlight>> {
        if self.interest.is_empty() {
            return None;
        }
        if self.is_parked() {
            let batch = push.shelf.batch(self.tongue, None, &self.interest, true);
            self.refusals.release_unless(&content(&batch));
            return self.refusals.is_empty().then(|| self.flight(push, batch));
        }
        if !self.refusals.is_empty() {
            self.refusals.release(|name| push.shelf.version_of(name));
        }
        if let Some(flight) = self.push_trials(push) {
            return Some(flight);
        }
        let list = self.compare(push, None);
        self.departing = !list.departs.is_empty();
        self.dirty |= self.departing;
        if !list.is_due && !self.owed {
            self.base = Some(Arc::clone(push.shelf));
            self.listed = list.kept;
            return None;
        }
        self.refusals.release_empty();
        self.forced.clear(); // it has all there is
        Some(self.list_flight(push, list.kept))
    }

    /// A list that brings of all that is due no more than this part, if that is due;
    /// and what of it stays for now.
    pub(super) fn list_trial(
        &mut self,
        push: &Push<'_>,
        part: &BTreeSet<Arc<str>>,
    ) -> (Option<Box<InFlight>>, Vec<Arc<str>>) {
        let list = self.compare(push, Some(part));
        if !list.is_due {
            return (None, list.departs);
        }
        self.forced.retain(|name| !part.contains(name));
        (Some(self.list_flight(push, list.kept)), list.departs)
    }

    /// Goes by a list that was accepted.
    pub(super) fn accept_list(&mut self, arrived: &InFlight) {
        self.odd.clear();
        if arrived.is_narrow {
            let told = arrived.resources().filter(|r| !arrived.dropped.contains(r.name()));
            self.listed = told.map(|r| (r.name().clone(), Some(r.clone()))).collect();
            self.base = None;
        } else {
            self.go_by_list(arrived);
        }
        if arrived.is_trial {
            self.dirty = true;
            if let Some(search) = &mut self.search {
                search.acquit();
            }
        }
    }

    fn go_by_list(&mut self, list: &InFlight) {
        let InFlight { shelf, kept, dropped, .. } = list;
        self.listed.retain(|name, listed| listed.is_none() && shelf.find(name).is_some());
        if !self.listed.is_empty() {
            let told = list.resources().map(Resource::name);
            let told: BTreeSet<_> = told.filter(|name| !dropped.contains(*name)).collect();
            // What was asked for meanwhile the client has not been told.
            self.listed.retain(|name, _| !told.contains(name));
        }
        let kept = kept.iter().filter(|(name, _)| !dropped.contains(*name));
        self.listed.extend(kept.map(|(name, kept)| (name.clone(), kept.clone())));
        self.base = Some(Arc::clone(shelf));
    }

    /// Finds out who in a list is to blame for its refusal, and holds those.
    ///
    /// Only what is new or changed is suspected. If there is nothing of that, or
    /// nobody knows, the list is held as a whole.
    pub(super) fn refuse_list(
        &mut self,
        refused: &InFlight,
        told: &[Arc<str>],
        refusal: Refusal,
    ) -> Vec<Arc<str>> {
        let suspects = self.news_in(refused);
        self.doubt(refused, &suspects);
        let is_unknown = self.came_back && self.base.is_none();
        let reason = refusal.reason.clone();
        if !is_unknown && !suspects.is_empty() {
            let named = culprits(&reason.message, &suspects);
            let culprits = self.blame(refused, suspects, &named, reason);
            if let Some(search) = &mut self.search {
                search.note_list(version(self.resource_type, refused.resources()), refusal);
            }
            return culprits;
        }
        let named = culprits(&reason.message, told);
        if !is_unknown && !refused.is_narrow {
            // It said at most why something is not there, and that was heard.
            self.go_by_list(refused);
        }
        let mut content = content(&refused.batch);
        content.retain(|name, _| !refused.dropped.contains(name));
        self.refusals.hold(content, reason);
        if named.is_empty() && told.len() == 1 {
            return told.to_vec(); // nobody else can be meant
        }
        named.into_iter().collect()
    }

    /// Whether the first list was refused by a client that may hold another one.
    ///
    /// What that has in it nobody knows, so no list may leave anything out.
    fn is_parked(&self) -> bool {
        self.came_back && self.base.is_none() && !self.refusals.is_empty()
    }

    /// How the list that is due, or a trial of this part of it, differs.
    fn compare(&self, push: &Push<'_>, part: Option<&BTreeSet<Arc<str>>>) -> Comparison {
        let mut list = Comparison::default();
        if part.is_none() && self.is_plain() && self.base.is_none() {
            list.is_due = true;
            return list;
        }
        let mut names = self.candidates(push);
        names.extend(self.listed.keys().cloned());
        for name in names {
            let found = push.shelf.find(&name).filter(|r| self.interest.covers_resource(r));
            if found.is_none() && !self.covers_in(self.base.as_ref(), &name) {
                continue;
            }
            let name = found.map_or(&name, Resource::name);
            let version = found.map(Resource::version);
            let good = self.good(name);
            let is_gone = found.is_none() && good.is_some();
            let is_tried = part.is_none_or(|part| part.contains(name));
            let departs = is_gone && is_tried && self.stays(name, push);
            if departs {
                list.departs.push(name.clone());
            }
            let is_held = !is_tried || self.refusals.holds(name, version);
            let target = if is_held || departs { good } else { found };
            if target.map(Resource::version) != version {
                list.kept.insert(name.clone(), target.cloned());
            }
            list.is_due |= !is_held
                && match self.known(name) {
                    Known::Version(known) => target.map(Resource::version) != Some(&known),
                    Known::Absent | Known::Unknown => target.is_some(),
                    Known::Uncertain => part.is_none() || !departs,
                };
        }
        if part.is_none() {
            let denied = push.shelf.denied(self.base.as_deref(), &self.interest);
            list.is_due |= denied.into_iter().any(|name| !is_kept(&list.kept, name));
        }
        list
    }

    fn list_flight(&self, push: &Push<'_>, kept: Kept) -> Box<InFlight> {
        let mut flight = self.flight(push, self.list_batch(push.shelf, &kept));
        flight.kept = kept;
        flight
    }

    /// All there is of what is asked for, but for what is kept.
    pub(super) fn list_batch(&self, shelf: &Shelf, kept: &Kept) -> Arc<Batch> {
        if kept.is_empty() {
            return shelf.batch(self.tongue, None, &self.interest, true);
        }
        let listed = shelf.pick(&self.interest).filter_map(|resource| {
            kept.get(resource.name()).map_or(Some(resource), Option::as_ref)
        });
        let mut resources: Vec<_> = listed.cloned().collect();
        resources.extend(
            kept.values().flatten().filter(|kept| shelf.find(kept.name()).is_none()).cloned(),
        );
        resources.sort_by(|a, b| a.name().cmp(b.name()));
        // Not the shelf's own list, so not its version either.
        let version = shelf.version_of_list(resources.iter());
        let denied = shelf.denied(None, &self.interest).filter(|name| !is_kept(kept, name));
        let (none, denied) = (Vec::new(), denied.cloned().collect());
        let (tongue, interest) = (self.tongue, &self.interest);
        Arc::new(Batch::new(tongue, shelf, interest, resources, none, denied, &version))
    }

    /// What the client accepted last of this name.
    fn good(&self, name: &str) -> Option<&Resource> {
        if let Some(listed) = self.listed.get(name) {
            return listed.as_ref();
        }
        let found = self.base.as_ref().and_then(|base| base.find(name));
        found.filter(|resource| self.interest.covers_resource(resource))
    }

    /// The names of which a list brings what the client had not accepted before.
    pub(super) fn news_in(&self, list: &InFlight) -> Vec<Arc<str>> {
        let told: HashSet<_> = list.resources().map(Resource::name).collect();
        let is_wanted = |name: &Arc<str>| {
            !list.dropped.contains(name) && self.covers_in(Some(&list.shelf), name)
        };
        let changed = list.batch.resources.iter().filter(|resource| {
            let good = self.good(resource.name());
            good.map(Resource::version) != Some(resource.version())
        });
        let before = self.base.iter().flat_map(|base| base.pick(&self.interest));
        let before = before.map(Resource::name).chain(self.listed.keys());
        let gone = before.filter(|name| !told.contains(name) && self.good(name).is_some());
        let mut news: Vec<_> = changed.map(Resource::name).chain(gone).cloned().collect();
        news.retain(is_wanted);
        news.sort_unstable();
        news.dedup();
        news
    }
}

impl InFlight {
    pub(super) fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.batch.resources.iter()
    }
}

/// Whether a list has `name` in it, though the shelf has not.
fn is_kept(kept: &Kept, name: &str) -> bool {
    kept.get(name).is_some_and(Option::is_some)
}

/// What a list says.
fn content(batch: &Batch) -> Content {
    batch.content().map(|(name, version)| (name.clone(), version.cloned())).collect()
}
