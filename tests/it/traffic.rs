//! A change over GraphQL, and traffic through a real Envoy that follows it.
//!
//! Each story is told twice: to an Envoy that speaks SotW, and to one that
//! speaks delta.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Envoy, Plane, Protocol, TakenPort, Traffic, Upstream, eventually, free_port};

macro_rules! in_both_protocols {
    ($($story:ident),+ $(,)?) => {
        mod sotw {$(
            #[tokio::test]
            async fn $story() {
                super::$story(super::Protocol::Sotw).await;
            }
        )+}
        mod delta {$(
            #[tokio::test]
            async fn $story() {
                super::$story(super::Protocol::Delta).await;
            }
        )+}
    };
}

pub(crate) use in_both_protocols;

in_both_protocols! {
    a_created_service_is_answered_and_a_deleted_one_is_not,
    traffic_moves_with_a_changed_endpoint_and_no_request_fails,
    a_route_with_two_weighted_services_splits,
    services_are_swapped_under_load_and_no_request_fails,
    a_service_that_is_made_under_load_is_never_answered_503,
    a_refused_listener_is_seen_and_the_next_good_change_is_accepted,
    an_envoy_serves_on_while_the_server_is_killed_and_started_again,
    two_envoys_of_two_groups_get_only_their_own,
    a_tcp_listener_hands_connections_on,
    routes_look_at_paths_methods_and_headers,
    runtime_settings_reach_the_envoy,
}

/// How many requests are many.
const MANY: usize = 10_000;

/// Waits for every Envoy, as long as a slow machine needs.
fn all() -> Value {
    json!({ "nodes": "ALL", "timeoutMs": 20000 })
}

async fn a_created_service_is_answered_and_a_deleted_one_is_not(protocol: Protocol) {
    let (plane, upstream) = (Plane::start().await, Upstream::start("one").await);
    let _envoy = Envoy::start(&plane, protocol).await;
    assert_eq!(Traffic::status(plane.listener, "hello").await, Ok(404), "before");

    let id = plane.create_service("hello", upstream.port()).await;
    // No waiting here: the mutation has waited for the ACK.
    assert_eq!(Traffic::get(plane.listener, "hello", "/").await.as_deref(), Ok("one"));
    assert_eq!(Traffic::get(plane.listener, "HELLO:8080", "/a/b?c").await.as_deref(), Ok("one"));
    assert_eq!(Traffic::status(plane.listener, "nobody").await, Ok(404), "an unknown host");

    let input = json!({ "id": id });
    let deleted = plane.change_and_wait("deleteService", "DeleteInput", input, all()).await;
    assert_eq!(deleted["rollout"]["outcome"], "ACKED");
    assert_eq!(Traffic::status(plane.listener, "hello").await, Ok(404), "after");
}

async fn traffic_moves_with_a_changed_endpoint_and_no_request_fails(protocol: Protocol) {
    let plane = Plane::start().await;
    let (one, two) = (Upstream::start("one").await, Upstream::start("two").await);
    let _envoy = Envoy::start(&plane, protocol).await;
    let id = plane.create_service("hello", one.port()).await;

    let traffic = Traffic::start(plane.listener, "hello");
    for upstream in [&two, &one, &two] {
        let input = json!({ "id": id, "port": upstream.port() });
        let moved =
            plane.change_and_wait("updateService", "UpdateServiceInput", input, all()).await;
        assert_eq!(moved["rollout"]["outcome"], "ACKED");
    }
    Traffic::until(plane.listener, "hello", "two").await;
    let report = traffic.stop().await;
    assert_eq!(report.failed, Vec::<String>::new());
    assert!(report.answered["one"] > 0 && report.answered["two"] > 0, "{:?}", report.answered);
}

async fn a_route_with_two_weighted_services_splits(protocol: Protocol) {
    let plane = Plane::start().await;
    let (one, two) = (Upstream::start("one").await, Upstream::start("two").await);
    let _envoy = Envoy::start(&plane, protocol).await;
    let (a, b) =
        (plane.create_service("a", one.port()).await, plane.create_service("b", two.port()).await);
    let input = json!({
        "name": "split", "hosts": ["split.example"],
        "backends": [{ "service": a, "weight": 3 }, { "service": b, "weight": 1 }],
    });
    let created = plane.change_and_wait("createRoute", "CreateRouteInput", input, all()).await;
    assert_eq!(created["rollout"]["outcome"], "ACKED");

    let mut ones = 0;
    for _ in 0..400 {
        let body = Traffic::get(plane.listener, "split.example", "/").await.unwrap();
        ones += usize::from(body == "one");
    }
    // 300 expected; five standard deviations (8.7 each) is one in two million.
    assert!((256..=344).contains(&ones), "{ones} of 400 went to the one with 3 of 4 parts");

    let only_b = json!({ "id": created["route"]["id"], "backends": [{ "service": b }] });
    plane.change_and_wait("updateRoute", "UpdateRouteInput", only_b, all()).await;
    assert_eq!(Traffic::get(plane.listener, "split.example", "/").await.as_deref(), Ok("two"));
}

