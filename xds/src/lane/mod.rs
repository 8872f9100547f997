//! One resource type on one stream: what is asked for, held, in flight, refused.
//!
//! ```text
//!           ask, snapshot, force             push
//! in sync ───────────────────────▶ dirty ─────────▶ in flight
//!    ▲                               ▲ │ nothing        │
//!    ├───────────────────────────────┼─┘ to send        │
//!    └───────────────── accept ──────┼──────────────────┤
//!                                    └───── refuse ─────┘
//! ```
//!
//! Nothing is computed while a response is in flight: when the answer comes, the
//! latest snapshot counts, whatever there was in between.
//!
//! What a client holds is not listed name by name. It is a shelf, the *base*, of
//! which the client has what it asks for, and the few names that are *odd*: those
//! of which it has something else. So a stream costs the same for any number of
//! resources, and streams with the same base are told the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use marchproxy_proto as proto;

use crate::batch::Batch;
use crate::interest::{Interest, Turn};
use crate::names::Names;
use crate::refusals::{Reason, Refusals, Search, culprits};
use crate::shelf::Shelf;
use crate::{Event, Protocol, Resource, ResourceType};

mod list;
mod part;
mod report;

/// How many of the last responses are remembered, to tell when what came.
const STAMPS: usize = 8;
/// How much of a client's words is kept, in bytes.
const LONGEST_MESSAGE: usize = 16 << 10;

/// Where one resource type stands on one stream.
#[derive(Debug)]
pub(crate) struct Lane {
    resource_type: ResourceType,
    protocol: Protocol,
    interest: Interest,
    /// Whether the client has ever named anything: then no names mean nothing.
    named: bool,
    /// What the client was told last, as far as it asks for it.
    base: Option<Arc<Shelf>>,
    /// Where the client stands otherwise than by the base.
    odd: BTreeMap<Arc<str>, Known>,
    /// What else was in the last complete list: resources that depart.
    listed: BTreeMap<Arc<str>, Resource>,
    /// Whether the client has refused a complete list, and may have applied a part.
    doubtful: bool,
    /// Names to be told even if the client knows them.
    forced: BTreeSet<Arc<str>>,
    /// Whether a response is due even if it says nothing.
    owed: bool,
    in_flight: Option<Box<InFlight>>,
    refusals: Refusals,
    search: Option<Box<Search>>,
    /// Whether there may be something due.
    dirty: bool,
    /// Whether what is due is only what departs, and stays for now.
    departing: bool,
    /// Whether the client has ever answered with a nonce of this stream.
    answered: bool,
    /// The version that was last reported as accepted.
    accepted: Option<Arc<str>>,
    stamps: Vec<Stamp>,
}

/// What a client knows of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    /// It has not been told of it.
    Unknown,
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
    nonce: u32,
    shelf: Arc<Shelf>,
    revision: u64,
    batch: Arc<Batch>,
    sent_at: SystemTime,
    /// Whether it brings only a part of what is due, so the base stays.
    in_part: bool,
    /// Whether it tries a part of what is searched.
    is_trial: bool,
    /// What the client will still stand otherwise in than by the shelf.
    exceptions: Vec<(Arc<str>, Known)>,
    /// Names that the client has dropped since.
    dropped: BTreeSet<Arc<str>>,
}

/// When a response was sent, and accepted.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    revision: u64,
    sent_at: SystemTime,
    accepted_at: Option<SystemTime>,
}

/// A response that has just been put in flight.
#[derive(Debug)]
pub(crate) struct Pushed {
    pub(crate) batch: Arc<Batch>,
    /// The resources that are new or changed for the client; only of clusters.
    pub(crate) news: Vec<Resource>,
}

/// What a push goes by.
pub(crate) struct Push<'a> {
    pub(crate) shelf: &'a Arc<Shelf>,
    pub(crate) revision: u64,
    /// Whether what the client holds and the shelf has not stays for now.
    pub(crate) keeps_departing: bool,
    pub(crate) nonce: u32,
    pub(crate) now: SystemTime,
}

// === impl Lane: what the client says ===

