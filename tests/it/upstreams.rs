//! What a service says of its upstream, and a real Envoy that does it.

use std::sync::Arc;

use axum::Router;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::support::{Envoy, Https, Plane, Protocol, Traffic, Upstream, eventually, free_port};

fn all() -> Value {
    json!({ "nodes": "ALL", "timeoutMs": 20000 })
}

async fn create(plane: &Plane, input: Value) -> Value {
    let made = plane.change_and_wait("createService", "CreateServiceInput", input, all()).await;
    assert_eq!(made["rollout"]["outcome"], "ACKED", "{made:#}");
    made["service"]["id"].clone()
}

#[tokio::test]
async fn the_way_to_an_upstream_is_encrypted_and_its_certificate_verified() {
    let plane = Plane::start().await;
    let _envoy = Envoy::start(&plane, Protocol::Delta).await;
    let (good, other) = (Https::start("up.example").await, Https::start("up.example").await);
    let service = |name: &str, tls: Value, protocol: &str| {
        json!({ "name": name, "ipFqdn": "127.0.0.1", "port": good.port(), "protocol": protocol,
            "tls": tls })
    };
    let tls = |sni: &str, authority: &str| json!({ "sni": sni, "caPem": authority });
    for (name, tls, protocol, want) in [
        ("good", tls("up.example", &good.authority), "HTTP", Ok("HTTP/1.1")),
        ("good2", tls("up.example", &good.authority), "HTTP2", Ok("HTTP/2.0")),
        ("anybody", json!({ "verify": false }), "HTTP", Ok("HTTP/1.1")),
        ("misnamed", tls("other.example", &good.authority), "HTTP", Err("status 503")),
        ("forged", tls("up.example", &other.authority), "HTTP", Err("status 503")),
        ("stranger", json!({ "sni": "up.example" }), "HTTP", Err("status 503")),
    ] {
        create(&plane, service(name, tls, protocol)).await;
        let got = Traffic::get(plane.listener, name, "/").await;
        let got = got.as_deref().map_err(|e| e.split(':').next().unwrap());
        assert_eq!(got, want, "{name}");
    }

    // A new authority reaches the Envoy as a secret: the cluster stays.
    let id = create(&plane, service("renewed", tls("up.example", &other.authority), "HTTP")).await;
    assert!(Traffic::get(plane.listener, "renewed", "/").await.is_err());
    let input = json!({ "id": id, "tls": tls("up.example", &good.authority) });
    plane.change_and_wait("updateService", "UpdateServiceInput", input, all()).await;
    Traffic::until(plane.listener, "renewed", "HTTP/1.1").await;
}

#[tokio::test]
async fn an_endpoint_may_be_a_name_that_envoy_resolves() {
    let (plane, upstream) = (Plane::start().await, Upstream::start("by name").await);
    let _envoy = Envoy::start(&plane, Protocol::Delta).await;
    let input = json!({ "name": "named", "ipFqdn": "localhost", "port": upstream.port() });
    let id = create(&plane, input).await;
    assert_eq!(Traffic::get(plane.listener, "named", "/").await.as_deref(), Ok("by name"));
    // From a name to an address, and back: the cluster changes its kind.
    for host in ["127.0.0.1", "localhost"] {
        let input = json!({ "id": id, "ipFqdn": host });
        let made = plane.change_and_wait("updateService", "UpdateServiceInput", input, all()).await;
        assert_eq!(made["rollout"]["outcome"], "ACKED", "{made:#}");
        assert_eq!(Traffic::get(plane.listener, "named", "/").await.as_deref(), Ok("by name"));
    }
}

