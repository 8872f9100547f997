//! How each client stands, asked of its stream when somebody wants to know.
//!
//! Streams [enter](Clients::enter) when they open and leave when their
//! [`Membership`] is dropped. Nothing is kept of them here: a report is made when
//! it is asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{DiscoveryService, NodeInfo, Protocol, ResourceType};

/// One stream: who is at its other end, and how each resource stands with it.
#[derive(Clone, Debug)]
pub struct ClientReport {
    /// Who the client says it is.
    pub node: NodeInfo,
    /// Where it connects from, if the server knows.
    pub peer: Option<SocketAddr>,
    /// How it is talked to.
    pub protocol: Protocol,
    /// The service that it called.
    pub service: DiscoveryService,
    /// Since when the stream is open.
    pub connected_at: SystemTime,
    /// What the source calls the client, once it has let it in.
    pub tag: Option<u64>,
    /// What it asked for or was sent, in any order, each once.
    pub resources: Vec<ResourceReport>,
}

/// One resource on one stream.
#[derive(Clone)]
pub struct ResourceReport {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its name.
    pub name: Arc<str>,
    /// The version that the client holds or was last sent.
    pub version: Option<Arc<str>>,
    /// How it stands.
    pub state: ResourceState,
    /// When it came to be in that state.
    pub since: Option<SystemTime>,
    /// When that version of it was sent, as far as that is remembered.
    pub sent_at: Option<SystemTime>,
    /// What the client refused of it at last, if nothing was accepted after.
    pub refusal: Option<ResourceRefusal>,
    /// The resource as an encoded `google.protobuf.Any`; `None` for secrets.
    pub body: Option<Bytes>,
}

/// Stands for what a client says of a secret that it refuses: it may quote the secret.
pub const UNTOLD: &str = "not shown, for it may quote the secret";

/// A version of a resource that a client refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceRefusal {
    /// Why, in the client's own words.
    pub message: Arc<str>,
    /// The version that was refused.
    pub version: Arc<str>,
    /// When.
    pub at: SystemTime,
}

/// How a resource stands with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceState {
    /// Asked for, and not sent yet.
    Pending,
    /// Sent, and not answered yet.
    Sent,
    /// Sent, and the client has taken it but waits for something before it answers.
    Warming,
    /// Accepted.
    Acked,
    /// Refused.
    Nacked,
    /// Asked for, and there is none of that name.
    Absent,
}

/// One stream that can be asked how it stands.
pub trait Reporting: Send + Sync {
    /// How it stands now. Must not block for long: one caller asks all streams.
    fn report(&self) -> ClientReport;

    /// What the source calls the client, once it has let it in.
    fn tag(&self) -> Option<u64> {
        None
    }
}

/// The streams that are open now. Cheap to clone.
#[derive(Clone, Default)]
pub struct Clients(Arc<Mutex<Entered>>);

/// A stream's place among the [`Clients`], which it leaves when this is dropped.
#[must_use = "the stream leaves when this is dropped"]
pub struct Membership {
    clients: Clients,
    place: u64,
}

#[derive(Default)]
struct Entered {
    streams: BTreeMap<u64, Arc<dyn Reporting>>,
    last_place: u64,
}

/// Without the contents.
impl fmt::Debug for ResourceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource_type, name, version, state, since, sent_at, refusal, body } = self;
        f.debug_struct("ResourceReport")
            .field("resource_type", resource_type)
            .field("name", name)
            .field("version", version)
            .field("state", state)
            .field("since", since)
            .field("sent_at", sent_at)
            .field("refusal", refusal)
            .field("body_len", &body.as_ref().map(Bytes::len))
            .finish()
    }
}

// === impl Clients ===

impl Clients {
    /// Takes in a stream, until the membership is dropped.
    pub fn enter(&self, client: Arc<dyn Reporting>) -> Membership {
        let mut entered = self.0.lock();
        entered.last_place += 1;
        let place = entered.last_place;
        entered.streams.insert(place, client);
        Membership { clients: self.clone(), place }
    }

