//! Real Envoys that report how much they send where.

use envoy_load_stats::load_reporting_service_client::LoadReportingServiceClient;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::load_stats::v3 as envoy_load_stats;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::time::{interval, timeout};
use tonic::transport::Endpoint;

use crate::support::{Envoy, LIMIT, Plane, Protocol, Traffic, Upstream, eventually};

const REPORTING: [&str; 3] = ["--node-id", "cluster-1", "--load-reports"];
const NODES: &str = "{ xdsNodes { nodeId connected loads {
    cluster lastReportAt intervalMs dropped droppedBy { category dropped }
    localities { locality priority inProgress metrics { name requests total }
      total { issued successful errors } latest { issued successful errors } } } } }";

async fn nodes(plane: &Plane) -> Vec<Value> {
    plane.ask(NODES, json!({})).await.data()["xdsNodes"].as_array().unwrap().clone()
}

/// What a node says it has sent to the cluster, if it has reported on it.
fn load<'a>(node: &'a Value, cluster: &Value) -> Option<&'a Value> {
    node["loads"].as_array().unwrap().iter().find(|load| load["cluster"] == *cluster)
}

fn issued(node: &Value, cluster: &Value) -> f64 {
    let load = load(node, cluster);
    load.map_or(0.0, |load| load["localities"][0]["total"]["issued"].as_f64().unwrap_or(0.0))
}

/// A service that answers `web`, and the name of its cluster.
async fn service(plane: &Plane) -> (Upstream, Value) {
    let upstream = Upstream::start("web").await;
    let id = plane.create_service("web", upstream.port()).await;
    let query = "query($id: ID!) { service(id: $id) { envoyCluster } }";
    let service = plane.ask(query, json!({ "id": id })).await.data();
    (upstream, service["service"]["envoyCluster"].clone())
}

#[tokio::test]
async fn an_envoy_reports_how_much_it_sends_where() {
    let plane = Plane::start().await;
    let mut envoy = Envoy::start_as(&plane, Protocol::Delta, &REPORTING);
    plane.wait_for_node("cluster-1").await;
    let (_upstream, cluster) = service(&plane).await;
    Traffic::until(plane.listener, "web", "web").await;
    for _ in 0..9 {
        Traffic::get(plane.listener, "web", "/").await.unwrap();
    }

    let node = eventually("the load is reported", async || {
        let node = nodes(&plane).await.remove(0);
        if issued(&node, &cluster) >= 10.0 { Ok(node) } else { Err(node.to_string()) }
    })
    .await;
    let load = load(&node, &cluster).unwrap();
    assert!(load["intervalMs"].as_f64().unwrap() > 0.0, "{load:#}");
    assert!(load["lastReportAt"].is_string(), "{load:#}");
    let locality = &load["localities"][0];
    assert_eq!(locality["total"]["successful"], locality["total"]["issued"], "{load:#}");
    assert_eq!(locality["total"]["errors"], 0.0);
    assert_eq!(locality["inProgress"], 0.0);
    assert_eq!((&locality["locality"], &locality["priority"]), (&Value::Null, &json!(0)));

    envoy.kill();
    eventually("what it reported goes with it", async || {
        let node = nodes(&plane).await.remove(0);
        if node["loads"] == json!([]) { Ok(()) } else { Err(node.to_string()) }
    })
    .await;
}

#[tokio::test]
async fn envoys_of_the_same_name_report_each_for_itself() {
    let plane = Plane::start().await;
    let _envoys = [Protocol::Delta, Protocol::Sotw]
        .map(|protocol| Envoy::start_as(&plane, protocol, &REPORTING));
    eventually("both are there", async || {
        let nodes = nodes(&plane).await;
        if nodes.len() == 2 { Ok(()) } else { Err(json!(nodes).to_string()) }
    })
    .await;
    let (_upstream, cluster) = service(&plane).await;
    // Both listen on the same port, and a connection comes to either.
    for _ in 0..40 {
        Traffic::get(plane.listener, "web", "/").await.unwrap();
    }
    eventually("all is reported, once", async || {
        let nodes = nodes(&plane).await;
        let reported: f64 = nodes.iter().map(|node| issued(node, &cluster)).sum();
        if reported == 40.0 { Ok(()) } else { Err(format!("{reported}: {nodes:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_report_stream_asks_for_the_services_of_its_group_and_ends_with_it() {
    let plane = Plane::start_as_newcomers_do().await;
    let group = plane
        .change("createNodeGroup", "CreateNodeGroupInput", json!({ "name": "blue" }))
        .await["nodeGroup"]["id"]
        .clone();
    let address = format!("http://127.0.0.1:{}", plane.xds_port());
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    let node = Node { id: "n".into(), cluster: "blue".into(), ..Node::default() };
    let first = envoy_load_stats::LoadStatsRequest { node: Some(node), cluster_stats: vec![] };
    // It reports that it does nothing, again and again.
    let reports = stream::unfold(interval(Duration::from_millis(50)), async |mut tick| {
        tick.tick().await;
        Some((envoy_load_stats::LoadStatsRequest::default(), tick))
    });
    let requests = stream::iter([first]).chain(Box::pin(reports));
    let mut client = LoadReportingServiceClient::new(channel);
    let mut asked = client.stream_load_stats(requests).await.unwrap().into_inner();
    let ask = asked.message().await.unwrap().unwrap();
    assert_eq!((ask.clusters, ask.send_all_clusters), (vec![], false));

    let input = json!({
        "name": "web", "ipFqdn": "127.0.0.1", "port": 80, "group": group,
    });
    plane.change("createService", "CreateServiceInput", input).await;
    let ask = asked.message().await.unwrap().unwrap();
    assert!(matches!(ask.clusters.as_slice(), [one] if one.contains("_service_")), "{ask:?}");

    let services = "{ services(first: 9, group: \"ID\") { nodes { id } } }";
    let services = services.replace("ID", group.as_str().unwrap());
    let services = plane.ask(&services, json!({})).await.data();
    let id = &services["services"]["nodes"][0]["id"];
    plane.change("deleteService", "DeleteInput", json!({ "id": id })).await;
    let delete = "mutation($input: DeleteInput!) { deleteNodeGroup(input: $input) { deletedId } }";
    plane.ask(delete, json!({ "input": { "id": group } })).await.data();
    timeout(LIMIT, async { while asked.message().await.unwrap().is_some() {} }).await.unwrap();
}
