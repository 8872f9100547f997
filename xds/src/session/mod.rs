//! One stream as a state machine: no I/O, no clock, no async.
//!
//! Inputs are requests and snapshots; each returns what is to be sent and
//! reported, in that order. Both protocols share the [lanes](crate::lane): only
//! reading a request and writing a response differ.

use std::sync::Arc;
use std::time::SystemTime;

use marchproxy_proto as proto;

use crate::batch::{Response, Tongue};
use crate::lane::Lane;
use crate::report::{ResourceReport, ResourceState};
use crate::{Event, Protocol, ResourceType, Snapshot};

mod alone;
mod beat;
mod read;
mod schedule;
#[cfg(test)]
mod tests;

/// One stream: what its client asked for, and how far it got.
#[derive(Debug)]
pub struct Session {
    protocol: Protocol,
    /// Whether the client is told of times to live.
    with_ttl: bool,
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
    /// When the next heartbeat is due.
    wakes_at: Option<SystemTime>,
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
    /// State of the world, with the same names as the last request of its type; they
    /// are left out here.
    Again(proto::DiscoveryRequest),
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
    /// The client has brought up more names than a stream may.
    #[error("the names on this stream take more than {} MiB", LARGEST_NAMES >> 20)]
    TooManyNames,
}

/// How much memory the names may take that a client brings up on one stream, in bytes:
/// some hundred thousand of them.
const LARGEST_NAMES: usize = 32 << 20;

impl Session {
    /// Starts a stream on which nothing has been said yet.
    pub fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            with_ttl: false,
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
            wakes_at: None,
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
            (Protocol::Sotw, Request::Sotw(request)) => {
                self.read_sotw(&request, Some(&request.resource_names), now)?
            }
            (Protocol::Sotw, Request::Again(request)) => self.read_sotw(&request, None, now)?,
            (Protocol::Delta, Request::Delta(request)) => self.read_delta(&request, now)?,
            (Protocol::Sotw, Request::Delta(_))
            | (Protocol::Delta, Request::Sotw(_) | Request::Again(_)) => {
                return Err(Violation::WrongProtocol);
            }
        };
        if self.weight() > LARGEST_NAMES {
            return Err(Violation::TooManyNames);
        }
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

    /// How much memory the names take that the client has brought up, in bytes, roughly.
    fn weight(&self) -> usize {
        let unknown = self.unknown.iter().map(|(type_url, lane)| type_url.len() + lane.weight());
        self.lanes.iter().map(Lane::weight).chain(unknown).sum()
    }

    fn tongue(&self) -> Tongue {
        Tongue { protocol: self.protocol, with_ttl: self.with_ttl }
    }

    fn lane(&self, resource_type: ResourceType) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.resource_type() == resource_type)
    }

    /// The lane of a type, and whether it is new.
    fn lane_mut(&mut self, resource_type: ResourceType) -> (&mut Lane, bool) {
        // A handful, of which most requests mean one that is there.
        let found = self.lanes.iter().position(|lane| lane.resource_type() == resource_type);
        let is_new = found.is_none();
        let place = found.unwrap_or_else(|| {
            self.lanes.partition_point(|lane| lane.resource_type() < resource_type)
        });
        if is_new {
            self.lanes.reserve_exact(1);
            self.lanes.insert(place, Lane::new(resource_type, self.tongue()));
        }
        (&mut self.lanes[place], is_new)
    }
}
