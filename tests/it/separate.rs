//! Real Envoys without ADS: a service for each type, or listeners alone.

use serde_json::{Value, json};

use crate::seed_readme::BOOTSTRAP;
use crate::support::{
    Envoy, Https, Plane, Protocol, TakenPort, Traffic, Upstream, eventually, free_port,
};
use crate::traffic::in_both_protocols;

in_both_protocols! {
    a_service_is_made_moved_and_deleted_over_separate_sources,
    an_upstreams_own_authority_comes_over_a_source_of_its_own,
    a_refusal_on_one_stream_of_many_is_seen_and_mended,
    many_streams_are_one_node_also_after_a_restart,
    an_envoy_with_listeners_alone_serves_what_it_is_asked_for,
    a_tcp_listener_finds_its_service_over_separate_sources,
}

/// Waits for every Envoy, as long as a slow machine needs.
fn all() -> Value {
    json!({ "nodes": "ALL", "timeoutMs": 20000 })
}

async fn start(plane: &Plane, protocol: Protocol, sources: &str) -> Envoy {
    let arguments = ["--sources", sources, "--node-id", "cluster-1"];
    let envoy = Envoy::start_as(plane, protocol, &arguments);
    plane.wait_for_node("cluster-1").await;
    envoy
}

/// Runs a mutation that every Envoy must accept.
async fn accepted(plane: &Plane, mutation: &str, input_type: &str, input: Value) -> Value {
    let made = plane.change_and_wait(mutation, input_type, input, all()).await;
    assert_eq!(made["rollout"]["outcome"], "ACKED", "{made:#}");
    assert_eq!(made["rollout"]["total"], 1, "all streams are one node: {made:#}");
    made
}

/// The only node there is.
async fn node(plane: &Plane) -> Value {
    let nodes = nodes(plane).await;
    assert_eq!(nodes.as_array().unwrap().len(), 1, "{nodes:#}");
    nodes[0].clone()
}

async fn nodes(plane: &Plane) -> Value {
    let query = "{ xdsNodes { nodeId connected protocol revision
        types { type ackedVersion nackedVersion } lastNack { message } } }";
    plane.ask(query, json!({})).await.data()["xdsNodes"].clone()
}

fn types(node: &Value) -> Vec<&str> {
    let types = node["types"].as_array().unwrap().iter();
    types.map(|status| status["type"].as_str().unwrap()).collect()
}

async fn a_service_is_made_moved_and_deleted_over_separate_sources(protocol: Protocol) {
    let plane = Plane::start().await;
    let (one, two) = (Upstream::start("one").await, Upstream::start("two").await);
    let _envoy = start(&plane, protocol, "separate").await;
    assert_eq!(Traffic::status(plane.listener, "hello").await, Ok(404), "before");

    // No waiting for traffic: the mutation has waited for every stream's ACK.
    let input = json!({ "name": "hello", "ipFqdn": "127.0.0.1", "port": one.port() });
    let made = accepted(&plane, "createService", "CreateServiceInput", input).await;
    let id = &made["service"]["id"];
    assert_eq!(Traffic::get(plane.listener, "hello", "/").await.as_deref(), Ok("one"));

    let traffic = Traffic::start(plane.listener, "hello");
    for upstream in [&two, &one, &two] {
        let input = json!({ "id": id, "port": upstream.port() });
        accepted(&plane, "updateService", "UpdateServiceInput", input).await;
    }
    Traffic::until(plane.listener, "hello", "two").await;
    let report = traffic.stop().await;
    assert_eq!(report.failed, Vec::<String>::new());
    assert!(report.answered["one"] > 0 && report.answered["two"] > 0, "{:?}", report.answered);

    let shown = node(&plane).await;
    assert_eq!(types(&shown), ["RUNTIME", "CLUSTER", "ENDPOINT", "LISTENER", "ROUTE"]);
    let deleted = accepted(&plane, "deleteService", "DeleteInput", json!({ "id": id })).await;
    assert_eq!(Traffic::status(plane.listener, "hello").await, Ok(404), "after");
    assert_eq!(node(&plane).await["revision"], deleted["revision"]);
}

