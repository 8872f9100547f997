//! How long a change takes to reach every one of N streams, and what that costs.
//!
//! ```text
//! cargo bench -p marchproxy-xds --bench propagation -- --streams 1000 --services 100 --rounds 20
//! ```
//!
//! | Option | Usual | Meaning |
//! |---|---|---|
//! | `--streams` | 1000 | clients, each with a connection of its own |
//! | `--services` | 100,1000 | each a cluster and its endpoints |
//! | `--mode` | both | `delta` or `sotw` |
//! | `--change` | `endpoint` | or `cluster`: what differs from one round to the next |
//! | `--rounds` | 20 | changes |
//! | `--threads` | 2 | of the server |
//! | `--hostile` | 0 | so many clients that misbehave, in rounds of their own |
//! | `--storms` | 0 | so often all clients break off and come back at once, knowing nothing; in delta as often with what they have |
//!
//! In the same run, and beside it, the *floor*: a server on the bare `h2` crate that
//! writes frames of the same size, encoded before, to as many streams, and drops the
//! answers. No xDS server on HTTP/2 can be cheaper. Quote the ratios, and server CPU
//! rather than milliseconds: clients and server share the machine.

#![expect(clippy::print_stdout, reason = "a bench prints its result")]

mod client;
mod fleet;
mod report;
mod serving;
#[path = "../support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use marchproxy_xds::Protocol;
use rustix::process::{Resource as Limit, getrlimit, setrlimit};

use crate::fleet::{Fleet, News};
use crate::report::{Report, at, figure};
use crate::serving::Serving;
use crate::support::serve::cpu;
use crate::support::{Change, Options, serve};

/// The first round measured; those before it warm up.
const WARM_UP: u64 = 3;

/// What is run, but for the kind of server.
#[derive(Clone, Copy)]
struct Plan {
    protocol: Protocol,
    streams: usize,
    services: usize,
    rounds: usize,
    threads: usize,
    change: Change,
    hostiles: usize,
    storms: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Engine,
    /// With messages of so many bytes, so many in each round.
    Floor {
        bytes: usize,
        frames: usize,
    },
}

fn main() {
    let options = Options::read();
    raise_file_limit();
    if let Some(what) = options.text("serve") {
        serve::serve(what, &options);
        return;
    }
    println!(
        "{:>6} {:>7} {:>8} {:>8} | {:>8} {:>8} {:>8} | {:>9} {:>9} | {:>7} {:>5} | {:>8} | {:>7} {:>9}",
        "server",
        "mode",
        "services",
        "streams",
        "all ms",
        "min",
        "max",
        "cpu us",
        "client us",
        "bytes",
        "msgs",
        "rss KiB",
        "sync s",
        "sync us"
    );
    for protocol in options.protocols() {
        for services in options.numbers("services", &[100, 1_000], &[5]) {
            let plan = Plan {
                protocol,
                services,
                streams: options.number("streams", 1_000, 4),
                rounds: options.number("rounds", 20, 2),
                threads: options.number("threads", 2, 2),
                change: Change::read(&options),
                hostiles: options.number("hostile", 0, 2),
                storms: options.number("storms", 0, 1),
            };
            compare(plan);
        }
    }
}

/// The engine beside the floor, in one line each and one of ratios.
fn compare(plan: Plan) {
    let engine = plan.run(Kind::Engine);
    engine.print("engine", plan);
    let per_change = engine.messages.round().max(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size")]
    let floor = Kind::Floor {
        bytes: (engine.bytes / per_change).round() as usize,
        frames: per_change as usize,
    };
    let floor = plan.run(floor);
    floor.print("floor", plan);
    println!(
        "{:>6} {:>25} | {:>8.2} {:>17} | {:>9.2} {:>9.2} | {:>7.2} {:>5} | {:>8.2} |",
        "ratio",
        "",
        at(&engine.all, 0.5) / at(&floor.all, 0.5),
        "",
        engine.cpu / floor.cpu,
        engine.client_cpu / floor.client_cpu,
        engine.bytes / floor.bytes,
        "",
        engine.rss_kib / floor.rss_kib,
    );
}

impl Plan {
    fn run(self, kind: Kind) -> Report {
        let mut server = Serving::start(kind, self);
        let empty = server.ask("rss");
        let (cpu_before, began) = (server.ask("cpu"), Instant::now());
        let mut fleet = Fleet::start(kind, self, server.addr);
        for _ in 0..self.streams {
            assert!(matches!(fleet.next(), News::Synced), "no client loses its stream");
        }
        let sync = began.elapsed();
        server.ask("settled");
        let sync_cpu = figure(server.ask("cpu") - cpu_before);

        let mut round = 0;
        for _ in 0..WARM_UP {
            round += 1;
            server.ask(&format!("prepare {round}"));
            fleet.round(&mut server, self, round);
        }
        fleet.traffic.bytes.store(0, Ordering::SeqCst);
        fleet.traffic.messages.store(0, Ordering::SeqCst);
        let [mut used, mut clients_used] = [0; 2];
        let [mut all, mut each] = [Vec::new(), Vec::new()];
        for _ in 0..self.rounds {
            round += 1;
            server.ask(&format!("prepare {round}"));
            let before = (server.ask("cpu"), cpu());
            let arrivals = fleet.round(&mut server, self, round);
            used += server.ask("cpu") - before.0;
            clients_used += cpu() - before.1;
            all.extend(arrivals.iter().max());
            each.extend(arrivals);
        }
        all.sort();
        each.sort();
        let changes = figure(self.streams as u64) * figure(self.rounds as u64);
        let count = |counter: &AtomicU64| figure(counter.load(Ordering::SeqCst)) / changes;
        let mut report = Report {
            cpu: figure(used) / changes,
            client_cpu: figure(clients_used) / changes,
            bytes: count(&fleet.traffic.bytes),
            messages: count(&fleet.traffic.messages),
            rss_kib: figure(server.ask("rss").saturating_sub(empty)) / figure(self.streams as u64),
            sync,
            sync_cpu: sync_cpu / figure(self.streams as u64),
            all,
            each,
            notes: Vec::new(),
        };
        if kind == Kind::Engine && self.storms > 0 {
            report.notes.extend(fleet.in_storms(&mut server, self, round));
        }
        if kind == Kind::Engine && self.hostiles > 0 {
            report.notes.push(fleet.under_attack(&mut server, self, round, &report));
        }
        report
    }
}

/// Each stream is a file in the server, and one here.
fn raise_file_limit() {
    let mut limit = getrlimit(Limit::Nofile);
    limit.current = limit.maximum;
    setrlimit(Limit::Nofile, limit).expect("one may raise it that far");
}
