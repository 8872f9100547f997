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

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use marchproxy_proto as proto;
use marchproxy_xds::{Protocol, ResourceType};
use prost::Message as _;
use rustix::process::{Resource as Limit, getrlimit, setrlimit};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::support::raw::{Heard, RawConnection, WIDE, first_request, resumption};
use crate::support::serve::cpu;
use crate::support::{Change, Options, hostile, serve, world_names};

mod support;

/// How long one message may take to reach a client.
const PATIENCE: Duration = Duration::from_secs(120);

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

/// Each new value of this breaks all connections off, and they come back.
#[derive(Clone, Copy, Debug, Default)]
enum Storm {
    #[default]
    Calm,
    /// Without anything, as processes that start anew.
    Forgetful,
    /// With the versions of what they have, as those that have lost the connection.
    Knowing,
}

/// What a client has, by type: names and their versions.
type Held = HashMap<String, BTreeMap<String, String>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Engine,
    /// With messages of so many bytes, so many in each round.
    Floor {
        bytes: usize,
        frames: usize,
    },
}

/// The server's process. It ends when this is dropped.
struct Serving {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    addr: SocketAddr,
}

/// All clients, in a thread of their own.
struct Fleet {
    runtime: tokio::runtime::Runtime,
    _clients: JoinSet<()>,
    news: mpsc::Receiver<News>,
    traffic: Arc<Traffic>,
    storm: watch::Sender<Storm>,
}

/// One of the fleet.
struct Client {
    kind: Kind,
    plan: Plan,
    addr: SocketAddr,
    node: String,
    names: Arc<[String]>,
    held: Held,
    teller: mpsc::Sender<News>,
    traffic: Arc<Traffic>,
}

#[derive(Clone, Copy, Debug)]
enum News {
    /// A client has all there is.
    Synced,
    /// A client has what this round has changed, since then.
    Arrived(u64, Instant),
    /// A client has lost its stream.
    Lost,
}

#[derive(Default)]
struct Traffic {
    bytes: AtomicU64,
    messages: AtomicU64,
}

/// What came out of one run.
struct Report {
    /// From the change until the last stream had it, round by round, sorted.
    all: Vec<Duration>,
    /// From the change until one stream had it, over all rounds, sorted.
    each: Vec<Duration>,
    /// Microseconds of the server's CPU per stream and change.
    cpu: f64,
    client_cpu: f64,
    bytes: f64,
    messages: f64,
    rss_kib: f64,
    sync: Duration,
    sync_cpu: f64,
    /// How it went while others misbehaved, and when all came back at once.
    notes: Vec<String>,
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

// === impl Serving ===

impl Serving {
    fn start(kind: Kind, plan: Plan) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        let mode = match plan.protocol {
            Protocol::Sotw => "sotw",
            Protocol::Delta => "delta",
        };
        let mut option = |name: &str, value: &str| {
            command.args([format!("--{name}").as_str(), value]);
        };
        option("mode", mode);
        option("streams", &plan.streams.to_string());
        option("services", &plan.services.to_string());
        option("threads", &plan.threads.to_string());
        option("change", plan.change.word());
        match kind {
            Kind::Engine => option("serve", "engine"),
            Kind::Floor { bytes, frames } => {
                option("serve", "floor");
                option("bytes", &bytes.to_string());
                option("frames", &frames.to_string());
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let commands = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().expect("its output"));
        let port = read(&mut answers);
        let addr = ([127, 0, 0, 1], u16::try_from(port).expect("a port")).into();
        Self { child, commands, answers, addr }
    }

    fn say(&mut self, command: &str) {
        let commands = self.commands.as_mut().expect("it is there until the end");
        writeln!(commands, "{command}").expect("the server is there");
    }

    fn answer(&mut self) -> u64 {
        read(&mut self.answers)
    }

    fn ask(&mut self, command: &str) -> u64 {
        self.say(command);
        self.answer()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.commands.take()); // it ends with its input
        drop(self.child.wait());
    }
}

fn read(answers: &mut BufReader<ChildStdout>) -> u64 {
    let mut line = String::new();
    answers.read_line(&mut line).expect("the server is there");
    line.trim().parse().unwrap_or_else(|_| panic!("the server has ended: {line:?}"))
}

// === impl Fleet ===

