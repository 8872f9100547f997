//! What others lend us, and takes away: Redis, the licence server, the database. Each
//! is killed, or goes on accepting and says nothing. Whoever asks is told within ten
//! seconds, or is served without it; and what was answered is kept.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::{
    Envoy, Plane, Postgres, Protocol, Redis, TakenPort, Traffic, Upstream, eventually,
};

/// Nothing waits for longer, whoever is away.
const LONGEST: Duration = Duration::from_secs(10);

/// What became of an outage.
#[derive(Clone, Copy, Debug)]
enum Outage {
    /// The server is killed: connections break, and none can be made.
    Killed,
    /// The server is stopped: it accepts, and never answers.
    Silent,
}

/// Asks, and is answered within ten seconds.
async fn soon<T>(what: &str, answer: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let answer = answer.await;
    assert!(began.elapsed() < LONGEST, "{what} took {:?}", began.elapsed());
    answer
}

async fn create(plane: &Plane, name: &str, port: u16) -> (u16, Value) {
    let input = json!({
        "name": name, "ip_fqdn": "127.0.0.1", "port": port, "protocol": "http", "cluster_id": 1,
    });
    soon(name, plane.rest("POST", "/api/v1/services", input)).await
}

async fn status(plane: &Plane, path: &str) -> u16 {
    let answer = soon(path, plane.http_request("GET", path).send()).await;
    answer.unwrap().status().as_u16()
}

async fn sign_in(plane: &Plane, password: &str) -> u16 {
    let body = json!({ "username": "admin", "password": password });
    let request = plane.http_request("POST", "/api/v1/auth/login").json(&body);
    soon("signing in", request.send()).await.unwrap().status().as_u16()
}

