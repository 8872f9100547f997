//! One client: asks for everything, and accepts everything.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use marchproxy_proto as proto;
use marchproxy_xds::{Protocol, ResourceType};
use prost::Message as _;
use tokio::sync::{mpsc, watch};

use crate::fleet::{News, Storm, Traffic};
use crate::support::raw::{Heard, RawConnection, WIDE, first_request, resumption};
use crate::{Kind, Plan};

/// What a client has, by type: names and their versions.
pub(crate) type Held = HashMap<String, BTreeMap<String, String>>;

/// One of the fleet.
pub(crate) struct Client {
    pub(crate) kind: Kind,
    pub(crate) plan: Plan,
    pub(crate) addr: SocketAddr,
    pub(crate) node: String,
    pub(crate) names: Arc<[String]>,
    pub(crate) held: Held,
    pub(crate) teller: mpsc::Sender<News>,
    pub(crate) traffic: Arc<Traffic>,
}

impl Client {
    /// Asks for everything, accepts everything, and tells what it gets, for ever.
    pub(crate) async fn live(mut self, mut storms: watch::Receiver<Storm>) {
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
