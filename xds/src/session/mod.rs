//! One stream as a state machine: no I/O, no clock, no async.
//!
//! Inputs are requests and snapshots; each returns what is to be sent and
//! reported, in that order. Both protocols share the [lanes](crate::lane): only
//! reading a request and writing a response differ.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use marchproxy_proto as proto;

use crate::lane::{Batch, Lane};
use crate::{Event, Protocol, ResourceType, Snapshot};

#[cfg(test)]
mod tests;

/// How many types that are not ours one stream may ask for before we lose count.
const MAX_UNKNOWN_TYPES: usize = 64;

/// One stream: what its client asked for, and how far it got.
#[derive(Debug)]
pub struct Session {
    protocol: Protocol,
    /// `None` until there is one: nothing is said before that.
    snapshot: Option<Arc<Snapshot>>,
    lanes: BTreeMap<ResourceType, Lane>,
    unknown_types: BTreeSet<String>,
    nonces: u64,
    settled: Option<Settled>,
    /// Whether listeners or routes wait for the answer to their clusters.
    gated: bool,
    /// Whether they were told not to wait for that answer any longer.
    lifted: bool,
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

/// What a client is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// State of the world.
    Sotw(proto::DiscoveryResponse),
    /// Incremental.
    Delta(proto::DeltaDiscoveryResponse),
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
            snapshot: None,
            lanes: BTreeMap::new(),
            unknown_types: BTreeSet::new(),
            nonces: 0,
            settled: None,
            gated: false,
            lifted: false,
        }
    }

    /// Takes in what the client says.
    pub fn on_request(&mut self, request: Request) -> Result<Vec<Output>, Violation> {
        let mut outputs = Vec::new();
        let report = match (self.protocol, request) {
            (Protocol::Sotw, Request::Sotw(request)) => self.read_sotw(&request)?,
            (Protocol::Delta, Request::Delta(request)) => self.read_delta(&request)?,
            (Protocol::Sotw, Request::Delta(_)) | (Protocol::Delta, Request::Sotw(_)) => {
                return Err(Violation::WrongProtocol);
            }
        };
        outputs.extend(report.map(Output::Report));
        self.advance(&mut outputs);
        Ok(outputs)
    }

    /// Takes in a newer snapshot.
    pub fn on_snapshot(&mut self, snapshot: Arc<Snapshot>) -> Vec<Output> {
        for (&resource_type, lane) in &mut self.lanes {
            let before = self.snapshot.as_ref().map(|before| before.version(resource_type));
            if before != Some(snapshot.version(resource_type)) {
                lane.touch();
            }
        }
        self.snapshot = Some(snapshot);
        let mut outputs = Vec::new();
        self.advance(&mut outputs);
        outputs
    }

    /// Whether listeners or routes are held back until the client has answered
    /// to the clusters that they need.
    pub fn is_gated(&self) -> bool {
        self.gated
    }

    /// Sends what is held back all the same: the clusters have had their time.
    pub fn lift_gate(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        if let Some(snapshot) = self.snapshot.as_ref().filter(|_| self.gated) {
            outputs.push(Output::Report(Event::Overdue { revision: snapshot.revision() }));
            self.lifted = true;
            self.advance(&mut outputs);
        }
        outputs
    }

    /// The types asked for that this engine does not serve.
    pub fn unknown_types(&self) -> impl Iterator<Item = &str> {
        self.unknown_types.iter().map(String::as_str)
    }

    fn read_sotw(&mut self, request: &proto::DiscoveryRequest) -> Result<Option<Event>, Violation> {
        let Some(resource_type) = self.known_type(&request.type_url)? else { return Ok(None) };
        let protocol = self.protocol;
        let lane =
            self.lanes.entry(resource_type).or_insert_with(|| Lane::new(resource_type, protocol));
        let event = lane.answer(&request.response_nonce, request.error_detail.as_ref());
        lane.ask_sotw(&request.resource_names, &request.response_nonce);
        self.note_answer(resource_type, event.as_ref());
        Ok(event)
    }

    fn read_delta(
        &mut self,
        request: &proto::DeltaDiscoveryRequest,
    ) -> Result<Option<Event>, Violation> {
        let Some(resource_type) = self.known_type(&request.type_url)? else { return Ok(None) };
        let Some(lane) = self.lanes.get_mut(&resource_type) else {
            let mut lane = Lane::new(resource_type, self.protocol);
            lane.ask_delta_first(request);
            self.lanes.insert(resource_type, lane);
            return Ok(None);
        };
        let event = lane.answer(&request.response_nonce, request.error_detail.as_ref());
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

    fn known_type(&mut self, type_url: &str) -> Result<Option<ResourceType>, Violation> {
        if type_url.is_empty() {
            return Err(Violation::MissingTypeUrl);
        }
        let resource_type = ResourceType::from_type_url(type_url);
        if resource_type.is_none() && self.unknown_types.len() < MAX_UNKNOWN_TYPES {
            self.unknown_types.insert(type_url.to_owned());
        }
        Ok(resource_type)
    }
}

// === impl Session: the schedule ===

impl Session {
    /// Sends whatever is due, in push order: the one place that decides when.
    fn advance(&mut self, outputs: &mut Vec<Output>) {
        let Some(snapshot) = self.snapshot.clone() else { return };
        self.gated = false;
        for resource_type in ResourceType::ALL {
            if self.waits_for_clusters(resource_type, &snapshot) {
                self.gated = true;
            } else {
                self.push(resource_type, &snapshot, outputs);
            }
        }
        // What is gone goes last, and the other way round: make before break.
        for resource_type in [ResourceType::Cluster, ResourceType::Endpoint] {
            self.push(resource_type, &snapshot, outputs);
        }
        outputs.extend(self.settle(&snapshot).map(Output::Report));
    }