async fn names(plane: &Plane) -> Vec<String> {
    let services = plane.state().await["services"]["nodes"].clone();
    let services = services.as_array().unwrap().iter();
    let names = services.map(|service| service["name"].as_str().unwrap().to_owned());
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

async fn until_healthy(plane: &Plane) {
    eventually("the server is healthy", async || match status(plane, "/healthz").await {
        200 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
}

/// Waits until Redis has been found so many times.
async fn in_touch(plane: &Plane, times: usize) {
    eventually("Redis is found", async || {
        let found = plane.log().matches("in touch with the other instances").count();
        if found >= times { Ok(()) } else { Err(found.to_string()) }
    })
    .await;
}

#[tokio::test]
async fn without_redis_every_request_is_answered_and_every_limit_holds() {
    join_all([Outage::Killed, Outage::Silent].map(async |outage| {
        let redis = Redis::start().await;
        let upstream = Upstream::start("one").await;
        let plane = Plane::start_with(vec![
            ("REDIS_URL", redis.url()),
            ("RATE_LIMIT_PER_IP", "100000".to_owned()),
            ("RATE_LIMIT_PER_USER", "100000".to_owned()),
            ("RATE_LIMIT_SIGN_IN", "3".to_owned()),
        ])
        .await;
        let _envoy = Envoy::start(&plane, Protocol::Delta).await;
        in_touch(&plane, 1).await;
        assert_eq!(create(&plane, "before", upstream.port()).await.0, 201);

        match outage {
            Outage::Killed => redis.kill().await,
            Outage::Silent => redis.freeze().await,
        }
        for name in ["during", "during-too"] {
            let (status, made) = create(&plane, name, upstream.port()).await;
            assert_eq!(status, 201, "{outage:?}: {made}");
            Traffic::until(plane.listener, name, "one").await;
        }
        // The instance counts by itself; wherever the minute ends, two of these runs of
        // four are in one.
        let mut answers = vec![];
        for _ in 0..8 {
            answers.push(sign_in(&plane, "a wrong password").await);
        }
        assert!(answers.contains(&401) && answers.contains(&429), "{outage:?}: {answers:?}");
        assert_eq!(status(&plane, "/healthz").await, 200, "{outage:?}");

        match outage {
            Outage::Killed => redis.start_again().await,
            Outage::Silent => redis.thaw().await,
        }
        if matches!(outage, Outage::Killed) {
            in_touch(&plane, 2).await;
        }
        assert_eq!(create(&plane, "after", upstream.port()).await.0, 201);
        Traffic::until(plane.listener, "after", "one").await;
        assert_eq!(names(&plane).await, ["after", "before", "during", "during-too"], "{outage:?}");
    }))
    .await;
}

#[tokio::test]
async fn without_the_database_whoever_asks_is_told_so_and_envoys_serve_on() {
    join_all([Outage::Killed, Outage::Silent].map(async |outage| {
        let server = Postgres::start().await;
        // As it is out there: what is committed survives a crash of the server. The test's
        // own is told not to wait, for speed.
        server.run("postgres", "ALTER ROLE tester SET synchronous_commit = on").await;
        let plane = Plane::start_with(vec![("DATABASE_URL", server.database().await)]).await;
        let upstream = Upstream::start("one").await;
        let _envoy = Envoy::start(&plane, Protocol::Delta).await;
        assert_eq!(create(&plane, "before", upstream.port()).await.0, 201);
        Traffic::until(plane.listener, "before", "one").await;
        let traffic = Traffic::start(plane.listener, "before");

        match outage {
            Outage::Killed => server.kill().await,
            Outage::Silent => server.freeze().await,
        }
        // At once: each waits as long as it may.
        let ((created, said), (listed, _), answer, signed_in, healthz, readyz) = tokio::join!(
            create(&plane, "never", upstream.port()),
            soon("a list", plane.rest("GET", "/api/v1/services", Value::Null)),
            soon("GraphQL", plane.ask("{ services { totalCount } }", json!({}))),
            sign_in(&plane, "correct horse battery staple"),
            status(&plane, "/healthz"),
            status(&plane, "/readyz"),
        );
        assert_eq!([created, listed, signed_in, healthz, readyz], [503; 5], "{outage:?}");
        assert!(said["detail"].as_str().is_some_and(|said| said.contains("database")), "{said}");
        assert_eq!(answer.error()["extensions"]["code"], "UNAVAILABLE", "{outage:?}: {answer:?}");

        match outage {
            Outage::Killed => server.start_again().await,
            Outage::Silent => server.thaw().await,
        }
        until_healthy(&plane).await;
        let (answered, made) = create(&plane, "after", upstream.port()).await;
        assert_eq!(answered, 201, "{outage:?}: {made}");
        Traffic::until(plane.listener, "after", "one").await;
        assert_eq!(names(&plane).await, ["after", "before"], "{outage:?}");
        assert_eq!(traffic.stop().await.failed, Vec::<String>::new(), "{outage:?}");
    }))
    .await;
}

const LICENCE: &str = "{ licence { tier standing reason } }";

/// How a licence server behaves that is of no use.
#[derive(Clone, Copy, Debug)]
enum Useless {
    /// Says this to every request, and hangs up.
    Says(&'static str),
    /// Begins to answer, and never goes on.
    Begins,
}

/// Serves, and says where.
async fn serve(serving: &mut JoinSet<()>, useless: Useless) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    serving.spawn(async move {
        let mut open = vec![];
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            // Some of it is enough to answer to.
            let Ok(1..) = socket.read(&mut request).await else { continue };
            match useless {
                Useless::Says(answer) => {
                    socket.write_all(answer.as_bytes()).await.ok();
                }
                Useless::Begins => {
                    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"valid\": ";
                    socket.write_all(answer.as_bytes()).await.ok();
                    open.push(socket);
                }
            }
        }
    });
    url
}

fn licensed(server: String) -> Vec<(&'static str, String)> {
    vec![
        ("RELEASE_MODE", "true".to_owned()),
        ("LICENSE_KEY", "PENG-0000-0000-0000-0000-ABCD".to_owned()),
        ("LICENSE_SERVER_URL", server),
    ]
}

/// What the licence is, once the server has been given up.
async fn unknown(plane: &Plane) -> Value {
    let began = Instant::now();
    let licence = eventually("the licence server is given up", async || {
        let licence = plane.ask(LICENCE, json!({})).await.data()["licence"].clone();
        let is_known =
            licence["standing"] == "UNKNOWN" && licence["reason"] != "it was not asked yet";
        if is_known { Ok(licence) } else { Err(licence.to_string()) }
    })
    .await;
    assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
    licence
}

#[tokio::test]
async fn a_licence_server_that_says_nothing_or_nonsense_holds_up_nobody() {
    let mut serving = JoinSet::new();
    let silent = TakenPort::new(); // takes connections, and never says a word
    let page = "HTTP/1.1 200 OK\r\ncontent-length: 15\r\nconnection: close\r\n\r\n<html>hi</html>";
    let fault = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let servers = [
        (format!("http://127.0.0.1:{}", silent.port()), "it does not answer in time"),
        (serve(&mut serving, Useless::Begins).await, "it does not answer in time"),
        (
            serve(&mut serving, Useless::Says("\0\u{1}garbage\r\n\r\n")).await,
            "it cannot be reached",
        ),
        (serve(&mut serving, Useless::Says("")).await, "it cannot be reached"),
        (serve(&mut serving, Useless::Says(page)).await, ""),
        (serve(&mut serving, Useless::Says(fault)).await, "it answers 502 Bad Gateway"),
    ];
    for (server, reason) in servers {
        let mut plane = Plane::start_with(licensed(server.clone())).await;
        // Meanwhile all else goes on.
        assert_eq!(create(&plane, "meanwhile", 80).await.0, 201, "{server}");
        let licence = unknown(&plane).await;
        assert_eq!(licence["tier"], "community", "{licence}");
        let said = licence["reason"].as_str().unwrap();
        assert!(!said.is_empty() && (reason.is_empty() || said == reason), "{said}, not {reason}");
        let (refused, said) =
            plane.rest("POST", "/api/v1/clusters", json!({ "name": "second" })).await;
        assert_eq!(refused, 402, "{said}");
        assert_eq!(names(&plane).await, ["meanwhile"]);
        assert!(!plane.log().contains("PENG-0000"), "the key is in the log");
        let began = Instant::now();
        assert!(plane.terminate().success());
        assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
    }
}
