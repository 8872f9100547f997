//! One resource type on one stream: what is asked for, held, in flight, refused.
//!
//! ```text
//!           ask, snapshot, force             due
//! in sync ───────────────────────▶ dirty ─────────▶ in flight
//!    ▲                               ▲ │ nothing        │
//!    ├───────────────────────────────┼─┘ to send        │
//!    └───────────────── accept ──────┼──────────────────┤
//!                                    └───── refuse ─────┘
//! ```
//!
//! Nothing is computed while a response is in flight: when the answer comes, the
//! latest snapshot counts, whatever there was in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use marchproxy_proto as proto;

use crate::interest::{Interest, Turn};
use crate::refusals::{Content, Refusals, culprits};
use crate::{Event, Protocol, Resource, ResourceType, Snapshot};

mod diff;

pub(crate) use diff::Batch;

/// Where one resource type stands on one stream.
#[derive(Debug)]
pub(crate) struct Lane {
    resource_type: ResourceType,
    protocol: Protocol,
    interest: Interest,
    /// Whether the client has ever named anything: then no names mean nothing.
    named: bool,
    /// What the client has been told, and has not refused, of what it asked for.
    known: BTreeMap<Arc<str>, Known>,
    /// What the client holds by its last full list, to be listed again while it
    /// departs.
    listed: BTreeMap<Arc<str>, Resource>,
    /// Names to be told even if the client knows them.
    forced: BTreeSet<Arc<str>>,
    /// Whether a response is due even if it says nothing.
    owed: bool,
    in_flight: Option<InFlight>,
    refusals: Refusals,
    /// Whether there may be something due.
    dirty: bool,
    /// Whether the client has ever answered with a nonce of this stream.
    answered: bool,
    /// The version that was last reported as accepted.
    accepted: Option<Arc<str>>,
}

/// What a client knows of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    /// It holds this version.
    Version(Arc<str>),
    /// It has been told that there is none.
    Absent,
    /// It refused to hear of it, and may have applied a part.
    Uncertain,
}

/// A response that the client has not answered.
#[derive(Debug)]
struct InFlight {
    nonce: String,
    version: Arc<str>,
    revision: u64,
    sent: Content,
    listed: BTreeMap<Arc<str>, Resource>,
}

// === impl Lane: what the client says ===

impl Lane {
    pub(crate) fn new(resource_type: ResourceType, protocol: Protocol) -> Self {
        Self {
            resource_type,
            protocol,
            interest: Interest::default(),
            named: false,
            known: BTreeMap::new(),
            listed: BTreeMap::new(),
            forced: BTreeSet::new(),
            owed: false,
            in_flight: None,
            refusals: Refusals::default(),
            dirty: true,
            answered: false,
            accepted: None,
        }
    }

    /// Takes the client's word on the response in flight, if it is about that one.
    pub(crate) fn answer(&mut self, nonce: &str, error: Option<&proto::Status>) -> Option<Event> {
        let answered = self.in_flight.take_if(|in_flight| in_flight.nonce == nonce)?;
        self.answered = true;
        Some(match error {
            None => self.accept(answered),
            Some(error) => self.refuse(answered, error),
        })
    }

    fn accept(&mut self, answered: InFlight) -> Event {
        if self.is_complete() {
            self.known.clear();
            self.listed = answered.listed;
        }
        for (name, version) in answered.sent {
            match version {
                Some(version) => self.known.insert(name, Known::Version(version)),
                None if self.interest.names().contains(&name) => {
                    self.known.insert(name, Known::Absent)
                }
                None => self.known.remove(&name),
            };
        }
        self.accepted = Some(answered.version.clone());
        Event::Acked {
            resource_type: self.resource_type,
            version: answered.version,
            revision: answered.revision,
        }
    }

    fn refuse(&mut self, answered: InFlight, error: &proto::Status) -> Event {
        let InFlight { version, revision, sent, .. } = answered;
        let resources: Vec<_> = sent.keys().cloned().collect();
        let culprits = culprits(&error.message, &sent);
        if self.is_complete() {
            self.known.values_mut().for_each(|known| *known = Known::Uncertain);
        }
        self.known.extend(resources.iter().map(|name| (name.clone(), Known::Uncertain)));
        self.hold(sent, &culprits);
        self.accepted = None;
        self.dirty = true;
        Event::Nacked {
            resource_type: self.resource_type,
            version,
            revision,
            code: error.code,
            message: error.message.clone(),
            resources,
            culprits: culprits.into_iter().collect(),
        }
    }

    /// Holds the culprits, so that the others are due again, or else everything.
    fn hold(&mut self, mut sent: Content, culprits: &BTreeSet<Arc<str>>) {
        if !self.is_complete() && !culprits.is_empty() {
            sent.retain(|name, _| culprits.contains(name));
        }
        // An empty list is content if it is complete, and nothing if it is not.
        if self.is_complete() || !sent.is_empty() {
            self.refusals.hold(sent);
        }
    }

