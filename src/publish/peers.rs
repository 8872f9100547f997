//! The other instances: a nudge over Redis, which carries nothing that is believed.
//!
//! Whoever has committed a change says so on a channel, and each instance that hears
//! of it looks into the database, as at a nudge of its own. A message that is lost
//! costs time, at most until the publisher's next look. So Redis may be away: that
//! is a warning, and all else goes on.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, AsyncTypedCommands as _, Client, RedisError};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Nudge;

const CHANNEL: &str = "marchproxy:look-again";

/// What is said when there is nothing to look at but events.
const EVENTS: &str = "events";

/// How long Redis may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often a connection that may be dead is tried.
const PING: Duration = Duration::from_secs(10);

/// After how long to try again to connect.
const RETRY: Duration = Duration::from_secs(1);

/// Where Redis is. `Debug` does not show the password.
#[derive(Clone)]
pub struct RedisUrl(Client);

/// A Redis URL that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be like redis://:password@host:6379/0 or rediss://host")]
pub struct RedisUrlError;

/// Keeps the instances in touch.
#[derive(Debug)]
pub struct Peers {
    redis: RedisUrl,
    nudge: Nudge,
}

/// Why the instances are out of touch.
#[derive(Debug, thiserror::Error)]
enum OutOfTouch {
    #[error("Redis does not answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("Redis closed the connection")]
    Closed,
    #[error("{0}")]
    Redis(#[from] RedisError),
}

impl RedisUrl {
    /// A client of it, that connects when it has to.
    pub fn client(&self) -> Client {
        self.0.clone()
    }
}

impl FromStr for RedisUrl {
    type Err = RedisUrlError;

    fn from_str(url: &str) -> Result<Self, RedisUrlError> {
        Client::open(url).map(Self).map_err(|_| RedisUrlError)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({})", self.0.get_connection_info().addr())
    }
}

impl Peers {
    /// Passes on what `nudge` says, and nudges as others say.
    pub fn new(redis: RedisUrl, nudge: Nudge) -> Self {
        Self { redis, nudge }
    }

    /// Keeps in touch until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            never = self.keep_in_touch() => match never {},
        }
    }

    async fn keep_in_touch(&self) -> Infallible {
        let mut warned = false;
        loop {
            let (in_touch, error) = match self.connect().await {
                Ok((say, hear)) => {
                    tracing::info!(redis = ?self.redis, "in touch with the other instances");
                    let Err(error) = self.talk(say, hear).await;
                    (true, error)
                }
                Err(error) => (false, error),
            };
            if in_touch || !warned {
                tracing::warn!(
                    error = &error as &dyn std::error::Error, redis = ?self.redis,
                    "out of touch with the other instances; changes reach them within half a minute"
                );
                warned = true;
            }
            sleep(RETRY).await;
        }
    }

    async fn connect(&self) -> Result<(MultiplexedConnection, PubSub), OutOfTouch> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let say = self.redis.0.get_multiplexed_async_connection_with_config(&config);
        let say = timeout(PATIENCE, say).await??;
        let mut hear = timeout(PATIENCE, self.redis.0.get_async_pubsub()).await??;
        timeout(PATIENCE, hear.subscribe(CHANNEL)).await??;
        Ok((say, hear))
    }

    /// Talks until the connection breaks.
    async fn talk(
        &self,
        mut say: MultiplexedConnection,
        hear: PubSub,
    ) -> Result<Infallible, OutOfTouch> {
        let (mut sink, mut messages) = hear.split();
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.nudge.nudge(); // for what was said while we were out of touch, by them or us
        loop {
            tokio::select! {
                message = messages.next() => {
                    match message.ok_or(OutOfTouch::Closed)?.get_payload_bytes() {
                        said if said == EVENTS.as_bytes() => self.nudge.events_here(),
                        _ => self.nudge.here(),
                    }
                }
                () = self.nudge.for_peers() => {
                    timeout(PATIENCE, say.publish(CHANNEL, "")).await??;
                }
                () = self.nudge.events_for_peers() => {
                    timeout(PATIENCE, say.publish(CHANNEL, EVENTS)).await??;
                }
                _ = ping.tick() => {
                    timeout(PATIENCE, sink.ping::<redis::Value>()).await??;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_url_is_parsed_and_shows_no_password() {
        let table = [
            ("redis://redis:6379/0", true),
            ("redis://:hunter2@redis:6379/0", true),
            ("rediss://redis", true),
            ("http://redis", false),
            ("redis:6379", false),
            ("", false),
        ];
        for (url, good) in table {
            let parsed = url.parse::<RedisUrl>();
            assert_eq!(parsed.is_ok(), good, "{url}: {parsed:?}");
            assert!(!format!("{parsed:?}").contains("hunter2"), "{parsed:?}");
        }
    }
}
