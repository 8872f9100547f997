//! Floor 2: what the licence allows, as the licence server says.
//!
//! What it said last counts for an hour, then it is asked again. While it is away
//! that goes on counting for a time of grace: a server that does not answer takes
//! nothing from anybody. What it says *no* to is taken at once.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::RwLock;
use reqwest::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::model::{Licence, Verdict};

const PRODUCT: &str = "marchproxy";
/// How long the licence server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the licence is checked with.
#[derive(Debug)]
pub struct LicenceSettings {
    /// Whether a licence is asked for at all (`RELEASE_MODE`).
    pub enforced: bool,
    /// The key, if there is one.
    pub key: Option<SecretString>,
    /// The licence server, without a `/` at the end.
    pub server: String,
    /// How long what it said last counts while it is away.
    pub grace: TimeDelta,
}

/// What the licence allows, and how that is known.
#[derive(Debug)]
pub struct Licensing {
    settings: LicenceSettings,
    client: reqwest::Client,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the server said when it last said yes.
    good: Option<Good>,
    checked_at: Option<DateTime<Utc>>,
    trouble: Option<Trouble>,
}

/// A licence that was valid, and when that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    /// What it allows.
    pub licence: Licence,
    /// The answer that said so, to be kept.
    pub answer: Value,
    /// When.
    pub at: DateTime<Utc>,
}

/// Why what the server said last does not count, or not for long.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trouble {
    /// It says that the licence is not valid.
    Invalid(String),
    /// It does not answer, or nothing that makes sense.
    Away(String),
}

/// How the licence stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenceStatus {
    /// What is allowed.
    pub licence: Licence,
    /// Why.
    pub standing: LicenceStanding,
    /// When the server was last asked.
    pub checked_at: Option<DateTime<Utc>>,
}

/// Why what is allowed is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LicenceStanding {
    /// No licence is asked for.
    NotEnforced,
    /// There is no key.
    NoKey,
    /// The server says that the key is good.
    Valid,
    /// It does not answer; what it said last counts until then.
    Grace(DateTime<Utc>),
    /// It says that the key is not good, for this reason.
    Invalid(String),
    /// It does not answer, and has said nothing that counts.
    Unknown(String),
}

impl LicenceSettings {
    /// No licence is asked for.
    pub fn not_enforced() -> Self {
        Self { enforced: false, key: None, server: String::new(), grace: TimeDelta::zero() }
    }
}

impl Licensing {
    /// Knows nothing yet.
    pub fn new(settings: LicenceSettings) -> Self {
        Self { settings, client: reqwest::Client::new(), state: RwLock::default() }
    }

    /// Whether there is anything to ask the server.
    pub fn is_checked(&self) -> bool {
        self.settings.enforced && self.settings.key.is_some()
    }

    /// The key, for what is kept under it.
    pub fn key(&self) -> Option<&SecretString> {
        self.settings.key.as_ref()
    }

    /// What was said before a restart.
    pub fn remember(&self, answer: Value, at: DateTime<Utc>) {
        if let Ok(Verdict::Valid(licence)) = Verdict::read(&answer, at) {
            self.state.write().good = Some(Good { licence, answer, at });
        }
    }

    /// How the licence stands at `now`.
    pub fn status(&self, now: DateTime<Utc>) -> LicenceStatus {
        let state = self.state.read();
        let good = state.good.as_ref();
        let good = good.filter(|g| g.licence.valid_until.is_none_or(|end| end > now));
        let grace = good.map(|good| good.at + self.settings.grace).filter(|until| *until > now);
        let (licence, standing) = match (&state.trouble, good, grace) {
            _ if !self.settings.enforced => (None, LicenceStanding::NotEnforced),
            _ if self.settings.key.is_none() => (None, LicenceStanding::NoKey),
            (Some(Trouble::Invalid(reason)), ..) => {
                (None, LicenceStanding::Invalid(reason.clone()))
            }
            (None, Some(good), _) if state.checked_at.is_some() => {
                (Some(&good.licence), LicenceStanding::Valid)
            }
            (_, Some(good), Some(until)) => (Some(&good.licence), LicenceStanding::Grace(until)),
            (Some(Trouble::Away(reason)), ..) => (None, LicenceStanding::Unknown(reason.clone())),
            (None, ..) => (None, LicenceStanding::Unknown("it was not asked yet".to_owned())),
        };
        let otherwise = match standing {
            LicenceStanding::NotEnforced => Licence::unlimited(),
            LicenceStanding::NoKey
            | LicenceStanding::Valid
            | LicenceStanding::Grace(_)
            | LicenceStanding::Invalid(_)
            | LicenceStanding::Unknown(_) => Licence::community(),
        };
        let licence = licence.cloned().unwrap_or(otherwise);
        LicenceStatus { licence, standing, checked_at: state.checked_at }
    }

