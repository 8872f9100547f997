//! A client that does what Envoy does, in any order, and checks what it is told.
//!
//! Whatever happens, the session must keep to this:
//!
//! - at most one response of a type is unanswered,
//! - nothing is sent to a client that has it, unless it asks or Envoy needs it again,
//! - what was refused is not sent again as it was,
//! - no route comes before the answer to a cluster that it needs,
//! - no cluster goes while a route that is held, or under way, needs it,
//! - endpoints follow their cluster, for which it waits,
//! - in the end the client has the latest of what it wants, less what it refuses.
//!
//! A property test and a fuzzer choose the [steps](Step).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use marchproxy_proto as proto;

use super::{Received, cluster, endpoint, listener, name_and_content, resource, route, snapshot};
use crate::{Output, Protocol, Request, Resource, ResourceType, Session, Snapshot};

const C: ResourceType = ResourceType::Cluster;
const E: ResourceType = ResourceType::Endpoint;
const L: ResourceType = ResourceType::Listener;
const R: ResourceType = ResourceType::Route;

/// The types that a [`Model`] asks for.
pub const TYPES: [ResourceType; 4] = [C, E, L, R];

/// The names that resources of every type have in a [`Model`].
pub const NAMES: [&str; 3] = ["a", "b", "c"];

/// How much one input may make a session say, at most.
const MAX_OUTPUTS: usize = 64;

/// What should be out: for each name a number that stands for content, 0 for none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Desired {
    /// Clusters with their endpoints; below 5, either may change without the other.
    pub clusters: [u8; NAMES.len()],
    /// Routes; the three lowest bits say which clusters they need, if there.
    pub routes: [u8; NAMES.len()],
    /// Listeners; each needs the route of its name, if there.
    pub listeners: [u8; NAMES.len()],
}

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
    /// The stream breaks. Responses that were not read are lost.
    Reconnect,
}

/// A client, its stream, and what it should see.
pub struct Model {
    protocol: Protocol,
    /// Whether it asks for all clusters and listeners, as Envoy does.
    wildcard: bool,
    revision: u64,
    latest: Arc<Snapshot>,
    names: BTreeMap<ResourceType, BTreeSet<String>>,
    /// By type and name: version and content.
    held: BTreeMap<Key, (String, String)>,
    /// What it has applied of refused responses: it has no version of that.
    tainted: BTreeSet<Key>,
    stream: Stream,
}

type Key = (ResourceType, String);

/// Names with what is in them; `None` stands for "is gone". State of the world, a
/// resource has no version of its own.
type Content = BTreeMap<String, Option<String>>;

/// What is forgotten when the stream breaks.
struct Stream {
    session: Session,
    asked: BTreeSet<ResourceType>,
    unread: VecDeque<Received>,
    /// The last nonce read, by type.
    nonces: BTreeMap<ResourceType, String>,
    all_nonces: BTreeSet<String>,
    unanswered: BTreeMap<ResourceType, Content>,
    /// What the client has been told, and has not refused.
    told: BTreeMap<Key, Option<String>>,
    /// What may be sent although the client has been told.
    may_repeat: BTreeSet<Key>,
    /// Of which types a full list may be sent although the client has it.
    may_relist: BTreeSet<ResourceType>,
    refused: Vec<(ResourceType, Content)>,
    /// Clusters that the client has answered to.
    answered: BTreeSet<String>,
    /// Clusters that wait for their endpoints, whether the client has them or not.
    warming: BTreeSet<String>,
    lifted: bool,
}

impl Desired {
    /// The same content for all names of all types.
    pub fn all(content: u8) -> Self {
        let each = [content; NAMES.len()];
        Self { clusters: each, routes: each, listeners: each }
    }

    fn resources(self) -> Vec<Resource> {
        let mut resources = Vec::new();
        for (index, name) in NAMES.into_iter().enumerate() {
            let content = self.clusters[index];
            if content > 0 {
                let (of_cluster, of_endpoint) =
                    if content < 5 { (content / 3, content % 2) } else { (content, content) };
                resources.push(cluster(name, &of_cluster.to_string()));
                resources.push(endpoint(name, &of_endpoint.to_string()));
            }
            let needed: Vec<_> = (0..NAMES.len())
                .filter(|&bit| self.routes[index] >> bit & 1 > 0 && self.clusters[bit] > 0)
                .map(|bit| NAMES[bit])
                .collect();
            if self.routes[index] > 0 {
                let content = format!("{}:{}", self.routes[index], needed.join(","));
                let route = route(name, &content);
                resources.push(needed.iter().fold(route, |r, name| r.requiring(C, *name)));
            }
            if self.listeners[index] > 0 {
                let content = self.listeners[index].to_string();
                resources.push(if self.routes[index] > 0 {
                    listener(name, name, &content)
                } else {
                    resource(L, name, &content)
                });
            }
        }
        resources
    }
}

