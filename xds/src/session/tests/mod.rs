//! Transcripts: what a client says, and the lines that a session answers.
//!
//! A response is a line such as `cluster a=1 b=1 -c`: names with their contents,
//! and the names that are gone; `a?5:no` says why there is no `a`. A news line starts with `!`.

mod alone;
mod answers;
mod bounds;
mod delta;
mod denial;
mod endpoints;
mod lists;
mod model;
mod order;
mod refusal;
mod settled;
mod size;
mod sotw;
mod ttl;
mod vhds;

use std::collections::{BTreeMap, BTreeSet};

use marchproxy_proto as proto;

use super::*;
use crate::testing::{Received, cluster, endpoint, listener, resource, route, snapshot};
use crate::{Resource, ResourceType};

const C: ResourceType = ResourceType::Cluster;
const E: ResourceType = ResourceType::Endpoint;
const L: ResourceType = ResourceType::Listener;
const R: ResourceType = ResourceType::Route;
const S: ResourceType = ResourceType::Secret;

const NOTHING: [&str; 0] = [];
const NOW: SystemTime = SystemTime::UNIX_EPOCH;

/// A session, and a client that can be made to say anything to it.
struct Talk {
    protocol: Protocol,
    session: Session,
    /// What a state-of-the-world client names, by type.
    names: BTreeMap<ResourceType, BTreeSet<String>>,
    /// The last nonce heard, by type.
    nonces: BTreeMap<ResourceType, String>,
    /// What was reported since it was last looked at.
    news: Vec<String>,
}

impl Talk {
    fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            session: Session::new(protocol),
            names: BTreeMap::new(),
            nonces: BTreeMap::new(),
            news: Vec::new(),
        }
    }

    /// A session that already has a snapshot of these resources.
    fn with(protocol: Protocol, resources: &[Resource]) -> Self {
        let mut talk = Self::new(protocol);
        assert_eq!(talk.publish(1, resources), NOTHING);
        talk
    }

    fn publish(&mut self, revision: u64, resources: &[Resource]) -> Vec<String> {
        let outputs = self.session.on_snapshot(snapshot(revision, resources.iter().cloned()), NOW);
        self.hear(outputs)
    }

    /// Asks for names; state of the world, on top of those asked for before.
    fn ask(&mut self, resource_type: ResourceType, names: &[&str]) -> Vec<String> {
        self.names.entry(resource_type).or_default().extend(owned(names));
        let nonce = self.nonce(resource_type);
        self.say(resource_type, &nonce, names, &[], None)
    }

    fn drop(&mut self, resource_type: ResourceType, names: &[&str]) -> Vec<String> {
        let wanted = self.names.entry(resource_type).or_default();
        wanted.retain(|name| !names.contains(&name.as_str()));
        let nonce = self.nonce(resource_type);
        self.say(resource_type, &nonce, &[], names, None)
    }

    fn ack(&mut self, resource_type: ResourceType) -> Vec<String> {
        let nonce = self.nonces[&resource_type].clone();
        self.say(resource_type, &nonce, &[], &[], None)
    }

    fn nack(&mut self, resource_type: ResourceType, message: &str) -> Vec<String> {
        let nonce = self.nonces[&resource_type].clone();
        self.say(resource_type, &nonce, &[], &[], Some(message))
    }

    /// Asks, and accepts all that comes until nothing more does.
    fn ask_and_ack(&mut self, resource_type: ResourceType, names: &[&str]) {
        let mut lines = self.ask(resource_type, names);
        while let Some(line) = lines.pop() {
            let answered = ResourceType::ALL
                .into_iter()
                .find(|t| line.starts_with(&t.to_string()))
                .expect("a line starts with a type");
            lines.extend(self.ack(answered));
        }
    }

    /// Asks on a new stream, holding what an earlier one brought.
    fn resume(
        &mut self,
        resource_type: ResourceType,
        names: &[&str],
        held: &[Resource],
    ) -> Vec<String> {
        let held = held.iter().map(|held| (held.name().to_string(), held.version().to_string()));
        self.request(Request::Delta(proto::DeltaDiscoveryRequest {
            type_url: resource_type.type_url().to_owned(),
            resource_names_subscribe: owned(names).collect(),
            initial_resource_versions: held.collect(),
            ..Default::default()
        }))
    }

    fn say(
        &mut self,
        resource_type: ResourceType,
        nonce: &str,
        subscribe: &[&str],
        unsubscribe: &[&str],
        error: Option<&str>,
    ) -> Vec<String> {
        let type_url = resource_type.type_url().to_owned();
        let error_detail =
            error.map(|message| proto::Status { code: 13, message: message.to_owned() });
        let response_nonce = nonce.to_owned();
        let request = match self.protocol {
            Protocol::Sotw => Request::Sotw(proto::DiscoveryRequest {
                resource_names: self
                    .names
                    .entry(resource_type)
                    .or_default()
                    .iter()
                    .cloned()
                    .collect(),
                type_url,
                response_nonce,
                error_detail,
                ..Default::default()
            }),
            Protocol::Delta => Request::Delta(proto::DeltaDiscoveryRequest {
                type_url,
                resource_names_subscribe: owned(subscribe).collect(),
                resource_names_unsubscribe: owned(unsubscribe).collect(),
                response_nonce,
                error_detail,
                ..Default::default()
            }),
        };
        self.request(request)
    }

    fn request(&mut self, request: Request) -> Vec<String> {
        let outputs = self.session.on_request(request, NOW).expect("the request is in order");
        self.hear(outputs)
    }

    /// State of the world, an answer carries the nonce of the last response.
    fn nonce(&self, resource_type: ResourceType) -> String {
        match self.protocol {
            Protocol::Sotw => self.nonces.get(&resource_type).cloned().unwrap_or_default(),
            Protocol::Delta => String::new(),
        }
    }

    fn hear(&mut self, outputs: Vec<Output>) -> Vec<String> {
        let mut lines = Vec::new();
        for output in outputs {
            match output {
                Output::Send(response) => {
                    let received = Received::read(&response);
                    self.nonces.insert(received.resource_type, received.nonce.clone());
                    lines.push(line(&received));
                }
                Output::Report(event) => self.news.extend(news(&event)),
            }
        }
        lines
    }

    fn news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news)
    }
}