    /// Asks the server, and takes note of what it says; that is given back if it
    /// is good, to be kept.
    pub async fn check(&self, now: DateTime<Utc>) -> Option<Good> {
        let key = self.settings.key.as_ref().filter(|_| self.settings.enforced)?;
        let (good, trouble) = match self.ask(key, now).await {
            Ok(good) => (Some(good), None),
            Err(trouble) => (None, Some(trouble)),
        };
        let mut state = self.state.write();
        if state.trouble != trouble {
            match &trouble {
                Some(Trouble::Invalid(reason)) => tracing::error!(reason, "no valid licence"),
                Some(Trouble::Away(reason)) => tracing::warn!(reason, "no licence server"),
                None => tracing::info!("the licence is valid"),
            }
        }
        state.checked_at = Some(now);
        state.trouble = trouble;
        if good.is_some() {
            state.good.clone_from(&good);
        }
        good
    }

    async fn ask(&self, key: &SecretString, now: DateTime<Utc>) -> Result<Good, Trouble> {
        let body = json!({ "license_key": key.expose_secret(), "product": PRODUCT });
        let (status, answer) = self.post("/api/v2/validate", key, &body).await?;
        let said = || {
            let said = ["message", "detail", "error"].iter().find_map(|k| answer.get(k)?.as_str());
            said.unwrap_or("it is not valid").to_owned()
        };
        match status {
            status if status.is_success() => match Verdict::read(&answer, now) {
                Ok(Verdict::Valid(licence)) => Ok(Good { licence, answer, at: now }),
                Ok(Verdict::Invalid(reason)) => Err(Trouble::Invalid(reason)),
                Err(e) => Err(Trouble::Away(e.to_string())),
            },
            StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
                if answer.is_object() =>
            {
                Err(Trouble::Invalid(said()))
            }
            status => Err(Trouble::Away(format!("it answers {status}"))),
        }
    }

    /// Tells the server that this one is at work. What it says to that is nothing
    /// to us.
    pub async fn keep_alive(&self, good: &Good) {
        let Some(key) = &self.settings.key else { return };
        let server = good.answer.pointer("/metadata/server_id").cloned().unwrap_or(Value::Null);
        let body = json!({ "product": PRODUCT, "server_id": server });
        if let Err(Trouble::Away(reason) | Trouble::Invalid(reason)) =
            self.post("/api/v2/keepalive", key, &body).await
        {
            tracing::debug!(reason, "the licence server was not told that this one is at work");
        }
    }

