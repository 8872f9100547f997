//! Floor 2: how often something may be asked for.
//!
//! Hits are counted by the minute, in Redis if there is one, so that instances
//! share them, and in memory otherwise. Redis being away costs no request: it is
//! warned of, and the count goes on in memory.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::Utc;
use parking_lot::Mutex;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisResult};
use tokio::time::timeout;

use crate::model::hex;

/// How long a window is, in seconds.
const WINDOW: i64 = 60;
/// How many buckets are counted in memory at most; no one loses by more.
const MOST: usize = 100_000;
/// How long Redis may take to count one request.
const PATIENCE: Duration = Duration::from_millis(250);
/// For how many seconds Redis is left alone once it has failed.
const PAUSE: i64 = 10;

/// Counts hits.
pub struct Limiter {
    memory: Mutex<Window>,
    shared: Option<Shared>,
}

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bucket(String);

/// How a bucket stands after a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How many hits a minute may have.
    pub limit: u32,
    /// How many more this minute may have.
    pub remaining: u32,
    /// How many seconds are left of it, at least 1.
    pub reset: u32,
    /// Whether this hit was one too many.
    pub is_over: bool,
}

/// The hits of one minute.
#[derive(Default)]
struct Window {
    minute: i64,
    hits: HashMap<Bucket, u32>,
}

struct Shared {
    redis: ConnectionManager,
    /// Until when it is left alone, in seconds since 1970.
    away_until: AtomicI64,
}

impl Limiter {
    /// Counts in Redis if there is one. Nothing is connected yet.
    pub fn new(redis: Option<Client>) -> RedisResult<Arc<Self>> {
        let shared = redis.map(Shared::new).transpose()?;
        Ok(Arc::new(Self { memory: Mutex::default(), shared }))
    }

    /// Counts a hit.
    pub async fn hit(&self, bucket: &Bucket, limit: NonZeroU32) -> Standing {
        let now = Utc::now().timestamp();
        let hits = match &self.shared {
            Some(shared) => shared.hit(bucket, now).await,
            None => None,
        };
        let hits = hits.unwrap_or_else(|| self.memory.lock().hit(bucket, now));
        standing(hits, limit, now)
    }

    /// Takes back what was counted of a bucket.
    pub async fn forget(&self, bucket: &Bucket) {
        let now = Utc::now().timestamp();
        if let Some(shared) = &self.shared {
            shared.forget(bucket, now).await;
        }
        self.memory.lock().hits.remove(bucket);
    }
}

impl Bucket {
    /// What is counted together as `kind` of `what`.
    ///
    /// Of `what` only a hash is kept, so that it may be long, or secret.
    pub fn new(kind: &str, what: impl AsRef<[u8]>) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, what.as_ref());
        Self(format!("{kind}:{}", hex(&digest.as_ref()[..16])))
    }
}

fn standing(hits: u32, limit: NonZeroU32, now: i64) -> Standing {
    let limit = limit.get();
    Standing {
        limit,
        remaining: limit.saturating_sub(hits),
        reset: u32::try_from(WINDOW - now.rem_euclid(WINDOW)).unwrap_or(1),
        is_over: hits > limit,
    }
}

impl Window {
    fn hit(&mut self, bucket: &Bucket, now: i64) -> u32 {
        let minute = now.div_euclid(WINDOW);
        if self.minute != minute {
            *self = Self { minute, hits: HashMap::new() };
        }
        if self.hits.len() >= MOST && !self.hits.contains_key(bucket) {
            return 1; // rather let somebody in than run out of memory
        }
        let hits = self.hits.entry(bucket.clone()).or_default();
        *hits = hits.saturating_add(1);
        *hits
    }
}

impl Shared {
    fn new(client: Client) -> RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(1);
        let redis = ConnectionManager::new_lazy_with_config(client, config)?;
        Ok(Self { redis, away_until: AtomicI64::new(0) })
    }

    /// Counts a hit; none if Redis is away.
    async fn hit(&self, bucket: &Bucket, now: i64) -> Option<u32> {
        let key = key(bucket, now);
        let mut count = redis::pipe();
        count.atomic().incr(&key, 1).expire(&key, WINDOW * 2).ignore();
        let (hits,): (u32,) = self.ask(&count, now).await?;
        Some(hits)
    }

    async fn forget(&self, bucket: &Bucket, now: i64) {
        let mut forget = redis::pipe();
        forget.del(key(bucket, now)).ignore();
        self.ask::<()>(&forget, now).await;
    }

    async fn ask<T: redis::FromRedisValue>(&self, what: &redis::Pipeline, now: i64) -> Option<T> {
        if self.away_until.load(Ordering::Relaxed) > now {
            return None;
        }
        let mut redis = self.redis.clone();
        let answer = timeout(PATIENCE, what.query_async(&mut redis)).await;
        let error: Box<dyn std::error::Error> = match answer {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => Box::new(error),
            Err(late) => Box::new(late),
        };
        self.away_until.store(now + PAUSE, Ordering::Relaxed);
        tracing::warn!(error = &*error, "Redis is away: this instance limits by itself");
        None
    }
}

fn key(bucket: &Bucket, now: i64) -> String {
    format!("marchproxy:limit:{}:{}", bucket.0, now.div_euclid(WINDOW))
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limiter(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_so_many_hits_and_the_next_one_again() {
        let (mut window, limit) = (Window::default(), NonZeroU32::new(2).unwrap());
        let (one, other) = (Bucket::new("ip", "192.0.2.1"), Bucket::new("ip", "192.0.2.2"));
        let mut hit = |bucket, now| standing(window.hit(bucket, now), limit, now);
        let want = |remaining, reset, is_over| Standing { limit: 2, remaining, reset, is_over };
        assert_eq!(hit(&one, 60), want(1, 60, false));
        assert_eq!(hit(&one, 61), want(0, 59, false));
        assert_eq!(hit(&one, 119), want(0, 1, true));
        assert_eq!(hit(&other, 119), want(1, 1, false));
        assert_eq!(hit(&one, 120), want(1, 60, false));
    }

    #[test]
    fn memory_is_bounded() {
        let mut window = Window::default();
        for i in 0..MOST + 10 {
            window.hit(&Bucket(i.to_string()), 0);
        }
        assert_eq!(window.hits.len(), MOST);
        assert_eq!(window.hit(&Bucket("0".to_owned()), 0), 2);
    }

    #[tokio::test]
    async fn redis_being_away_costs_nothing_but_a_moment() {
        // A port that nobody listens on: reserved, and never connected to.
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        drop(taken);
        let client = Client::open(format!("redis://127.0.0.1:{port}/")).unwrap();
        let limiter = Limiter::new(Some(client)).unwrap();
        let (bucket, limit) = (Bucket::new("ip", "x"), NonZeroU32::MIN);
        let begun = std::time::Instant::now();
        // Two of three are in one minute, wherever the minute ends.
        let mut over = vec![];
        for _ in 0..3 {
            over.push(limiter.hit(&bucket, limit).await.is_over);
        }
        assert!(over.contains(&true), "{over:?}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