/// In one line: a failing test shows many.
impl fmt::Debug for Desired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clusters, routes, listeners } = self;
        write!(f, "c{clusters:?} r{routes:?} l{listeners:?}")
    }
}

// === impl Model: what happens ===

impl Model {
    /// A client that has just connected. It asks for everything if `wildcard`,
    /// and otherwise for nothing until it subscribes.
    pub fn new(protocol: Protocol, wildcard: bool) -> Self {
        let latest = snapshot(0, Desired::all(1).resources());
        let mut model = Self {
            protocol,
            wildcard,
            revision: 0,
            latest,
            names: BTreeMap::new(),
            held: BTreeMap::new(),
            tainted: BTreeSet::new(),
            stream: Stream::new(protocol),
        };
        model.connect();
        model
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
                let outputs = self.stream.session.lift_gate(SystemTime::UNIX_EPOCH);
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
        self.stream = Stream::new(self.protocol);
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
        let outputs = self.stream.session.on_snapshot(self.latest.clone(), SystemTime::UNIX_EPOCH);
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
        let outputs = self.stream.session.on_snapshot(self.latest.clone(), SystemTime::UNIX_EPOCH);
        self.hear(outputs);
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
        refused.retain(|(resource_type, content)| {
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
                && (!self.is_complete(*resource_type) || is_all_there())
        });
        self.stream.refused = refused;
    }

    fn subscribe(&mut self, resource_type: ResourceType, name: &str) {
        if self.is_wildcard(resource_type) {
            return;
        }
        let is_new = self.names.entry(resource_type).or_default().insert(name.into());
        let key = (resource_type, name.to_owned());
        if is_new || self.protocol == Protocol::Delta {
            self.stream.may_repeat.insert(key);
            self.stream.may_relist.insert(resource_type);
            self.stream.forgive(resource_type, name);
        }
        let nonce = self.nonce(resource_type);
        self.say(resource_type, [name.to_owned()], [], None, &nonce);
    }

    fn unsubscribe(&mut self, resource_type: ResourceType, name: &str) {
        if self.is_wildcard(resource_type) || !self.stream.asked.contains(&resource_type) {
            return;
        }
        self.names.entry(resource_type).or_default().remove(name);
        let key = (resource_type, name.to_owned());
        self.held.remove(&key);
        self.tainted.remove(&key);
        self.stream.told.remove(&key);
        self.stream.forgive(resource_type, name);
        if let Some(content) = self.stream.unanswered.get_mut(&resource_type) {
            content.remove(name);
        }
        if resource_type == C {
            self.stream.answered.remove(name);
        }
        if resource_type == E {
            self.stream.warming.remove(name);
        }
        if self.wanted(resource_type).is_empty() {
            // Envoy drops what it has not read, and does not answer to it.
            self.stream.start_over(resource_type);
        }
        let nonce = self.nonce(resource_type);
        self.say(resource_type, [], [name.to_owned()], None, &nonce);
    }

    /// Reads a response, and refuses it if told whom to blame and what to apply.
    fn read(
        &mut self,
        resource_type: ResourceType,
        refusal: Option<(Option<&str>, bool)>,
    ) -> Option<()> {
        let stream = &mut self.stream;
        let is_first = |received: &Received| received.resource_type == resource_type;
        let received = stream.unread.remove(stream.unread.iter().position(is_first)?)?;
        stream.nonces.insert(resource_type, received.nonce.clone());
        let content = stream.unanswered.remove(&resource_type).expect("it was not answered");
        let is_complete = self.is_complete(resource_type);
        let error = match refusal {
            None => {
                self.apply(&received, |_| true);
                if is_complete {
                    self.stream.told.retain(|(t, _), _| *t != resource_type);
                }
                if resource_type == C {
                    let answered = &mut self.stream.answered;
                    if is_complete {
                        answered.clear();
                    }
                    answered.retain(|name| content.get(name) != Some(&None));
                    let there = content.iter().filter(|(_, version)| version.is_some());
                    answered.extend(there.map(|(name, _)| name.clone()));
                }
                let told = content.into_iter();
                let told = told.map(|(name, version)| ((resource_type, name), version));
                self.stream.told.extend(told);
                None
            }
            Some((blame, applies_others)) => {
                self.apply_refused(&received, |name| applies_others && Some(name) != blame);
                self.stream.note_refusal(resource_type, content, blame, is_complete);
                self.release();
                Some(blame.map_or("no".to_owned(), |blame| format!("bad '{blame}'")))
            }
        };
        if resource_type == C {
            self.stream.lifted = false;
        }
        self.say(resource_type, [], [], error, &received.nonce);
        Some(())
    }