async fn services_are_swapped_under_load_and_no_request_fails(protocol: Protocol) {
    let plane = Plane::start().await;
    let upstreams = [Upstream::start("one").await, Upstream::start("two").await];
    let _envoy = Envoy::start(&plane, protocol).await;
    let mut service = plane.create_service("s0", upstreams[0].port()).await;
    let input = json!({
        "name": "r", "hosts": ["swap.example"], "backends": [{ "service": service }],
    });
    let made = plane.change_and_wait("createRoute", "CreateRouteInput", input, all()).await;
    let route = &made["route"]["id"];

    let traffic = Traffic::start_many(plane.listener, "swap.example", 4);
    let mut i = 0;
    while i < 10 || !traffic.has_done(MANY) {
        i += 1;
        // Nobody waits for anything here: the order is the control plane's to keep.
        // A cluster is not warm before its first probe, and that takes its time.
        let input = json!({
            "name": format!("s{i}"), "ipFqdn": "127.0.0.1", "port": upstreams[i % 2].port(),
            "healthCheck": { "path": "/slow-probe" },
        });
        let next = plane.change("createService", "CreateServiceInput", input).await;
        let next = next["service"]["id"].clone();
        let input = json!({ "id": route, "backends": [{ "service": next }] });
        plane.change("updateRoute", "UpdateRouteInput", input).await;
        plane.change("deleteService", "DeleteInput", json!({ "id": service })).await;
        service = next;
        if i % 5 == 0 {
            // Now and then the Envoy is to catch up: changes that never cease would
            // hold the route back for as long.
            Traffic::until(plane.listener, "swap.example", ["one", "two"][i % 2]).await;
        }
    }
    let report = traffic.stop().await;
    assert_eq!(report.failed, Vec::<String>::new());
    assert!(report.answered["one"] > 0 && report.answered["two"] > 0, "{:?}", report.answered);
}

/// One mutation makes a cluster and a route to it: the route must not come first.
async fn a_service_that_is_made_under_load_is_never_answered_503(protocol: Protocol) {
    let (plane, upstream) = (Plane::start().await, Upstream::start("one").await);
    let _envoy = Envoy::start(&plane, protocol).await;
    for name in ["s1", "s2", "s3", "s4", "s5"] {
        let traffic = Traffic::start_many(plane.listener, name, 4);
        let input = json!({
            "name": name, "ipFqdn": "127.0.0.1", "port": upstream.port(),
            "healthCheck": { "path": "/slow-probe" },
        });
        plane.change("createService", "CreateServiceInput", input).await;
        Traffic::until(plane.listener, name, "one").await;
        let report = traffic.stop().await;
        let bad = report.failed.iter().filter(|failed| !failed.starts_with("status 404"));
        assert_eq!(bad.collect::<Vec<_>>(), Vec::<&String>::new());
    }
}

