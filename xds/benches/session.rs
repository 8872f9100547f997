//! What a session costs: CPU per push, sync, reconnect and answer, and memory.
//!
//! ```text
//! cargo bench -p marchproxy-xds --bench session -- --sessions 1000 --services 100,1000
//! ```
//!
//! Everything is in one thread and without I/O, so the figures are the engine's own.
//! Each is the best of the rounds: what disturbs only adds. Microseconds are the
//! machine's; compare those of one run.

#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::alloc::System;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;
use std::time::{Duration, Instant};

use marchproxy_proto as proto;
use marchproxy_xds::{Output, Protocol, Request, ResourceType, Response, Session, Snapshot};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::support::{Change, Options, World, world_names};

#[expect(dead_code, reason = "the other bench uses all of it")]
mod support;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Sessions whose clients all do the same, and what the sessions took for it.
struct Fleet {
    protocol: Protocol,
    sessions: Vec<Session>,
    /// What the clients name, by type.
    names: BTreeMap<ResourceType, Vec<String>>,
}

/// The best time of each thing.
#[derive(Default)]
struct Figures(BTreeMap<&'static str, Duration>);

fn main() {
    let options = Options::read();
    let sessions = options.number("sessions", 1_000, 3);
    let rounds = options.number("rounds", 10, 2);
    let services = options.numbers("services", &[100, 1_000], &[10]);
    let change = Change::read(&options);
    println!("{sessions} sessions, best of {rounds} rounds, one {} changes", change.word());
    println!("microseconds per session; to make the snapshot, microseconds in all:");
    println!(
        "{:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10} {:>10}",
        "mode", "services", "sync", "push", "ack", "resume", "snapshot", "B/session"
    );
    for protocol in options.protocols() {
        for &services in &services {
            measure(protocol, services, sessions, rounds, change);
        }
    }
}

fn measure(protocol: Protocol, services: usize, sessions: usize, rounds: usize, change: Change) {
    let world = World::new(services, change);
    let mut figures = Figures::default();

    let first = world.at(0);
    let heap = Region::new(HEAP);
    let mut fleet = Fleet::new(protocol, sessions, services);
    figures.keep("sync", fleet.sync(&first, None).0);
    let heap = heap.change();
    let held = heap.bytes_allocated.saturating_sub(heap.bytes_deallocated);

    for round in 1..=rounds as u64 {
        let began = Instant::now();
        let next = world.at(round);
        figures.keep("snapshot", began.elapsed());
        let (took, outputs) = fleet.publish(&next);
        figures.keep("push", took);
        let answers = fleet.answers(outputs);
        assert!(answers.iter().all(|answers| !answers.is_empty()), "each is told of the change");
        let (took, outputs) = fleet.say(answers);
        figures.keep("ack", took);
        let is_sent = |output: &Output| matches!(output, Output::Send(_));
        assert!(!outputs.iter().flatten().any(is_sent), "and then each has it");
    }

    if protocol == Protocol::Delta {
        let latest = world.at(rounds as u64);
        let mut again = Fleet::new(protocol, sessions, services);
        let (took, sent) = again.sync(&latest, Some(&latest));
        assert_eq!(sent, sessions, "endpoints, and nothing else");
        figures.keep("resume", took);
    }

    let name = match protocol {
        Protocol::Sotw => "sotw",
        Protocol::Delta => "delta",
    };
    println!(
        "{name:>6} {services:>9} {:>9} {:>9} {:>9} {:>9} {:>10} {:>10}",
        figures.each("sync", sessions),
        figures.each("push", sessions),
        figures.each("ack", sessions),
        figures.each("resume", sessions),
        figures.each("snapshot", 1),
        held / sessions.max(1),
    );
}

// === impl Fleet ===

impl Fleet {
    fn new(protocol: Protocol, sessions: usize, services: usize) -> Self {
        let names = [
            (ResourceType::Cluster, Vec::new()),
            (ResourceType::Endpoint, world_names(services)),
            (ResourceType::Listener, Vec::new()),
            (ResourceType::Route, vec!["r".to_owned()]),
        ];
        let sessions = (0..sessions).map(|_| Session::new(protocol)).collect();
        Self { protocol, sessions, names: names.into() }
    }

    /// Asks for everything as Envoys do, and accepts all that comes. Returns how
    /// long that took, and how many responses came.
    fn sync(&mut self, snapshot: &Arc<Snapshot>, held: Option<&Snapshot>) -> (Duration, usize) {
        let (mut took, _) = self.publish(snapshot);
        let mut sent = 0;
        for &resource_type in self.names.clone().keys() {
            let first = |_| vec![self.first_request(resource_type, held)];
            let mut requests: Vec<_> = (0..self.sessions.len()).map(first).collect();
            while requests.iter().any(|requests| !requests.is_empty()) {
                let (more, outputs) = self.say(requests);
                took += more;
                requests = self.answers(outputs);
                sent += requests.iter().map(Vec::len).sum::<usize>();
            }
        }
        (took, sent)
    }

    fn publish(&mut self, snapshot: &Arc<Snapshot>) -> (Duration, Vec<Vec<Output>>) {
        let began = Instant::now();
        let sessions = self.sessions.iter_mut();
        let outputs = sessions
            .map(|session| session.on_snapshot(snapshot.clone(), SystemTime::UNIX_EPOCH))
            .collect();
        (began.elapsed(), outputs)
    }

    fn say(&mut self, requests: Vec<Vec<Request>>) -> (Duration, Vec<Vec<Output>>) {
        let began = Instant::now();
        let sessions = self.sessions.iter_mut().zip(requests);
        let outputs = sessions.map(|(session, requests)| {
            let mut outputs = Vec::new();
            for request in requests {
                outputs.extend(
                    session.on_request(request, SystemTime::UNIX_EPOCH).expect("it is in order"),
                );
            }
            outputs
        });
        let outputs = outputs.collect();
        (began.elapsed(), outputs)
    }

    /// What clients say that accept all this.
    fn answers(&self, outputs: Vec<Vec<Output>>) -> Vec<Vec<Request>> {
        let answers = |outputs: Vec<Output>| {
            let answer = |output| match output {
                Output::Send(response) => Some(self.answer(&response)),
                Output::Report(_) => None,
            };
            outputs.into_iter().filter_map(answer).collect()
        };
        outputs.into_iter().map(answers).collect()
    }

    fn answer(&self, response: &Response) -> Request {
        let type_url = response.resource_type.type_url().to_owned();
        let response_nonce = response.nonce();
        match response.protocol {
            Protocol::Sotw => Request::Sotw(proto::DiscoveryRequest {
                resource_names: self.named(&type_url),
                type_url,
                response_nonce,
                ..proto::DiscoveryRequest::default()
            }),
            Protocol::Delta => Request::Delta(proto::DeltaDiscoveryRequest {
                type_url,
                response_nonce,
                ..proto::DeltaDiscoveryRequest::default()
            }),
        }
    }

    fn first_request(&self, resource_type: ResourceType, held: Option<&Snapshot>) -> Request {
        let type_url = resource_type.type_url().to_owned();
        let names = self.named(&type_url);
        let held = held.into_iter().flat_map(|held| held.resources(resource_type));
        let held = held.map(|held| (held.name().to_string(), held.version().to_string()));
        match self.protocol {
            Protocol::Sotw => Request::Sotw(proto::DiscoveryRequest {
                resource_names: names,
                type_url,
                ..proto::DiscoveryRequest::default()
            }),
            Protocol::Delta => Request::Delta(proto::DeltaDiscoveryRequest {
                resource_names_subscribe: names,
                initial_resource_versions: held.collect(),
                type_url,
                ..proto::DeltaDiscoveryRequest::default()
            }),
        }
    }

    fn named(&self, type_url: &str) -> Vec<String> {
        let resource_type = ResourceType::from_type_url(type_url).expect("a type of ours");
        self.names[&resource_type].clone()
    }
}

// === impl Figures ===

impl Figures {
    fn keep(&mut self, what: &'static str, took: Duration) {
        let best = self.0.entry(what).or_insert(took);
        *best = took.min(*best);
    }

    fn each(&self, what: &str, sessions: usize) -> String {
        let each = |took: &Duration| format!("{:.2}", micros(*took) / count(sessions));
        self.0.get(what).map_or("-".to_owned(), each)
    }
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn count(number: usize) -> f64 {
    number as f64
}
