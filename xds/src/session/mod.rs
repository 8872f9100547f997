//! One stream as a state machine: no I/O, no clock, no async.
//!
//! Inputs are requests and snapshots; each returns what is to be sent and
//! reported, in that order. Both protocols share the [lanes](crate::lane): only
//! reading a request and writing a response differ.

use std::sync::Arc;
use std::time::SystemTime;

use marchproxy_proto as proto;

use crate::batch::Response;
use crate::lane::{Lane, Push};
use crate::report::{ResourceReport, ResourceState};
use crate::{Event, Protocol, Resource, ResourceType, Snapshot};

mod alone;
#[cfg(test)]
mod tests;

/// How many types that are not ours one stream may ask for before we lose count.
const MAX_UNKNOWN_TYPES: usize = 64;

/// One stream: what its client asked for, and how far it got.
#[derive(Debug)]
pub struct Session {
    protocol: Protocol,
    /// What a stream of one type alone needs of others; none if it is aggregated.
    needs: Option<alone::Needs>,
    /// Whether what is gone stays for a time of grace.
    has_grace: bool,
    /// Types that are not given.
    withheld: Vec<ResourceType>,
    /// `None` until there is one: nothing is said before that.
    snapshot: Option<Arc<Snapshot>>,
    /// By type, in push order.
    lanes: Vec<Lane>,
    /// What is asked for of types that nobody knows yet.
    unknown: Vec<(String, Lane)>,
    nonces: u32,
    settled: Option<Settled>,
    /// Whether listeners or routes wait for the answer to their clusters.
    gated: bool,
    /// Whether they were told not to wait for that answer any longer.
    lifted: bool,
    /// Whether nothing but the time of grace keeps what is gone.
    in_grace: bool,
    /// Whether that time is over.
    grace_is_over: bool,
    /// Names that are required, and those asked for, of which the former are a part.
    covered: Option<(u128, u128)>,
}

/// What was last reported as settled.
#[derive(Debug, PartialEq, Eq)]
struct Settled {
    revision: u64,
    held: Vec<ResourceType>,
}

/// What a client says.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// State of the world.
    Sotw(proto::DiscoveryRequest),
    /// Incremental.
    Delta(proto::DeltaDiscoveryRequest),
}

/// What is to be done after an input, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this to the client.
    Send(Response),
    /// Tell this to the observer.
    Report(Event),
}

/// A request that ends the stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A request does not say what type it is about.
    #[error("a request has no type_url")]
    MissingTypeUrl,
    /// A request is in the other protocol than the stream.
    #[error("a request is not in the protocol of its stream")]
    WrongProtocol,
}