#[tokio::test]
async fn an_endpoint_that_fails_its_probes_gets_no_traffic() {
    let (plane, upstream) = (Plane::start().await, Upstream::start("alive").await);
    let envoy = Envoy::start(&plane, Protocol::Delta).await;
    let input = json!({
        "name": "probed", "ipFqdn": "127.0.0.1", "port": upstream.port(),
        "endpoints": [{ "host": "127.0.0.1", "port": free_port() }],
        // Nobody listens at one of them, which is told at once; the other is given time.
        "healthCheck": { "path": "/health", "intervalMs": 10000, "timeoutMs": 10000,
            "healthyThreshold": 1, "unhealthyThreshold": 1 },
    });
    create(&plane, input).await;
    envoy.until_stat("cluster.cluster_1_service_1.membership_healthy", |n| n == 1).await;
    assert_eq!(envoy.stat("cluster.cluster_1_service_1.membership_total").await, 2);
    for _ in 0..20 {
        let got = Traffic::get(plane.listener, "probed", "/").await;
        assert_eq!(got.as_deref(), Ok("alive"));
    }
}

#[tokio::test]
async fn a_failed_request_is_tried_again_where_the_route_says_so() {
    let (plane, upstream) = (Plane::start().await, Upstream::start("alive").await);
    let _envoy = Envoy::start(&plane, Protocol::Delta).await;
    let input = json!({
        "name": "half", "ipFqdn": "127.0.0.1", "port": upstream.port(),
        "endpoints": [{ "host": "127.0.0.1", "port": free_port() }],
    });
    let half = create(&plane, input).await;
    let route = json!({
        "name": "retried", "hosts": ["retried.example"], "backends": [{ "service": half }],
        "retries": { "attempts": 3 },
    });
    plane.change_and_wait("createRoute", "CreateRouteInput", route, all()).await;
    let mut failed = 0;
    for _ in 0..20 {
        let got = Traffic::get(plane.listener, "retried.example", "/").await;
        assert_eq!(got.as_deref(), Ok("alive"));
        failed += usize::from(Traffic::get(plane.listener, "half", "/").await.is_err());
    }
    assert!(failed > 0, "without retries some requests fail");
}

#[tokio::test]
async fn a_websocket_goes_through_where_the_route_says_so() {
    let plane = Plane::start().await;
    let _envoy = Envoy::start(&plane, Protocol::Delta).await;
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = listener.local_addr().unwrap().port();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { continue };
            while let Some(Ok(Message::Text(text))) = socket.next().await {
                socket.send(Message::Text(format!("echo {text}").into())).await.unwrap();
            }
        }
    });
    let echo = create(&plane, json!({ "name": "echo", "ipFqdn": "127.0.0.1", "port": port })).await;
    let route = json!({
        "name": "ws", "hosts": ["ws.example"], "websocket": true,
        "backends": [{ "service": echo }],
    });
    plane.change_and_wait("createRoute", "CreateRouteInput", route, all()).await;

    let connect = async |host: &'static str| {
        let url = format!("ws://127.0.0.1:{}/", plane.listener);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("host", host.parse().unwrap());
        tokio_tungstenite::connect_async(request).await
    };
    let (mut socket, _) = connect("ws.example").await.unwrap();
    socket.send(Message::Text("hello".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Text("echo hello".into()));
    assert!(connect("echo").await.is_err(), "a route that does not say so");
}

#[tokio::test]
async fn prefixes_and_hosts_are_rewritten() {
    let plane = Plane::start().await;
    let _envoy = Envoy::start(&plane, Protocol::Delta).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(async |request: axum::extract::Request| {
        format!("{} {}", request.headers()["host"].to_str().unwrap(), request.uri())
    });
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let seen = create(&plane, json!({ "name": "s", "ipFqdn": "127.0.0.1", "port": port })).await;
    let route = json!({
        "name": "r", "hosts": ["r.example"], "path": { "prefix": "/old/" },
        "prefixRewrite": "/new/", "hostRewrite": "inner.example",
        "backends": [{ "service": seen }],
    });
    plane.change_and_wait("createRoute", "CreateRouteInput", route, all()).await;
    eventually("the rewritten request", async || {
        let got = Traffic::get(plane.listener, "r.example", "/old/a?b=c").await;
        if got.as_deref() == Ok("inner.example /new/a?b=c") {
            Ok(())
        } else {
            Err(format!("{got:?}"))
        }
    })
    .await;
}
