//! The socket of the internal API: for this machine, or for who has its token.

use std::io;
use std::net::SocketAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

use super::address::TrustedProxies;
use super::bind;
use super::origin::note_origin;
use crate::app::App;
use crate::rest::internal;

/// A configuration of many thousand services.
const LARGEST_BODY: usize = 16 << 20;

/// What is told to whoever asks: how the server is doing.
const OPEN: [&str; 3] = ["/health", "/healthz", "/metrics"];

const CLOSED: &str = "closed: the internal API is served off loopback (XDS_HTTP_HOST) and without \
    a token; set XDS_HTTP_TOKEN and show it as a bearer token";

/// The server of the internal API, bound and not yet serving.
#[derive(Debug)]
pub struct InternalServer(TcpListener);

/// Who may use the internal API, and what it calls itself.
#[derive(Clone, Debug)]
pub struct InternalAccess {
    /// Who may look and change.
    pub entry: Entry,
    /// The `node_id` that it tells.
    pub node_id: String,
}

/// Who may look at configurations, and change them.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Whoever reaches it: this machine.
    Anybody,
    /// Who shows this as a bearer token.
    Token(SecretString),
    /// Nobody: other machines reach it, and there is no token. How the server is
    /// doing is told all the same.
    Nobody,
}

impl InternalServer {
    /// Binds `address`.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        bind(address).map(Self)
    }

    /// Where it is bound.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Serves until `stop`; requests that are under way are answered.
    pub async fn serve(
        self,
        app: App,
        access: InternalAccess,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let InternalAccess { entry, node_id } = access;
        let router = internal::router(app, node_id)
            .layer(middleware::from_fn_with_state(entry, guard))
            .layer(middleware::from_fn_with_state(TrustedProxies::default(), note_origin))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .layer(RequestBodyLimitLayer::new(LARGEST_BODY))
            .layer(CatchPanicLayer::new());
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(self.0, router).with_graceful_shutdown(stop.cancelled_owned()).await?;
        Ok(())
    }
}

/// Lets through what only looks whether the server is well, and who has the token.
///
/// A change that a web page asks for is refused: a browser on this machine must not
/// be a way in. Nothing but a browser sends `Origin`.
async fn guard(State(entry): State<Entry>, request: Request, next: Next) -> Response {
    if request.method() == Method::POST && request.headers().contains_key(header::ORIGIN) {
        return refuse(StatusCode::FORBIDDEN, "not for web pages");
    }
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    match entry {
        Entry::Anybody => next.run(request).await,
        Entry::Token(token) if shows(request.headers(), &token) => next.run(request).await,
        Entry::Token(_) => {
            let mut answer = refuse(StatusCode::UNAUTHORIZED, "a bearer token is needed");
            let scheme = HeaderValue::from_static("Bearer");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            answer
        }
        Entry::Nobody => refuse(StatusCode::FORBIDDEN, CLOSED),
    }
}

fn shows(headers: &HeaderMap, token: &SecretString) -> bool {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.split_once(' '));
    let shown = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    shown.is_some_and(|(_, shown)| {
        // Hashed, so that the time it takes does not tell the length either.
        let [a, b] = [shown.trim(), token.expose_secret()].map(|t| digest(&SHA256, t.as_bytes()));
        verify_slices_are_equal(a.as_ref(), b.as_ref()).is_ok()
    })
}

fn refuse(status: StatusCode, why: &'static str) -> Response {
    (status, format!("{why}\n")).into_response()
}
