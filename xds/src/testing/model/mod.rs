//! A client that does what Envoy does, in any order, and checks what it is told.
//!
//! Whatever happens, the session must keep to this:
//!
//! - at most one response of a type is unanswered,
//! - nothing is sent to a client that has it, unless it asks or Envoy needs it again,
//! - what was refused is not sent again as it was,
//! - no list leaves out what is there and the client holds,
//! - no route comes before the answer to a cluster that it needs,
//! - no cluster goes while a route that is held, or under way, needs it,
//! - nor before its time of grace is over, if there is one,
//! - endpoints follow their cluster, for which it waits,
//! - a heartbeat tells of what the client holds, as it holds it, and takes no time to live
//!   for a change,
//! - in the end the client has the latest of what it wants, less what it refuses.
//!
//! A property test and a fuzzer choose the [steps](Step).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stream::{Refused, Stream};

use super::{name_and_content, snapshot};
use crate::{Protocol, ResourceType, Session, Snapshot};

mod client;
mod desired;
mod judge;
mod stream;

pub use desired::Desired;

const C: ResourceType = ResourceType::Cluster;
const E: ResourceType = ResourceType::Endpoint;
const L: ResourceType = ResourceType::Listener;
const R: ResourceType = ResourceType::Route;

/// The types that a [`Model`] asks for.
pub const TYPES: [ResourceType; 4] = [C, E, L, R];

/// The names that resources of every type have in a [`Model`].
pub const NAMES: [&str; 3] = ["a", "b", "c"];

/// How long what has a time to live lives. It is what has the first of the names.
const TTL: Duration = Duration::from_secs(10);

/// One thing that happens. Indexes count from 0 and are taken modulo what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new snapshot.
    Publish(Desired),
    /// The client reads its oldest response of that type, and accepts it.
    Accept(ResourceType),
    /// The client reads its oldest response of that type, and refuses it.
    Refuse {
        /// The type.
        resource_type: ResourceType,
        /// The name that it blames, if any.
        blame: Option<usize>,
        /// Whether it has applied what it does not blame.
        applies_others: bool,
    },
    /// The client asks for a name of that type.
    Subscribe(ResourceType, usize),
    /// The client no longer asks for a name of that type.
    Unsubscribe(ResourceType, usize),
    /// The client repeats a request of that type with a nonce from long ago.
    Stale(ResourceType),
    /// What waits for the answer to clusters has waited long enough.
    Lift,
    /// The time of grace is over for what is gone.
    EndGrace,
    /// So much time goes by that what has a time to live needs a heartbeat.
    Wait,
    /// The stream breaks. Responses that were not read are lost.
    Reconnect,
}

/// A client, its stream, and what it should see.
pub struct Model {
    protocol: Protocol,
    /// Whether it asks for all clusters and listeners, as Envoy does.
    wildcard: bool,
    /// Whether what is gone stays for a time of grace.
    has_grace: bool,
    /// Whether it knows of times to live.
    has_ttl: bool,
    now: SystemTime,
    revision: u64,
    latest: Arc<Snapshot>,
    names: BTreeMap<ResourceType, BTreeSet<String>>,
    /// By type and name: version and content.
    held: BTreeMap<Key, (String, String)>,
    /// What it has applied of refused responses: it has no version of that.
    tainted: BTreeSet<Key>,
    /// The versions of the last complete lists that it has accepted, by type.
    lists: BTreeMap<ResourceType, String>,
    stream: Stream,
}

type Key = (ResourceType, String);

/// Names with what is in them; `None` stands for "is gone". State of the world, a
/// resource has no version of its own.
type Content = BTreeMap<String, Option<String>>;

// === impl Model: what happens ===

impl Model {
    /// A client that has just connected. It asks for everything if `wildcard`,
    /// and otherwise for nothing until it subscribes.
    pub fn new(protocol: Protocol, wildcard: bool) -> Self {
        let latest = snapshot(0, Desired::all(1).resources());
        let mut model = Self {
            protocol,
            wildcard,
            has_grace: false,
            has_ttl: false,
            now: SystemTime::UNIX_EPOCH,
            revision: 0,
            latest,
            names: BTreeMap::new(),
            held: BTreeMap::new(),
            tainted: BTreeSet::new(),
            lists: BTreeMap::new(),
            stream: Stream::new(Session::new(protocol)),
        };
        model.connect();
        model
    }

    /// The same client, that has just connected to a server which grants a time of grace.
    #[must_use]
    pub fn with_grace(mut self) -> Self {
        self.has_grace = true;
        self.connect();
        self
    }

    /// The same client, that has just connected and knows of times to live.
    #[must_use]
    pub fn with_ttl(mut self) -> Self {
        self.has_ttl = true;
        self.connect();
        self
    }