    fn apply(&mut self, received: &Received, takes: impl Fn(&str) -> bool) {
        let resource_type = received.resource_type;
        if self.is_complete(resource_type) {
            let names = received.names();
            self.held.retain(|(t, name), _| {
                *t != resource_type || !takes(name) || names.contains(&&**name)
            });
        }
        for resource in received.resources.iter().filter(|resource| takes(&resource.name)) {
            if self.wants(resource_type, &resource.name) {
                let key = (resource_type, resource.name.clone());
                self.tainted.remove(&key);
                self.held.insert(key, (resource.version.clone(), resource.content()));
            }
        }
        for name in received.removed.iter().filter(|name| takes(name)) {
            self.held.remove(&(resource_type, name.clone()));
        }
    }

    fn apply_refused(&mut self, received: &Received, takes: impl Fn(&str) -> bool) {
        self.apply(received, &takes);
        let names = received.resources.iter().map(|r| &r.name).filter(|name| takes(name));
        let keys = names.map(|name| (received.resource_type, name.clone()));
        self.tainted.extend(keys);
    }

    fn say(
        &mut self,
        resource_type: ResourceType,
        subscribe: impl Into<Vec<String>>,
        unsubscribe: impl Into<Vec<String>>,
        error: Option<String>,
        nonce: &str,
    ) {
        let type_url = resource_type.type_url().to_owned();
        let error_detail = error.map(|message| proto::Status { code: 13, message });
        let request = match self.protocol {
            Protocol::Sotw => Request::Sotw(proto::DiscoveryRequest {
                resource_names: self.wanted(resource_type),
                type_url,
                response_nonce: nonce.to_owned(),
                error_detail,
                ..proto::DiscoveryRequest::default()
            }),
            Protocol::Delta => Request::Delta(proto::DeltaDiscoveryRequest {
                type_url,
                resource_names_subscribe: subscribe.into(),
                resource_names_unsubscribe: unsubscribe.into(),
                // Too many but in the first request: there they must not count.
                initial_resource_versions: self.versions(resource_type),
                response_nonce: nonce.to_owned(),
                error_detail,
                ..proto::DeltaDiscoveryRequest::default()
            }),
        };
        self.stream.asked.insert(resource_type);
        let outputs = self
            .stream
            .session
            .on_request(request, SystemTime::UNIX_EPOCH)
            .expect("it is in order");
        self.hear(outputs);
    }
}

// === impl Model: what it is told ===

impl Model {
    fn hear(&mut self, outputs: Vec<Output>) {
        assert!(outputs.len() <= MAX_OUTPUTS, "too much at once: {outputs:?}");
        for output in outputs {
            let Output::Send(response) = output else { continue };
            let received = Received::read(&response);
            self.judge(&received);
            self.stream.unread.push_back(received);
        }
    }

    fn judge(&mut self, received: &Received) {
        let resource_type = received.resource_type;
        let content = content(received);
        let told = received.resources.len() + received.removed.len();
        assert_eq!(content.len(), told, "c26, a name stands twice: {received:?}");
        let may_be_empty = self.is_complete(resource_type) || self.is_wildcard(resource_type);
        assert!(may_be_empty || !content.is_empty(), "c10, it says nothing: {received:?}");
        for name in content.keys() {
            assert!(self.wants(resource_type, name), "c20, nobody asked: {received:?}");
        }
        assert!(self.stream.all_nonces.insert(received.nonce.clone()), "c2: {received:?}");
        self.judge_repetition(received, &content);
        self.judge_refused(received, &content);
        if resource_type == C {
            self.judge_departure(received, &content);
        } else if resource_type == R {
            self.judge_order(received);
        }
        let before = self.stream.unanswered.insert(resource_type, content);
        assert_eq!(before, None, "c12, two at a time: {received:?}");
    }

