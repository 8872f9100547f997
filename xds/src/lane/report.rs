//! How each resource of a lane stands, found out when somebody asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::{Known, Lane, Stamp};
use crate::report::{ResourceRefusal, ResourceReport, ResourceState};
use crate::shelf::Shelf;
use crate::{Resource, ResourceType};

impl Lane {
    /// Adds how each resource stands that is asked for.
    pub(crate) fn report(&self, shelf: &Shelf, reports: &mut Vec<ResourceReport>) {
        let in_flight: HashMap<&Arc<str>, &Arc<str>> =
            self.in_flight().iter().map(|r| (r.name(), r.version())).collect();
        for resource in shelf.pick(&self.interest) {
            let name = resource.name();
            let sent = in_flight.get(name).copied();
            reports.push(self.report_one(resource, sent, shelf.since(name)));
        }
        let absent = self.interest.names().iter().filter(|name| shelf.find(name).is_none());
        reports.extend(absent.map(|name| ResourceReport {
            resource_type: self.resource_type,
            name: name.clone(),
            version: None,
            state: ResourceState::Absent,
            since: None,
            sent_at: None,
            refusal: None,
            body: None,
        }));
    }

    fn report_one(
        &self,
        resource: &Resource,
        sent: Option<&Arc<str>>,
        since: Option<u64>,
    ) -> ResourceReport {
        let (name, version) = (resource.name(), resource.version());
        let holds = match self.known(name) {
            Known::Version(holds) => Some(holds),
            Known::Unknown | Known::Absent | Known::Uncertain => None,
        };
        let refused = self.refusals.reason(name, Some(version));
        let refusal = refused.map(|reason| ResourceRefusal {
            message: reason.message.clone(),
            version: version.clone(),
            at: reason.at,
        });
        let (state, since, sent_at) = match (&refusal, sent) {
            (Some(refusal), sent) => {
                (ResourceState::Nacked, Some(refusal.at), sent.and_then(|_| self.sent_at()))
            }
            (None, Some(_)) => (ResourceState::Sent, self.sent_at(), self.sent_at()),
            (None, None) if holds.as_ref() == Some(version) => {
                let brought = self.accepted(since);
                let accepted_at = brought.and_then(|stamp| stamp.accepted_at);
                // Else the client may have held it before, and it was not sent then.
                let is_change = self.stamps.iter().any(|stamp| Some(stamp.revision) < since);
                let sent_at = brought.filter(|_| is_change).map(|stamp| stamp.sent_at);
                (ResourceState::Acked, accepted_at, sent_at)
            }
            (None, None) => (ResourceState::Pending, None, None),
        };
        ResourceReport {
            resource_type: self.resource_type,
            name: name.clone(),
            version: sent.cloned().or(holds),
            state,
            since,
            sent_at,
            refusal,
            body: (self.resource_type != ResourceType::Secret).then(|| resource.body().clone()),
        }
    }

    /// When the response in flight was sent, or else the last one.
    pub(crate) fn sent_at(&self) -> Option<SystemTime> {
        let in_flight = self.in_flight.as_ref().map(|in_flight| in_flight.sent_at);
        in_flight.or_else(|| self.stamps.last().map(|stamp| stamp.sent_at))
    }

    /// The response that brought what came with this revision, and was accepted. If
    /// that is too long ago to be remembered, it was not later than this one.
    fn accepted(&self, since: Option<u64>) -> Option<&Stamp> {
        let accepted = || self.stamps.iter().filter(|stamp| stamp.accepted_at.is_some());
        let brought = accepted().find(|stamp| since.is_none_or(|since| stamp.revision >= since));
        brought.or_else(|| accepted().next_back())
    }
}
