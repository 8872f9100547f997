//! Heartbeats: what has a time to live is kept alive for as long as there is a stream.
//!
//! A heartbeat is a response like any other, that waits for its answer and for that
//! of the one before. But it brings nothing new, so nobody is told of it.

use std::sync::Arc;
use std::time::SystemTime;

use marchproxy_proto as proto;

use super::{InFlight, Known, Lane};
use crate::batch::Batch;
use crate::{Protocol, Resource, ResourceType};

impl Lane {
    /// When the client must hear of what it holds; at half the time that this has.
    ///
    /// The other half is for the way there, and for a client that is slow to answer
    /// what was sent before. Never if nothing that it holds has a time to live, and not
    /// while an answer is awaited.
    pub(crate) fn beats_at(&self) -> Option<SystemTime> {
        if !self.tongue.with_ttl || self.in_flight.is_some() {
            return None;
        }
        let shortest = self.mortals().filter_map(|(resource, _)| resource.ttl()).min()?;
        Some(self.renewed.map_or(SystemTime::UNIX_EPOCH, |renewed| renewed + shortest / 2))
    }

    /// Puts a heartbeat in flight.
    pub(crate) fn beat(
        &mut self,
        nonce: u32,
        revision: u64,
        now: SystemTime,
    ) -> Option<Arc<Batch>> {
        let shelf = self.base.clone()?;
        let batch = if self.is_complete() {
            self.list_batch(&shelf, &self.listed)
        } else {
            let held = self.mortals().map(|(resource, version)| (resource.clone(), version));
            Arc::new(Batch::heartbeat(self.tongue.protocol, &shelf, held.collect()))
        };
        self.renewed = Some(now);
        let flight = InFlight::new(nonce, shelf, revision, Arc::clone(&batch), now);
        let kept = self.listed.clone();
        self.in_flight = Some(Box::new(InFlight { is_heartbeat: true, kept, ..flight }));
        Some(batch)
    }

    /// Forgets when the client was last told to keep what it holds no more of.
    pub(crate) fn rest(&mut self) {
        if self.in_flight.is_none() && self.base.is_some() && self.mortals().next().is_none() {
            self.renewed = None;
        }
    }

    /// Takes the answer to a heartbeat. Who refuses one does not hold what it is about.
    pub(super) fn heard(&mut self, answered: &InFlight, error: Option<&proto::Status>) {
        if error.is_none() {
            return;
        }
        for (name, _) in answered.batch.content() {
            if !answered.dropped.contains(name) && self.covers_in(Some(&answered.shelf), name) {
                self.odd.insert(name.clone(), Known::Unknown);
            }
        }
        self.dirty = true;
    }

    /// What the client holds with a time to live, each with the version that it holds.
    fn mortals(&self) -> impl Iterator<Item = (&Resource, Arc<str>)> {
        let all = self.base.iter().flat_map(|base| base.mortals());
        let wanted = all.filter(|resource| self.interest.covers_resource(resource));
        let held = wanted.filter(|resource| !self.listed.contains_key(resource.name()));
        let held = held.filter_map(|resource| Some((resource, self.kept_alive(resource)?)));
        // What a list has in place of what the base has.
        let listed = self.listed.values().flatten().filter(|resource| resource.ttl().is_some());
        held.chain(listed.map(|resource| (resource, resource.version().clone())))
    }

    /// The version that the client holds of what the base has, if there is a heartbeat for
    /// that.
    fn kept_alive(&self, resource: &Resource) -> Option<Arc<str>> {
        if self.is_complete() {
            // A list has in it what was accepted last, whatever was refused since.
            return Some(resource.version().clone());
        }
        match self.known(resource.name()) {
            Known::Version(version) if self.beats_for(resource, &version) => Some(version),
            Known::Version(_) | Known::Unknown | Known::Absent | Known::Uncertain => None,
        }
    }

    /// Whether there is a heartbeat for this version. A client may hold an older one, as
    /// it has refused the latest; where a heartbeat has the resource in it, that is gone.
    fn beats_for(&self, resource: &Resource, version: &Arc<str>) -> bool {
        let has_none = self.tongue.protocol == Protocol::Delta
            && self.resource_type != ResourceType::VirtualHost;
        has_none || resource.version() == version
    }
}
