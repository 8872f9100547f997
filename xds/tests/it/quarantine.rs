//! One bad resource among a hundred good ones, and a real Envoy.
//!
//! Envoy 1.40 has three ways to refuse a cluster. One that it cannot build is named,
//! and the others of the response go in. One that breaks a rule of its messages
//! spoils the whole response; Envoy shows it, name and all. One that cannot be
//! read spoils the response as well, and nobody is named.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3 as envoy_cluster;
use envoy_types::pb::google::protobuf;
use marchproxy_xds::testing::{News, snapshot};
use marchproxy_xds::{Event, Protocol, Resource, ResourceType};
use tokio::sync::Mutex;
use tokio::time::{Instant, interval};

use super::{BOTH, Plane, settled};

const CLUSTERS: usize = 100;
const BAD: usize = 42;
/// How long something may take that must come, on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);
/// How long the good ones may take: a matter of milliseconds on a machine that does
/// nothing else, and far from Envoy's next timeout, which is of 15 seconds. Nothing
/// but another change would set them free later.
const AT_ONCE: Duration = Duration::from_secs(5);
/// One Envoy at a time: they are timed.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A running Envoy; killed when dropped.
struct Envoy {
    process: Child,
    admin: u16,
    _dir: tempfile::TempDir,
}

impl Envoy {
    fn start(xds: SocketAddr, protocol: Protocol) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let log = File::create(dir.path().join("log")).expect("a file");
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let admin = free.local_addr().expect("an address").port();
        drop(free);
        let process = Command::new(binary())
            .args(["--config-yaml", &bootstrap(xds, admin, protocol)])
            .args(["--concurrency", "1", "--disable-hot-restart"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the same file"))
            .stderr(log)
            .spawn()
            .expect("Envoy starts");
        Self { process, admin, _dir: dir }
    }

    /// The connect timeout of each cluster that it has from the control plane.
    fn clusters(&self) -> BTreeMap<String, String> {
        let page = "/config_dump?resource=dynamic_active_clusters\
                    &mask=cluster.name,cluster.connect_timeout";
        let dump = get(self.admin, page).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let (_, rest) = text.split_once(&format!("\"{name}\": \""))?;
            Some(rest.split('"').next()?.to_owned())
        };
        let clusters = dump.split("\"cluster\": {").skip(1);
        clusters.filter_map(|c| Some((field(c, "name")?, field(c, "connect_timeout")?))).collect()
    }

    /// Waits until the clusters are such; how long that took.
    async fn until(&self, is_such: impl Fn(&BTreeMap<String, String>) -> bool) -> Duration {
        let began = Instant::now();
        let mut tick = interval(Duration::from_millis(10));
        loop {
            // Asked on a thread of its own: the server has to go on meanwhile.
            let clusters = tokio::task::block_in_place(|| self.clusters());
            if is_such(&clusters) {
                return began.elapsed();
            }
            assert!(began.elapsed() < LIMIT, "it has {clusters:?}");
            tick.tick().await;
        }
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Where Envoy is; the project's own script installs it if it is not there.
fn binary() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/envoy");
    let output = Command::new(script).stderr(Stdio::inherit()).output().expect("it runs");
    assert!(output.status.success(), "{script} could not install Envoy");
    String::from_utf8(output.stdout).expect("a path").trim().to_owned()
}

fn get(port: u16, page: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(stream, "GET {page} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn bootstrap(xds: SocketAddr, admin: u16, protocol: Protocol) -> String {
    let api_type = match protocol {
        Protocol::Sotw => "GRPC",
        Protocol::Delta => "DELTA_GRPC",
    };
    let (ip, port) = (xds.ip(), xds.port());
    format!(
        "node: {{id: quarantine, cluster: test}}
dynamic_resources:
  ads_config:
    api_type: {api_type}
    transport_api_version: V3
    set_node_on_first_message_only: true
    grpc_services: [{{envoy_grpc: {{cluster_name: xds}}}}]
  cds_config: {{ads: {{}}, resource_api_version: V3}}
static_resources:
  clusters:
  - name: xds
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: xds
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address:
        {{address: {ip}, port_value: {port}}}}}}}}}]}}]
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}}}
"
    )
}

