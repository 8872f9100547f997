//! How each resource of a lane stands, found out when somebody asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::{Known, Lane};
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
        let (state, since) = match (&refusal, sent) {
            (Some(refusal), _) => (ResourceState::Nacked, Some(refusal.at)),
            (None, Some(_)) => (ResourceState::Sent, self.sent_at()),
            (None, None) if holds.as_ref() == Some(version) => {
                (ResourceState::Acked, self.accepted_at(since))
            }
            (None, None) => (ResourceState::Pending, None),
        };
        ResourceReport {
            resource_type: self.resource_type,
            name: name.clone(),
            version: sent.cloned().or(holds),
            state,
            since,
            refusal,
            body: (self.resource_type != ResourceType::Secret).then(|| resource.body().clone()),
        }
    }

    /// When the response in flight was sent, or else the last one.
    pub(crate) fn sent_at(&self) -> Option<SystemTime> {
        let in_flight = self.in_flight.as_ref().map(|in_flight| in_flight.sent_at);
        in_flight.or_else(|| self.stamps.last().map(|stamp| stamp.sent_at))
    }

    /// When the client accepted what came with this revision. If that is too long
    /// ago to be remembered, it was not later than this.
    fn accepted_at(&self, since: Option<u64>) -> Option<SystemTime> {
        let accepted = || self.stamps.iter().filter(|stamp| stamp.accepted_at.is_some());
        let brought = accepted().find(|stamp| since.is_none_or(|since| stamp.revision >= since));
        brought.or_else(|| accepted().next_back()).and_then(|stamp| stamp.accepted_at)
    }
}
