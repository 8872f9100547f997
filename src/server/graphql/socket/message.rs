//! The messages of graphql-transport-ws, and the codes that end a socket.
//!
//! Source: <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>.

use async_graphql::{Response, ServerError};
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The only protocol that is spoken.
pub(super) const PROTOCOL: &str = "graphql-transport-ws";

/// No close frame has room for a longer reason (RFC 6455, section 5.5).
const LONGEST_REASON: usize = 123;

/// What a client says.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum FromClient {
    /// Who it is; first, and once.
    ConnectionInit { payload: Option<Map<String, Value>> },
    /// To be answered with the same payload.
    Ping { payload: Option<Map<String, Value>> },
    /// That it is there.
    Pong {},
    /// An operation, and what the client calls it.
    Subscribe { id: String, payload: Map<String, Value> },
    /// That it wants no more of an operation.
    Complete { id: String },
}

/// What the server says.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToClient<'a> {
    /// That the client may begin.
    ConnectionAck,
    /// The answer to a ping.
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Map<String, Value>>,
    },
    /// A result of an operation.
    Next { id: &'a str, payload: &'a Response },
    /// Why an operation is not executed; it is over.
    Error { id: &'a str, payload: &'a [ServerError] },
    /// That an operation is over.
    Complete { id: &'a str },
}

/// Why a socket is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// The server stops: come back.
    GoingAway,
    /// It is too slow to be told everything.
    TooSlow,
    /// It has sent what the protocol does not know.
    Invalid(String),
    /// It has asked before it said who it is.
    Unauthorized,
    /// It may not do this, or not any more.
    Forbidden(String),
    /// It speaks another protocol.
    Subprotocol,
    /// It has not said in time who it is.
    InitTimeout,
    /// An operation of this id is under way.
    SubscriberExists(String),
    /// It has said twice who it is.
    TooManyInits,
    /// The user has too many sockets.
    TooManySockets,
}

impl FromClient {
    /// Reads a message; what is none closes the socket.
    pub(super) fn read(text: &str) -> Result<Self, Close> {
        let read: Self = serde_json::from_str(text)
            .map_err(|wrong| Close::Invalid(format!("invalid message: {wrong}")))?;
        match &read {
            Self::Subscribe { id, .. } if id.is_empty() => {
                Err(Close::Invalid("invalid message: the id is empty".to_owned()))
            }
            Self::Subscribe { .. }
            | Self::ConnectionInit { .. }
            | Self::Ping { .. }
            | Self::Pong {}
            | Self::Complete { .. } => Ok(read),
        }
    }
}

impl ToClient<'_> {
    /// The message as it is sent.
    pub(super) fn written(&self) -> Result<Message, serde_json::Error> {
        let text = Bytes::from(serde_json::to_vec(self)?);
        let text = Utf8Bytes::try_from(text).map_err(serde::ser::Error::custom)?;
        Ok(Message::Text(text))
    }
}

impl Close {
    /// The code, and the reason, as the protocol has them.
    fn told(&self) -> (u16, &str) {
        match self {
            Self::GoingAway => (1012, "Service restart"),
            Self::TooSlow => (1013, "Try again later"),
            Self::Invalid(reason) => (4400, reason),
            Self::Unauthorized => (4401, "Unauthorized"),
            Self::Forbidden(reason) => (4403, reason),
            Self::Subprotocol => (4406, "Subprotocol not acceptable"),
            Self::InitTimeout => (4408, "Connection initialisation timeout"),
            Self::SubscriberExists(reason) => (4409, reason),
            Self::TooManyInits => (4429, "Too many initialisation requests"),
            Self::TooManySockets => (4429, "Too many connections of this user"),
        }
    }

    /// That an operation called `id` is under way.
    pub(super) fn subscriber_exists(id: &str) -> Self {
        Self::SubscriberExists(format!("Subscriber for {id} already exists"))
    }

    /// The frame that says so.
    pub(super) fn frame(&self) -> Message {
        let (code, reason) = self.told();
        let mut end = reason.len().min(LONGEST_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Message::Close(Some(CloseFrame { code, reason: reason[..end].into() }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_read_and_others_refused() {
        let read = |value: Value| FromClient::read(&value.to_string());
        assert_eq!(
            read(json!({ "type": "connection_init" })),
            Ok(FromClient::ConnectionInit { payload: None })
        );
        assert_eq!(
            read(json!({ "type": "complete", "id": "1" })),
            Ok(FromClient::Complete { id: "1".to_owned() })
        );
        for wrong in [
            json!({ "type": "weird" }),
            json!({ "type": "subscribe", "id": 1, "payload": {} }),
            json!({ "type": "subscribe", "id": "", "payload": {} }),
            json!({ "type": "subscribe", "id": "1" }),
            json!({ "type": "ping", "payload": "x" }),
            json!([]),
            json!({}),
        ] {
            let refused = read(wrong.clone());
            assert!(matches!(refused, Err(Close::Invalid(_))), "{wrong}: {refused:?}");
        }
        assert!(FromClient::read("{nope").is_err());
    }

    #[test]
    fn a_reason_fits_into_its_frame() {
        let long = Close::subscriber_exists(&"ä".repeat(200));
        let Message::Close(Some(frame)) = long.frame() else { panic!("no close frame") };
        assert!(frame.reason.len() <= LONGEST_REASON, "{}", frame.reason.len());
        assert_eq!(frame.code, 4409);
    }
}
