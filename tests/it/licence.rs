//! The licence, with a licence server on this machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Plane, eventually, free_port};

const LICENCE: &str = "{ licence { tier standing reason mostProxies features graceUntil } }";

/// A licence server that says yes while `yes` does.
async fn serve(serving: &mut JoinSet<()>, yes: Arc<AtomicBool>) -> String {
    let validate = async move || {
        let valid = yes.load(Ordering::Relaxed);
        let features = json!([{ "name": "multi_cluster", "entitled": true }]);
        axum::Json(json!({ "valid": valid, "tier": "enterprise", "features": features }))
    };
    let router = Router::new()
        .route("/api/v2/validate", post(validate))
        .route("/api/v2/keepalive", post(async || StatusCode::OK));
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    serving.spawn(async move { axum::serve(socket, router).await.unwrap() });
    url
}

fn settings(server: String) -> Vec<(&'static str, String)> {
    vec![
        ("RELEASE_MODE", "true".to_owned()),
        ("LICENSE_KEY", "PENG-0000-0000-0000-0000-ABCD".to_owned()),
        ("LICENSE_SERVER_URL", server),
    ]
}

async fn until_it_stands(plane: &Plane, standing: &str) -> Value {
    eventually("the licence server is heard", async || {
        let licence = plane.ask(LICENCE, json!({})).await.data()["licence"].clone();
        if licence["standing"] == standing { Ok(licence) } else { Err(licence.to_string()) }
    })
    .await
}

async fn add_group(plane: &Plane, name: &str) -> Value {
    let query = "mutation($input: CreateNodeGroupInput!) {
        createNodeGroup(input: $input) { nodeGroup { name } } }";
    plane.ask(query, json!({ "input": { "name": name } })).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_licence_allows_more_and_outlives_its_server() {
    let mut serving = JoinSet::new();
    let yes = Arc::new(AtomicBool::new(true));
    let server = serve(&mut serving, yes).await;
    let mut plane = Plane::start_with(settings(server)).await;
    let licence = until_it_stands(&plane, "VALID").await;
    assert_eq!(licence["features"], json!(["multi_cluster"]));
    assert!(add_group(&plane, "second").await["errors"].is_null());

    serving.shutdown().await;
    tokio::task::block_in_place(|| plane.terminate());
    plane.start_again().await;
    let licence = until_it_stands(&plane, "GRACE").await;
    assert_eq!(licence["tier"], "enterprise");
    assert!(add_group(&plane, "third").await["errors"].is_null());
    assert!(!plane.log().contains("PENG-0000"), "the key is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_licence_there_is_one_group() {
    let mut serving = JoinSet::new();
    let server = serve(&mut serving, Arc::default()).await;
    let plane = Plane::start_with(settings(server)).await;
    let licence = until_it_stands(&plane, "INVALID").await;
    assert_eq!((&licence["tier"], &licence["mostProxies"]), (&json!("community"), &json!(3)));
    let answer = add_group(&plane, "second").await;
    let error = &answer["errors"][0];
    assert_eq!(error["extensions"]["code"], "LICENCE_LIMIT", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_licence_server_that_is_away_holds_up_nobody() {
    let away = format!("http://127.0.0.1:{}", free_port());
    let plane = Plane::start_with(settings(away)).await;
    let licence = until_it_stands(&plane, "UNKNOWN").await;
    assert_eq!(licence["reason"], "it cannot be reached");
}