fn line(received: &Received) -> String {
    let mut line = received.resource_type.to_string();
    for resource in &received.resources {
        line += &format!(" {}={}", resource.name, resource.content());
    }
    for name in &received.removed {
        line += &format!(" -{name}");
    }
    for (name, code, message) in &received.denied {
        line += &format!(" {name}?{code}:{message}");
    }
    line
}

/// What a line says of an event; that something was sent goes without saying.
fn news(event: &Event) -> Option<String> {
    match event {
        Event::Sent { .. } => None,
        Event::Acked { resource_type, revision, .. } => {
            Some(format!("!acked {resource_type} @{revision}"))
        }
        Event::Nacked { resource_type, revision, resources, culprits, searching, .. } => {
            let searching = if *searching { " searching" } else { "" };
            let told = format!("@{revision} {resources:?} {culprits:?}{searching}");
            Some(format!("!nacked {resource_type} {told}"))
        }
        Event::Withheld { resource_type } => Some(format!("!withheld {resource_type}")),
        Event::Needs { resources } => {
            let names = resources.iter().map(|(of_type, name)| format!(" {of_type}/{name}"));
            Some(names.fold("!needs".to_owned(), |line, name| line + &name))
        }
        Event::Overdue { revision } => Some(format!("!overdue @{revision}")),
        Event::Settled { revision, held } => Some(format!("!settled @{revision} {held:?}")),
    }
}

fn owned(names: &[&str]) -> impl Iterator<Item = String> {
    names.iter().map(|&name| name.to_owned())
}

/// A cluster that requires nothing.
fn plain(name: &str, content: &str) -> Resource {
    resource(C, name, content)
}

/// Calls `test` for each protocol.
fn for_both(test: impl Fn(Protocol)) {
    test(Protocol::Sotw);
    test(Protocol::Delta);
}

// === what both protocols have in common ===

#[test]
fn c2_nonces_count_up_over_all_types_of_a_stream() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &[plain("a", "1"), listener_without_route("l")]);
        talk.ask(C, &[]);
        talk.ask(L, &[]);
        assert_eq!(talk.nonces[&C], "00000001");
        assert_eq!(talk.nonces[&L], "00000002");
        talk.publish(2, &[plain("a", "2"), listener_without_route("l")]);
        talk.ack(C);
        assert_eq!(talk.nonces[&C], "00000003");
    });
}

#[test]
fn c2_a_nonce_of_another_type_answers_nothing() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &[plain("a", "1"), listener_without_route("l")]);
        talk.ask(C, &[]);
        talk.ask(L, &[]);
        let [of_clusters, of_listeners] = [C, L].map(|t| talk.nonces[&t].clone());
        assert_eq!(talk.say(C, &of_listeners, &[], &[], None), NOTHING);
        assert_eq!(talk.say(L, &of_clusters, &[], &[], Some("no")), NOTHING);
        assert_eq!(talk.news(), NOTHING, "neither is accepted or refused");
        assert_eq!(talk.ack(C), NOTHING);
        assert_eq!(talk.news(), ["!acked cluster @1"]);
    });
}

