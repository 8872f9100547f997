//! All clients, and what is asked of them together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use marchproxy_xds::Protocol;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::client::{Client, Held};
use crate::report::{Report, at, figure};
use crate::serving::Serving;
use crate::support::{hostile, world_names};
use crate::{Kind, Plan};

/// How long one message may take to reach a client.
const PATIENCE: Duration = Duration::from_secs(120);

/// All clients, in a thread of their own.
pub(crate) struct Fleet {
    runtime: tokio::runtime::Runtime,
    _clients: JoinSet<()>,
    news: mpsc::Receiver<News>,
    pub(crate) traffic: Arc<Traffic>,
    storm: watch::Sender<Storm>,
}

/// Each new value of this breaks all connections off, and they come back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Storm {
    #[default]
    Calm,
    /// Without anything, as processes that start anew.
    Forgetful,
    /// With the versions of what they have, as those that have lost the connection.
    Knowing,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum News {
    /// A client has all there is.
    Synced,
    /// A client has what this round has changed, since then.
    Arrived(u64, Instant),
    /// A client has lost its stream.
    Lost,
}

#[derive(Default)]
pub(crate) struct Traffic {
    pub(crate) bytes: AtomicU64,
    pub(crate) messages: AtomicU64,
}

impl Fleet {
    pub(crate) fn start(kind: Kind, plan: Plan, addr: SocketAddr) -> Self {
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

    pub(crate) fn next(&mut self) -> News {
        let next = self.news.recv();
        let next = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, next).await });
        next.expect("a message arrives in time").expect("there are clients")
    }

    /// Makes a change, and returns how long each stream waited for it.
    pub(crate) fn round(&mut self, server: &mut Serving, plan: Plan, round: u64) -> Vec<Duration> {
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
    pub(crate) fn in_storms(
        &mut self,
        server: &mut Serving,
        plan: Plan,
        round: u64,
    ) -> Vec<String> {
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
    pub(crate) fn under_attack(
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
