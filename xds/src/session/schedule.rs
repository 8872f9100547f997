//! The schedule: what may be sent now, what has to wait, and whether all is done.

use std::time::SystemTime;

use super::{Output, Session, Settled};
use crate::lane::{Lane, Push};
use crate::{Event, Resource, ResourceType, Snapshot};

impl Session {
    /// Sends whatever is due, in push order: the one place that decides when.
    pub(super) fn advance(&mut self, outputs: &mut Vec<Output>, now: SystemTime) {
        let Some(snapshot) = self.snapshot.clone() else { return };
        self.gated = false;
        for index in 0..self.lanes.len() {
            if self.waits_for_clusters(&self.lanes[index], &snapshot) {
                self.gated = true;
            } else {
                self.push(index, &snapshot, outputs, now);
            }
        }
        // What is gone goes last, and the other way round: make before break.
        for index in 0..self.lanes.len() {
            if self.lanes[index].resource_type().departs_late() {
                self.push(index, &snapshot, outputs, now);
            }
        }
        if self.with_ttl {
            self.keep_alive(snapshot.revision(), outputs, now);
        }
        let departs = self.lanes.iter().any(Lane::is_departing);
        self.in_grace = self.has_grace && departs && !self.users_lag();
        if let Some(settled) = self.settle(&snapshot) {
            outputs.extend(self.needs_anew(&snapshot).map(Output::Report));
            outputs.push(Output::Report(settled));
        }
    }

    /// Whether a push must wait until the client has answered to clusters.
    ///
    /// Envoy says yes to clusters once they are warm; a route to one that is not
    /// would answer 503: <https://github.com/envoyproxy/envoy/issues/5933>.
    fn waits_for_clusters(&self, lane: &Lane, snapshot: &Snapshot) -> bool {
        if self.lifted || !lane.resource_type().uses_clusters() || !lane.may_push() {
            return false;
        }
        let Some(clusters) = self.lane(ResourceType::Cluster) else { return false };
        let shelf = snapshot.shelf(lane.resource_type());
        let is_needed = |cluster: &&Resource| {
            shelf.requires(ResourceType::Cluster, cluster.name()) && !clusters.holds(cluster.name())
        };
        // The shelf tells whether anybody needs them, the lane whether this client does.
        let latest = snapshot.shelf(ResourceType::Cluster);
        let new: Vec<_> = if clusters.has_more_of(latest) {
            clusters.delivered(latest).filter(is_needed).collect()
        } else {
            clusters.in_flight().iter().filter(is_needed).collect()
        };
        !new.is_empty()
            && lane.delivered(shelf).flat_map(Resource::requires).any(|(required, name)| {
                *required == ResourceType::Cluster && new.iter().any(|new| new.name() == name)
            })
    }

    /// Whether listeners and routes that may refer to what is gone are still on
    /// their way out.
    fn users_lag(&self) -> bool {
        self.lanes.iter().any(|lane| lane.resource_type().uses_clusters() && lane.lags())
    }

    /// Whether clusters and endpoints that are gone must stay for the time being.
    fn keeps_departing(&self, resource_type: ResourceType) -> bool {
        let uses = |lane: &Lane| lane.resource_type().uses_clusters();
        let in_grace = self.has_grace && !self.grace_is_over && self.lanes.iter().any(uses);
        resource_type.departs_late() && (in_grace || self.users_lag())
    }

    fn push(
        &mut self,
        index: usize,
        snapshot: &Snapshot,
        outputs: &mut Vec<Output>,
        now: SystemTime,
    ) {
        let resource_type = self.lanes[index].resource_type();
        let keeps_departing = self.keeps_departing(resource_type);
        let shelf = snapshot.shelf(resource_type);
        let nonce = self.nonces.wrapping_add(1);
        let revision = snapshot.revision();
        let lane = &mut self.lanes[index];
        let push = Push { shelf, revision, keeps_departing, nonce, now };
        let pushed = lane.push(&push);
        outputs.extend(lane.found().map(Output::Report));
        let Some(pushed) = pushed else {
            outputs.extend(lane.caught_up(shelf, revision).map(Output::Report));
            return;
        };
        self.nonces = nonce;
        let response = pushed.batch.respond(resource_type, self.protocol, nonce);
        outputs.push(Output::Report(Event::Sent {
            resource_type,
            version: shelf.version().clone(),
            revision,
            resources: pushed.batch.resources.len(),
            removed: pushed.batch.removed.len(),
            bytes: response.len(),
        }));
        outputs.push(Output::Send(response));
        self.repeat_endpoints(&pushed.news);
    }

    /// Has the endpoints sent that Envoy waits for once it has got these clusters.
    ///
    /// It waits even for those that it has, and on delta it does not ask for them:
    /// <https://github.com/envoyproxy/envoy/issues/13009>.
    fn repeat_endpoints(&mut self, clusters: &[Resource]) {
        let is_endpoints = |lane: &&mut Lane| lane.resource_type() == ResourceType::Endpoint;
        let Some(endpoints) = self.lanes.iter_mut().find(is_endpoints) else { return };
        for (required, name) in clusters.iter().flat_map(Resource::requires) {
            if *required == ResourceType::Endpoint {
                endpoints.force(name);
            }
        }
    }

    /// What to report as settled, if it is, and has not been reported yet.
    fn settle(&mut self, snapshot: &Snapshot) -> Option<Event> {
        if self.lanes.is_empty() || !self.lanes.iter().all(Lane::is_idle) || self.gated {
            return None;
        }
        let held: Vec<_> = self.held().collect();
        let revision = snapshot.revision();
        let settled = Settled { revision, held: held.clone() };
        if self.settled.as_ref() == Some(&settled) || !self.is_complete(snapshot) {
            return None;
        }
        self.settled = Some(settled);
        Some(Event::Settled { revision, held })
    }

    /// Whether the client has asked for all that its resources require.
    ///
    /// On a stream of one type alone it asks for the others elsewhere.
    fn is_complete(&mut self, snapshot: &Snapshot) -> bool {
        self.needs.is_some()
            || (0..self.lanes.len()).all(|index| self.is_complete_for(index, snapshot))
    }

    /// The same for what one lane's resources require.
    fn is_complete_for(&mut self, index: usize, snapshot: &Snapshot) -> bool {
        let lane = &self.lanes[index];
        let shelf = snapshot.shelf(lane.resource_type());
        // What all of them require is known, and mostly just what is asked for.
        let mut covered = self.covered;
        let is_covered = shelf.required().iter().all(|(resource_type, names)| {
            let Some(other) = self.lane(*resource_type) else { return false };
            let pair = Some((names.hash(), other.names_hash()));
            if covered != pair && other.covers_all(names) {
                covered = pair;
            }
            covered == pair
        });
        let is_complete = is_covered
            || lane.delivered(shelf).flat_map(Resource::requires).all(|(resource_type, name)| {
                self.lane(*resource_type).is_some_and(|lane| lane.covers(name))
            });
        self.covered = covered;
        is_complete
    }
}
