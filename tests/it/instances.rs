//! Several instances on one database: what one commits, the Envoys of all get.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::{interval, timeout};

use crate::support::{Envoy, Kind, Plane, Protocol, Redis, Traffic, Upstream};
use crate::support::{eventually, free_port};

/// How often the publisher looks, nudged or not.
const TICK: Duration = Duration::from_secs(30);

/// Two instances on one database, and on this Redis if there is one.
async fn two(redis: Option<&Redis>) -> [Plane; 2] {
    let database = Kind::Postgres.database(Path::new("")).await;
    let mut settings = vec![("DATABASE_URL", database)];
    settings.extend(redis.map(|redis| ("REDIS_URL", redis.url())));
    let here = Plane::start_with(settings.clone()).await;
    // Its start moves the listener that both have.
    [here, Plane::start_with(settings).await]
}

async fn create_service(plane: &Plane, name: &str, port: u16) {
    let input = json!({ "name": name, "ipFqdn": "127.0.0.1", "port": port });
    plane.change("createService", "CreateServiceInput", input).await;
}

/// Waits until an Envoy of `plane` has a service.
async fn arrives(plane: &Plane, name: &str) {
    eventually(&format!("{name} arrives"), async || {
        Traffic::get(plane.listener, name, "/").await.map(drop)
    })
    .await;
}

async fn logs(plane: &Plane, words: &str) {
    eventually(&format!("{words:?} is logged"), async || {
        if plane.log().contains(words) { Ok(()) } else { Err("it is not") }.map_err(str::to_owned)
    })
    .await;
}

#[tokio::test]
async fn a_change_at_one_instance_reaches_the_envoy_of_the_other() {
    let redis = Redis::start().await;
    let [here, there] = two(Some(&redis)).await;
    let upstream = Upstream::start("one").await;
    let _envoy = Envoy::start(&there, Protocol::Delta).await;
    logs(&here, "in touch with the other instances").await;
    logs(&there, "in touch with the other instances").await;
    let began = Instant::now();
    for name in ["a", "b", "c"] {
        create_service(&here, name, upstream.port()).await;
        arrives(&there, name).await;
    }
    // One of them might have come by the tick, not all three.
    assert!(began.elapsed() < TICK, "{:?}", began.elapsed());
}

#[tokio::test]
async fn without_redis_a_change_reaches_the_other_at_its_next_look() {
    let [here, there] = two(None).await;
    let upstream = Upstream::start("one").await;
    let _envoy = Envoy::start(&there, Protocol::Delta).await;
    create_service(&here, "late", upstream.port()).await;
    let mut look = interval(Duration::from_millis(100));
    let late = async {
        while Traffic::get(there.listener, "late", "/").await.is_err() {
            look.tick().await;
        }
    };
    timeout(TICK + Duration::from_secs(10), late).await.unwrap();
}

#[tokio::test]
async fn while_redis_is_away_all_else_goes_on_and_what_was_missed_is_made_up_for() {
    let redis = Redis::start().await;
    let [here, there] = two(Some(&redis)).await;
    let upstream = Upstream::start("one").await;
    let _envoy = Envoy::start(&there, Protocol::Delta).await;
    logs(&here, "in touch with the other instances").await;

    redis.stop().await;
    logs(&here, "out of touch with the other instances").await;
    logs(&there, "out of touch with the other instances").await;
    there.create_service("own", upstream.port()).await; // and waits for the ACK
    create_service(&here, "missed", upstream.port()).await;
    redis.start_again().await;
    arrives(&there, "missed").await;

    redis.freeze().await;
    let began = Instant::now();
    there.create_service("frozen", upstream.port()).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    create_service(&here, "missed-too", upstream.port()).await;
    redis.thaw().await;
    arrives(&there, "missed-too").await;
}

#[tokio::test]
async fn a_server_starts_without_its_redis_and_stops_without_it() {
    let redis = format!("redis://:hunter2@127.0.0.1:{}/0", free_port());
    let mut plane = Plane::start_with(vec![("REDIS_URL", redis)]).await;
    logs(&plane, "out of touch with the other instances").await;
    assert!(plane.terminate().success());
    assert!(!plane.log().contains("hunter2"), "{}", plane.log());
}