    /// Does one thing.
    ///
    /// # Panics
    ///
    /// If the session says what it must not.
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Publish(desired) => self.publish(desired),
            Step::Accept(resource_type) => drop(self.read(resource_type, None)),
            Step::Refuse { resource_type, blame, applies_others } => {
                let blame = blame.map(|index| NAMES[index % NAMES.len()]);
                self.read(resource_type, Some((blame, applies_others)));
            }
            Step::Subscribe(resource_type, index) => {
                self.subscribe(resource_type, NAMES[index % NAMES.len()]);
            }
            Step::Unsubscribe(resource_type, index) => {
                self.unsubscribe(resource_type, NAMES[index % NAMES.len()]);
            }
            Step::Stale(resource_type) => {
                if self.stream.nonces.contains_key(&resource_type) {
                    self.say(resource_type, [], [], None, "from long ago");
                }
            }
            Step::Lift => {
                self.stream.lifted = true;
                let outputs = self.stream.session.lift_gate(self.now);
                self.hear(outputs);
            }
            Step::EndGrace => self.end_grace(),
            Step::Wait => {
                self.now += TTL / 2;
                let outputs = self.stream.session.wake(self.now);
                self.hear(outputs);
            }
            Step::Reconnect => self.connect(),
        }
    }

    /// Accepts everything until nothing more comes, and checks what it has then.
    ///
    /// # Panics
    ///
    /// If that never ends, or it has not what it should have.
    pub fn settle(&mut self) {
        self.drain();
        TYPES.into_iter().for_each(|resource_type| self.check(resource_type));

        // Nothing of this was ever refused: now nothing may be held back.
        self.publish(Desired::all(255));
        self.drain();
        assert_eq!(self.stream.session.held().next(), None, "all is accepted");
        TYPES.into_iter().for_each(|resource_type| self.check(resource_type));
    }

    fn connect(&mut self) {
        let session = Session::new(self.protocol);
        let session = if self.has_grace { session.with_grace() } else { session };
        self.stream = Stream::new(if self.has_ttl { session.with_ttl() } else { session });
        for resource_type in TYPES {
            if self.is_wildcard(resource_type) || !self.wanted(resource_type).is_empty() {
                let wanted = self.wanted(resource_type);
                if self.protocol == Protocol::Delta {
                    self.tell_what_is_held(resource_type, &wanted);
                }
                self.say(resource_type, wanted, [], None, "");
            }
        }
        self.note_gone();
        let outputs = self.stream.session.on_snapshot(self.latest.clone(), self.now);
        self.hear(outputs);
    }

    /// A client that comes back says what it holds, and counts as told of that.
    fn tell_what_is_held(&mut self, resource_type: ResourceType, wanted: &[String]) {
        let held = self.held.iter().filter(|((t, _), _)| *t == resource_type);
        for (key, (_, content)) in held {
            if resource_type == C {
                self.stream.answered.insert(key.1.clone());
            }
            if resource_type == E && wanted.contains(&key.1) {
                // It may wait for endpoints that it has.
                self.stream.may_repeat.insert(key.clone());
            }
            if !self.tainted.contains(key) {
                self.stream.told.insert(key.clone(), Some(content.clone()));
            }
        }
    }

    fn publish(&mut self, desired: Desired) {
        self.revision += 1;
        self.latest = snapshot(self.revision, desired.resources());
        self.release();
        self.note_gone();
        let outputs = self.stream.session.on_snapshot(self.latest.clone(), self.now);
        self.hear(outputs);
    }

    pub(super) fn end_grace(&mut self) {
        self.stream.grace_is_over = true;
        let outputs = self.stream.session.end_grace(self.now);
        self.hear(outputs);
        self.stream.grace_is_over = false;
    }

    /// What is gone without anybody being told is new when it comes back.
    fn note_gone(&mut self) {
        self.stream.warming.retain(|name| self.latest.find(E, name).is_some());
        let is_told = |t| t == E && self.protocol == Protocol::Delta;
        for resource_type in [E, R].into_iter().filter(|&t| !is_told(t)) {
            let is_gone = |name: &&str| self.latest.find(resource_type, name).is_none();
            let gone = NAMES.into_iter().filter(is_gone);
            self.stream.may_repeat.extend(gone.map(|name| (resource_type, name.to_owned())));
        }
    }

    /// Forgets refusals of what is no longer so: it may come again if it comes back.
    fn release(&mut self) {
        let mut refused = std::mem::take(&mut self.stream.refused);
        refused.retain(|Refused { resource_type, content, is_whole, .. }| {
            let is_so = |name: &str| {
                let found = self.latest.find(*resource_type, name);
                found.map(|found| name_and_content(found.body()).1)
            };
            let is_all_there = || {
                let all = self.latest.resources(*resource_type);
                let all = all.filter(|r| self.wants(*resource_type, r.name()));
                all.count() == content.len()
            };
            content.iter().all(|(name, refused)| *refused == is_so(name))
                && (!is_whole || is_all_there())
        });
        self.stream.refused = refused;
    }
}