impl Fleet {
    fn start(kind: Kind, plan: Plan, addr: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (teller, news) = mpsc::channel(65_536);
        let traffic = Arc::new(Traffic::default());
        let names: Arc<[String]> = world_names(plan.services).into();
        let mut clients = JoinSet::new();
        let storm = watch::Sender::default();
        for id in 0..plan.streams {
            let client = Client {
                kind,
                plan,
                addr,
                node: format!("node-{id}"),
                names: names.clone(),
                held: Held::new(),
                teller: teller.clone(),
                traffic: traffic.clone(),
            };
            clients.spawn_on(client.live(storm.subscribe()), runtime.handle());
        }
        Self { runtime, _clients: clients, news, traffic, storm }
    }

    fn next(&mut self) -> News {
        let next = self.news.recv();
        let next = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, next).await });
        next.expect("a message arrives in time").expect("there are clients")
    }

    /// Makes a change, and returns how long each stream waited for it.
    fn round(&mut self, server: &mut Serving, plan: Plan, round: u64) -> Vec<Duration> {
        let began = Instant::now();
        server.say(&format!("change {round}"));
        let mut arrivals = Vec::with_capacity(plan.streams);
        while arrivals.len() < plan.streams {
            match self.next() {
                News::Arrived(at, then) if at == round => {
                    arrivals.push(then.duration_since(began));
                }
                News::Arrived(..) | News::Synced => {}
                News::Lost => panic!("a client has lost its stream"),
            }
        }
        server.answer();
        arrivals
    }

    /// How long it takes until all have everything again that have broken off at once.
    fn in_storms(&mut self, server: &mut Serving, plan: Plan, round: u64) -> Vec<String> {
        let kinds: &[Storm] = match plan.protocol {
            Protocol::Sotw => &[Storm::Forgetful],
            Protocol::Delta => &[Storm::Forgetful, Storm::Knowing],
        };
        let mut notes = Vec::new();
        for kind in kinds {
            for _ in 0..plan.storms {
                self.traffic.bytes.store(0, Ordering::SeqCst);
                server.ask(&format!("expect {round}"));
                let (before, began) = (server.ask("cpu"), Instant::now());
                self.storm.send_replace(*kind);
                server.ask("settled");
                let (took, used) = (began.elapsed(), server.ask("cpu") - before);
                let of_one = |number: u64| figure(number) / figure(plan.streams as u64);
                notes.push(format!(
                    "storm {kind:?}: all settled again after {:.2} s; {:.0} us of CPU and {:.0} bytes each",
                    took.as_secs_f64(),
                    of_one(used),
                    of_one(self.traffic.bytes.load(Ordering::SeqCst)),
                ));
            }
        }
        notes
    }

    /// The same rounds while others misbehave, beside those in which nobody did.
    fn under_attack(
        &mut self,
        server: &mut Serving,
        plan: Plan,
        mut round: u64,
        calm: &Report,
    ) -> String {
        let hostiles = plan.hostiles;
        let rss = server.ask("rss");
        let attack = hostile::start(self.runtime.handle(), server.addr, plan.protocol, hostiles);
        self.runtime.block_on(attack.is_under_way());
        let mut each = Vec::new();
        for _ in 0..plan.rounds {
            round += 1;
            server.ask(&format!("prepare {round}"));
            each.extend(self.round(server, plan, round));
        }
        each.sort();
        let [quiet, loud] = [at(&calm.each, 0.99), at(&each, 0.99)];
        format!(
            "with {hostiles} hostile clients: p99 {loud:.1} ms, without {quiet:.1} ms, ratio {:.2}; \
             {} KiB more; {} attacks",
            loud / quiet,
            server.ask("rss").saturating_sub(rss),
            attack.count(),
        )
    }
}

// === impl Client ===

