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

use crate::batch::{Batch, Tongue};
use crate::interest::Interest;
use crate::names::{Names, weight};
use crate::refusals::{Refusals, Search};
use crate::shelf::Shelf;
use crate::{Event, Protocol, Resource, ResourceType};

mod answer;
mod ask;
mod beat;
mod bring;
mod list;
mod part;
mod report;
mod search;

/// Where one resource type stands on one stream.
#[derive(Debug)]
pub(crate) struct Lane {
    resource_type: ResourceType,
    tongue: Tongue,
    interest: Interest,
    /// Whether the client has ever named anything: then no names mean nothing.
    named: bool,
    /// What the client was told last, as far as it asks for it.
    base: Option<Arc<Shelf>>,
    /// Where the client stands otherwise than by the base.
    odd: BTreeMap<Arc<str>, Known>,
    /// Where the last complete list that it has accepted is otherwise than the base.
    listed: Kept,
    /// Whether the client came with a list of which only the version is known.
    came_back: bool,
    /// Names to be told even if the client knows them.
    forced: BTreeSet<Arc<str>>,
    /// Whether a response is due even if it says nothing.
    owed: bool,
    in_flight: Option<Box<InFlight>>,
    refusals: Refusals,
    search: Option<Box<Search>>,
    /// Whom the search has found to blame, and nobody has been told of yet.
    found: Vec<Event>,
    /// Whether there may be something due.
    dirty: bool,
    /// Whether what is due is only what departs, and stays for now.
    departing: bool,
    /// Whether the client has ever answered with a nonce of this stream.
    answered: bool,
    /// The version that was last reported as accepted.
    accepted: Option<Arc<str>>,
    stamps: Vec<Stamp>,
    /// When the client was last told to keep what has a time to live; since then it
    /// can only have got more of that.
    renewed: Option<SystemTime>,
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

/// What a complete list has in place of what the shelf has; `None` if it leaves that out.
type Kept = BTreeMap<Arc<str>, Option<Resource>>;

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
    /// Whether it brings nothing that the client does not hold.
    is_heartbeat: bool,
    /// What the client will still stand otherwise in than by the shelf.
    exceptions: Vec<(Arc<str>, Known)>,
    /// Where a complete list is otherwise than the shelf.
    kept: Kept,
    /// Whether the client has asked for everything since.
    is_narrow: bool,
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

impl Lane {
    pub(crate) fn new(resource_type: ResourceType, tongue: Tongue) -> Self {
        Self {
            resource_type,
            tongue,
            interest: Interest::default(),
            named: false,
            base: None,
            odd: BTreeMap::new(),
            listed: Kept::new(),
            came_back: false,
            forced: BTreeSet::new(),
            owed: false,
            in_flight: None,
            refusals: Refusals::default(),
            search: None,
            found: Vec::new(),
            dirty: true,
            departing: false,
            answered: false,
            accepted: None,
            stamps: Vec::new(),
            renewed: None,
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
        let flight = if self.is_complete() { self.push_list(push) } else { self.push_part(push) }?;
        self.owed = false;
        self.renewed.get_or_insert(push.now);
        let pushed = Pushed { batch: flight.batch.clone(), news: self.news(&flight.batch) };
        self.in_flight = Some(flight);
        Some(pushed)
    }

    fn flight(&self, push: &Push<'_>, batch: Arc<Batch>) -> Box<InFlight> {
        let shelf = Arc::clone(push.shelf);
        Box::new(InFlight::new(push.nonce, shelf, push.revision, batch, push.now))
    }

    /// Reports, once, whom a search has found to blame without another answer.
    pub(crate) fn found(&mut self) -> impl Iterator<Item = Event> {
        std::mem::take(&mut self.found).into_iter()
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

    /// How much memory the names take that the client has brought up, in bytes, roughly.
    pub(crate) fn weight(&self) -> usize {
        let named = self.interest.names();
        let dropped = self.in_flight.iter().flat_map(|in_flight| &in_flight.dropped);
        let others = self.odd.keys().chain(&self.forced).chain(dropped);
        let others = others.filter(|name| !named.contains(name)).map(|name| weight(name));
        let versions = self.odd.values().map(Known::weight);
        named.weight() + others.chain(versions).sum::<usize>()
    }

    pub(crate) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// The resources in flight; those that the client holds do not count.
    pub(crate) fn in_flight(&self) -> &[Resource] {
        let news = self.in_flight.as_ref().filter(|in_flight| !in_flight.is_heartbeat);
        news.map_or(&[], |in_flight| &in_flight.batch.resources)
    }

    /// Whether more of this shelf will follow after what is in flight.
    pub(crate) fn has_more_of(&self, shelf: &Shelf) -> bool {
        let more = |flight: &InFlight| {
            // Asked for meanwhile, or another snapshot.
            self.dirty || flight.in_part || flight.shelf.version() != shelf.version()
        };
        self.is_searching() || self.in_flight.as_deref().is_some_and(more)
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
        self.in_flight.is_none() && !self.is_searching() && (!self.dirty || self.departing)
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
        !self.refusals.is_empty() || self.is_searching()
    }

    /// Whether it is tried out who is to blame for a refusal.
    fn is_searching(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.part().is_some())
    }

    /// The resources that the client is given: asked for, there, and not refused.
    pub(crate) fn delivered<'a>(&'a self, shelf: &'a Shelf) -> impl Iterator<Item = &'a Resource> {
        let held =
            |resource: &&Resource| !self.refusals.holds(resource.name(), Some(resource.version()));
        shelf.pick(&self.interest).filter(held)
    }

    fn known(&self, name: &str) -> Known {
        if let Some(known) = self.odd.get(name) {
            return known.clone();
        }
        if let Some(listed) = self.listed.get(name) {
            let version = listed.as_ref().map(Resource::version);
            return version.map_or(Known::Absent, |version| Known::Version(version.clone()));
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
        match self.tongue.protocol {
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

impl Known {
    fn weight(&self) -> usize {
        match self {
            Self::Version(version) => weight(version),
            Self::Unknown | Self::Absent | Self::Uncertain => 0,
        }
    }
}

impl InFlight {
    fn new(
        nonce: u32,
        shelf: Arc<Shelf>,
        revision: u64,
        batch: Arc<Batch>,
        sent_at: SystemTime,
    ) -> Self {
        Self {
            nonce,
            shelf,
            revision,
            batch,
            sent_at,
            in_part: false,
            is_trial: false,
            is_heartbeat: false,
            exceptions: Vec::new(),
            kept: Kept::new(),
            is_narrow: false,
            dropped: BTreeSet::new(),
        }
    }
}
