//! A server that speaks the HTTP APIs of Vault and of Infisical.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Pair;

/// What lets in to Vault, and to Infisical as a machine.
pub(crate) const VAULT_TOKEN: &str = "hvs.for-tests";
pub(crate) const CLIENT_SECRET: &str = "client-secret-for-tests";
const ACCESS_TOKEN: &str = "access-token-for-tests";

/// How the stores behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Takes a request, and never answers.
    Silent,
    /// Answers 500.
    Broken,
    /// Answers 200 and no JSON.
    Babbling,
    /// Lets nobody in.
    Locked,
}

/// The stores: one secret, wherever it is asked for.
pub(crate) struct Stores {
    url: String,
    shelf: Arc<Shelf>,
    _serving: JoinSet<()>,
}

struct Shelf {
    mood: Mutex<Mood>,
    texts: Mutex<Value>,
    /// Each request, as method and path with its query.
    asked: Mutex<Vec<String>>,
}

impl Stores {
    /// Serves on a free loopback port until dropped.
    pub(crate) async fn start() -> Self {
        let shelf = Arc::new(Shelf {
            mood: Mutex::new(Mood::Well),
            texts: Mutex::new(json!({})),
            asked: Mutex::default(),
        });
        let router = Router::new()
            .route("/v1/secret/data/{*path}", get(read_secret))
            .route("/v1/{mount}/issue/{role}", post(issue))
            .route("/api/v1/auth/universal-auth/login", post(login))
            .route("/api/v3/secrets/raw", get(list_secrets))
            .with_state(Arc::clone(&shelf))
            .layer(from_fn_with_state(Arc::clone(&shelf), in_a_mood));
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(socket, router).await.unwrap() });
        Self { url, shelf, _serving: serving }
    }

    /// The settings of a control plane that fetches from here.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        settings(&self.url)
    }

    /// Keeps this pair, in place of what was there.
    pub(crate) fn put(&self, pair: &Pair, authority: &str) {
        self.put_texts(json!({
            "certificate": pair.certificate, "private_key": pair.key, "ca_chain": [authority],
        }));
    }

    /// Keeps these texts.
    pub(crate) fn put_texts(&self, texts: Value) {
        *self.shelf.texts.lock() = texts;
    }

    pub(crate) fn be(&self, mood: Mood) {
        *self.shelf.mood.lock() = mood;
    }

    /// Each request that came, as method and path with its query.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shelf.asked.lock().clone()
    }
}

/// The settings of a control plane that fetches from the stores at `url`.
pub(crate) fn settings(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("VAULT_ADDR", url.to_owned()),
        ("VAULT_TOKEN", VAULT_TOKEN.to_owned()),
        ("INFISICAL_URL", url.to_owned()),
        ("INFISICAL_CLIENT_ID", "a-machine".to_owned()),
        ("INFISICAL_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
        ("CERTIFICATE_RENEWAL_INTERVAL", "1".to_owned()),
    ]
}

async fn in_a_mood(State(shelf): State<Arc<Shelf>>, request: Request, next: Next) -> Response {
    shelf.asked.lock().push(format!("{} {}", request.method(), request.uri()));
    let mood = *shelf.mood.lock();
    match mood {
        Mood::Well => next.run(request).await,
        Mood::Silent => pending().await,
        Mood::Broken => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Mood::Babbling => "<html>".into_response(),
        Mood::Locked => StatusCode::FORBIDDEN.into_response(),
    }
}

fn may(headers: &HeaderMap, name: &str, wanted: &str) -> Result<(), StatusCode> {
    let given = headers.get(name).and_then(|value| value.to_str().ok());
    if given == Some(wanted) { Ok(()) } else { Err(StatusCode::FORBIDDEN) }
}

async fn read_secret(
    State(shelf): State<Arc<Shelf>>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<axum::Json<Value>, StatusCode> {
    may(&headers, "x-vault-token", VAULT_TOKEN)?;
    if path != "tls/web" {
        return Err(StatusCode::NOT_FOUND);
    }
    let data = shelf.texts.lock().clone();
    Ok(axum::Json(json!({ "data": { "data": data, "metadata": { "version": 1 } } })))
}

async fn issue(
    State(shelf): State<Arc<Shelf>>,
    headers: HeaderMap,
    axum::Json(body): axum::Json<Value>,
) -> Result<axum::Json<Value>, StatusCode> {
    may(&headers, "x-vault-token", VAULT_TOKEN)?;
    if !body["common_name"].is_string() {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(axum::Json(json!({ "lease_id": "", "data": shelf.texts.lock().clone() })))
}

async fn login(axum::Json(body): axum::Json<Value>) -> Result<axum::Json<Value>, StatusCode> {
    if body == json!({ "clientId": "a-machine", "clientSecret": CLIENT_SECRET }) {
        let token =
            json!({ "accessToken": ACCESS_TOKEN, "expiresIn": 7200, "tokenType": "Bearer" });
        Ok(axum::Json(token))
    } else {
        Err(StatusCode::UNAUTHORIZED)
    }
}

async fn list_secrets(
    State(shelf): State<Arc<Shelf>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<axum::Json<Value>, StatusCode> {
    may(&headers, "authorization", &format!("Bearer {ACCESS_TOKEN}"))?;
    let said = |name: &str| query.get(name).map(String::as_str);
    if (said("workspaceId"), said("environment")) != (Some("p-1"), Some("production")) {
        return Err(StatusCode::NOT_FOUND);
    }
    if said("secretPath") != Some("/tls/web") {
        return Err(StatusCode::NOT_FOUND);
    }
    let texts = shelf.texts.lock().clone();
    let secrets = texts.as_object().unwrap().iter().map(|(name, text)| {
        let text = text.as_array().map_or(text.clone(), |texts| texts[0].clone());
        json!({ "secretKey": name.to_uppercase(), "secretValue": text })
    });
    Ok(axum::Json(json!({ "secrets": secrets.collect::<Vec<_>>(), "imports": [] })))
}