impl Client {
    /// Asks for everything, accepts everything, and tells what it gets, for ever.
    async fn live(mut self, mut storms: watch::Receiver<Storm>) {
        let mut storm = Storm::Calm;
        loop {
            tokio::select! {
                _ = self.connect(storm) => {
                    self.teller.send(News::Lost).await.ok();
                    break;
                }
                changed = storms.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    storm = *storms.borrow_and_update();
                }
            }
        }
    }

    /// One connection, until it is lost.
    async fn connect(&mut self, storm: Storm) -> Option<()> {
        let protocol = self.plan.protocol;
        let mut connection = RawConnection::open(self.addr, WIDE).await.ok()?;
        let mut stream = connection.stream(protocol).await.ok()?;
        let mut missing = match (self.kind, storm) {
            (Kind::Floor { frames, .. }, _) => {
                stream.write(self.first(ResourceType::Endpoint)).ok()?;
                frames
            }
            (Kind::Engine, Storm::Knowing) => {
                stream.write(self.again(ResourceType::Cluster)).ok()?;
                stream.write(self.again(ResourceType::Endpoint)).ok()?;
                0
            }
            (Kind::Engine, Storm::Calm | Storm::Forgetful) => {
                stream.write(self.first(ResourceType::Cluster)).ok()?;
                stream.write(self.first(ResourceType::Endpoint)).ok()?;
                2 * self.names.len()
            }
        };
        loop {
            let message = stream.next().await?;
            self.traffic.bytes.fetch_add(message.len() as u64 + 5, Ordering::Relaxed);
            self.traffic.messages.fetch_add(1, Ordering::Relaxed);
            let heard = Heard::read(protocol, message)?;
            self.hold(&heard)?;
            let is_named = heard.type_url == ResourceType::Endpoint.type_url();
            let names = if is_named { &*self.names } else { &[] };
            stream.write(heard.ack(protocol, names)).ok()?;
            if missing > 0 {
                missing = missing.saturating_sub(heard.resources.len());
                if missing == 0 {
                    self.teller.send(News::Synced).await.ok()?;
                }
            } else if let Some(round) = heard.resources.last().and_then(|last| marked(last)) {
                self.teller.send(News::Arrived(round, Instant::now())).await.ok()?;
            }
        }
    }

    /// Remembers what it is sent, if it is to come back with it.
    fn hold(&mut self, heard: &Heard) -> Option<()> {
        if self.plan.storms > 0 && self.plan.protocol == Protocol::Delta {
            let held = self.held.entry(heard.type_url.clone()).or_default();
            for resource in &heard.resources {
                let resource = proto::Resource::decode(resource.clone()).ok()?;
                held.insert(resource.name, resource.version);
            }
        }
        Some(())
    }

    /// The first request of a type.
    fn first(&self, resource_type: ResourceType) -> Bytes {
        let names = if resource_type == ResourceType::Endpoint { &*self.names } else { &[] };
        first_request(self.plan.protocol, &self.node, resource_type, names)
    }

    /// The first request of a type on a new connection, as Envoy makes it: with what it
    /// has, and the names of endpoints as well, which must then be sent (C30).
    fn again(&self, resource_type: ResourceType) -> Bytes {
        let names = if resource_type == ResourceType::Endpoint { &*self.names } else { &[] };
        let held = self.held.get(resource_type.type_url()).cloned().unwrap_or_default();
        resumption(&self.node, resource_type, names, held)
    }
}

/// The round whose mark stands near the end of a resource.
fn marked(resource: &[u8]) -> Option<u64> {
    let end = &resource[resource.len().saturating_sub(64)..];
    let start = end.windows(6).rposition(|window| window == b"round-")? + 6;
    std::str::from_utf8(end.get(start..start + 8)?).ok()?.parse().ok()
}

// === impl Report ===

impl Report {
    fn print(&self, server: &str, plan: Plan) {
        let mode = match plan.protocol {
            Protocol::Sotw => "sotw",
            Protocol::Delta => "delta",
        };
        println!(
            "{server:>6} {mode:>7} {:>8} {:>8} | {:>8.1} {:>8.1} {:>8.1} | {:>9.1} {:>9.1} | {:>7.0} {:>5.1} | {:>8.1} | {:>7.2} {:>9.0}",
            plan.services,
            plan.streams,
            at(&self.all, 0.5),
            at(&self.all, 0.0),
            at(&self.all, 1.0),
            self.cpu,
            self.client_cpu,
            self.bytes,
            self.messages,
            self.rss_kib,
            self.sync.as_secs_f64(),
            self.sync_cpu,
        );
        for note in &self.notes {
            println!("{:>6} {note}", "");
        }
    }
}

/// The milliseconds that this part of them did not exceed.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a place in a list"
)]
fn at(sorted: &[Duration], part: f64) -> f64 {
    let place = (sorted.len() as f64 * part).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1].as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn figure(number: u64) -> f64 {
    number as f64
}

/// Each stream is a file in the server, and one here.
fn raise_file_limit() {
    let mut limit = getrlimit(Limit::Nofile);
    limit.current = limit.maximum;
    setrlimit(Limit::Nofile, limit).expect("one may raise it that far");
}
