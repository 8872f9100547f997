//! Complete lists: state of the world, listeners and clusters.
//!
//! A list that differs in one resource is sent whole, and whatever it leaves out is
//! removed by the client. So what is to stay for a while has to be listed.

use std::sync::Arc;

use super::{InFlight, Lane, Push, by_name};
use crate::Resource;
use crate::batch::Batch;
use crate::refusals::Content;
use crate::shelf::Shelf;

impl Lane {
    /// All there is of what is asked for, if the client does not hold just that.
    pub(super) fn push_list(&mut self, push: &Push<'_>) -> Option<Box<InFlight>> {
        if self.interest.is_empty() {
            return None;
        }
        let shelf = push.shelf;
        let departing = if push.keeps_departing { self.departing_from(push) } else { Vec::new() };
        self.departing = !departing.is_empty();
        self.dirty = self.departing;

        let is_same = !self.owed
            && !self.doubtful
            && self.base.as_ref().is_some_and(|base| self.holds_just(base, &departing, push));
        if is_same && self.refusals.is_empty() {
            self.base = Some(Arc::clone(shelf));
            self.listed = by_name(&departing);
            return None;
        }
        let batch = if departing.is_empty() {
            shelf.batch(self.protocol, None, &self.interest, true)
        } else {
            let resources = shelf.pick(&self.interest).cloned().collect();
            let (removed, never) = (Vec::new(), Vec::new());
            Arc::new(Batch::new(self.protocol, shelf, resources, removed, never, &departing))
        };
        if !self.refusals.is_empty() {
            self.refusals.release_unless(&content(&batch));
        }
        if is_same || !self.refusals.is_empty() {
            return None; // just what was refused, or what the client holds by now
        }
        Some(self.flight(push, batch))
    }

    /// What the client holds, and the shelf has not any more, sorted by name.
    fn departing_from(&self, push: &Push<'_>) -> Vec<Resource> {
        let gone = |resource: &&Resource| {
            self.interest.covers_resource(resource) && push.shelf.find(resource.name()).is_none()
        };
        let mut departing: Vec<_> = self.listed.values().filter(gone).cloned().collect();
        if let Some(base) = &self.base {
            let diff = push.shelf.diff(Some(base));
            let found = diff.gone.iter().filter_map(|name| base.find(name));
            departing.extend(found.filter(gone).cloned());
        }
        departing.sort_by(|a, b| a.name().cmp(b.name()));
        departing.dedup_by(|a, b| a.name() == b.name());
        departing
    }

    /// Whether the client holds just what there is and what departs.
    fn holds_just(&self, base: &Shelf, departing: &[Resource], push: &Push<'_>) -> bool {
        let departs = |name: &str| departing.iter().any(|resource| **resource.name() == *name);
        let stays = |name: &str| departs(name) || push.shelf.find(name).is_some();
        if !self.listed.keys().all(|name| stays(name)) {
            return false;
        }
        if base.version() == push.shelf.version() {
            return true;
        }
        let diff = push.shelf.diff(Some(base));
        let gone = diff.gone.iter().filter_map(|name| base.find(name));
        let mut gone = gone.filter(|resource| self.interest.covers_resource(resource));
        let changed = diff.changed.iter();
        let mut changed = changed.filter(|resource| self.interest.covers_resource(resource));
        gone.all(|resource| departs(resource.name()))
            && changed.all(|resource| {
                let listed = self.listed.get(resource.name());
                listed.is_some_and(|listed| listed.version() == resource.version())
            })
    }
}

/// What a list says.
pub(super) fn content(batch: &Batch) -> Content {
    batch.content().map(|(name, version)| (name.clone(), version.cloned())).collect()
}
