//! The server's process: it is told what to do line by line, and says when it is done.
//!
//! A process of its own, so that its CPU time and memory are nobody else's. It ends
//! with its standard input.

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use marchproxy_xds::{
    Connection, DiscoveryServer, Event, Hello, Observer, Server, Settings, Snapshot, Source,
};
use rustix::time::{ClockId, clock_gettime};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

use super::floor::{self, Burst, burst};
use super::tally::Tally;
use super::{Change, Options, World};

/// How long all streams may take to answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A fleet that reconnects does so at once.
const BACKLOG: u32 = 16_384;

/// Gives the same snapshots to all, and counts who has settled.
struct Feed {
    snapshots: watch::Sender<Arc<Snapshot>>,
    tally: Arc<Tally>,
}

struct Counter(Arc<Tally>);

/// What is published, to whom.
enum Published {
    Engine { world: World, snapshots: watch::Sender<Arc<Snapshot>>, next: Arc<Snapshot> },
    Floor { bursts: watch::Sender<Burst>, make: Box<dyn Fn(u64) -> Burst>, next: Burst },
}

/// Serves `engine` or `floor`, as the options say.
pub(crate) fn serve(what: &str, options: &Options) {
    let threads = options.number("threads", 2, 2);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .expect("a runtime");
    let tally = Arc::new(Tally::new(options.number("streams", 1, 1)));
    let listener = runtime.block_on(async { listen() });
    let port = listener.local_addr().expect("an address").port();
    let mut tasks = JoinSet::new();
    let mut published = match what {
        "engine" => {
            let world = World::new(options.number("services", 1, 1), Change::read(options));
            let first = world.at(0);
            let snapshots = watch::Sender::new(first.clone());
            let feed = Feed { snapshots: snapshots.clone(), tally: tally.clone() };
            let stop = CancellationToken::new();
            let discovery = DiscoveryServer::new(Arc::new(feed), stop.clone());
            tasks.spawn_on(
                async move {
                    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                    let unknown = |connection| (connection, http::Extensions::new());
                    let incoming = incoming.map(move |incoming| incoming.map(unknown));
                    let server = Server::new(discovery.into_routes(), Settings::default());
                    server.serve(incoming, stop).await;
                },
                runtime.handle(),
            );
            Published::Engine { world, snapshots, next: first }
        }
        "floor" => {
            let protocol = options.protocols()[0];
            let (bytes, frames) = (options.number("bytes", 1, 1), options.number("frames", 1, 1));
            let make = move |round| burst(protocol, round, bytes, frames);
            let bursts = watch::Sender::new(make(0));
            let serving = floor::serve(listener, bursts.clone(), tally.clone());
            tasks.spawn_on(async move { match serving.await {} }, runtime.handle());
            Published::Floor { next: make(0), bursts, make: Box::new(make) }
        }
        other => panic!("there is no server {other:?}"),
    };
    println!("{port}");
    std::io::stdout().flush().expect("someone listens");

    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let mut words = line.split(' ');
        let word = words.next().unwrap_or_default();
        let number = words.next().and_then(|number| number.parse().ok()).unwrap_or_default();
        let answer = match word {
            "prepare" => published.prepare(number),
            "change" => {
                tally.start(number + 1);
                published.publish();
                wait(&runtime, &tally)
            }
            "expect" => {
                tally.start(number + 1);
                0
            }
            "settled" => wait(&runtime, &tally),
            "cpu" => cpu(),
            "rss" => rss(),
            other => panic!("there is no command {other:?}"),
        };
        println!("{answer}");
        std::io::stdout().flush().expect("someone listens");
    }
    runtime.shutdown_background();
}

fn listen() -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    socket.listen(BACKLOG).expect("it listens")
}

fn wait(runtime: &tokio::runtime::Runtime, tally: &Tally) -> u64 {
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE, tally.all()).await.expect("all streams answer in time");
    });
    0
}

/// The CPU time of this process until now, in microseconds.
pub(crate) fn cpu() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (used.tv_sec.cast_unsigned(), used.tv_nsec.cast_unsigned());
    seconds * 1_000_000 + nanos / 1_000
}

/// The resident memory of this process, in KiB.
fn rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

impl Published {
    /// Makes what the round will publish; returns how many microseconds it took.
    fn prepare(&mut self, round: u64) -> u64 {
        let began = cpu();
        match self {
            Self::Engine { world, next, .. } => *next = world.at(round),
            Self::Floor { make, next, .. } => *next = make(round),
        }
        cpu() - began
    }

    fn publish(&self) {
        match self {
            Self::Engine { snapshots, next, .. } => drop(snapshots.send_replace(next.clone())),
            Self::Floor { bursts, next, .. } => drop(bursts.send_replace(next.clone())),
        }
    }
}

impl Source for Feed {
    async fn connect(&self, hello: Hello) -> Result<Connection, tonic::Status> {
        drop(hello);
        let snapshots = Box::pin(WatchStream::new(self.snapshots.subscribe()));
        Ok(Connection {
            snapshots,
            observer: Box::new(Counter(self.tally.clone())),
            withheld: Vec::new(),
            tag: None,
        })
    }
}

impl Observer for Counter {
    fn observe(&mut self, event: Event) {
        if let Event::Settled { revision, .. } = event {
            self.0.add_at(revision);
        }
    }
}
