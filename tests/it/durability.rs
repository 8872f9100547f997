//! What was committed stays, and what comes at once comes in order.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Envoy, Plane, Protocol, Traffic, Upstream};

#[tokio::test]
async fn changes_that_come_at_once_are_all_made_one_after_the_other() {
    let (plane, upstream) = (Plane::start().await, Upstream::start("one").await);
    let _envoy = Envoy::start(&plane, Protocol::Delta).await;
    let before = plane.state().await["nodeGroups"]["nodes"][0]["revision"].as_i64().unwrap();
    let creates = (0..50).map(|i| {
        let input =
            json!({ "name": format!("s{i}"), "ipFqdn": "127.0.0.1", "port": upstream.port() });
        let wait = json!({ "nodes": "ALL", "timeoutMs": 20000 });
        plane.change_and_wait("createService", "CreateServiceInput", input, wait)
    });
    let mut revisions: Vec<_> = join_all(creates)
        .await
        .iter()
        .map(|made| {
            assert_eq!(made["rollout"]["outcome"], "ACKED", "{made:#}");
            made["revision"].as_i64().unwrap()
        })
        .collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (before + 1..=before + 50).collect::<Vec<_>>());
    for i in 0..50 {
        let got = Traffic::get(plane.listener, &format!("s{i}"), "/").await;
        assert_eq!(got.as_deref(), Ok("one"), "s{i}");
    }
}

#[tokio::test]
async fn what_was_answered_is_still_there_after_a_crash() {
    let mut plane = Plane::start().await;
    let mut answered = Vec::new();
    for round in 0..3 {
        for i in 0..10 {
            let name = format!("s{round}-{i}");
            let input = json!({ "name": name, "ipFqdn": "127.0.0.1", "port": 9 });
            plane.change("createService", "CreateServiceInput", input).await;
            answered.push(name);
        }
        plane.kill(); // at once after the last answer
        plane.start_again().await;
        let state = plane.state().await;
        let kept = state["services"]["nodes"].as_array().unwrap().iter();
        let kept: Vec<_> = kept.map(|s| s["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(kept, answered, "round {round}");
        let revision = &state["nodeGroups"]["nodes"][0];
        assert_eq!(revision["revision"], revision["snapshot"]["revision"]);
    }
}
