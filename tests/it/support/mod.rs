//! What the tests stand on: a real server process, real Envoys, real upstreams
//! and a real subscription client, each on free loopback ports of its own.

mod contents;
mod envoy;
mod https;
mod pki;
mod plane;
mod ports;
mod postgres;
mod process;
mod redis;
mod rows;
mod scripted;
mod secure_traffic;
mod stores;
mod subscription;
mod traffic;
mod upstream;

use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) use envoy::{Envoy, Protocol};
pub(crate) use https::Https;
pub(crate) use pki::{Authority, Pair, secure_channel};
pub(crate) use plane::{PASSWORD, Plane, SECRET_KEY};
pub(crate) use ports::{TakenPort, free_port};
pub(crate) use postgres::{Kind, Postgres};
pub(crate) use process::Process;
pub(crate) use redis::Redis;
pub(crate) use rows::Rows;
pub(crate) use secure_traffic::{SecureTraffic, secure_get};
pub(crate) use stores::{CLIENT_SECRET, Mood, Stores, VAULT_TOKEN, settings as store_settings};
pub(crate) use subscription::Subscription;
pub(crate) use traffic::Traffic;
pub(crate) use upstream::Upstream;

/// How long a test waits for something that must come.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Asks again and again until the answer is good; the last bad one is told.
///
/// For what tells nobody when it changes: the admin page of an Envoy, a port
/// that opens. What does tell is waited for by subscription.
pub(crate) async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Result<T, String>) -> T {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        tick.tick().await;
        match ask().await {
            Ok(answer) => return answer,
            Err(last) if tokio::time::Instant::now() > deadline => {
                panic!("{what}: not within {LIMIT:?}; last seen: {last}")
            }
            Err(_) => {}
        }
    }
}

/// Where `scripts/NAME` has installed what it is for.
pub(crate) fn installed(name: &str) -> String {
    let script = format!("{}/scripts/{name}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(&script).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{script} could not install {name}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