    fn judge_repetition(&mut self, received: &Received, content: &Content) {
        let resource_type = received.resource_type;
        let is_complete = self.is_complete(resource_type);
        let stream = &mut self.stream;
        let key = |name: &String| (resource_type, name.clone());
        if is_complete {
            let of_type = |((t, name), version): (&Key, &Option<String>)| {
                (*t == resource_type).then(|| (name.clone(), version.clone()))
            };
            let told: Content = stream.told.iter().filter_map(of_type).collect();
            let is_asked = stream.may_relist.remove(&resource_type);
            let is_first = !stream.asked.contains(&resource_type) || told.is_empty();
            assert!(is_asked || is_first || told != *content, "c9, sent twice: {received:?}");
        } else {
            for (name, version) in content {
                let is_asked = stream.may_repeat.remove(&key(name));
                let is_known = stream.told.get(&key(name)) == Some(version);
                assert!(is_asked || !is_known, "c9, {name} is sent twice: {received:?}");
            }
        }
        if resource_type == C {
            let is_news = |name: &String, version: &Option<String>| {
                version.is_some() && stream.told.get(&key(name)) != Some(version)
            };
            let news = content.iter().filter(|(name, version)| is_news(name, version));
            let news: Vec<_> = news.map(|(name, _)| name.clone()).collect();
            for name in news {
                stream.may_repeat.insert((E, name.clone()));
                let is_asked = self.names.get(&E).is_some_and(|names| names.contains(&name));
                if is_asked && self.latest.find(E, &name).is_some() {
                    stream.warming.insert(name);
                }
            }
        }
        if resource_type == E {
            stream.warming.retain(|name| !content.contains_key(name));
        }
    }

    fn judge_refused(&self, received: &Received, content: &Content) {
        let resource_type = received.resource_type;
        let is_complete = self.is_complete(resource_type);
        for (_, refused) in self.stream.refused.iter().filter(|(t, _)| *t == resource_type) {
            let is_again = if is_complete {
                refused == content
            } else {
                !refused.is_empty()
                    && refused.iter().all(|(name, version)| content.get(name) == Some(version))
            };
            assert!(!is_again, "c6, {refused:?} is sent again: {received:?}");
        }
    }

    /// Clusters that go: nothing that the client holds, or will, may need them.
    fn judge_departure(&self, received: &Received, content: &Content) {
        let is_gone = |name: &String| {
            if self.is_complete(C) {
                !content.contains_key(name)
            } else {
                content.get(name) == Some(&None)
            }
        };
        let told = self.stream.told.iter().filter(|((t, _), v)| *t == C && v.is_some());
        for ((_, name), _) in told.filter(|((_, name), _)| is_gone(name)) {
            if !self.wants(C, name) {
                continue;
            }
            for resource_type in [L, R] {
                let is_under_way = self.stream.unanswered.contains_key(&resource_type);
                assert!(!is_under_way, "c48, {resource_type} is under way: {received:?}");
            }
            for ((_, route), (_, content)) in self.held.iter().filter(|((t, _), _)| *t == R) {
                let is_there = self.latest.find(R, route).is_some();
                let needs = needed(content).any(|needed| needed == name);
                assert!(!is_there || !needs, "c48, {route} needs {name}: {received:?}");
            }
        }
    }

    /// Routes that come: the client must have answered to what they need.
    fn judge_order(&self, received: &Received) {
        if self.stream.lifted || !self.stream.asked.contains(&C) {
            return;
        }
        for route in &received.resources {
            let content = route.content();
            for name in needed(&content).filter(|name| self.wants(C, name)) {
                let is_answered = self.stream.answered.contains(name);
                assert!(is_answered, "c47, {} before {name}: {received:?}", route.name);
            }
        }
    }

    /// Accepts everything, until nothing more comes.
    fn drain(&mut self) {
        for _ in 0..100 {
            let Some(received) = self.stream.unread.front() else {
                assert!(self.stream.unanswered.is_empty(), "someone is stuck");
                assert!(!self.stream.session.is_gated(), "someone waits for ever");
                let is_refused = self.stream.session.held().any(|held| held == E);
                let warming = &self.stream.warming;
                assert!(is_refused || warming.is_empty(), "c45, {warming:?} wait");
                return;
            };
            self.read(received.resource_type, None);
        }
        panic!("responses never end");
    }

