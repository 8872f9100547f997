//! Times to live: when the next heartbeat is due.

use std::time::SystemTime;

use super::{Output, Session};

impl Session {
    /// Tells the client of times to live, and keeps alive what has one.
    ///
    /// Only for a client that [says](crate::NodeInfo::features) that it knows of them:
    /// any other gets the same resources for good.
    #[must_use]
    pub fn with_ttl(mut self) -> Self {
        self.with_ttl = true;
        self
    }

    /// When to [wake](Self::wake) it, if nothing else happens before.
    pub fn wakes_at(&self) -> Option<SystemTime> {
        self.wakes_at
    }

    /// Sends what is due by now: heartbeats.
    pub fn wake(&mut self, now: SystemTime) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.advance(&mut outputs, now);
        outputs
    }

    /// Sends the heartbeats that are due, and finds out when the next one is.
    pub(super) fn keep_alive(&mut self, revision: u64, outputs: &mut Vec<Output>, now: SystemTime) {
        self.wakes_at = None;
        for lane in &mut self.lanes {
            lane.rest();
            let Some(at) = lane.beats_at() else { continue };
            if at > now {
                self.wakes_at = Some(self.wakes_at.map_or(at, |first| first.min(at)));
                continue;
            }
            let nonce = self.nonces.wrapping_add(1);
            if let Some(batch) = lane.beat(nonce, revision, now) {
                self.nonces = nonce;
                let response = batch.respond(lane.resource_type(), self.protocol, nonce);
                outputs.push(Output::Send(response));
            }
        }
    }
}
