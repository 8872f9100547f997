//! Warming: a changed cluster must not wait for a timeout.
//!
//! An Envoy accepts a changed cluster once that is warm. One that waits for
//! endpoints that nobody sends accepts it after its `initial_fetch_timeout`, 15
//! seconds. So this is about milliseconds or seconds, not about speed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::support::{Envoy, Plane, Protocol, Upstream};
use crate::traffic::in_both_protocols;

in_both_protocols! {
    a_changed_cluster_with_endpoints_by_eds_is_accepted_at_once,
}

const ROUNDS: usize = 5;
/// Best of all rounds: a machine may be busy, but not all the time.
const AT_ONCE: Duration = Duration::from_millis(100);
/// Any of them: far from the timeout.
const AT_ALL: Duration = Duration::from_secs(5);

async fn a_changed_cluster_with_endpoints_by_eds_is_accepted_at_once(protocol: Protocol) {
    let (plane, upstream) = (Plane::start().await, Upstream::start("one").await);
    let _envoy = Envoy::start(&plane, protocol).await;
    let id = plane.create_service("hello", upstream.port()).await;
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        // The cluster changes, its endpoints do not.
        let balancing = ["LEAST_REQUEST", "ROUND_ROBIN"][round % 2];
        let input = json!({ "id": id, "loadBalancing": balancing });
        let wait = json!({ "nodes": "ALL", "timeoutMs": 20000 });
        let made = plane.change_and_wait("updateService", "UpdateServiceInput", input, wait).await;
        assert_eq!(made["rollout"]["outcome"], "ACKED", "{made:#}");
        took.push(took_for_clusters(&plane).await);
    }
    took.sort();
    assert!(took[0] < AT_ONCE && took[ROUNDS - 1] < AT_ALL, "{took:?}");
}

/// From sending the last clusters to their ACK, by the server's own clock.
async fn took_for_clusters(plane: &Plane) -> Duration {
    let query = "{ xdsNodes { types { type sentAt ackedAt } } }";
    let node = plane.ask(query, json!({})).await.data()["xdsNodes"][0].clone();
    let mut types = node["types"].as_array().unwrap().iter();
    let clusters = types.find(|status| status["type"] == "CLUSTER").unwrap();
    let at = |key: &str| -> DateTime<Utc> { parsed(&clusters[key]) };
    (at("ackedAt") - at("sentAt")).to_std().unwrap_or_else(|e| panic!("{e}: {clusters:#}"))
}

fn parsed(time: &Value) -> DateTime<Utc> {
    time.as_str().unwrap().parse().unwrap()
}