impl Lane {
    pub(crate) fn new(resource_type: ResourceType, protocol: Protocol) -> Self {
        Self {
            resource_type,
            protocol,
            interest: Interest::default(),
            named: false,
            base: None,
            odd: BTreeMap::new(),
            listed: BTreeMap::new(),
            doubtful: false,
            forced: BTreeSet::new(),
            owed: false,
            in_flight: None,
            refusals: Refusals::default(),
            search: None,
            dirty: true,
            departing: false,
            answered: false,
            accepted: None,
            stamps: Vec::new(),
        }
    }

    pub(crate) fn resource_type(&self) -> ResourceType {
        self.resource_type
    }

    /// Makes it the lane of a type that was not known before.
    pub(crate) fn set_type(&mut self, resource_type: ResourceType) {
        self.resource_type = resource_type;
        self.dirty = true;
    }

    /// Takes the client's word on the response in flight, if it is about that one.
    pub(crate) fn answer(
        &mut self,
        nonce: &str,
        error: Option<&proto::Status>,
        now: SystemTime,
    ) -> Option<Event> {
        let answered = self.in_flight.take_if(|in_flight| is_nonce(in_flight.nonce, nonce))?;
        self.answered = true;
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
            let departing = batch.resources.len() - batch.departing;
            self.listed = by_name(&batch.resources[departing..]);
            self.base = Some(answered.shelf);
            self.doubtful = false;
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
        let culprits = culprits(message, &told);
        self.stamp(Stamp {
            revision: answered.revision,
            sent_at: answered.sent_at,
            accepted_at: None,
        });
        let culprits = if self.is_complete() {
            self.doubtful = true;
            self.refusals.hold(list::content(&answered.batch), reason);
            if culprits.is_empty() && told.len() == 1 {
                told.clone() // nobody else can be meant
            } else {
                culprits.into_iter().collect()
            }
        } else {
            self.refuse_in_part(answered, &culprits, reason)
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
            searching: culprits.is_empty() && self.search.is_some(),
            culprits,
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
        let held_of_ours = held.iter().filter(|(name, _)| self.interest.covers(name));
        self.odd = held_of_ours
            .map(|(name, version)| {
                let shared = self.interest.names().get(name).cloned();
                let name = shared.unwrap_or_else(|| name.as_str().into());
                (name, Known::Version(version.as_str().into()))
            })
            .collect();
        if self.resource_type == ResourceType::Endpoint {
            // Envoy may hold a cluster that waits for endpoints which it has already.
            let names = self.interest.names().iter();
            self.forced = names.filter(|name| held.contains_key(&***name)).cloned().collect();
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
        let mut dropped_all = false;
        for turn in turns {
            match turn {
                Turn::Asked(name) => {
                    self.owed |= self.is_complete();
                    self.refusals.let_go(&name);
                    // Without a base, and none on its way, that goes without saying.
                    if self.base.is_some() || self.in_flight.is_some() {
                        self.odd.insert(name, Known::Unknown);
                    }
                }
                Turn::AskedAgain(name) => {
                    self.owed |= self.is_complete();
                    self.refusals.let_go(&name);
                    self.forced.insert(name);
                }
                Turn::AskedForAll => {
                    self.owed = true;
                    self.enumerate();
                }
                Turn::Dropped(name) if self.interest.covers(&name) => {}
                Turn::Dropped(name) => self.forget(&name),
                Turn::DroppedAll => dropped_all = true,
            }
        }
        if dropped_all {
            let interest = &self.interest;
            self.odd.retain(|name, _| interest.covers(name));
            self.forced.retain(|name| interest.covers(name));
            self.listed.retain(|name, _| interest.covers(name));
            self.refusals.retain(|name| interest.covers(name));
            if let Some(in_flight) = &mut self.in_flight {
                let told = in_flight.batch.content().map(|(name, _)| name);
                in_flight.dropped.extend(told.filter(|name| !interest.covers(name)).cloned());
            }
        }
        if self.interest.is_empty() {
            // A client that wants nothing may not even answer what is in flight.
            self.start_over();
        }
    }

    /// Lists what the client knows name by name: it has not got what it asks for of
    /// the base any more, since it asks for all.
    fn enumerate(&mut self) {
        if self.is_complete() {
            return; // the list is owed, whatever it holds
        }
        if let Some(base) = self.base.take() {
            for name in self.interest.names().iter() {
                if !self.odd.contains_key(name) {
                    let version = base.version_of(name).cloned();
                    self.odd.insert(name.clone(), version.map_or(Known::Absent, Known::Version));
                }
            }
        }
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.in_part = true;
        }
    }

    fn forget(&mut self, name: &Arc<str>) {
        self.odd.remove(name);
        self.forced.remove(name);
        self.listed.remove(name);
        self.refusals.forget(name);
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.dropped.insert(name.clone());
        }
    }