#[test]
fn c9_nothing_is_sent_after_an_ack() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &[plain("a", "1")]);
        assert_eq!(talk.ask(C, &[]), ["cluster a=1"]);
        assert_eq!(talk.ack(C), NOTHING);
        assert_eq!(talk.publish(2, &[plain("a", "1")]), NOTHING);
    });
}

#[test]
fn c12_of_changes_in_flight_only_the_last_is_sent() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &[plain("a", "1")]);
        talk.ask(C, &[]);
        assert_eq!(talk.publish(2, &[plain("a", "2")]), NOTHING);
        assert_eq!(talk.publish(3, &[plain("a", "3")]), NOTHING);
        assert_eq!(talk.ack(C), ["cluster a=3"]);
        assert_eq!(talk.news(), ["!acked cluster @1"]);
    });
}

#[test]
fn c25_nothing_is_said_before_the_first_snapshot() {
    for_both(|protocol| {
        let mut talk = Talk::new(protocol);
        assert_eq!(talk.ask(L, &[]), NOTHING);
        assert_eq!(talk.ask(E, &["a"]), NOTHING);
        assert_eq!(talk.ask(C, &[]), NOTHING);
        assert_eq!(
            talk.publish(1, &[cluster("a", "1"), endpoint("a", "1")]),
            ["cluster a=1", "endpoint a=1", "listener"]
        );
    });
}

#[test]
fn c19_no_names_mean_everything_only_for_types_that_are_listed_in_full() {
    for_both(|protocol| {
        for resource_type in ResourceType::ALL {
            let mut talk = Talk::with(protocol, &[resource(resource_type, "x", "1")]);
            let answered = !talk.ask(resource_type, &[]).is_empty();
            let in_full = matches!(resource_type, C | L | ResourceType::ScopedRoute);
            assert_eq!(answered, in_full, "{resource_type}");
        }
    });
}

#[test]
fn c21_c22_an_absent_name_blocks_nobody_and_is_pushed_when_it_appears() {
    for_both(|protocol| {
        for resource_type in [E, R, S] {
            let mut talk = Talk::with(protocol, &[resource(resource_type, "a", "1")]);
            let lines = talk.ask(resource_type, &["a", "b"]);
            assert!(lines[0].starts_with(&format!("{resource_type} a=1")), "{lines:?}");
            talk.ack(resource_type);
            let both = [resource(resource_type, "a", "1"), resource(resource_type, "b", "1")];
            assert_eq!(talk.publish(2, &both), [format!("{resource_type} b=1")]);
        }
    });
}

#[test]
fn c38_a_request_must_have_a_type_but_not_one_of_ours() {
    let mut talk = Talk::with(Protocol::Sotw, &[]);
    let request = |type_url: &str| {
        Request::Sotw(proto::DiscoveryRequest { type_url: type_url.into(), ..Default::default() })
    };
    assert_eq!(talk.session.on_request(request(""), NOW), Err(Violation::MissingTypeUrl));
    assert_eq!(talk.request(request("type.googleapis.com/x.Y")), NOTHING);
    assert!(talk.session.unknown_types().eq(["type.googleapis.com/x.Y"]));
    let delta = Request::Delta(proto::DeltaDiscoveryRequest::default());
    assert_eq!(talk.session.on_request(delta, NOW), Err(Violation::WrongProtocol));
}

#[test]
fn c39_types_do_not_wait_for_each_other() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &[plain("a", "1"), route("r", "1")]);
        assert_eq!(talk.ask(C, &[]), ["cluster a=1"]);
        assert_eq!(talk.ask(R, &["r"]), ["route r=1"]);
        assert_eq!(talk.publish(2, &[plain("a", "2"), route("r", "2")]), NOTHING);
        assert_eq!(talk.ack(R), ["route r=2"]);
        assert_eq!(talk.ack(C), ["cluster a=2"]);
    });
}

#[test]
fn a_batch_is_sent_in_push_order() {
    for_both(|protocol| {
        let mut talk = Talk::new(protocol);
        talk.ask(R, &["r"]);
        talk.ask(L, &[]);
        talk.ask(E, &["a"]);
        talk.ask(C, &[]);
        talk.ask(S, &["s"]);
        let all = [
            route("r", "1"),
            listener("l", "r", "1"),
            cluster("a", "1"),
            endpoint("a", "1"),
            resource(S, "s", "1"),
        ];
        let order = ["secret s=1", "cluster a=1", "endpoint a=1", "listener l=1", "route r=1"];
        assert_eq!(talk.publish(1, &all), order);
    });
}

fn listener_without_route(name: &str) -> Resource {
    resource(L, name, "1")
}