    /// Both ways to say the key: in the body, and as a bearer token.
    async fn post(
        &self,
        path: &str,
        key: &SecretString,
        body: &Value,
    ) -> Result<(StatusCode, Value), Trouble> {
        let url = format!("{}{path}", self.settings.server);
        let request = self.client.post(url).bearer_auth(key.expose_secret()).json(body);
        let away = |e: reqwest::Error| {
            Trouble::Away(
                if e.is_timeout() { "it does not answer in time" } else { "it cannot be reached" }
                    .to_owned(),
            )
        };
        let response = request.timeout(PATIENCE).send().await.map_err(away)?;
        let status = response.status();
        let answer = response.bytes().await.map_err(away)?;
        Ok((status, serde_json::from_slice(&answer).unwrap_or(Value::Null)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::http::HeaderMap;
    use axum::routing::post;
    use parking_lot::Mutex;
    use tokio::task::JoinSet;

    use super::*;

    /// A licence server that answers with this from now on.
    #[derive(Clone)]
    struct Server(Arc<Mutex<(StatusCode, Value)>>);

    impl Server {
        /// Serves, and says where.
        async fn start(serving: &mut JoinSet<()>) -> (Self, String) {
            let server = Self(Arc::new(Mutex::new((StatusCode::OK, Value::Null))));
            let answers = server.0.clone();
            let validate = async move |headers: HeaderMap, axum::Json(body): axum::Json<Value>| {
                assert_eq!(headers["authorization"], "Bearer PENG-1");
                assert_eq!(body, json!({ "license_key": "PENG-1", "product": "marchproxy" }));
                let (status, answer) = answers.lock().clone();
                (status, axum::Json(answer))
            };
            let router = Router::new().route("/api/v2/validate", post(validate));
            let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", socket.local_addr().unwrap());
            serving.spawn(async move { axum::serve(socket, router).await.unwrap() });
            (server, url)
        }

        fn says(&self, status: StatusCode, answer: Value) {
            *self.0.lock() = (status, answer);
        }
    }

    fn licensing(server: String) -> Licensing {
        let key = Some("PENG-1".into());
        let grace = TimeDelta::hours(72);
        Licensing::new(LicenceSettings { enforced: true, key, server, grace })
    }

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    #[tokio::test]
    async fn what_the_server_says_counts_and_its_silence_takes_nothing() {
        let mut serving = JoinSet::new();
        let (server, url) = Server::start(&mut serving).await;
        let licensing = licensing(url);
        assert!(licensing.status(at(0)).licence.is_community());

        server.says(StatusCode::OK, json!({ "valid": true, "max_proxies": 9 }));
        let good = licensing.check(at(0)).await.unwrap();
        let status = licensing.status(at(0));
        assert_eq!(status.standing, LicenceStanding::Valid);
        assert_eq!(status.licence.most_proxies, Some(9));

        server.says(StatusCode::INTERNAL_SERVER_ERROR, Value::Null);
        assert_eq!(licensing.check(at(1)).await, None);
        let status = licensing.status(at(1));
        assert_eq!(status.standing, LicenceStanding::Grace(at(72)));
        assert_eq!(status.licence.most_proxies, Some(9));
        let status = licensing.status(at(72));
        assert_eq!(
            status.standing,
            LicenceStanding::Unknown("it answers 500 Internal Server Error".to_owned())
        );
        assert!(status.licence.is_community());

        server.says(StatusCode::OK, good.answer);
        assert!(licensing.check(at(80)).await.is_some());
        assert_eq!(licensing.status(at(80)).standing, LicenceStanding::Valid);
    }

    #[tokio::test]
    async fn a_no_is_taken_at_once() {
        let mut serving = JoinSet::new();
        let (server, url) = Server::start(&mut serving).await;
        let licensing = licensing(url);
        let yes = (StatusCode::OK, json!({ "valid": true }));
        let answers = [
            (StatusCode::OK, json!({ "valid": false, "message": "revoked" }), "revoked"),
            (StatusCode::FORBIDDEN, json!({ "message": "another product" }), "another product"),
            (StatusCode::NOT_FOUND, json!({ "detail": "no such key" }), "no such key"),
        ];
        for (status, answer, reason) in answers {
            server.says(yes.0, yes.1.clone());
            licensing.check(at(0)).await.unwrap();
            server.says(status, answer);
            assert_eq!(licensing.check(at(1)).await, None);
            let status = licensing.status(at(1));
            assert_eq!(status.standing, LicenceStanding::Invalid(reason.to_owned()));
            assert!(status.licence.is_community());
        }
    }

    #[tokio::test]
    async fn what_was_said_before_a_restart_counts_while_the_server_is_away() {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", closed.local_addr().unwrap());
        drop(closed);
        let licensing = licensing(url);
        licensing.remember(json!({ "valid": true, "features": ["multi_cluster"] }), at(0));
        assert_eq!(licensing.status(at(1)).standing, LicenceStanding::Grace(at(72)));
        assert_eq!(licensing.check(at(1)).await, None);
        let status = licensing.status(at(1));
        assert_eq!(status.standing, LicenceStanding::Grace(at(72)));
        assert!(status.licence.includes(Licence::MANY_GROUPS));
    }

    #[test]
    fn without_a_key_or_a_need_nothing_is_asked() {
        let licensing = Licensing::new(LicenceSettings::not_enforced());
        assert!(!licensing.is_checked());
        assert_eq!(licensing.status(at(0)).licence, Licence::unlimited());
        let settings = LicenceSettings { enforced: true, ..LicenceSettings::not_enforced() };
        let licensing = Licensing::new(settings);
        assert!(!licensing.is_checked());
        assert_eq!(licensing.status(at(0)).standing, LicenceStanding::NoKey);
    }
}
