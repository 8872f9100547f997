//! What the client says of a response: that it accepts it, or not.

use std::time::SystemTime;

use marchproxy_proto as proto;

use super::{InFlight, Known, Lane, Stamp};
use crate::Event;
use crate::refusals::{Reason, Refusal, culprits, head};

/// How many of the last responses are remembered, to tell when what came.
const STAMPS: usize = 8;
/// How much of a client's words is kept, in bytes.
const LONGEST_MESSAGE: usize = 16 << 10;

impl Lane {
    /// Takes the client's word on the response in flight, if it is about that one.
    pub(crate) fn answer(
        &mut self,
        nonce: &str,
        error: Option<&proto::Status>,
        now: SystemTime,
    ) -> Option<Event> {
        let answered = self.in_flight.take_if(|in_flight| is_nonce(in_flight.nonce, nonce))?;
        self.answered = true;
        if answered.is_heartbeat && (error.is_none() || !self.is_complete()) {
            self.heard(&answered, error);
            return None;
        }
        Some(match error {
            None => self.accept(*answered, now),
            Some(error) => self.refuse(&answered, error, now),
        })
    }

    fn accept(&mut self, answered: InFlight, now: SystemTime) -> Event {
        let InFlight { shelf, revision, batch, sent_at, .. } = &answered;
        let event = Event::Acked {
            resource_type: self.resource_type,
            version: shelf.version().clone(),
            revision: *revision,
        };
        self.stamp(Stamp { revision: *revision, sent_at: *sent_at, accepted_at: Some(now) });
        self.accepted = Some(shelf.version().clone());
        if self.is_complete() {
            self.accept_list(&answered);
        } else if answered.in_part {
            for (name, version) in batch.content() {
                let is_wanted = self.covers_in(Some(&answered.shelf), name);
                if answered.dropped.contains(name) || !is_wanted {
                    continue;
                }
                let known = version.cloned().map_or(Known::Absent, Known::Version);
                self.odd.insert(name.clone(), known);
            }
            if answered.is_trial
                && let Some(search) = &mut self.search
            {
                search.acquit();
            }
            self.dirty = true;
        } else {
            self.rebase(answered);
        }
        event
    }

    fn refuse(&mut self, answered: &InFlight, error: &proto::Status, now: SystemTime) -> Event {
        let message = head(&error.message, LONGEST_MESSAGE);
        let reason = Reason { message: message.into(), at: now };
        let told: Vec<_> = answered.batch.content().map(|(name, _)| name.clone()).collect();
        self.stamp(Stamp {
            revision: answered.revision,
            sent_at: answered.sent_at,
            accepted_at: None,
        });
        let culprits = if self.is_complete() {
            self.refuse_list(answered, &told, Refusal { code: error.code, reason })
        } else {
            let suspects = told.iter().filter(|name| !answered.dropped.contains(*name));
            let suspects: Vec<_> = suspects.cloned().collect();
            let named = culprits(message, &suspects);
            self.doubt(answered, &suspects);
            self.blame(answered, suspects, &named, reason)
        };
        self.accepted = None;
        self.dirty = true;
        Event::Nacked {
            resource_type: self.resource_type,
            version: answered.shelf.version().clone(),
            revision: answered.revision,
            code: error.code,
            message: message.to_owned(),
            resources: told,
            searching: culprits.is_empty() && self.is_searching(),
            culprits,
        }
    }

    fn stamp(&mut self, stamp: Stamp) {
        if self.stamps.len() == STAMPS {
            self.stamps.remove(0);
        }
        self.stamps.push(stamp);
    }
}

/// Whether a client's nonce is this one, as it was sent.
fn is_nonce(nonce: u32, said: &str) -> bool {
    let is_lower = !said.bytes().any(|b| b.is_ascii_uppercase() || b == b'+');
    said.len() == 8 && is_lower && u32::from_str_radix(said, 16) == Ok(nonce)
}