impl Session {
    /// Starts a stream on which nothing has been said yet.
    pub fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            needs: None,
            has_grace: false,
            withheld: Vec::new(),
            snapshot: None,
            lanes: Vec::new(),
            unknown: Vec::new(),
            nonces: 0,
            settled: None,
            gated: false,
            lifted: false,
            in_grace: false,
            grace_is_over: false,
            covered: None,
        }
    }

    /// Keeps clusters that nothing uses any more until [`Self::end_grace`].
    #[must_use]
    pub fn with_grace(mut self) -> Self {
        self.has_grace = true;
        self
    }

    /// Answers nothing to requests for these types from now on.
    pub fn withhold(&mut self, types: Vec<ResourceType>) {
        self.withheld = types;
    }

    /// Takes in what the client says.
    pub fn on_request(
        &mut self,
        request: Request,
        now: SystemTime,
    ) -> Result<Vec<Output>, Violation> {
        let mut outputs = Vec::new();
        let report = match (self.protocol, request) {
            (Protocol::Sotw, Request::Sotw(request)) => self.read_sotw(&request, now)?,
            (Protocol::Delta, Request::Delta(request)) => self.read_delta(&request, now)?,
            (Protocol::Sotw, Request::Delta(_)) | (Protocol::Delta, Request::Sotw(_)) => {
                return Err(Violation::WrongProtocol);
            }
        };
        outputs.extend(report.map(Output::Report));
        self.advance(&mut outputs, now);
        Ok(outputs)
    }

    /// Takes in a newer snapshot.
    pub fn on_snapshot(&mut self, snapshot: Arc<Snapshot>, now: SystemTime) -> Vec<Output> {
        self.adopt();
        for lane in &mut self.lanes {
            let shelf = snapshot.shelf(lane.resource_type());
            let before = self.snapshot.as_ref().map(|s| s.shelf(lane.resource_type()));
            if !before.is_some_and(|before| Arc::ptr_eq(before, shelf)) {
                lane.look_at(shelf);
            }
        }
        self.snapshot = Some(snapshot);
        let mut outputs = Vec::new();
        self.advance(&mut outputs, now);
        outputs
    }

    /// Whether listeners or routes are held back until the client has answered
    /// to the clusters that they need.
    pub fn is_gated(&self) -> bool {
        self.gated
    }

    /// Sends what is held back all the same: the clusters have had their time.
    pub fn lift_gate(&mut self, now: SystemTime) -> Vec<Output> {
        let mut outputs = Vec::new();
        if let Some(snapshot) = self.snapshot.as_ref().filter(|_| self.gated) {
            outputs.push(Output::Report(Event::Overdue { revision: snapshot.revision() }));
            self.lifted = true;
            self.advance(&mut outputs, now);
        }
        outputs
    }

    /// Whether clusters that nothing uses any more are there for a time of grace:
    /// requests may still be under way.
    pub fn is_in_grace(&self) -> bool {
        self.in_grace
    }

    /// Removes what is there only for a time of grace.
    pub fn end_grace(&mut self, now: SystemTime) -> Vec<Output> {
        let mut outputs = Vec::new();
        if self.in_grace {
            self.grace_is_over = true;
            self.advance(&mut outputs, now);
            self.grace_is_over = false;
        }
        outputs
    }

    /// How each resource stands that the client asked for.
    ///
    /// A cluster is *warming* once the client has asked for, or was sent again, the
    /// endpoints that it needs, and has not answered to the cluster itself.
    pub fn report(&self) -> Vec<ResourceReport> {
        let mut reports = Vec::new();
        let Some(snapshot) = &self.snapshot else { return reports };
        for lane in &self.lanes {
            lane.report(snapshot.shelf(lane.resource_type()), &mut reports);
        }
        let clusters = self.lane(ResourceType::Cluster).filter(|lane| lane.is_in_flight());
        let endpoints = self.lane(ResourceType::Endpoint);
        if let (Some(clusters), Some(endpoints)) = (clusters, endpoints)
            && endpoints.sent_at() >= clusters.sent_at()
        {
            let is_sent = |report: &&mut ResourceReport| {
                report.resource_type == ResourceType::Cluster && report.state == ResourceState::Sent
            };
            for report in reports.iter_mut().filter(is_sent) {
                let cluster = snapshot.find(ResourceType::Cluster, &report.name);
                let required = cluster.map_or(&[][..], |cluster| cluster.requires());
                if required.iter().any(|(required, name)| {
                    *required == ResourceType::Endpoint && endpoints.covers(name)
                }) {
                    report.state = ResourceState::Warming;
                    report.since = endpoints.sent_at();
                }
            }
        }
        reports
    }

    /// The types of which the client has refused something that is still due.
    pub fn held(&self) -> impl Iterator<Item = ResourceType> {
        self.lanes.iter().filter(|lane| lane.is_holding()).map(Lane::resource_type)
    }

    /// The types asked for that this engine does not serve.
    pub fn unknown_types(&self) -> impl Iterator<Item = &str> {
        self.unknown.iter().map(|(type_url, _)| type_url.as_str())
    }

    fn read_sotw(
        &mut self,
        request: &proto::DiscoveryRequest,
        now: SystemTime,
    ) -> Result<Option<Event>, Violation> {
        let resource_type = match self.place(&request.type_url)? {
            Place::Known(resource_type) => resource_type,
            Place::Withheld(event) => return Ok(event),
            Place::Unknown(lane) => {
                if let Some((lane, _)) = lane {
                    lane.ask_sotw(&request.resource_names, "");
                }
                return Ok(None);
            }
        };
        let (lane, _) = self.lane_mut(resource_type);
        let event = lane.answer(&request.response_nonce, request.error_detail.as_ref(), now);
        lane.ask_sotw(&request.resource_names, &request.response_nonce);
        self.note_answer(resource_type, event.as_ref());
        Ok(event)
    }

    fn read_delta(
        &mut self,
        request: &proto::DeltaDiscoveryRequest,
        now: SystemTime,
    ) -> Result<Option<Event>, Violation> {
        let resource_type = match self.place(&request.type_url)? {
            Place::Known(resource_type) => resource_type,
            Place::Withheld(event) => return Ok(event),
            Place::Unknown(lane) => {
                match lane {
                    Some((lane, true)) => lane.ask_delta_first(request),
                    Some((lane, false)) => lane.ask_delta(request),
                    None => {}
                }
                return Ok(None);
            }
        };
        let (lane, is_new) = self.lane_mut(resource_type);
        if is_new {
            lane.ask_delta_first(request);
            return Ok(None);
        }
        let event = lane.answer(&request.response_nonce, request.error_detail.as_ref(), now);
        lane.ask_delta(request);
        self.note_answer(resource_type, event.as_ref());
        Ok(event)
    }

    /// A gate that was lifted is for one answer only.
    fn note_answer(&mut self, resource_type: ResourceType, event: Option<&Event>) {
        if resource_type == ResourceType::Cluster && event.is_some() {
            self.lifted = false;
        }
    }

    /// Where a request for this type belongs.
    fn place(&mut self, type_url: &str) -> Result<Place<'_>, Violation> {
        if type_url.is_empty() {
            return Err(Violation::MissingTypeUrl);
        }
        if let Some(resource_type) = ResourceType::from_type_url(type_url) {
            if let Some(place) = self.withheld.iter().position(|t| *t == resource_type) {
                // Told once. The type stays withheld, as one that nobody knows.
                self.withheld.swap_remove(place);
                self.unknown.push((type_url.to_owned(), Lane::new(resource_type, self.protocol)));
                return Ok(Place::Withheld(Some(Event::Withheld { resource_type })));
            }
            if self
                .unknown
                .iter()
                .any(|(unknown, lane)| unknown == type_url && lane.resource_type() == resource_type)
            {
                return Ok(Place::Withheld(None));
            }
            self.adopt();
            return Ok(Place::Known(resource_type));
        }
        let place = self.unknown.iter().position(|(unknown, _)| unknown == type_url);
        let is_new = place.is_none();
        if is_new && self.unknown.len() == MAX_UNKNOWN_TYPES {
            return Ok(Place::Unknown(None));
        }
        if is_new {
            let lane = Lane::new(ResourceType::NONE, self.protocol);
            self.unknown.push((type_url.to_owned(), lane));
        }
        let lane = match place {
            Some(place) => self.unknown.get_mut(place),
            None => self.unknown.last_mut(),
        };
        Ok(Place::Unknown(lane.map(|(_, lane)| (lane, is_new))))
    }

    /// Takes over what was asked for of types that are known by now.
    fn adopt(&mut self) {
        for (type_url, mut lane) in std::mem::take(&mut self.unknown) {
            match ResourceType::from_type_url(&type_url) {
                Some(known) if lane.resource_type() == ResourceType::NONE => {
                    lane.set_type(known);
                    let place = self.lanes.partition_point(|l| l.resource_type() < known);
                    self.lanes.insert(place, lane);
                }
                Some(_) | None => self.unknown.push((type_url, lane)),
            }
        }
    }

    fn lane(&self, resource_type: ResourceType) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.resource_type() == resource_type)
    }

    /// The lane of a type, and whether it is new.
    fn lane_mut(&mut self, resource_type: ResourceType) -> (&mut Lane, bool) {
        let place = self.lanes.partition_point(|lane| lane.resource_type() < resource_type);
        let is_new = self.lanes.get(place).is_none_or(|lane| lane.resource_type() != resource_type);
        if is_new {
            self.lanes.reserve_exact(1);
            self.lanes.insert(place, Lane::new(resource_type, self.protocol));
        }
        (&mut self.lanes[place], is_new)
    }
}

/// Where a request belongs.
enum Place<'a> {
    Known(ResourceType),
    /// Nowhere, and that is to be told if it was not yet.
    Withheld(Option<Event>),
    /// To a type that may be known later; and whether it is the first of it.
    Unknown(Option<(&'a mut Lane, bool)>),
}

// === impl Session: the schedule ===

impl Session {
    /// Sends whatever is due, in push order: the one place that decides when.
    fn advance(&mut self, outputs: &mut Vec<Output>, now: SystemTime) {
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
        let Some(pushed) = lane.push(&push) else {
            outputs.extend(lane.caught_up(shelf, revision).map(Output::Report));
            return;
        };
        self.nonces = nonce;
        outputs.push(Output::Report(Event::Sent {
            resource_type,
            version: shelf.version().clone(),
            revision,
            resources: pushed.batch.resources.len(),
            removed: pushed.batch.removed.len(),
        }));
        outputs.push(Output::Send(pushed.batch.respond(resource_type, self.protocol, nonce)));
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