async fn a_refused_listener_is_seen_and_the_next_good_change_is_accepted(protocol: Protocol) {
    let (plane, upstream) = (Plane::start().await, Upstream::start("one").await);
    let envoy = Envoy::start(&plane, protocol).await;
    let taken = TakenPort::new();
    let query = "subscription { nodeStatusChanged {
        cause type node { nodeId lastNack { type message } } } }";
    let mut changes = plane.subscribe(query, json!({})).await;
    assert_eq!(changes.next().await.unwrap()["nodeStatusChanged"]["cause"], "CURRENT");

    // The mutation does not wait for its time to be up: it says who refused.
    let input = json!({ "name": "extra", "address": "127.0.0.1", "port": taken.port() });
    let began = tokio::time::Instant::now();
    let wait = json!({ "nodes": "ALL", "timeoutMs": 60000 });
    let refused = plane.change_and_wait("createListener", "CreateListenerInput", input, wait).await;
    assert!(began.elapsed() < Duration::from_secs(20), "it waited for {:?}", began.elapsed());
    let rollout = &refused["rollout"];
    assert_eq!(rollout["outcome"], "NACKED", "{refused:#}");
    let nack = &rollout["nodes"][0]["nack"];
    let text = nack["message"].as_str().unwrap();
    assert!(text.contains("extra") && text.contains("Address already in use"), "{text}");
    assert_eq!(nack["culprits"][0]["resourceName"], "extra");
    assert_eq!(nack["culprits"][0]["field"], "port");

    // The subscription and the query tell the same, in Envoy's own words.
    let nacked = |change: &Value| change["nodeStatusChanged"]["cause"] == "NACKED";
    let change = changes.until("the NACK", nacked).await;
    let told = &change["nodeStatusChanged"];
    assert_eq!(told["type"], "LISTENER");
    assert_eq!(told["node"]["lastNack"]["message"], text);
    let nodes = "{ xdsNodes { types { type nackedVersion ackedVersion } lastNack { message } } }";
    let node = plane.ask(nodes, json!({})).await.data()["xdsNodes"][0].clone();
    assert_eq!(node["lastNack"]["message"], text);
    let listeners = |node: &Value| {
        let types = node["types"].as_array().unwrap();
        types.iter().find(|t| t["type"] == "LISTENER").unwrap().clone()
    };
    assert!(!listeners(&node)["nackedVersion"].is_null(), "{node:#}");

    // A change elsewhere is accepted; the refused one is not sent again.
    let rejected = envoy.stat("listener_manager.lds.update_rejected").await;
    plane.create_service("hello", upstream.port()).await;
    assert_eq!(Traffic::get(plane.listener, "hello", "/").await.as_deref(), Ok("one"));
    assert_eq!(envoy.stat("listener_manager.lds.update_rejected").await, rejected);

    // Mended, it is accepted, and nothing is refused any more.
    let port = free_port();
    let input = json!({ "id": refused["listener"]["id"], "port": port });
    let mended = plane.change_and_wait("updateListener", "UpdateListenerInput", input, all()).await;
    assert_eq!(mended["rollout"]["outcome"], "ACKED", "{mended:#}");
    let node = plane.ask(nodes, json!({})).await.data()["xdsNodes"][0].clone();
    assert!(listeners(&node)["nackedVersion"].is_null(), "{node:#}");
    assert_eq!(Traffic::status(port, "hello").await, Ok(404), "the new listener answers");
}

async fn an_envoy_serves_on_while_the_server_is_killed_and_started_again(protocol: Protocol) {
    let (mut plane, upstream) = (Plane::start().await, Upstream::start("one").await);
    let envoy = Envoy::start(&plane, protocol).await;
    let id = plane.create_service("hello", upstream.port()).await;
    let before = envoy.config_dump().await;
    let updates = async || {
        let routes = "http.ingress_http.rds.marchproxy_routes";
        let mut sum = 0;
        for stat in ["cluster_manager.cds", "listener_manager.lds", routes] {
            sum += envoy.stat(&format!("{stat}.update_success")).await;
        }
        sum
    };
    let sent_before = updates().await;

    let traffic = Traffic::start(plane.listener, "hello");
    plane.kill();
    envoy.until_stat("control_plane.connected_state", |connected| connected == 0).await;
    plane.start_again().await;
    envoy.until_stat("control_plane.connected_state", |connected| connected == 1).await;
    plane.wait_for_node("cluster-1").await;

    // It came back with the versions that it had, and they are the same.
    let query = "{ nodeGroup { snapshot { types { type version } } }
        xdsNodes { connected types { type ackedVersion sentVersion } } }";
    let (acked, current) = eventually("the Envoy is up to date", async || {
        let data = plane.ask(query, json!({})).await.data();
        let versions = |types: &Value, key: &str| -> Vec<(String, String)> {
            let types = types.as_array().unwrap().iter();
            let pairs = types.map(|t| (t["type"].to_string(), t[key].to_string()));
            let mut pairs: Vec<_> = pairs.filter(|(t, _)| t != "\"SECRET\"").collect();
            pairs.sort();
            pairs
        };
        let acked = versions(&data["xdsNodes"][0]["types"], "ackedVersion");
        let current = versions(&data["nodeGroup"]["snapshot"]["types"], "version");
        if acked == current { Ok((acked, current)) } else { Err(format!("{data:#}")) }
    })
    .await;
    assert_eq!(acked, current);
    if protocol == Protocol::Delta {
        let node = plane.ask(query, json!({})).await.data()["xdsNodes"][0].clone();
        for status in node["types"].as_array().unwrap() {
            let may_be_sent = status["type"] == "ENDPOINT"; // it asks for those by name again
            let sent = !status["sentVersion"].is_null();
            assert!(may_be_sent || !sent, "sent again: {status:#}");
        }
        assert_eq!(updates().await, sent_before, "Envoy took updates that it had");
    }
    let resources = |dump: &Value| {
        // What it holds, without when it was last told so.
        let text = dump["configs"].to_string();
        text.matches("cluster_1_service_1").count()
    };
    assert_eq!(resources(&envoy.config_dump().await), resources(&before));

    // And it takes changes from the new process.
    let two = Upstream::start("two").await;
    let input = json!({ "id": id, "port": two.port() });
    let moved = plane.change_and_wait("updateService", "UpdateServiceInput", input, all()).await;
    assert_eq!(moved["rollout"]["outcome"], "ACKED");
    Traffic::until(plane.listener, "hello", "two").await;
    let report = traffic.stop().await;
    assert_eq!(report.failed, Vec::<String>::new());
}