    fn start_over(&mut self) {
        self.base = None;
        self.odd.clear();
        self.listed.clear();
        self.doubtful = false;
        self.forced.clear();
        self.refusals.clear();
        self.search = None;
        self.in_flight = None;
        self.owed = true;
        self.dirty = true;
    }
}

// === impl Lane: what the server says ===

impl Lane {
    /// Notes that there is another snapshot.
    pub(crate) fn look_at(&mut self, shelf: &Arc<Shelf>) {
        // What is in flight may bring something else than this.
        let is_plain = self.in_flight.is_none() && self.is_plain();
        match &mut self.base {
            // The same in a newer place: the old one need not be kept.
            Some(base) if is_plain && base.version() == shelf.version() => {
                *base = Arc::clone(shelf);
            }
            Some(_) | None => self.dirty = true,
        }
    }

    /// Has the client told of `name` once more, if it asks for it at all.
    pub(crate) fn force(&mut self, name: &Arc<str>) {
        let may_know = self.in_flight.is_some() || !matches!(self.known(name), Known::Unknown);
        if may_know && self.interest.covers(name) {
            self.forced.insert(name.clone());
            self.dirty = true;
        }
    }

    /// Puts what is due in flight. Nothing while an answer is awaited.
    pub(crate) fn push(&mut self, push: &Push<'_>) -> Option<Pushed> {
        if !self.may_push() {
            return None;
        }
        self.dirty = false;
        self.departing = false;
        let mut flight =
            if self.is_complete() { self.push_list(push) } else { self.push_part(push) }?;
        self.owed = false;
        flight.nonce = push.nonce;
        let pushed = Pushed { batch: flight.batch.clone(), news: self.news(&flight.batch) };
        self.in_flight = Some(flight);
        Some(pushed)
    }

    fn flight(&self, push: &Push<'_>, batch: Arc<Batch>) -> Box<InFlight> {
        Box::new(InFlight {
            nonce: push.nonce,
            shelf: Arc::clone(push.shelf),
            revision: push.revision,
            batch,
            sent_at: push.now,
            in_part: false,
            is_trial: false,
            exceptions: Vec::new(),
            dropped: BTreeSet::new(),
        })
    }

    /// The resources in `batch` that are new or changed for the client.
    fn news(&self, batch: &Batch) -> Vec<Resource> {
        if self.resource_type != ResourceType::Cluster {
            return Vec::new();
        }
        let is_news = |resource: &&Resource| match self.known(resource.name()) {
            Known::Version(known) => known != *resource.version(),
            Known::Unknown | Known::Absent | Known::Uncertain => true,
        };
        batch.resources.iter().filter(is_news).cloned().collect()
    }

    /// Reports, once, that the client holds the latest without having been sent it.
    pub(crate) fn caught_up(&mut self, shelf: &Shelf, revision: u64) -> Option<Event> {
        let is_idle = self.in_flight.is_none() && !self.is_holding();
        let is_idle = is_idle && (!self.dirty || self.departing);
        if !is_idle || self.interest.is_empty() || self.accepted.as_ref() == Some(shelf.version()) {
            return None;
        }
        self.accepted = Some(shelf.version().clone());
        Some(Event::Acked {
            resource_type: self.resource_type,
            version: shelf.version().clone(),
            revision,
        })
    }

    fn stamp(&mut self, stamp: Stamp) {
        if self.stamps.len() == STAMPS {
            self.stamps.remove(0);
        }
        self.stamps.push(stamp);
    }
}

// === impl Lane: questions ===

