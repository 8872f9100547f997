//! Whatever happens in whatever order, a client ends up with what it should hold.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 3] = ["a", "b", "c"];
const NAMED: [ResourceType; 2] = [E, R];

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Publishes resources with these contents, by name; 0 stands for none.
    Publish([u8; NAMES.len()], [u8; NAMES.len()]),
    /// The client reads a response and accepts it.
    Accept,
    /// The client reads a response and refuses it.
    Refuse {
        blame: Option<usize>,
        applies_others: bool,
    },
    Subscribe(ResourceType, usize),
    Unsubscribe(ResourceType, usize),
    /// The stream breaks. Responses not read are lost.
    Reconnect,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let contents = || [0..5_u8, 0..5_u8, 0..5_u8];
    let named = || (prop::sample::select(&NAMED[..]), 0..NAMES.len());
    let step = prop_oneof![
        4 => (contents(), contents()).prop_map(|(eds, rds)| Step::Publish(eds, rds)),
        5 => Just(Step::Accept),
        2 => (prop::option::of(0..NAMES.len()), any::<bool>())
            .prop_map(|(blame, applies_others)| Step::Refuse { blame, applies_others }),
        3 => named().prop_map(|(resource_type, name)| Step::Subscribe(resource_type, name)),
        2 => named().prop_map(|(resource_type, name)| Step::Unsubscribe(resource_type, name)),
        1 => Just(Step::Reconnect),
    ];
    prop::collection::vec(step, 0..60)
}

/// Clusters with endpoints as in `eds`, and routes as in `rds`.
fn published(revision: u64, eds: [u8; 3], rds: [u8; 3]) -> Arc<Snapshot> {
    let mut resources = Vec::new();
    for (index, name) in NAMES.into_iter().enumerate() {
        if eds[index] > 0 {
            // The endpoints change without the cluster, and the other way round.
            let content = eds[index];
            let (of_cluster, of_endpoint) =
                if content < 5 { (content / 3, content % 2) } else { (content, content) };
            resources.push(cluster(name, &of_cluster.to_string()));
            resources.push(endpoint(name, &of_endpoint.to_string()));
        }
        if rds[index] > 0 {
            resources.push(route(name, &rds[index].to_string()));
        }
    }
    snapshot(revision, resources)
}

/// A client that does what Envoy does, and its stream.
struct Model {
    protocol: Protocol,
    session: Session,
    latest: Arc<Snapshot>,
    unread: VecDeque<Received>,
    names: BTreeMap<ResourceType, BTreeSet<String>>,
    /// By type and name: version and content.
    held: BTreeMap<(ResourceType, String), (String, String)>,
    /// What it has applied of refused responses: it has no version of that.
    tainted: BTreeSet<(ResourceType, String)>,
    nonces: BTreeMap<ResourceType, String>,
}

impl Model {
    fn new(protocol: Protocol) -> Self {
        let mut model = Self {
            protocol,
            session: Session::new(protocol),
            latest: published(0, [1; 3], [1; 3]),
            unread: VecDeque::new(),
            names: BTreeMap::new(),
            held: BTreeMap::new(),
            tainted: BTreeSet::new(),
            nonces: BTreeMap::new(),
        };
        model.connect();
        model
    }

    fn connect(&mut self) {
        self.session = Session::new(self.protocol);
        self.unread.clear();
        self.nonces.clear();
        self.say(C, self.wanted(C), [], None);
        for resource_type in NAMED {
            if !self.wanted(resource_type).is_empty() {
                self.say(resource_type, self.wanted(resource_type), [], None);
            }
        }
        let outputs = self.session.on_snapshot(self.latest.clone(), NOW);
        self.hear(outputs);
    }

    fn wanted(&self, resource_type: ResourceType) -> Vec<String> {
        self.names.get(&resource_type).into_iter().flatten().cloned().collect()
    }

    fn wants(&self, resource_type: ResourceType, name: &str) -> bool {
        resource_type == C || self.names.get(&resource_type).is_some_and(|n| n.contains(name))
    }

    fn step(&mut self, revision: u64, step: Step) {
        match step {
            Step::Publish(eds, rds) => self.publish(published(revision, eds, rds)),
            Step::Accept => drop(self.read(None)),
            Step::Refuse { blame, applies_others } => {
                self.read(Some((blame.map(|index| NAMES[index]), applies_others)));
            }
            Step::Subscribe(resource_type, index) => {
                self.names.entry(resource_type).or_default().insert(NAMES[index].into());
                self.say(resource_type, [NAMES[index].into()], [], None);
            }
            Step::Unsubscribe(resource_type, index) => {
                self.names.entry(resource_type).or_default().remove(NAMES[index]);
                self.held.remove(&(resource_type, NAMES[index].into()));
                self.say(resource_type, [], [NAMES[index].into()], None);
            }
            Step::Reconnect => self.connect(),
        }
    }

    fn publish(&mut self, snapshot: Arc<Snapshot>) {
        self.latest = snapshot;
        let outputs = self.session.on_snapshot(self.latest.clone(), NOW);
        self.hear(outputs);
    }