    /// How each stream stands, in the order in which they came.
    pub fn reports(&self) -> Vec<ClientReport> {
        // Asked outside the lock, so that streams can come and go meanwhile.
        let streams: Vec<_> = self.0.lock().streams.values().cloned().collect();
        streams.iter().map(|stream| stream.report()).collect()
    }

    /// Asks each stream how it stands, in the order in which they came, until `take` has
    /// enough.
    pub(crate) fn each(&self, mut take: impl FnMut(ClientReport) -> ControlFlow<()>) {
        let streams: Vec<_> = self.0.lock().streams.values().cloned().collect();
        for stream in streams {
            if take(stream.report()).is_break() {
                break;
            }
        }
    }

    /// How each stream stands that the source calls this, in the order in which they came.
    pub fn reports_of(&self, tag: u64) -> Vec<ClientReport> {
        let streams: Vec<_> = {
            let entered = self.0.lock();
            entered.streams.values().filter(|stream| stream.tag() == Some(tag)).cloned().collect()
        };
        streams.iter().map(|stream| stream.report()).collect()
    }

    /// How many streams there are.
    pub fn len(&self) -> usize {
        self.0.lock().streams.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        // Dropped after the lock: it may be the last one, and do anything then.
        let left = self.clients.0.lock().streams.remove(&self.place);
        drop(left);
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("len", &self.len()).finish()
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership").field("place", &self.place).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Named(&'static str);

    impl Reporting for Named {
        fn report(&self) -> ClientReport {
            ClientReport {
                node: NodeInfo { id: self.0.to_owned(), ..NodeInfo::default() },
                peer: None,
                protocol: Protocol::Delta,
                service: DiscoveryService::Aggregated,
                connected_at: SystemTime::UNIX_EPOCH,
                tag: self.tag(),
                resources: Vec::new(),
            }
        }

        fn tag(&self) -> Option<u64> {
            self.0.parse().ok()
        }
    }

    fn ids(clients: &Clients) -> Vec<String> {
        clients.reports().into_iter().map(|report| report.node.id).collect()
    }

    #[test]
    fn a_stream_is_there_until_its_membership_is_dropped() {
        let clients = Clients::default();
        assert!(clients.is_empty());
        let a = clients.enter(Arc::new(Named("a")));
        let b = clients.clone().enter(Arc::new(Named("b")));
        assert_eq!(ids(&clients), ["a", "b"]);
        drop(a);
        assert_eq!(ids(&clients), ["b"]);
        let c = clients.enter(Arc::new(Named("c")));
        assert_eq!((ids(&clients).join(" "), clients.len()), ("b c".to_owned(), 2));
        drop((b, c));
        assert!(clients.is_empty());
    }

    #[test]
    fn streams_are_found_by_what_the_source_calls_them() {
        let clients = Clients::default();
        let _entered = ["7", "b", "8", "7"].map(|name| clients.enter(Arc::new(Named(name))));
        let found = |tag| clients.reports_of(tag).into_iter().map(|r| r.tag).collect::<Vec<_>>();
        assert_eq!((found(7), found(8)), (vec![Some(7), Some(7)], vec![Some(8)]));
        assert_eq!(found(9), []);
    }

    #[test]
    fn a_stream_may_look_at_the_others_when_it_is_asked_and_when_it_goes() {
        struct Curious(Clients);
        impl Reporting for Curious {
            fn report(&self) -> ClientReport {
                ClientReport {
                    node: NodeInfo { id: self.0.len().to_string(), ..NodeInfo::default() },
                    ..Named("").report()
                }
            }
        }
        impl Drop for Curious {
            fn drop(&mut self) {
                assert!(self.0.is_empty());
            }
        }
        let clients = Clients::default();
        let membership = clients.enter(Arc::new(Curious(clients.clone())));
        assert_eq!(ids(&clients), ["1"]);
        drop(membership);
    }

    #[test]
    fn contents_are_not_in_debug() {
        let report = ResourceReport {
            resource_type: ResourceType::Cluster,
            name: "a".into(),
            version: None,
            state: ResourceState::Sent,
            since: None,
            sent_at: None,
            refusal: None,
            body: Some(Bytes::from_static(b"hush")),
        };
        let text = format!("{report:?}");
        assert!(text.contains("body_len: Some(4)") && !text.contains("hush"), "{text}");
    }
}