    /// Checks that the client holds what it should, except what it has refused.
    fn check(&self, resource_type: ResourceType) {
        let is_held_back = |t| self.stream.session.held().any(|held| held == t);
        if !self.stream.asked.contains(&resource_type) || is_held_back(resource_type) {
            return;
        }
        let should: BTreeMap<_, _> = self
            .latest
            .resources(resource_type)
            .filter(|resource| self.wants(resource_type, resource.name()))
            .map(|resource| (resource.name().to_string(), name_and_content(resource.body()).1))
            .collect();
        // Nobody is told that a route is gone, or that endpoints are on SotW; and
        // what a refused route may still need stays.
        let is_told = if resource_type == E {
            self.protocol == Protocol::Delta
        } else {
            resource_type.is_full_state()
        };
        let keeps = is_held_back(L) || is_held_back(R);
        let is_told = is_told && !(keeps && matches!(resource_type, C | E));
        let does: BTreeMap<_, _> = self
            .held
            .iter()
            .filter(|((t, name), _)| *t == resource_type && (is_told || should.contains_key(name)))
            .map(|((_, name), (_, content))| (name.clone(), content.clone()))
            .collect();
        assert_eq!(does, should, "{resource_type} {:?}", self.protocol);
    }
}

// === impl Model: questions ===

impl Model {
    fn is_wildcard(&self, resource_type: ResourceType) -> bool {
        self.wildcard && resource_type.is_full_state()
    }

    fn is_complete(&self, resource_type: ResourceType) -> bool {
        self.protocol == Protocol::Sotw && resource_type.is_full_state()
    }

    fn wanted(&self, resource_type: ResourceType) -> Vec<String> {
        self.names.get(&resource_type).into_iter().flatten().cloned().collect()
    }

    fn wants(&self, resource_type: ResourceType, name: &str) -> bool {
        self.is_wildcard(resource_type)
            || self.names.get(&resource_type).is_some_and(|names| names.contains(name))
    }

    fn nonce(&self, resource_type: ResourceType) -> String {
        match self.protocol {
            Protocol::Sotw => self.stream.nonces.get(&resource_type).cloned().unwrap_or_default(),
            Protocol::Delta => String::new(),
        }
    }

    fn versions(&self, resource_type: ResourceType) -> BTreeMap<String, String> {
        let held = self.held.iter().filter(|(key, _)| key.0 == resource_type);
        let version = |key, version: &String| {
            // Envoy forgets here that it holds anything. No server could mend that.
            if self.tainted.contains(key) { "unsure".to_owned() } else { version.clone() }
        };
        held.map(|(key, (held, _))| (key.1.clone(), version(key, held))).collect()
    }
}

// === impl Stream ===

impl Stream {
    fn new(protocol: Protocol) -> Self {
        Self {
            session: Session::new(protocol),
            asked: BTreeSet::new(),
            unread: VecDeque::new(),
            nonces: BTreeMap::new(),
            all_nonces: BTreeSet::new(),
            unanswered: BTreeMap::new(),
            told: BTreeMap::new(),
            may_repeat: BTreeSet::new(),
            may_relist: BTreeSet::new(),
            refused: Vec::new(),
            answered: BTreeSet::new(),
            warming: BTreeSet::new(),
            lifted: false,
        }
    }

    /// The client itself gives up what it has said of a name.
    fn forgive(&mut self, resource_type: ResourceType, name: &str) {
        self.refused.retain(|(t, content)| {
            *t != resource_type || (!resource_type.is_full_state() && !content.contains_key(name))
        });
    }

    /// The client wants nothing of that type any more.
    fn start_over(&mut self, resource_type: ResourceType) {
        self.unread.retain(|received| received.resource_type != resource_type);
        self.unanswered.remove(&resource_type);
        self.told.retain(|(t, _), _| *t != resource_type);
        self.refused.retain(|(t, _)| *t != resource_type);
        if resource_type == C {
            self.answered.clear();
        }
    }

    fn note_refusal(
        &mut self,
        resource_type: ResourceType,
        mut content: Content,
        blame: Option<&str>,
        is_complete: bool,
    ) {
        if resource_type == C {
            self.answered.extend(content.keys().cloned());
        }
        self.told.retain(|(t, name), _| {
            *t != resource_type || (!is_complete && !content.contains_key(name))
        });
        if let Some(blame) = blame.filter(|blame| !is_complete && content.contains_key(*blame)) {
            content.retain(|name, _| name == blame);
        }
        self.refused.push((resource_type, content));
    }
}

/// What a response says of each name.
fn content(received: &Received) -> Content {
    let there = received.resources.iter().map(|r| (r.name.clone(), Some(r.content())));
    there.chain(received.removed.iter().map(|name| (name.clone(), None))).collect()
}

/// The clusters that a route needs, by its content.
fn needed(content: &str) -> impl Iterator<Item = &str> {
    let (_, needed) = content.split_once(':').unwrap_or_default();
    needed.split(',').filter(|name| !name.is_empty())
}