impl Lane {
    pub(crate) fn covers(&self, name: &str) -> bool {
        self.interest.covers(name)
    }

    /// Stands for the names that are asked for, and whether all are.
    pub(crate) fn names_hash(&self) -> u128 {
        self.interest.names().hash() ^ u128::from(self.interest.is_wildcard())
    }

    /// Whether each of `names` is asked for.
    pub(crate) fn covers_all(&self, names: &Names) -> bool {
        self.interest.is_wildcard() || names.is_subset(self.interest.names())
    }

    pub(crate) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// The resources in flight.
    pub(crate) fn in_flight(&self) -> &[Resource] {
        self.in_flight.as_ref().map_or(&[], |in_flight| &in_flight.batch.resources)
    }

    /// Whether more of this shelf will follow after what is in flight.
    pub(crate) fn has_more_of(&self, shelf: &Shelf) -> bool {
        self.search.is_some()
            || self
                .in_flight
                .as_ref()
                .is_some_and(|flight| flight.in_part || flight.shelf.version() != shelf.version())
    }

    /// Whether the client is known to hold some version of `name`.
    pub(crate) fn holds(&self, name: &str) -> bool {
        matches!(self.known(name), Known::Version(_))
    }

    /// Whether the client has, or may have, some version of `name`.
    fn may_hold(&self, name: &str) -> bool {
        matches!(self.known(name), Known::Version(_) | Known::Uncertain)
    }

    /// Whether there may be something due, and nothing is in its way.
    pub(crate) fn may_push(&self) -> bool {
        self.dirty && self.in_flight.is_none()
    }

    /// Whether nothing is left to be done but to let depart what stays for now.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_none() && self.search.is_none() && (!self.dirty || self.departing)
    }

    /// Whether all that is due is what departs, and stays for now.
    pub(crate) fn is_departing(&self) -> bool {
        self.departing
    }

    /// Whether the client may still go by an older snapshot.
    pub(crate) fn lags(&self) -> bool {
        self.dirty || self.is_in_flight() || self.is_holding()
    }

    /// Whether there is something that the client has refused.
    pub(crate) fn is_holding(&self) -> bool {
        !self.refusals.is_empty() || self.search.is_some()
    }

    /// The resources that the client is given: asked for, there, and not refused.
    pub(crate) fn delivered<'a>(&'a self, shelf: &'a Shelf) -> impl Iterator<Item = &'a Resource> {
        let held =
            |resource: &&Resource| !self.refusals.holds(resource.name(), Some(resource.version()));
        shelf.pick(&self.interest).filter(held)
    }

    fn known(&self, name: &str) -> Known {
        if self.doubtful {
            return Known::Uncertain;
        }
        if let Some(known) = self.odd.get(name) {
            return known.clone();
        }
        if let Some(listed) = self.listed.get(name) {
            return Known::Version(listed.version().clone());
        }
        let Some(base) = &self.base else { return Known::Unknown };
        match base.find(name) {
            Some(resource) if self.interest.covers_resource(resource) => {
                Known::Version(resource.version().clone())
            }
            None if self.interest.covers(name) => Known::Absent,
            Some(_) | None => Known::Unknown,
        }
    }

    /// Whether `name` is asked for, or an alias of what it names in `shelf`.
    fn covers_in(&self, shelf: Option<&Arc<Shelf>>, name: &str) -> bool {
        let found = || shelf.and_then(|shelf| shelf.find(name));
        self.interest.covers(name) || found().is_some_and(|r| self.interest.covers_resource(r))
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

fn by_name(resources: &[Resource]) -> BTreeMap<Arc<str>, Resource> {
    resources.iter().map(|r| (r.name().clone(), r.clone())).collect()
}

/// Whether a client's nonce is this one, as it was sent.
fn is_nonce(nonce: u32, said: &str) -> bool {
    let is_lower = !said.bytes().any(|b| b.is_ascii_uppercase() || b == b'+');
    said.len() == 8 && is_lower && u32::from_str_radix(said, 16) == Ok(nonce)
}

/// The start of `text`, at most `length` bytes.
fn head(text: &str, length: usize) -> &str {
    let end = (0..=length.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}