    /// Takes over what a state-of-the-world request names.
    pub(crate) fn ask_sotw(&mut self, names: &[String], nonce: &str) {
        if nonce.is_empty() && self.answered {
            // The client has forgotten what it knew: this is a first request again.
            self.start_over();
        }
        self.named |= !names.is_empty();
        let legacy_wildcard = !self.named && self.resource_type.is_full_state();
        let turns = self.interest.replace(names, legacy_wildcard);
        self.take(turns);
    }

    /// Takes over what the first delta request of this type on the stream says.
    pub(crate) fn ask_delta_first(&mut self, request: &proto::DeltaDiscoveryRequest) {
        let names = &request.resource_names_subscribe;
        if self.resource_type.is_full_state()
            && names.is_empty()
            && request.resource_names_unsubscribe.is_empty()
        {
            self.interest.subscribe_to_all();
        }
        self.interest.subscribe(names);
        let held = &request.initial_resource_versions;
        self.known = held
            .iter()
            .filter(|(name, _)| self.interest.covers(name))
            .map(|(name, version)| {
                (Arc::from(name.as_str()), Known::Version(Arc::from(version.as_str())))
            })
            .collect();
        if self.resource_type == ResourceType::Endpoint {
            // Envoy may hold a cluster that waits for endpoints which it has already.
            let asked_again =
                self.interest.names().iter().filter(|name| held.contains_key(&***name));
            self.forced = asked_again.cloned().collect();
        }
        self.owed = held.is_empty();
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
        for turn in turns {
            match turn {
                Turn::Asked(name) => {
                    self.owed |= self.is_complete();
                    self.refusals.let_go(&name);
                    self.forced.insert(name);
                }
                Turn::AskedForAll => self.owed = true,
                Turn::Dropped(name) if self.interest.covers(&name) => {}
                Turn::Dropped(name) => self.forget(&name),
                Turn::DroppedAll => {
                    let in_flight = self.in_flight.iter().flat_map(|answer| answer.sent.keys());
                    let told = self.known.keys().chain(in_flight).chain(&self.forced);
                    let dropped = told.filter(|name| !self.interest.covers(name)).cloned();
                    for name in dropped.collect::<Vec<_>>() {
                        self.forget(&name);
                    }
                }
            }
        }
        if self.interest.is_empty() {
            // A client that wants nothing may not even answer what is in flight.
            self.start_over();
        }
    }

    fn forget(&mut self, name: &str) {
        self.known.remove(name);
        self.forced.remove(name);
        self.refusals.forget(name);
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.sent.remove(name);
        }
    }

    fn start_over(&mut self) {
        self.known.clear();
        self.listed.clear();
        self.forced.clear();
        self.refusals.clear();
        self.in_flight = None;
        self.owed = true;
        self.dirty = true;
    }
}

// === impl Lane: questions ===

impl Lane {
    pub(crate) fn covers(&self, name: &str) -> bool {
        self.interest.covers(name)
    }

    pub(crate) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Whether the client has, or may have, some version of `name`.
    pub(crate) fn knows(&self, name: &str) -> bool {
        match self.known.get(name) {
            Some(Known::Version(_) | Known::Uncertain) => true,
            Some(Known::Absent) | None => false,
        }
    }

    /// Whether there may be something due, and nothing is in its way.
    pub(crate) fn may_push(&self) -> bool {
        self.dirty && self.in_flight.is_none()
    }

    /// Whether the client may still go by an older snapshot.
    pub(crate) fn lags(&self) -> bool {
        self.dirty || self.is_in_flight() || self.is_holding()
    }

    /// Whether there is something that the client has refused.
    pub(crate) fn is_holding(&self) -> bool {
        !self.refusals.is_empty()
    }

    /// The resources that the client is given: asked for, there, and not refused.
    pub(crate) fn delivered<'a>(
        &'a self,
        snapshot: &'a Snapshot,
    ) -> impl Iterator<Item = &'a Resource> {
        self.interest
            .pick(self.resource_type, snapshot)
            .filter(|resource| !self.refusals.holds(resource.name(), Some(resource.version())))
    }

    fn is_delta(&self) -> bool {
        match self.protocol {
            Protocol::Delta => true,
            Protocol::Sotw => false,
        }
    }

    /// Whether a response lists everything, and so removes what it leaves out.
    fn is_complete(&self) -> bool {
        !self.is_delta() && self.resource_type.is_full_state()
    }

    fn announces_absence(&self) -> bool {
        self.is_delta() && self.resource_type.announces_absence()
    }
}

// === impl Known ===

impl Known {
    fn version(&self) -> Option<&Arc<str>> {
        match self {
            Self::Version(version) => Some(version),
            Self::Absent | Self::Uncertain => None,
        }
    }
}
