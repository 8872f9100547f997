//! Watching costs: ADS streams alone, and beside WebSocket subscribers.
//!
//! ```text
//! cargo bench --bench subscribers -- 1000 1000 20
//! ```
//!
//! So many ADS streams, so many graphql-transport-ws subscribers on a socket each, so many
//! rounds. Each round changes an endpoint of one of ten services by a mutation, and ends
//! when all have heard of it. Rounds with and without subscribers take turns in one run;
//! quote the ratios, and server CPU rather than milliseconds: clients and server share
//! the machine. Those who subscribe are given less of it than ADS clients (`nice` 10), as
//! they would have one of their own.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench, which prints its result and stops at the first trouble"
)]

#[expect(dead_code, unused_imports, reason = "the tests use all of it")]
#[path = "../tests/it/support/mod.rs"]
mod support;

#[expect(dead_code, reason = "the engine's bench uses all of it")]
#[path = "../xds/benches/support/raw.rs"]
mod raw;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use marchproxy_xds::{Protocol, ResourceType};
use rustix::process::{Resource, getrlimit, setpriority_process, setrlimit};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::raw::{Heard, RawConnection, WIDE, first_request};
use crate::support::Plane;

const SERVICES: usize = 10;
const WARM_UP: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// When one client heard of a change.
type Heards = mpsc::UnboundedReceiver<Instant>;
type Teller = mpsc::UnboundedSender<Instant>;

/// What one kind of rounds came to.
#[derive(Default)]
struct Rounds {
    /// From the mutation until a stream had it, all rounds.
    streams: Vec<Duration>,
    /// Until the last stream had it, round by round.
    last: Vec<Duration>,
    /// Until a subscriber had it, all rounds.
    subscribers: Vec<Duration>,
    /// Of the server, in all rounds.
    cpu: Duration,
    count: usize,
}

fn main() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    // Run as a test, it is only to show that it works.
    let numbers: Vec<usize> =
        std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let usual = if is_test { [4, 4, 1] } else { [1000, 1000, 20] };
    let number = |place: usize| numbers.get(place).copied().unwrap_or(usual[place]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(measure(number(0), number(1), number(2)));
}

async fn measure(streams: usize, subscribers: usize, rounds: usize) {
    let plane = Plane::start().await;
    let mut services = vec![];
    for i in 0..SERVICES {
        services.push(plane.create_service(&format!("s{i}"), 9).await);
    }
    let (mut clients, mut heard) = connect(&plane, streams).await;
    let (mut alone, mut watched) = (Rounds::default(), Rounds::default());
    let mut port = 1000;
    for _ in 0..2 {
        for (into, many) in [(&mut alone, 0), (&mut watched, subscribers)] {
            let mut audience = Audience::open(&plane, many).await;
            for round in 0..WARM_UP + rounds / 2 + 1 {
                port += 1;
                let id = services[round % SERVICES].clone();
                let found = "query($id: ID!) { service(id: $id) { revision } }";
                let found = plane.ask(found, json!({ "id": id })).await.data();
                let seen = &found["service"]["revision"];
                let input = json!({ "id": id, "ifRevision": seen, "port": port });
                let (before, began) = (cpu(plane.pid()), Instant::now());
                plane.change("updateService", "UpdateServiceInput", input).await;
                let told = take(&mut heard, streams, began).await;
                let seen = take(&mut audience.heard, many, began).await;
                if round < WARM_UP {
                    continue;
                }
                into.cpu += cpu(plane.pid()) - before;
                into.last.push(*told.iter().max().unwrap());
                into.streams.extend(told);
                into.subscribers.extend(seen);
                into.count += 1;
            }
            audience.close();
        }
    }
    clients.abort_all();
    report(streams, subscribers, &mut alone, &mut watched);
}

fn report(streams: usize, subscribers: usize, alone: &mut Rounds, watched: &mut Rounds) {
    println!("{streams} ADS streams, {subscribers} subscribers, {} rounds each:", alone.count);
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let line = |what: &str, alone: &mut Vec<Duration>, watched: &mut Vec<Duration>| {
        for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
            let (a, w) = (ms(at(alone, part)), ms(at(watched, part)));
            println!("  {what:<22} {name} {a:8.2} ms alone {w:8.2} ms watched {:5.2} x", w / a);
        }
    };
    line("until a stream has it", &mut alone.streams, &mut watched.streams);
    line("until the last has it", &mut alone.last, &mut watched.last);
    for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
        println!(
            "  until a subscriber has {name} {:8.2} ms",
            ms(at(&mut watched.subscribers, part))
        );
    }
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let each = |rounds: &Rounds| rounds.cpu.as_secs_f64() * 1e6 / rounds.count as f64;
    let (alone, watched) = (each(alone), each(watched));
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let of_each = (watched - alone) / subscribers as f64;
    println!(
        "  server CPU per change   {alone:8.0} us alone {watched:8.0} us watched: {of_each:.1} us for each subscriber"
    );
}