async fn two_envoys_of_two_groups_get_only_their_own(protocol: Protocol) {
    let plane = Plane::start().await;
    let (one, two) = (Upstream::start("one").await, Upstream::start("two").await);
    let group = plane
        .change("createNodeGroup", "CreateNodeGroupInput", json!({ "name": "blue" }))
        .await["nodeGroup"]["id"]
        .clone();
    let query = "query($group: ID!) { listeners(group: $group) { nodes { id name port } } }";
    let listeners = plane.ask(query, json!({ "group": group })).await.data();
    let listener = &listeners["listeners"]["nodes"][0];
    assert_eq!(listener["name"], "marchproxy_listener");
    let blue_port = free_port();
    let input = json!({ "id": listener["id"], "address": "127.0.0.1", "port": blue_port });
    plane.change("updateListener", "UpdateListenerInput", input).await;

    let ours = Envoy::start(&plane, protocol).await;
    let names = ["--node-id", "somebody", "--node-cluster", "blue"];
    let theirs = Envoy::start_as(&plane, protocol, &names);
    plane.wait_for_node("somebody").await;

    plane.create_service("mine", one.port()).await;
    let input =
        json!({ "group": group, "name": "yours", "ipFqdn": "127.0.0.1", "port": two.port() });
    let made = plane.change_and_wait("createService", "CreateServiceInput", input, all()).await;
    assert_eq!(made["rollout"]["total"], 1, "only its own group's proxy was waited for");

    assert_eq!(Traffic::get(plane.listener, "mine", "/").await.as_deref(), Ok("one"));
    assert_eq!(Traffic::status(plane.listener, "yours").await, Ok(404));
    assert_eq!(Traffic::get(blue_port, "yours", "/").await.as_deref(), Ok("two"));
    assert_eq!(Traffic::status(blue_port, "mine").await, Ok(404));
    for (envoy, own, foreign) in [
        (&ours, "cluster_1_service_1", "cluster_2_service_2"),
        (&theirs, "cluster_2_service_2", "cluster_1_service_1"),
    ] {
        let dump = envoy.config_dump().await.to_string();
        assert!(dump.contains(own) && !dump.contains(foreign));
    }
    let nodes = plane.ask("{ xdsNodes { nodeId matchedBy } }", json!({})).await.data();
    let matched = json!([
        { "nodeId": "cluster-1", "matchedBy": "ID" },
        { "nodeId": "somebody", "matchedBy": "CLUSTER" },
    ]);
    assert_eq!(nodes["xdsNodes"], matched);
}

async fn a_tcp_listener_hands_connections_on(protocol: Protocol) {
    let (plane, upstream) = (Plane::start().await, Upstream::start("bytes").await);
    let _envoy = Envoy::start(&plane, protocol).await;
    let input = json!({
        "name": "raw", "ipFqdn": "127.0.0.1", "port": upstream.port(), "protocol": "TCP",
    });
    let made = plane.change_and_wait("createService", "CreateServiceInput", input, all()).await;
    assert_eq!(Traffic::status(plane.listener, "raw").await, Ok(404), "no host of its own");

    let port = free_port();
    let input = json!({
        "name": "raw", "address": "127.0.0.1", "port": port, "tcpService": made["service"]["id"],
    });
    let made = plane.change_and_wait("createListener", "CreateListenerInput", input, all()).await;
    assert_eq!(made["rollout"]["outcome"], "ACKED", "{made:#}");
    assert_eq!(Traffic::get(port, "whatever", "/").await.as_deref(), Ok("bytes"));
}