    /// Reads a response, and refuses it if told whom to blame and what to apply.
    fn read(&mut self, refusal: Option<(Option<&str>, bool)>) -> Option<()> {
        let received = self.unread.pop_front()?;
        let resource_type = received.resource_type;
        if resource_type != C && self.wanted(resource_type).is_empty() {
            return Some(()); // Envoy drops it, and does not answer
        }
        self.nonces.insert(resource_type, received.nonce.clone());
        let error = match refusal {
            None => {
                self.apply(&received, |_| true);
                None
            }
            Some((blame, applies_others)) => {
                self.apply_refused(&received, |name| applies_others && Some(name) != blame);
                Some(blame.map_or("no".to_owned(), |blame| format!("bad '{blame}'")))
            }
        };
        self.say_with(resource_type, [], [], error, &received.nonce);
        Some(())
    }

    fn apply(&mut self, received: &Received, takes: impl Fn(&str) -> bool) {
        let resource_type = received.resource_type;
        let is_complete = self.protocol == Protocol::Sotw && resource_type == C;
        if is_complete {
            let names = received.names();
            self.held.retain(|(t, name), _| *t != C || !takes(name) || names.contains(&&**name));
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
    ) {
        let nonce = match self.protocol {
            Protocol::Sotw => self.nonces.get(&resource_type).cloned().unwrap_or_default(),
            Protocol::Delta => String::new(),
        };
        self.say_with(resource_type, subscribe, unsubscribe, error, &nonce);
    }

    fn say_with(
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
                ..Default::default()
            }),
            Protocol::Delta => Request::Delta(proto::DeltaDiscoveryRequest {
                type_url,
                resource_names_subscribe: subscribe.into(),
                resource_names_unsubscribe: unsubscribe.into(),
                // Too many but in the first request: there they must not count.
                initial_resource_versions: self.versions(resource_type),
                response_nonce: nonce.to_owned(),
                error_detail,
                ..Default::default()
            }),
        };
        let outputs = self.session.on_request(request, NOW).expect("in order");
        self.hear(outputs);
    }

    fn versions(&self, resource_type: ResourceType) -> BTreeMap<String, String> {
        let held = self.held.iter().filter(|(key, _)| key.0 == resource_type);
        let version = |key, version: &String| {
            // Envoy forgets here that it holds anything. No server could mend that.
            if self.tainted.contains(key) { "unsure".to_owned() } else { version.clone() }
        };
        held.map(|(key, (held, _))| (key.1.clone(), version(key, held))).collect()
    }

    fn hear(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            if let Output::Send(response) = output {
                let received = Received::read(&response);
                let names: BTreeSet<_> = received.names().into_iter().collect();
                assert_eq!(names.len(), received.resources.len(), "c26: {received:?}");
                let says_nothing = received.resources.is_empty() && received.removed.is_empty();
                assert!(!says_nothing || received.resource_type == C, "c10: {received:?}");
                self.unread.push_back(received);
            }
        }
    }

    /// Accepts everything, until nothing more comes.
    fn drain(&mut self) {
        for _ in 0..100 {
            if self.read(None).is_none() {
                assert!(!self.session.lanes.iter().any(Lane::is_in_flight), "someone is stuck");
                return;
            }
        }
        panic!("responses never end");
    }

    /// Checks that the client holds what it should, except what it has refused.
    fn check(&self, resource_type: ResourceType) {
        let Some(lane) = self.session.lane(resource_type) else { return };
        if lane.is_holding() {
            return;
        }
        let should: BTreeMap<_, _> = self
            .latest
            .resources(resource_type)
            .filter(|resource| self.wants(resource_type, resource.name()))
            .map(|resource| {
                (resource.name().to_string(), crate::testing::name_and_content(resource.body()).1)
            })
            .collect();
        // Nobody is told that a route is gone, or that endpoints are on SotW; and
        // what a refused route may still need stays.
        let lags = |t| self.session.lane(t).is_some_and(Lane::is_holding);
        let is_told =
            resource_type == C || (resource_type == E && self.protocol == Protocol::Delta);
        let is_told = is_told && !lags(L) && !lags(R);
        let does: BTreeMap<_, _> = self
            .held
            .iter()
            .filter(|((t, name), _)| *t == resource_type && (is_told || should.contains_key(name)))
            .map(|((_, name), (_, content))| (name.clone(), content.clone()))
            .collect();
        assert_eq!(does, should, "{resource_type} {:?}", self.protocol);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn every_interleaving_ends_with_the_latest_snapshot(steps in steps()) {
        for protocol in [Protocol::Sotw, Protocol::Delta] {
            let mut model = Model::new(protocol);
            for (revision, step) in (1..).zip(steps.clone()) {
                model.step(revision, step);
            }
            model.drain();
            [C, E, R].into_iter().for_each(|resource_type| model.check(resource_type));

            // Nothing of this was ever refused: now nothing may be held.
            model.publish(published(1_000, [9; 3], [9; 3]));
            model.drain();
            for lane in &model.session.lanes {
                assert!(!lane.is_holding(), "{protocol:?} {lane:#?}");
            }
            [C, E, R].into_iter().for_each(|resource_type| model.check(resource_type));
        }
    }
}