/// A cluster with no endpoint and this connect timeout.
fn cluster(n: usize, seconds: i64) -> envoy_cluster::Cluster {
    envoy_cluster::Cluster {
        name: name(n),
        connect_timeout: Some(protobuf::Duration { seconds, nanos: 0 }),
        load_assignment: Some(
            envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment {
                cluster_name: name(n),
                ..Default::default()
            },
        ),
        ..Default::default()
    }
}

fn name(n: usize) -> String {
    format!("cluster-{n:03}")
}

fn encoded(cluster: &envoy_cluster::Cluster) -> Resource {
    Resource::encode(ResourceType::Cluster, cluster.name.as_str(), cluster)
}

/// Changes all clusters, one of them so that Envoy refuses it.
async fn the_good_ones_go_live(protocol: Protocol, bad: Resource) {
    let _alone = ALONE.lock().await;
    let plane = Plane::start().await;
    let publish = |revision: u64, seconds: i64, bad: Option<Resource>| {
        let good = (0..CLUSTERS).filter(|n| bad.is_none() || *n != BAD);
        let clusters = good.map(|n| encoded(&cluster(n, seconds))).collect::<Vec<_>>();
        plane.source.publish(snapshot(revision, clusters.into_iter().chain(bad)));
    };
    publish(1, 1, None);
    let envoy = Envoy::start(plane.addr, protocol);
    let all_have = |timeout: &'static str| {
        move |clusters: &BTreeMap<String, String>| {
            clusters.len() == CLUSTERS && clusters.values().all(|has| has == timeout)
        }
    };
    envoy.until(all_have("1s")).await;

    publish(2, 2, Some(bad));
    let took = envoy
        .until(|clusters| clusters.values().filter(|has| *has == "2s").count() == CLUSTERS - 1);
    let took = took.await;
    assert!(took < AT_ONCE, "{protocol:?}: it took {took:?}");
    assert_eq!(envoy.clusters()[&name(BAD)], "1s", "the bad one stays as it was");

    // It is named, in Envoy's words, and nothing more is under way.
    plane.source.wait_for(|news| settled(news, 2, &[ResourceType::Cluster])).await;
    let news = plane.source.news();
    let named = news.iter().rev().find_map(|news| match news {
        News::Event(_, Event::Nacked { message, culprits, .. }) => Some((message, culprits)),
        News::Event(..) | News::Connected(_) | News::Ended(_) => None,
    });
    let (message, culprits) = named.expect("a NACK");
    assert_eq!(culprits.as_slice(), [name(BAD).into()], "{message}");
    assert!(!message.is_empty());

    publish(3, 3, None);
    envoy.until(all_have("3s")).await;
    plane.source.wait_for(|news| settled(news, 3, &[])).await;
}

/// A cluster that Envoy builds only with the one endpoint that it has not.
fn unbuildable() -> Resource {
    use envoy_cluster::cluster::{ClusterDiscoveryType, DiscoveryType};
    let kind = ClusterDiscoveryType::Type(DiscoveryType::LogicalDns.into());
    encoded(&envoy_cluster::Cluster { cluster_discovery_type: Some(kind), ..cluster(BAD, 2) })
}

/// A cluster whose timeout must not be 0.
fn unruly() -> Resource {
    encoded(&cluster(BAD, 0))
}

/// A cluster whose timeout is no message.
fn unreadable() -> Resource {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Unreadable {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(bytes = "vec", tag = "4")]
        connect_timeout: Vec<u8>,
    }
    let message = Unreadable { name: name(BAD), connect_timeout: vec![0xff, 0xff] };
    Resource::encode(ResourceType::Cluster, name(BAD), &message)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_envoy_cannot_build_does_not_hold_up_the_others() {
    for protocol in BOTH {
        the_good_ones_go_live(protocol, unbuildable()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_breaks_a_rule_does_not_hold_up_the_others() {
    the_good_ones_go_live(Protocol::Delta, unruly()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_breaks_a_rule_does_not_hold_up_the_others_of_a_full_list() {
    the_good_ones_go_live(Protocol::Sotw, unruly()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_cannot_be_read_does_not_hold_up_the_others() {
    the_good_ones_go_live(Protocol::Delta, unreadable()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_cannot_be_read_does_not_hold_up_the_others_of_a_full_list() {
    the_good_ones_go_live(Protocol::Sotw, unreadable()).await;
}