async fn routes_look_at_paths_methods_and_headers(protocol: Protocol) {
    let plane = Plane::start().await;
    let (one, two) = (Upstream::start("one").await, Upstream::start("two").await);
    let _envoy = Envoy::start(&plane, protocol).await;
    let a = plane.create_service("a", one.port()).await;
    let b = plane.create_service("b", two.port()).await;
    let hosts = json!(["x.example", "*.y.example"]);
    for input in [
        json!({ "name": "all", "hosts": hosts, "backends": [{ "service": a }] }),
        json!({ "name": "exact", "hosts": hosts, "path": { "exact": "/exact" },
            "backends": [{ "service": b }] }),
        json!({ "name": "regex", "hosts": hosts, "path": { "regex": "/v[0-9]+/.*" },
            "priority": 1, "backends": [{ "service": b }] }),
        json!({ "name": "long", "hosts": hosts, "backends": [{ "service": b }],
            "path": { "regex": "/static/[a-zA-Z0-9._-]{0,200}/.*" } }),
        json!({ "name": "header", "hosts": hosts, "headers": [
            { "name": "x-version", "value": { "prefix": "2." } }],
            "backends": [{ "service": b }] }),
        json!({ "name": "method", "hosts": hosts, "path": { "prefix": "/write" },
            "methods": ["POST", "PUT"], "backends": [{ "service": b }] }),
        json!({ "name": "moved", "hosts": ["old.example"],
            "redirect": { "https": true, "host": "new.example", "code": "PERMANENT_REDIRECT" } }),
    ] {
        let made = plane.change_and_wait("createRoute", "CreateRouteInput", input, all()).await;
        assert_eq!(made["rollout"]["outcome"], "ACKED", "{made:#}");
    }
    let get = async |host: &'static str, path: &'static str| {
        Traffic::get(plane.listener, host, path).await.unwrap()
    };
    assert_eq!(get("x.example", "/").await, "one");
    assert_eq!(get("deep.y.example", "/exact").await, "two");
    assert_eq!(get("x.example", "/exact/not").await, "one");
    assert_eq!(get("x.example", "/v12/a").await, "two");
    assert_eq!(get("x.example", "/v/a").await, "one");
    assert_eq!(get("x.example", "/static/a.b/c").await, "two");
    assert_eq!(get("x.example", "/write").await, "one", "GET is not among the methods");

    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let client = client.build().unwrap();
    let url = format!("http://127.0.0.1:{}", plane.listener);
    let post = client.post(format!("{url}/write")).header("host", "x.example");
    assert_eq!(post.send().await.unwrap().text().await.unwrap(), "two");
    let versioned = client.get(&url).header("host", "x.example").header("x-version", "2.1");
    assert_eq!(versioned.send().await.unwrap().text().await.unwrap(), "two");
    let moved = client.get(format!("{url}/a?b")).header("host", "old.example");
    let moved = moved.send().await.unwrap();
    assert_eq!(moved.status(), 308);
    assert_eq!(moved.headers()["location"], "https://new.example/a?b");
}

async fn runtime_settings_reach_the_envoy(protocol: Protocol) {
    let plane = Plane::start().await;
    let envoy = Envoy::start(&plane, protocol).await;
    let state = plane.state().await;
    let runtime = json!([
        { "key": "upstream.healthy_panic_threshold", "value": "25" },
        { "key": "b.flag", "value": "true" },
        { "key": "c.text", "value": "some text" },
    ]);
    let input = json!({ "id": state["nodeGroups"]["nodes"][0]["id"], "runtime": runtime });
    let set = plane.change_and_wait("updateNodeGroup", "UpdateNodeGroupInput", input, all()).await;
    assert_eq!(set["rollout"]["outcome"], "ACKED", "{set:#}");
    let shown: Value = serde_json::from_str(&envoy.admin("/runtime").await.unwrap()).unwrap();
    for (key, value) in
        [("upstream.healthy_panic_threshold", "25"), ("b.flag", "true"), ("c.text", "some text")]
    {
        assert_eq!(shown["entries"][key]["final_value"], value, "{key} in {shown:#}");
    }
}
