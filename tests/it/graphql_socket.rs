//! GraphQL over WebSocket, frame by frame: what no client library would send.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::support::{LIMIT, Plane};

const TRANSPORT: &str = "graphql-transport-ws";
const FOLLOW: &str = "subscription { nodeStatusChanged { cause } }";

/// A WebSocket of which every frame is ours.
pub(super) struct Raw(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Raw {
    /// Connects with these headers; the status if that is refused.
    async fn connect(plane: &Plane, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let url = plane.socket_url();
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(other) => panic!("{other}"),
        }
    }

    pub(super) async fn open(plane: &Plane) -> Self {
        Self::connect(plane, &[("sec-websocket-protocol", TRANSPORT)]).await.unwrap()
    }

    /// As [`Raw::open`], signed in as the administrator.
    async fn signed_in(plane: &Plane) -> Self {
        Self::signed_in_by(plane, plane.token()).await
    }

    /// As [`Raw::open`], signed in by this token.
    pub(super) async fn signed_in_by(plane: &Plane, token: &str) -> Self {
        let mut raw = Self::open(plane).await;
        raw.say(init(token)).await;
        assert_eq!(raw.hears().await, json!({ "type": "connection_ack" }));
        raw
    }

    pub(super) async fn say(&mut self, message: Value) {
        self.send(Message::text(message.to_string())).await;
    }

    async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    async fn next(&mut self) -> Message {
        self.received().await.expect("the socket ends with a close frame")
    }

    /// The next message that says something; none once the connection is broken.
    async fn received(&mut self) -> Option<Message> {
        loop {
            let next = timeout(LIMIT, self.0.next()).await.expect("something comes in time");
            let message = next?.ok()?;
            if !message.is_ping() && !message.is_pong() {
                return Some(message);
            }
        }
    }

    pub(super) async fn hears(&mut self) -> Value {
        self.hears_or_closed().await.unwrap()
    }

    /// The next message, or with which code the socket was closed; 1006 if it broke.
    pub(super) async fn hears_or_closed(&mut self) -> Result<Value, u16> {
        let message = self.received().await.ok_or(1006_u16)?;
        if let Message::Close(frame) = message {
            return Err(frame.expect("it has a code").code.into());
        }
        Ok(serde_json::from_str(message.to_text().unwrap()).unwrap())
    }

    /// The next message about this operation.
    async fn hears_of(&mut self, id: &str) -> Value {
        loop {
            let heard = self.hears().await;
            if heard["id"] == id {
                return heard;
            }
        }
    }

    /// Waits for the close frame: its code, and its reason.
    pub(super) async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.next().await {
                let frame = frame.expect("it has a code");
                return (CloseCode::into(frame.code), frame.reason.to_string());
            }
        }
    }
}

pub(super) fn init(token: &str) -> Value {
    json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {token}") } })
}

fn subscribe(id: &str, query: &str) -> Value {
    json!({ "type": "subscribe", "id": id, "payload": { "query": query } })
}

#[tokio::test]
async fn what_the_protocol_forbids_closes_the_socket() {
    let plane = Plane::start_as_newcomers_do().await;
    let anonymous = json!({ "type": "connection_init" });
    let text = |value: Value| Message::text(value.to_string());
    for (what, messages, want) in [
        ("asking before saying who", vec![text(subscribe("1", "{ me { id } }"))], 4401),
        ("saying it twice", vec![text(anonymous.clone()), text(anonymous.clone())], 4429),
        ("no JSON", vec![Message::text("{nope")], 4400),
        ("an unknown type", vec![text(anonymous.clone()), text(json!({ "type": "weird" }))], 4400),
        ("a very long unknown type", vec![text(json!({ "type": "ä".repeat(500) }))], 4400),
        ("no text", vec![Message::binary(b"x".to_vec())], 4400),
        ("no id", vec![text(anonymous), text(json!({ "type": "complete" }))], 4400),
        ("a bad token", vec![text(init("nonsense"))], 4403),
        (
            "an id that is taken",
            vec![
                text(init(plane.token())),
                text(subscribe("1", FOLLOW)),
                text(subscribe("1", FOLLOW)),
            ],
            4409,
        ),
    ] {
        let mut raw = Raw::open(&plane).await;
        for message in messages {
            // The server may have closed already, after the message before.
            drop(raw.0.send(message).await);
        }
        let (code, reason) = raw.closed().await;
        assert_eq!(code, want, "{what}: {reason}");
        assert!(!reason.is_empty() && reason.len() <= 123, "{what}: {reason}");
    }
}