    /// Whether a push must wait until the client has answered to clusters.
    ///
    /// Envoy says yes to clusters once they are warm; a route to one that is not
    /// would answer 503: <https://github.com/envoyproxy/envoy/issues/5933>.
    fn waits_for_clusters(&self, resource_type: ResourceType, snapshot: &Snapshot) -> bool {
        let needs_clusters = match resource_type {
            ResourceType::Listener | ResourceType::Route => true,
            ResourceType::Runtime
            | ResourceType::Secret
            | ResourceType::Cluster
            | ResourceType::Endpoint => false,
        };
        let lane = self.lanes.get(&resource_type).filter(|lane| lane.may_push());
        let clusters = self.lanes.get(&ResourceType::Cluster).filter(|c| c.is_in_flight());
        let (Some(lane), Some(clusters)) = (lane, clusters) else { return false };
        let is_new = |(required, name): &(ResourceType, Arc<str>)| {
            *required == ResourceType::Cluster && clusters.covers(name) && !clusters.knows(name)
        };
        needs_clusters
            && !self.lifted
            && lane.delivered(snapshot).flat_map(|resource| resource.requires()).any(is_new)
    }

    /// Whether clusters and endpoints that are gone must stay for the time being:
    /// listeners and routes that refer to them are still on their way out.
    fn keeps_departing(&self, resource_type: ResourceType) -> bool {
        let departs_late = match resource_type {
            ResourceType::Cluster | ResourceType::Endpoint => true,
            ResourceType::Runtime
            | ResourceType::Secret
            | ResourceType::Listener
            | ResourceType::Route => false,
        };
        let lags = |t| self.lanes.get(&t).is_some_and(Lane::lags);
        departs_late && (lags(ResourceType::Listener) || lags(ResourceType::Route))
    }

    fn push(
        &mut self,
        resource_type: ResourceType,
        snapshot: &Snapshot,
        outputs: &mut Vec<Output>,
    ) {
        let keep = self.keeps_departing(resource_type);
        let Some(lane) = self.lanes.get_mut(&resource_type) else { return };
        let Some(batch) = lane.due(snapshot, keep) else {
            outputs.extend(lane.caught_up(snapshot).map(Output::Report));
            return;
        };
        let forced = endpoints_to_repeat(resource_type, lane, &batch);
        self.nonces += 1;
        let nonce = format!("{:08x}", self.nonces);
        outputs.push(Output::Report(Event::Sent {
            resource_type,
            version: snapshot.version(resource_type).clone(),
            revision: snapshot.revision(),
            resources: batch.resources.len(),
            removed: batch.removed.len(),
        }));
        lane.sent(nonce.clone(), &batch, snapshot);
        let version = snapshot.version(resource_type);
        outputs.push(Output::Send(batch.encode(self.protocol, resource_type, version, nonce)));
        if let Some(endpoints) = self.lanes.get_mut(&ResourceType::Endpoint) {
            forced.iter().for_each(|name| endpoints.force(name));
        }
    }

    /// What to report as settled, if it is, and has not been reported yet.
    fn settle(&mut self, snapshot: &Snapshot) -> Option<Event> {
        if self.lanes.is_empty() || self.lanes.values().any(Lane::is_in_flight) {
            return None;
        }
        let held = self.lanes.iter().filter(|(_, lane)| lane.is_holding());
        let held: Vec<_> = held.map(|(&resource_type, _)| resource_type).collect();
        let revision = snapshot.revision();
        let settled = Settled { revision, held: held.clone() };
        if self.settled.as_ref() == Some(&settled) || !self.is_complete(snapshot) {
            return None;
        }
        self.settled = Some(settled);
        Some(Event::Settled { revision, held })
    }

    /// Whether the client has asked for all that its resources require.
    fn is_complete(&self, snapshot: &Snapshot) -> bool {
        let delivered = self.lanes.values().flat_map(|lane| lane.delivered(snapshot));
        delivered.flat_map(|resource| resource.requires()).all(|(resource_type, name)| {
            self.lanes.get(resource_type).is_some_and(|lane| lane.covers(name))
        })
    }
}

/// The endpoints that Envoy waits for once it has got the clusters in `batch`.
///
/// It waits even for those that it has, and on delta it does not ask for them:
/// <https://github.com/envoyproxy/envoy/issues/13009>.
fn endpoints_to_repeat(resource_type: ResourceType, lane: &Lane, batch: &Batch) -> Vec<Arc<str>> {
    if resource_type != ResourceType::Cluster {
        return Vec::new();
    }
    let required = lane.news(batch).flat_map(|cluster| cluster.requires());
    required
        .filter(|(required, _)| *required == ResourceType::Endpoint)
        .map(|(_, name)| name.clone())
        .collect()
}

impl Batch {
    fn encode(
        self,
        protocol: Protocol,
        resource_type: ResourceType,
        version: &str,
        nonce: String,
    ) -> Response {
        let type_url = resource_type.type_url().to_owned();
        // Not the snapshot's own list, so not its version either.
        let version = match self.departing {
            0 => version.to_owned(),
            departing => format!("{version}+{departing}"),
        };
        let bytes = |bytes: fn(&crate::Resource) -> &Bytes| -> Vec<Bytes> {
            self.resources.iter().map(bytes).cloned().collect()
        };
        match protocol {
            Protocol::Sotw => Response::Sotw(proto::DiscoveryResponse {
                version_info: version,
                resources: bytes(crate::Resource::body),
                type_url,
                nonce,
            }),
            Protocol::Delta => Response::Delta(proto::DeltaDiscoveryResponse {
                system_version_info: version,
                resources: bytes(crate::Resource::wrapped),
                type_url,
                nonce,
                removed_resources: self.removed.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}
