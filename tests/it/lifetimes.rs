//! Times to live with a real Envoy: a runtime layer that must not outlive its server.
//!
//! The product sets none, so the engine is asked by itself.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::runtime::v3::Runtime;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value as Proto};
use futures_util::StreamExt as _;
use marchproxy_xds::testing::{FakeSource, News, snapshot};
use marchproxy_xds::{DiscoveryServer, Event, Resource, ResourceType, Server, Settings};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

use crate::support::{Envoy, Protocol, eventually};

const TTL: Duration = Duration::from_secs(2);
const KEY: &str = "a.fault";

/// An xDS server in this process; it is gone when dropped.
struct Engine {
    addr: SocketAddr,
    source: Arc<FakeSource>,
    _tasks: JoinSet<()>,
}

impl Engine {
    async fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        let (source, stop) = (Arc::new(FakeSource::default()), CancellationToken::new());
        let discovery = DiscoveryServer::new(source.clone(), stop.clone());
        let server = Server::new(discovery.into_routes(), Settings::default());
        let incoming =
            TcpIncoming::from(socket).map(|socket| Ok((socket?, http::Extensions::new())));
        let mut tasks = JoinSet::new();
        tasks.spawn(server.serve(incoming, stop));
        Self { addr, source, _tasks: tasks }
    }
}

/// An Envoy with a runtime layer from `server`, and these features of a client.
fn envoy(dir: &tempfile::TempDir, server: SocketAddr, protocol: Protocol, features: &str) -> Envoy {
    let api_type = match protocol {
        Protocol::Sotw => "GRPC",
        Protocol::Delta => "DELTA_GRPC",
    };
    let port = server.port();
    let bootstrap = format!(
        r#"
node: {{id: one, cluster: some, client_features: [{features}]}}
dynamic_resources:
  ads_config:
    api_type: {api_type}
    transport_api_version: V3
    grpc_services: [{{envoy_grpc: {{cluster_name: xds}}}}]
layered_runtime:
  layers:
  - name: faults
    rtds_layer: {{name: faults, rtds_config: {{ads: {{}}, resource_api_version: V3}}}}
static_resources:
  clusters:
  - name: xds
    type: STATIC
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: xds
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}
"#
    );
    Envoy::start_alone(dir.path(), &bootstrap)
}

fn layer(value: &str) -> Resource {
    let value = Proto { kind: Some(Kind::StringValue(value.into())) };
    let layer = Struct { fields: HashMap::from([(KEY.into(), value)]) };
    let runtime = Runtime { name: "faults".into(), layer: Some(layer) };
    Resource::encode(ResourceType::Runtime, "faults", &runtime).with_ttl(TTL)
}

/// What Envoy's runtime says of the key.
async fn value(envoy: &Envoy) -> Result<Option<String>, String> {
    let runtime: Value =
        serde_json::from_str(&envoy.admin("/runtime").await?).map_err(|e| e.to_string())?;
    Ok(runtime["entries"][KEY]["final_value"].as_str().map(str::to_owned))
}

async fn until_value(envoy: &Envoy, want: Option<&str>) {
    eventually("the runtime", async || match value(envoy).await {
        Ok(value) if value.as_deref() == want => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// Looks at the value for three times its life.
async fn stays(envoy: &Envoy, want: &str) {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let end = tokio::time::Instant::now() + 3 * TTL;
    while tokio::time::Instant::now() < end {
        tick.tick().await;
        assert_eq!(value(envoy).await.unwrap().as_deref(), Some(want));
    }
}

async fn a_value_lives_with_its_server(protocol: Protocol) {
    let (dir, engine) = (tempfile::tempdir().unwrap(), Engine::start().await);
    engine.source.publish(snapshot(1, [layer("1")]));
    let features = "xds.config.supports-resource-ttl, xds.config.resource-in-sotw";
    let envoy = envoy(&dir, engine.addr, protocol, features);
    until_value(&envoy, Some("1")).await;
    stays(&envoy, "1").await;
    let news = engine.source.news();
    let is_refusal = |news: &News| matches!(news, News::Event(_, Event::Nacked { .. }));
    assert!(!news.iter().any(is_refusal), "{news:#?}");

    engine.source.publish(snapshot(2, [layer("2")]));
    until_value(&envoy, Some("2")).await;
    drop(engine);
    until_value(&envoy, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c58_a_runtime_value_lives_as_long_as_there_are_heartbeats() {
    a_value_lives_with_its_server(Protocol::Delta).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c59_a_runtime_value_lives_as_long_as_there_are_heartbeats() {
    a_value_lives_with_its_server(Protocol::Sotw).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c58_an_envoy_that_does_not_say_so_keeps_the_value() {
    let (dir, engine) = (tempfile::tempdir().unwrap(), Engine::start().await);
    engine.source.publish(snapshot(1, [layer("1")]));
    let envoy = envoy(&dir, engine.addr, Protocol::Delta, "");
    until_value(&envoy, Some("1")).await;
    drop(engine);
    stays(&envoy, "1").await;
}