async fn an_upstreams_own_authority_comes_over_a_source_of_its_own(protocol: Protocol) {
    let (plane, https) = (Plane::start().await, Https::start("up.example").await);
    let stranger = Https::start("up.example").await;
    let _envoy = start(&plane, protocol, "separate").await;
    let tls = |authority: &str| json!({ "sni": "up.example", "caPem": authority });
    let input = json!({ "name": "safe", "ipFqdn": "127.0.0.1", "port": https.port(),
        "tls": tls(&stranger.authority) });
    let made = accepted(&plane, "createService", "CreateServiceInput", input).await;
    let refused = Traffic::get(plane.listener, "safe", "/").await.unwrap_err();
    assert!(refused.starts_with("status 503"), "{refused}");

    // The cluster stays as it is: the new authority comes as a secret.
    let input = json!({ "id": made["service"]["id"], "tls": tls(&https.authority) });
    accepted(&plane, "updateService", "UpdateServiceInput", input).await;
    Traffic::until(plane.listener, "safe", "HTTP/1.1").await;
    assert!(types(&node(&plane).await).contains(&"SECRET"));
}

async fn a_refusal_on_one_stream_of_many_is_seen_and_mended(protocol: Protocol) {
    let (plane, upstream) = (Plane::start().await, Upstream::start("one").await);
    let _envoy = start(&plane, protocol, "separate").await;
    let taken = TakenPort::new();
    let input = json!({ "name": "extra", "address": "127.0.0.1", "port": taken.port() });
    let refused =
        plane.change_and_wait("createListener", "CreateListenerInput", input, all()).await;
    assert_eq!(refused["rollout"]["outcome"], "NACKED", "{refused:#}");
    let nack = &refused["rollout"]["nodes"][0]["nack"];
    assert!(nack["message"].as_str().unwrap().contains("Address already in use"), "{nack:#}");
    assert_eq!(nack["culprits"][0]["resourceName"], "extra");

    // The other streams go on, and do not hide what this one refuses.
    plane.create_service("hello", upstream.port()).await;
    assert_eq!(Traffic::get(plane.listener, "hello", "/").await.as_deref(), Ok("one"));
    let of_listeners = |node: &Value| {
        let mut types = node["types"].as_array().unwrap().iter();
        types.find(|status| status["type"] == "LISTENER").unwrap().clone()
    };
    let shown = node(&plane).await;
    assert!(!of_listeners(&shown)["nackedVersion"].is_null(), "{shown:#}");

    let port = free_port();
    let input = json!({ "id": refused["listener"]["id"], "port": port });
    accepted(&plane, "updateListener", "UpdateListenerInput", input).await;
    let shown = node(&plane).await;
    assert!(of_listeners(&shown)["nackedVersion"].is_null(), "{shown:#}");
    // Its routes were asked for, and came, before the mutation answered.
    assert_eq!(Traffic::status(port, "hello").await, Ok(404), "the new listener answers");
}

async fn many_streams_are_one_node_also_after_a_restart(protocol: Protocol) {
    let (mut plane, upstream) = (Plane::start().await, Upstream::start("one").await);
    let envoy = start(&plane, protocol, "separate").await;
    for name in ["a", "b", "c"] {
        let input = json!({ "name": name, "ipFqdn": "127.0.0.1", "port": upstream.port() });
        accepted(&plane, "createService", "CreateServiceInput", input).await;
    }
    let before = node(&plane).await;

    let traffic = Traffic::start(plane.listener, "a");
    plane.kill();
    let lds = "listener_manager.lds.control_plane.connected_state";
    envoy.until_stat(lds, |connected| connected == 0).await;
    plane.start_again().await;
    envoy.until_stat(lds, |connected| connected == 1).await;
    eventually("the node is as it was", async || {
        let shown = nodes(&plane).await;
        if shown == json!([before]) { Ok(()) } else { Err(format!("{shown:#} and not {before:#}")) }
    })
    .await;
    let input = json!({ "name": "d", "ipFqdn": "127.0.0.1", "port": upstream.port() });
    accepted(&plane, "createService", "CreateServiceInput", input).await;
    assert_eq!(Traffic::get(plane.listener, "d", "/").await.as_deref(), Ok("one"));
    assert_eq!(traffic.stop().await.failed, Vec::<String>::new());
}