#[tokio::test]
async fn only_the_protocol_that_is_spoken_is_taken() {
    let plane = Plane::start_as_newcomers_do().await;
    let mut raw = Raw::connect(&plane, &[]).await.unwrap();
    assert_eq!(raw.closed().await.0, 4406);
    for offered in ["graphql-ws", "foo"] {
        let url = plane.socket_url();
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", offered.parse().unwrap());
        let refused = tokio_tungstenite::connect_async(request).await;
        assert!(matches!(refused, Err(Error::Protocol(_))), "{offered}: none is chosen");
    }
    let both = [("sec-websocket-protocol", "graphql-ws, graphql-transport-ws")];
    let mut raw = Raw::connect(&plane, &both).await.unwrap();
    raw.say(init(plane.token())).await;
    assert_eq!(raw.hears().await["type"], "connection_ack");
    raw.say(subscribe("1", "{ me { username } }")).await;
    assert_eq!(raw.hears().await["type"], "next", "the legacy protocol says data");
}

#[tokio::test]
async fn pages_of_other_origins_may_not_connect() {
    let settings = vec![("CORS_ORIGINS", "https://friend.example".to_owned())];
    let plane = Plane::start_with(settings).await;
    let own = format!("http://127.0.0.1:{}", plane.http_port());
    for (origin, good) in [
        (own.as_str(), true),
        ("https://friend.example", true),
        ("https://evil.example", false),
        ("null", false),
    ] {
        let headers = [("sec-websocket-protocol", TRANSPORT), ("origin", origin)];
        let connected = Raw::connect(&plane, &headers).await.map(drop);
        assert_eq!(connected, if good { Ok(()) } else { Err(403) }, "{origin}");
    }
}

#[tokio::test]
async fn operations_come_and_go_on_one_socket() {
    let settings = vec![("GRAPHQL_OPERATIONS_PER_SOCKET", "2".to_owned())];
    let plane = Plane::start_with(settings).await;
    let mut raw = Raw::signed_in(&plane).await;
    raw.say(json!({ "type": "ping", "payload": { "a": 1 } })).await;
    assert_eq!(raw.hears().await, json!({ "type": "pong", "payload": { "a": 1 } }));

    raw.say(subscribe("bad", "subscription { nope }")).await;
    let refused = raw.hears().await;
    assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!("bad")));
    assert_eq!(refused["payload"][0]["extensions"]["code"], "INVALID", "{refused}");

    raw.say(subscribe("one", "subscription { snapshotPublished { revision } }")).await;
    raw.say(subscribe("two", FOLLOW)).await;
    raw.say(subscribe("three", FOLLOW)).await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let heard = raw.hears().await;
        seen.push((heard["type"].clone(), heard["id"].clone()));
    }
    assert!(seen.contains(&(json!("error"), json!("three"))), "{seen:?}");
    assert!(seen.contains(&(json!("next"), json!("one"))), "{seen:?}");

    // One that the client has completed makes room, and is not echoed.
    raw.say(json!({ "type": "complete", "id": "two" })).await;
    raw.say(subscribe("four", "{ me { username } }")).await;
    let answer = raw.hears_of("four").await;
    assert_eq!(answer["payload"]["data"]["me"]["username"], "admin", "{answer}");
    assert_eq!(raw.hears_of("four").await, json!({ "type": "complete", "id": "four" }));
}

#[tokio::test]
async fn a_session_that_ends_closes_its_sockets() {
    let plane = Plane::start_as_newcomers_do().await;
    let mut raw = Raw::signed_in(&plane).await;
    raw.say(subscribe("1", FOLLOW)).await;
    let mut other = Raw::open(&plane).await;
    plane.ask("mutation { logout { userId } }", json!({})).await.data();
    let (code, reason) = raw.closed().await;
    assert_eq!(code, 4403, "{reason}");
    other.say(init(plane.token())).await;
    assert_eq!(other.closed().await.0, 4403);
}

#[tokio::test]
async fn who_never_says_who_it_is_is_let_go() {
    let plane = Plane::start_as_newcomers_do().await;
    let mut raw = Raw::open(&plane).await;
    assert_eq!(raw.closed().await.0, 4408);
}

#[tokio::test]
async fn a_user_has_so_many_sockets() {
    let settings = vec![("GRAPHQL_SOCKETS_PER_USER", "2".to_owned())];
    let plane = Plane::start_with(settings).await;
    let first = Raw::signed_in(&plane).await;
    let _second = Raw::signed_in(&plane).await;
    let mut third = Raw::open(&plane).await;
    third.say(init(plane.token())).await;
    assert_eq!(third.closed().await.0, 4429);
    drop(first);
    crate::support::eventually("there is room again", async || {
        let mut raw = Raw::open(&plane).await;
        raw.say(init(plane.token())).await;
        let message = raw.next().await;
        if message.is_text() { Ok(()) } else { Err(format!("{message:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_stops_says_that_it_comes_back() {
    let mut plane = Plane::start_as_newcomers_do().await;
    let mut raw = Raw::signed_in(&plane).await;
    let stopping = tokio::task::spawn_blocking(move || plane.terminate());
    assert_eq!(raw.closed().await.0, 1012);
    drop(raw);
    let stopped = timeout(Duration::from_secs(20), stopping).await.unwrap().unwrap();
    assert!(stopped.success());
}
