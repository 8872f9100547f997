//! Upstreams: small HTTP servers that say who they are.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How long it thinks about a probe of `/slow-probe`.
const SLOW_PROBE: Duration = Duration::from_millis(100);

/// An HTTP server that answers every request with its name.
pub(crate) struct Upstream {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Upstream {
    /// Serves on a free loopback port until dropped.
    pub(crate) async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let probed = || async { tokio::time::sleep(SLOW_PROBE).await };
        let router = Router::new().route("/slow-probe", get(probed));
        let router = router.fallback(move || async move { name });
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, _serving: serving }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}