async fn an_envoy_with_listeners_alone_serves_what_it_is_asked_for(protocol: Protocol) {
    let plane = Plane::start().await;
    let (one, two) = (Upstream::start("one").await, Upstream::start("two").await);
    let id = plane.create_service("early", one.port()).await;
    let envoy = start(&plane, protocol, "lds").await;
    serves_on_demand(&plane, &id, &two).await;
    assert!(envoy.stat("cluster_manager.odcds.update_success").await > 0);
}

/// With the bootstrap that people find in the README of the first MarchProxy.
#[tokio::test]
async fn a_newcomers_envoy_serves_what_it_is_asked_for() {
    let plane = Plane::start().await;
    let (one, two) = (Upstream::start("one").await, Upstream::start("two").await);
    let id = plane.create_service("early", one.port()).await;
    let bootstrap = BOOTSTRAP.replace("api-server", "127.0.0.1");
    let bootstrap = bootstrap.replace("18000", &plane.xds_port().to_string());
    let _envoy = Envoy::start_from(&plane, &bootstrap, &["--service-cluster", "newcomers"]);
    plane.wait_for_node("cluster-1").await;
    serves_on_demand(&plane, &id, &two).await;
    assert_eq!(node(&plane).await["protocol"], "SOTW");
}

/// What one can expect of an Envoy without CDS.
async fn serves_on_demand(plane: &Plane, early: &Value, two: &Upstream) {
    // The first request has to wait for its cluster, and gets it.
    assert_eq!(Traffic::get(plane.listener, "early", "/").await.as_deref(), Ok("one"));
    for name in ["late1", "late2", "late3"] {
        let input = json!({ "name": name, "ipFqdn": "127.0.0.1", "port": two.port() });
        accepted(plane, "createService", "CreateServiceInput", input).await;
        assert_eq!(Traffic::get(plane.listener, name, "/").await.as_deref(), Ok("two"));
    }
    let traffic = Traffic::start(plane.listener, "early");
    let input = json!({ "id": early, "port": two.port() });
    accepted(plane, "updateService", "UpdateServiceInput", input).await;
    Traffic::until(plane.listener, "early", "two").await;
    assert_eq!(traffic.stop().await.failed, Vec::<String>::new());
    let types = types(&node(plane).await).join(" ");
    assert_eq!(types, "CLUSTER ENDPOINT LISTENER ROUTE");
    accepted(plane, "deleteService", "DeleteInput", json!({ "id": early })).await;
    assert_eq!(Traffic::status(plane.listener, "early").await, Ok(404), "after");
}

async fn a_tcp_listener_finds_its_service_over_separate_sources(protocol: Protocol) {
    for sources in ["separate", "lds"] {
        let (plane, upstream) = (Plane::start().await, Upstream::start("bytes").await);
        let _envoy = start(&plane, protocol, sources).await;
        let input = json!({
            "name": "raw", "ipFqdn": "127.0.0.1", "port": upstream.port(), "protocol": "TCP",
        });
        let made = accepted(&plane, "createService", "CreateServiceInput", input).await;
        let port = free_port();
        let input = json!({ "name": "raw", "address": "127.0.0.1", "port": port,
            "tcpService": made["service"]["id"] });
        accepted(&plane, "createListener", "CreateListenerInput", input).await;
        // Nothing but connections tells when a TCP listener has opened.
        Traffic::until(port, "whatever", "bytes").await;
    }
}
