//! What the client asks for, and no longer asks for.

use std::sync::Arc;
use std::time::SystemTime;

use marchproxy_proto as proto;

use super::{Known, Lane};
use crate::Resource;
use crate::interest::Turn;
use crate::shelf::Shelf;

impl Lane {
    /// Takes over what a state-of-the-world request names.
    pub(crate) fn ask_sotw(&mut self, names: &[String], nonce: &str, version: &str) {
        self.ask_again(nonce, version);
        self.named |= !names.is_empty();
        let legacy_wildcard = !self.named && self.resource_type.is_full_state();
        let turns = self.interest.replace(names, legacy_wildcard);
        self.take(turns);
    }

    /// Takes over a state-of-the-world request that names the same as the last.
    pub(crate) fn ask_again(&mut self, nonce: &str, version: &str) {
        if nonce.is_empty() && self.answered {
            // The client has forgotten what it knew: this is a first request again.
            self.start_over();
        }
        if nonce.is_empty() {
            self.came_back = !version.is_empty();
        }
    }

    /// Takes over what the first delta request of this type on the stream says. `shelf`
    /// is what there is of the type by now.
    pub(crate) fn ask_delta_first(
        &mut self,
        request: &proto::DeltaDiscoveryRequest,
        shelf: Option<&Arc<Shelf>>,
    ) {
        let names = &request.resource_names_subscribe;
        if self.resource_type.is_full_state()
            && names.is_empty()
            && request.resource_names_unsubscribe.is_empty()
        {
            self.interest.subscribe_to_all();
        }
        self.interest.subscribe(names);
        let held = &request.initial_resource_versions;
        match shelf {
            Some(shelf) if !held.is_empty() => self.bring(held, shelf),
            Some(_) | None => self.list(held),
        }
        self.owed = held.is_empty();
        // Nobody knows how long ago the client was told to keep it.
        self.renewed = (!held.is_empty()).then_some(SystemTime::UNIX_EPOCH);
        self.dirty = true;
    }

    /// Takes over what a later delta request says.
    pub(crate) fn ask_delta(&mut self, request: &proto::DeltaDiscoveryRequest) {
        let mut turns = self.interest.unsubscribe(&request.resource_names_unsubscribe);
        turns.extend(self.interest.subscribe(&request.resource_names_subscribe));
        self.take(turns);
    }

    fn take(&mut self, turns: Vec<Turn>) {
        self.dirty |= !turns.is_empty();
        let mut dropped_all = false;
        for turn in turns {
            match turn {
                Turn::Asked(name) => {
                    self.owed |= self.is_complete();
                    self.refusals.let_go(&name);
                    // Without a base, and none on its way, that goes without saying.
                    if self.base.is_none() && self.in_flight.is_none() {
                        continue;
                    }
                    if self.is_complete() {
                        self.listed.insert(name, None);
                    } else {
                        self.odd.insert(name, Known::Unknown);
                    }
                }
                Turn::AskedAgain(name) => {
                    self.owed |= self.is_complete();
                    self.refusals.let_go(&name);
                    // What is only for who names it did not come as one of all.
                    let of_base = self.base.as_ref().and_then(|base| base.find(&name));
                    if self.is_complete() && of_base.is_some_and(Resource::is_by_name_only) {
                        self.listed.entry(name.clone()).or_insert(None);
                    }
                    self.forced.insert(name);
                }
                Turn::AskedForAll => {
                    self.owed = true;
                    self.enumerate();
                }
                Turn::Dropped(name) if self.interest.names().contains(&name) => {
                    // And asked for again in the same request: what is on its way may be
                    // what the client has just dropped.
                    if let Some(in_flight) = &mut self.in_flight {
                        in_flight.dropped.insert(name);
                    }
                }
                Turn::Dropped(name) if self.interest.covers(&name) => {}
                Turn::Dropped(name) => self.forget(&name),
                Turn::DroppedAll => dropped_all = true,
            }
        }
        if dropped_all {
            let interest = &self.interest;
            self.odd.retain(|name, _| interest.covers(name));
            self.forced.retain(|name| interest.covers(name));
            self.listed.retain(|name, _| interest.covers(name));
            self.refusals.retain(|name| interest.covers(name));
            if let Some(in_flight) = &mut self.in_flight {
                let told = in_flight.batch.content().map(|(name, _)| name);
                in_flight.dropped.extend(told.filter(|name| !interest.covers(name)).cloned());
            }
        }
        if self.interest.is_empty() {
            // A client that wants nothing may not even answer what is in flight.
            self.start_over();
        }
    }

    /// Lists what the client knows name by name: it has not got what it asks for of
    /// the base any more, since it asks for all.
    fn enumerate(&mut self) {
        let is_complete = self.is_complete();
        if let Some(base) = self.base.take() {
            for name in self.interest.names().iter() {
                if is_complete {
                    let found = || base.find(name).cloned();
                    self.listed.entry(name.clone()).or_insert_with(found);
                } else if !self.odd.contains_key(name) {
                    let version = base.version_of(name).cloned();
                    self.odd.insert(name.clone(), version.map_or(Known::Absent, Known::Version));
                }
            }
        }
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.in_part = true;
            in_flight.is_narrow = true;
        }
    }

    fn forget(&mut self, name: &Arc<str>) {
        self.odd.remove(name);
        self.forced.remove(name);
        self.listed.remove(name);
        self.refusals.forget(name);
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.dropped.insert(name.clone());
        }
    }

    fn start_over(&mut self) {
        self.base = None;
        self.odd.clear();
        self.listed.clear();
        self.came_back = false;
        self.forced.clear();
        self.refusals.clear();
        self.search = None;
        self.in_flight = None;
        self.renewed = None;
        self.owed = true;
        self.dirty = true;
    }
}
