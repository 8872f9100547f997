//! Subscriptions, by a real graphql-transport-ws client.

use futures_util::StreamExt as _;
use graphql_ws_client::graphql::GraphqlOperation;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::LIMIT;

/// A subscription that is followed. Nothing is read while nobody asks.
pub(crate) struct Subscription(graphql_ws_client::Subscription<Operation>);

/// The `data` of one event.
pub(crate) type Event = Value;

#[derive(Serialize)]
struct Operation {
    query: String,
    variables: Value,
}

impl GraphqlOperation for Operation {
    type Response = Value;
    type Error = serde_json::Error;

    fn decode(&self, data: Value) -> Result<Value, serde_json::Error> {
        Ok(data)
    }
}

impl Subscription {
    /// Connects, signs in by `connection_init`, and subscribes.
    pub(super) async fn open(port: u16, token: &str, query: &str, variables: Value) -> Self {
        let url = format!("ws://127.0.0.1:{port}/graphql/ws");
        let mut request = url.into_client_request().unwrap();
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        let operation = Operation { query: query.to_owned(), variables };
        let subscription = graphql_ws_client::Client::build(socket)
            .payload(json!({ "authorization": format!("Bearer {token}") }))
            .unwrap()
            .subscribe(operation)
            .await
            .unwrap();
        Self(subscription)
    }

    /// The next event; none once the server has completed the subscription.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        let next = timeout(LIMIT, self.0.next()).await;
        let next = next.unwrap_or_else(|_| panic!("no event within {LIMIT:?}"))?;
        let answer = next.unwrap();
        assert!(answer["errors"].is_null(), "the subscription failed: {answer:#}");
        Some(answer["data"].clone())
    }

    /// The first event of which `wanted` holds.
    pub(crate) async fn until(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        self.all_until(what, wanted).await.pop().unwrap()
    }

    /// Every event up to the first of which `wanted` holds.
    pub(crate) async fn all_until(
        &mut self,
        what: &str,
        wanted: impl Fn(&Event) -> bool,
    ) -> Vec<Event> {
        let mut seen = Vec::new();
        let waited = timeout(LIMIT, async {
            loop {
                let event = self.next().await.expect("the subscription goes on");
                let found = wanted(&event);
                seen.push(event);
                if found {
                    return;
                }
            }
        });
        if waited.await.is_err() {
            panic!("{what}: not within {LIMIT:?}; seen: {seen:#?}");
        }
        seen
    }
}
