//! The search for whom to blame, as far as it is about one lane.
//!
//! What was refused is sent again in parts, in whichever form the lane has: a
//! response in part, or a list that brings no more than the part.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{InFlight, Known, Lane, Push};
use crate::Event;
use crate::refusals::{Reason, Refusal, Search, Verdict};
use crate::shelf::version;

impl Lane {
    /// The next part of what is searched of which something is still due.
    pub(super) fn push_trials(&mut self, push: &Push<'_>) -> Option<Box<InFlight>> {
        let search = self.search.as_mut()?;
        if !push.keeps_departing {
            search.resume();
        }
        while let Some(part) = self.suspects() {
            if let Some(flight) = self.push_trial(push, &part) {
                return Some(flight);
            }
        }
        self.search.take_if(|search| search.is_over());
        None
    }

    /// What of this part is still due.
    fn push_trial(&mut self, push: &Push<'_>, part: &BTreeSet<Arc<str>>) -> Option<Box<InFlight>> {
        let (flight, departs) = if self.is_complete() {
            self.list_trial(push, part)
        } else {
            self.part_trial(push, part)
        };
        let Some(mut flight) = flight else {
            if let Some(search) = &mut self.search {
                if departs.is_empty() { search.acquit() } else { search.defer() }
            }
            return None;
        };
        if let Some(search) = &mut self.search {
            search.set_aside(departs);
        }
        self.dirty = true; // there is more to come, whatever becomes of this
        flight.in_part = true;
        flight.is_trial = true;
        (!self.is_complete() || !self.is_known_refused(&flight)).then_some(flight)
    }

    /// The part of the refused that is to be tried next.
    fn suspects(&self) -> Option<BTreeSet<Arc<str>>> {
        let part = self.search.as_ref()?.part()?;
        Some(part.iter().cloned().collect())
    }

    /// Whether a trial would bring a list that was refused before: what was in that
    /// besides was accepted, so this part is to blame, without being sent again.
    fn is_known_refused(&mut self, trial: &InFlight) -> bool {
        let version = version(self.resource_type, trial.resources());
        let refusal = self.search.as_ref().and_then(|search| search.refusal_of(&version));
        let Some(Refusal { code, reason }) = refusal.cloned() else { return false };
        let suspects = self.news_in(trial);
        let culprits = self.blame(trial, suspects.clone(), &BTreeSet::new(), reason.clone());
        if !culprits.is_empty() {
            self.found.push(Event::Nacked {
                resource_type: self.resource_type,
                version: trial.shelf.version().clone(),
                revision: trial.revision,
                code,
                message: reason.message.to_string(),
                resources: suspects,
                culprits,
                searching: false,
            });
        }
        true
    }

    /// What the client has refused it may have applied, or not.
    pub(super) fn doubt(&mut self, refused: &InFlight, told: &[Arc<str>]) {
        for name in told {
            if self.covers_in(Some(&refused.shelf), name) {
                self.odd.insert(name.clone(), Known::Uncertain);
            }
        }
    }

    /// Finds out who among the suspects is to blame for a refusal, and holds those;
    /// returns them.
    pub(super) fn blame(
        &mut self,
        refused: &InFlight,
        told: Vec<Arc<str>>,
        culprits: &BTreeSet<Arc<str>>,
        reason: Reason,
    ) -> Vec<Arc<str>> {
        let verdict = match &mut self.search {
            Some(search) if refused.is_trial => search.refuse(&told, culprits),
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
