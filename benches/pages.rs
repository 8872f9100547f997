//! Whether a late page of a large group costs more than the first one.
//!
//! ```text
//! cargo bench --bench pages -- 100000
//! ```
//!
//! So many services in one group; pages of 20 of them, asked for by GraphQL: the first, and
//! the last by its cursor, by turns in one run. Quote the ratio.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench, which prints its result")]

#[expect(dead_code, unused_imports, reason = "the tests use all of it")]
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Plane, Rows};

const PAGE: u32 = 20;
const WARM_UP: usize = 5;
const QUERY: &str = "query($first: Int!, $after: String) { services(first: $first, after: $after) {
    nodes { id name endpoints { host port } nodeGroup { name } }
    pageInfo { endCursor hasNextPage } } }";

fn main() {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let said = std::env::args().find_map(|argument| argument.parse().ok());
    let count = said.unwrap_or(if is_bench { 100_000 } else { 1000 });
    let rounds = if is_bench { 200 } else { 2 };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure(count, rounds));
}

async fn measure(count: u32, rounds: usize) {
    let plane = Plane::start().await;
    plane.create_service("first", 80).await;
    Rows::open(&plane).await.multiply_services(count - 1).await;
    // To the last page by the cursors of those before, as a client gets there.
    let (mut last, mut left) = (Value::Null, count - PAGE);
    while left > 0 {
        let step = left.min(200);
        let page = page(&plane, step, &last).await.1;
        last = page["pageInfo"]["endCursor"].clone();
        left -= step;
    }
    let (mut early, mut late) = (vec![], vec![]);
    for round in 0..WARM_UP + rounds {
        let first = page(&plane, PAGE, &Value::Null).await;
        let latest = page(&plane, PAGE, &last).await;
        assert_eq!(first.1["nodes"].as_array().unwrap().len(), 20);
        assert_eq!(latest.1["nodes"].as_array().unwrap().len(), 20);
        assert_eq!(latest.1["pageInfo"]["hasNextPage"], false);
        if round >= WARM_UP {
            early.push(first.0);
            late.push(latest.0);
        }
    }
    let (early, late) = (median(early), median(late));
    let number = count / PAGE;
    println!("{count} services, {rounds} rounds, pages of {PAGE}:");
    println!("  page 1      median {early:6.2} ms");
    println!("  page {number:<6} median {late:6.2} ms  {:5.2} x", late / early);
}

async fn page(plane: &Plane, first: u32, after: &Value) -> (Duration, Value) {
    let began = Instant::now();
    let data = plane.ask(QUERY, json!({ "first": first, "after": after })).await.data();
    (began.elapsed(), data["services"].clone())
}

/// In milliseconds.
fn median(mut took: Vec<Duration>) -> f64 {
    took.sort_unstable();
    took[took.len() / 2].as_secs_f64() * 1000.0
}
