//! A cluster whose endpoints change each second, and the answers of who follows it.
//!
//! ```text
//! cargo run -p marchproxy-xds --example changing
//! ```
//!
//! The bootstrap of the example `minimal` does for this one too. See the endpoints
//! move in Envoy's admin page, `/clusters`: only they are sent each time, never the
//! cluster.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3 as envoy_cluster;
use envoy_types::pb::envoy::config::core::v3 as envoy_core;
use envoy_types::pb::envoy::config::endpoint::v3 as envoy_endpoint;
use marchproxy_xds::{
    Connection, DiscoveryServer, Event, Hello, Observer, Resource, ResourceType, Snapshot,
    SnapshotError, Source,
};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;

const ADDRESS: &str = "127.0.0.1:18000";

/// Gives the latest snapshot to everyone. A client that is slow misses those in
/// between, and costs nothing.
struct Latest(watch::Sender<Arc<Snapshot>>);

/// Prints which revisions a client holds in full.
struct Log(String);

impl Source for Latest {
    async fn connect(&self, hello: Hello) -> Result<Connection, tonic::Status> {
        let snapshots = Box::pin(WatchStream::new(self.0.subscribe()));
        let observer = Box::new(Log(hello.node.id));
        Ok(Connection { snapshots, observer, withheld: Vec::new(), tag: None })
    }
}

impl Observer for Log {
    fn observe(&mut self, event: Event) {
        if let Event::Settled { revision, .. } = event {
            eprintln!("{} has revision {revision}", self.0);
        } else if let Event::Nacked { message, .. } = event {
            eprintln!("{} refuses: {message}", self.0);
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Never changes, so it is encoded once.
    let cluster = Resource::encode(ResourceType::Cluster, "web", &cluster("web"))
        .requiring(ResourceType::Endpoint, "web");
    let snapshots = watch::Sender::new(Arc::new(snapshot(1, &cluster)?));

    let stop = CancellationToken::new();
    let discovery = DiscoveryServer::new(Arc::new(Latest(snapshots.clone())), stop.clone());
    let serve = tonic::transport::Server::builder()
        .add_routes(discovery.into_routes())
        .serve_with_shutdown(ADDRESS.parse()?, stop.clone().cancelled_owned());
    let change = async {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        for revision in 2.. {
            tokio::select! {
                _ = seconds.tick() => {}
                _ = tokio::signal::ctrl_c() => break,
            }
            snapshots.send_replace(Arc::new(snapshot(revision, &cluster)?));
        }
        stop.cancel(); // the streams end, and then the server does
        Ok::<_, SnapshotError>(())
    };
    eprintln!("xDS on {ADDRESS}");
    let (served, changed) = tokio::join!(serve, change);
    served?;
    changed?;
    Ok(())
}

fn snapshot(revision: u64, cluster: &Resource) -> Result<Snapshot, SnapshotError> {
    let port = 8080 + u32::try_from(revision % 10).expect("a digit");
    let endpoints = Resource::encode(ResourceType::Endpoint, "web", &endpoints("web", port));
    Snapshot::new(revision, [cluster.clone(), endpoints])
}

/// A cluster whose endpoints come over the same stream.
fn cluster(name: &str) -> envoy_cluster::Cluster {
    use envoy_cluster::cluster::{ClusterDiscoveryType, DiscoveryType, EdsClusterConfig};
    use envoy_core::config_source::ConfigSourceSpecifier;

    let over_ads = envoy_core::ConfigSource {
        resource_api_version: envoy_core::ApiVersion::V3.into(),
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(Default::default())),
        ..Default::default()
    };
    envoy_cluster::Cluster {
        name: name.into(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        eds_cluster_config: Some(EdsClusterConfig {
            eds_config: Some(over_ads),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// One endpoint on this machine.
fn endpoints(cluster: &str, port: u32) -> envoy_endpoint::ClusterLoadAssignment {
    use envoy_core::address::Address as Kind;
    use envoy_core::socket_address::PortSpecifier;
    use envoy_endpoint::lb_endpoint::HostIdentifier;

    let socket = envoy_core::SocketAddress {
        address: "127.0.0.1".into(),
        port_specifier: Some(PortSpecifier::PortValue(port)),
        ..Default::default()
    };
    let endpoint = envoy_endpoint::Endpoint {
        address: Some(envoy_core::Address { address: Some(Kind::SocketAddress(socket)) }),
        ..Default::default()
    };
    envoy_endpoint::ClusterLoadAssignment {
        cluster_name: cluster.into(),
        endpoints: vec![envoy_endpoint::LocalityLbEndpoints {
            lb_endpoints: vec![envoy_endpoint::LbEndpoint {
                host_identifier: Some(HostIdentifier::Endpoint(endpoint)),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}
