//! The services over real sockets, with fake Envoys.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use marchproxy_proto as proto;
use marchproxy_xds::testing::{FakeEnvoy, FakeSource, News};
use marchproxy_xds::{
    DiscoveryServer, DiscoveryService, Event, Protocol, ResourceType, Server, Settings,
};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

mod ads;
mod conformance;
mod fetch;
mod hostile;
mod loads;
mod paths;
mod quarantine;
#[expect(dead_code, reason = "the benches use all of it")]
#[path = "../../benches/support/raw.rs"]
mod raw;
mod serve;
mod status;
mod typed;

const BOTH: [Protocol; 2] = [Protocol::Sotw, Protocol::Delta];
const ADS: DiscoveryService = DiscoveryService::Aggregated;

/// A server for one test; it ends with the test.
struct Plane {
    addr: SocketAddr,
    source: Arc<FakeSource>,
    stop: CancellationToken,
    _tasks: JoinSet<()>,
}

impl Plane {
    async fn start() -> Self {
        // Tests wait for what is gone, so it goes at once.
        let mut settings = Settings::default();
        settings.grace = Duration::ZERO;
        Self::start_with(settings).await
    }

    async fn start_with(settings: Settings) -> Self {
        let source = Arc::new(FakeSource::default());
        let stop = CancellationToken::new();
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = socket.local_addr().expect("an address");
        let discovery = DiscoveryServer::new(source.clone(), stop.clone());
        let discovery = discovery.with_settings(settings.clone());
        let server = Server::new(discovery.into_routes(), settings);
        let incoming = TcpIncoming::from(socket).with_nodelay(Some(true));
        let incoming = incoming.map(|socket| {
            let socket = socket?;
            let mut extensions = http::Extensions::new();
            extensions.insert(socket.peer_addr()?);
            Ok((socket, extensions))
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(server.serve(incoming, stop.clone()));
        Self { addr, source, stop, _tasks: tasks }
    }

    /// A client of the aggregated service.
    async fn envoy(&self, protocol: Protocol, id: &str) -> FakeEnvoy {
        self.client(ADS, protocol, id).await
    }

    async fn client(&self, service: DiscoveryService, protocol: Protocol, id: &str) -> FakeEnvoy {
        FakeEnvoy::connect_to(self.addr, service, protocol, Some(&node(id))).await
    }

    /// A client that does not say who it is.
    async fn stranger(&self, service: DiscoveryService, protocol: Protocol) -> FakeEnvoy {
        FakeEnvoy::connect_to(self.addr, service, protocol, None).await
    }
}

fn node(id: &str) -> proto::Node {
    proto::Node { id: id.to_owned(), ..proto::Node::default() }
}

fn settled(news: &News, at: u64, with: &[ResourceType]) -> bool {
    match news {
        News::Event(_, Event::Settled { revision, held }) => *revision == at && held == with,
        News::Event(..) | News::Connected(_) | News::Ended(_) => false,
    }
}

fn sent_to(news: &News, id: &str) -> bool {
    matches!(news, News::Event(node, Event::Sent { .. }) if node == id)
}
