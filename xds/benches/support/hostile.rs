//! Clients that misbehave, each in its own way, until they are dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use marchproxy_xds::{Protocol, ResourceType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::raw::{RawConnection, first_request};

/// How often one client attacks.
const PACE: Duration = Duration::from_millis(20);

/// An attack under way.
pub(crate) struct Attack {
    clients: usize,
    count: Arc<AtomicUsize>,
    more: Arc<Notify>,
    _tasks: JoinSet<()>,
}

/// Starts so many clients: most stop reading, and the others write nonsense or far too
/// much, ask for names that are not there, break off what they have just begun, or
/// never get to the point.
pub(crate) fn start(
    runtime: &Handle,
    addr: SocketAddr,
    protocol: Protocol,
    clients: usize,
) -> Attack {
    let (count, more) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let mut tasks = JoinSet::new();
    for id in 0..clients {
        let (count, more) = (count.clone(), more.clone());
        let attack = async move {
            let tell = || {
                count.fetch_add(1, Ordering::SeqCst);
                more.notify_one();
            };
            let node = format!("hostile-{id}");
            loop {
                let _: Option<()> = match id % 10 {
                    0 => nonsense(addr, protocol, tell).await,
                    1 => many_names(addr, protocol, &node, tell).await,
                    2 => breaks_off(addr, protocol, &node, tell).await,
                    3 => half_open(addr, tell).await,
                    4 => far_too_much(addr, protocol, tell).await,
                    _ => never_reads(addr, protocol, &node, tell).await,
                };
                tokio::time::sleep(PACE).await;
            }
        };
        tasks.spawn_on(attack, runtime);
    }
    Attack { clients, count, more, _tasks: tasks }
}

impl Attack {
    /// How often somebody has attacked.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Waits until there were as many attacks as there are clients.
    pub(crate) async fn is_under_way(&self) {
        while self.count() < self.clients {
            self.more.notified().await;
        }
    }
}

async fn never_reads(
    addr: SocketAddr,
    protocol: Protocol,
    node: &str,
    tell: impl Fn(),
) -> Option<()> {
    let mut connection = RawConnection::open(addr, 0).await.ok()?;
    let mut stream = connection.stream(protocol).await.ok()?;
    for resource_type in [ResourceType::Cluster, ResourceType::Listener] {
        stream.write(first_request(protocol, node, resource_type, &[])).ok()?;
    }
    tell();
    connection.closed().await;
    Some(())
}

async fn nonsense(addr: SocketAddr, protocol: Protocol, tell: impl Fn()) -> Option<()> {
    let mut connection = RawConnection::open(addr, 65_535).await.ok()?;
    loop {
        let mut stream = connection.stream(protocol).await.ok()?;
        stream.write(Bytes::from_static(b"\0\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xff")).ok()?;
        tell();
        while stream.next().await.is_some() {}
        tokio::time::sleep(PACE).await;
    }
}

async fn many_names(
    addr: SocketAddr,
    protocol: Protocol,
    node: &str,
    tell: impl Fn(),
) -> Option<()> {
    let names: Vec<_> = (0..10_000).map(|n| format!("nobody-{n}")).collect();
    let mut connection = RawConnection::open(addr, 65_535).await.ok()?;
    let mut stream = connection.stream(protocol).await.ok()?;
    stream.write(first_request(protocol, node, ResourceType::Endpoint, &names)).ok()?;
    tell();
    while stream.next().await.is_some() {}
    Some(())
}

/// Begins to say that it speaks HTTP/2, and leaves it at that.
async fn half_open(addr: SocketAddr, tell: impl Fn()) -> Option<()> {
    let mut socket = TcpStream::connect(addr).await.ok()?;
    socket.write_all(b"PRI * HTTP/2.0").await.ok()?;
    tell();
    socket.read_u8().await.ok(); // until the server has had enough
    Some(())
}

/// A request of more bytes than are read, of which some come.
async fn far_too_much(addr: SocketAddr, protocol: Protocol, tell: impl Fn()) -> Option<()> {
    let mut connection = RawConnection::open(addr, 65_535).await.ok()?;
    loop {
        let mut stream = connection.stream(protocol).await.ok()?;
        stream.write(Bytes::from_static(b"\0\x04\0\0\x01")).ok()?; // 64 MiB and a byte
        stream.write(Bytes::from(vec![0; 1 << 20])).ok()?;
        tell();
        while stream.next().await.is_some() {}
        tokio::time::sleep(PACE).await;
    }
}

async fn breaks_off(
    addr: SocketAddr,
    protocol: Protocol,
    node: &str,
    tell: impl Fn(),
) -> Option<()> {
    let mut connection = RawConnection::open(addr, 65_535).await.ok()?;
    loop {
        let mut stream = connection.stream(protocol).await.ok()?;
        stream.write(first_request(protocol, node, ResourceType::Cluster, &[])).ok()?;
        stream.reset();
        tell();
        tokio::time::sleep(PACE).await;
    }
}
