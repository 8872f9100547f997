//! From a GraphQL mutation to the ACK of one real Envoy.
//!
//! Each round changes an endpoint of one service and waits, in the mutation
//! itself (`waitFor`), until Envoy has acknowledged everything. Printed beside
//! it, from the same run: the mutation that does not wait, and a query that
//! changes nothing. Quote the ratios; milliseconds are the machine's.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a bench, which prints its result and stops at the first trouble"
)]

#[expect(dead_code, unused_imports, reason = "the tests use all of it")]
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Envoy, Plane, Protocol};

const ROUNDS: usize = 200;
const WARM_UP: usize = 20;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for services in [1, 100] {
        runtime.block_on(measure(services));
    }
}

async fn measure(services: usize) {
    let plane = Plane::start().await;
    let _envoy = Envoy::start(&plane, Protocol::Delta).await;
    let id = plane.create_service("s0", 9).await;
    for i in 1..services {
        let input = json!({ "name": format!("s{i}"), "ipFqdn": "127.0.0.1", "port": 9 });
        plane.change("createService", "CreateServiceInput", input).await;
    }
    let all = json!({ "nodes": "ALL", "timeoutMs": 20000 });
    let found = "query($id: ID!) { service(id: $id) { revision } }";
    let found = plane.ask(found, json!({ "id": id })).await.data();
    let revision = std::cell::Cell::new(found["service"]["revision"].as_i64().unwrap());
    let change = async |i: usize, wait: Value| {
        let input = json!({ "id": id, "ifRevision": revision.get(), "port": 1000 + i });
        let made = plane.change_and_wait("updateService", "UpdateServiceInput", input, wait).await;
        revision.set(made["revision"].as_i64().unwrap());
        made
    };
    let acked = rounds(async |i| {
        let payload = change(i, all.clone()).await;
        assert_eq!(payload["rollout"]["outcome"], "ACKED");
    });
    let acked = acked.await;
    let committed = rounds(async |i| drop(change(i + 1000, Value::Null).await)).await;
    let query = rounds(async |_| drop(plane.ask("{ viewer { username } }", json!({})).await)).await;

    println!("{services} services, {ROUNDS} rounds:");
    print("query that changes nothing", &query, &query);
    print("mutation, committed", &committed, &query);
    print("mutation, acked by Envoy", &acked, &query);
}

async fn rounds(round: impl AsyncFn(usize)) -> Vec<Duration> {
    let mut took = Vec::with_capacity(ROUNDS);
    for i in 0..WARM_UP + ROUNDS {
        let began = Instant::now();
        round(i).await;
        if i >= WARM_UP {
            took.push(began.elapsed());
        }
    }
    took.sort();
    took
}

fn print(what: &str, took: &[Duration], query: &[Duration]) {
    let at = |took: &[Duration], part: f64| {
        let place = (took.len() as f64 * part).ceil() as usize;
        took[place.clamp(1, took.len()) - 1].as_secs_f64() * 1000.0
    };
    let [median, p99] = [at(took, 0.5), at(took, 0.99)];
    println!(
        "  {what:<28} median {median:6.2} ms  p99 {p99:6.2} ms  {:5.1} x",
        median / at(query, 0.5)
    );
}