fn at(times: &mut [Duration], part: f64) -> Duration {
    times.sort_unstable();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank"
    )]
    let rank = (times.len() as f64 * part).ceil() as usize;
    times[rank.clamp(1, times.len()) - 1]
}

/// How long each of so many took to hear of a change.
async fn take(heard: &mut Heards, many: usize, began: Instant) -> Vec<Duration> {
    let mut took = Vec::with_capacity(many);
    while took.len() < many {
        let at = tokio::time::timeout(PATIENCE, heard.recv()).await;
        took.push(at.expect("all hear of it in time").unwrap().saturating_duration_since(began));
    }
    took
}

/// The CPU time of a process.
fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// ADS clients of the default group that have all there is.
async fn connect(plane: &Plane, many: usize) -> (JoinSet<()>, Heards) {
    let (teller, mut heard) = mpsc::unbounded_channel();
    let mut clients = JoinSet::new();
    let names: Vec<_> = (1..=SERVICES).map(|id| format!("cluster_1_service_{id}")).collect();
    let address = ([127, 0, 0, 1], plane.xds_port()).into();
    for i in 0..many {
        let mut connection = RawConnection::open(address, WIDE).await.unwrap();
        let (teller, names) = (teller.clone(), names.clone());
        clients.spawn(async move {
            let mut stream = connection.stream(Protocol::Delta).await.unwrap();
            let node = format!("node-{i}");
            for (of, names) in [(ResourceType::Cluster, &[][..]), (ResourceType::Endpoint, &names)]
            {
                stream.write(first_request(Protocol::Delta, &node, of, names)).unwrap();
            }
            while let Some(message) = stream.next().await {
                let heard = Heard::read(Protocol::Delta, message).unwrap();
                if heard.type_url == ResourceType::Endpoint.type_url() {
                    teller.send(Instant::now()).ok();
                }
                stream.write(heard.ack(Protocol::Delta, &[])).unwrap();
            }
        });
    }
    take(&mut heard, many, Instant::now()).await;
    (clients, heard)
}

/// Those who subscribe, in a thread of their own.
struct Audience {
    heard: Heards,
    stop: watch::Sender<bool>,
    thread: thread::JoinHandle<()>,
}

impl Audience {
    /// Opens so many sockets; each has heard how things stand.
    async fn open(plane: &Plane, many: usize) -> Self {
        let (teller, mut heard) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let (url, token) = (plane.socket_url(), plane.token().to_owned());
        let thread = thread::spawn(move || {
            // This thread alone: Linux counts them as processes.
            setpriority_process(Some(rustix::thread::gettid()), 10).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(watch_all(url, token, many, teller, stopped));
        });
        take(&mut heard, many, Instant::now()).await;
        Self { heard, stop, thread }
    }

    fn close(self) {
        self.stop.send(true).unwrap();
        self.thread.join().unwrap();
    }
}

async fn watch_all(
    url: String,
    token: String,
    many: usize,
    teller: Teller,
    mut stopped: watch::Receiver<bool>,
) {
    let mut sockets = JoinSet::new();
    for _ in 0..many {
        let mut request = url.as_str().into_client_request().unwrap();
        let protocol = "graphql-transport-ws".parse().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (mut socket, _) = connect_async(request).await.unwrap();
        let init = json!({ "type": "connection_init",
            "payload": { "authorization": format!("Bearer {token}") } });
        socket.send(Message::text(init.to_string())).await.unwrap();
        let query = "subscription { snapshotPublished { revision version nodeGroup { name } } }";
        let subscribe = json!({ "type": "subscribe", "id": "1", "payload": { "query": query } });
        let teller = teller.clone();
        sockets.spawn(async move {
            while let Some(Ok(message)) = socket.next().await {
                let Ok(text) = message.to_text() else { continue };
                let message: Value = serde_json::from_str(text).unwrap_or_default();
                match message["type"].as_str() {
                    Some("connection_ack") => {
                        socket.send(Message::text(subscribe.to_string())).await.unwrap();
                    }
                    Some("next") => drop(teller.send(Instant::now())),
                    _ => {}
                }
            }
        });
    }
    stopped.wait_for(|stopped| *stopped).await.unwrap();
}
