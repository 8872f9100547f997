//! Mutations that wait for the proxies.

use serde_json::{Value, json};

use crate::support::{Envoy, Plane, Protocol, Upstream};

fn wait(nodes: &str, millis: i32) -> Value {
    json!({ "nodes": nodes, "timeoutMs": millis })
}

async fn create(plane: &Plane, name: &str, wait: Value) -> Value {
    let input = json!({ "name": name, "ipFqdn": "127.0.0.1", "port": 9 });
    plane.change_and_wait("createService", "CreateServiceInput", input, wait).await
}

#[tokio::test]
async fn the_answer_comes_after_the_ack_by_envoys_own_account() {
    let (plane, upstream) = (Plane::start().await, Upstream::start("one").await);
    let envoy = Envoy::start(&plane, Protocol::Delta).await;
    for i in 0..20 {
        let name = format!("s{i}");
        let input = json!({ "name": name, "ipFqdn": "127.0.0.1", "port": upstream.port() });
        let made = plane
            .change_and_wait("createService", "CreateServiceInput", input, wait("ALL", 20000))
            .await;
        assert_eq!(made["rollout"]["outcome"], "ACKED", "{made:#}");
        // Asked once, at once: what the mutation said must be so already.
        let dump = envoy.config_dump().await.to_string();
        let cluster = format!("cluster_1_service_{}", i + 1);
        assert!(dump.contains(&cluster) && dump.contains(&format!("\"{name}\"")), "round {i}");
    }
}

#[tokio::test]
async fn nobody_to_wait_for_is_said_at_once() {
    let plane = Plane::start().await;
    let made = create(&plane, "a", wait("ALL", 60000)).await;
    assert_eq!(made["rollout"]["outcome"], "NO_NODES");
    let made = create(&plane, "b", Value::Null).await;
    assert_eq!(made["rollout"], Value::Null, "not asked to wait");
}

#[tokio::test]
async fn any_is_content_with_one_and_all_is_not() {
    use marchproxy_xds::testing::FakeEnvoy;

    let plane = Plane::start().await;
    let _envoy = Envoy::start(&plane, Protocol::Delta).await;
    // A proxy that asks, and then never answers.
    let address = ([127, 0, 0, 1], plane.xds_port()).into();
    let delta = marchproxy_xds::Protocol::Delta;
    let mut silent = FakeEnvoy::connect(address, delta, "cluster-1", "silent").await;
    silent.subscribe(marchproxy_xds::ResourceType::Cluster, &[]).await;
    silent.next().await;

    let made = create(&plane, "a", wait("ANY", 20000)).await;
    assert_eq!(made["rollout"]["outcome"], "ACKED", "{made:#}");
    let made = create(&plane, "b", wait("ALL", 500)).await;
    let rollout = &made["rollout"];
    assert_eq!(rollout["outcome"], "TIMED_OUT", "{made:#}");
    assert_eq!((&rollout["total"], &rollout["pending"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn who_may_change_one_service_waits_for_its_proxies_and_is_not_shown_them() {
    let plane = Plane::start().await;
    let upstream = Upstream::start("one").await;
    let service = plane.create_service("mine", upstream.port()).await;
    let password = "a good password";
    let create = "mutation($input: CreateUserInput!) { createUser(input: $input) { user { id } } }";
    let input = json!({ "username": "ann", "password": password, "role": "MEMBER" });
    let ann = plane.ask(create, json!({ "input": input })).await.data();
    let ann = ann["createUser"]["user"]["id"].clone();
    let assign = "mutation($input: AssignServiceInput!) {
        assignService(input: $input) { user { id } } }";
    let input = json!({ "user": ann, "service": service, "role": "OPERATOR" });
    plane.ask(assign, json!({ "input": input })).await.data();
    let login = "mutation($input: LoginInput!) { login(input: $input) { token } }";
    let input = json!({ "username": "ann", "password": password });
    let ann = plane.ask_as(None, login, json!({ "input": input })).await.data();
    let ann = format!("Bearer {}", ann["login"]["token"].as_str().unwrap());

    let _envoy = Envoy::start(&plane, Protocol::Delta).await;
    let update = "mutation($input: UpdateServiceInput!, $wait: WaitForInput) {
        updateService(input: $input, waitFor: $wait) {
            rollout { outcome total acked nodes { node { nodeId address } } } } }";
    for weight in 2..5 {
        let input = json!({ "id": service, "timeouts": { "requestMs": 1000 * weight } });
        let variables = json!({ "input": input, "wait": wait("ALL", 20000) });
        let made = plane.ask_as(Some(&ann), update, variables).await.data();
        let rollout = &made["updateService"]["rollout"];
        assert_eq!(rollout["outcome"], "ACKED", "{made:#}");
        assert_eq!((&rollout["total"], &rollout["nodes"]), (&json!(1), &json!([])), "{made:#}");
    }
}
