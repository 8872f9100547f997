//! How often a client may ask: by its address, and by its token.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::middleware::Next;
use axum::response::Response;

use crate::auth::Origin;
use crate::limits::{Bucket, Limiter, Standing};
use crate::rest::error::{refusal, retry_after};

/// How many requests a minute may have.
pub(super) const LIMIT: &str = "x-ratelimit-limit";
/// How many more it may have.
pub(super) const REMAINING: &str = "x-ratelimit-remaining";
/// In how many seconds the next one begins.
pub(super) const RESET: &str = "x-ratelimit-reset";

/// What probes and scrapers ask for is not counted.
const FREE: [&str; 4] = ["/healthz", "/api/healthz", "/readyz", "/metrics"];

/// How often a client may ask in a minute; none for as often as it likes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Who counts.
    pub limiter: Arc<Limiter>,
    /// Requests from one address.
    pub per_address: Option<NonZeroU32>,
    /// Requests with one token.
    pub per_token: Option<NonZeroU32>,
}

/// Counts a request, and refuses it if it is one too many.
pub(super) async fn limit(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    if FREE.contains(&request.uri().path().trim_end_matches('/')) {
        return next.run(request).await;
    }
    let buckets = limits.buckets(&request);
    let standing = limits.count(buckets).await;
    let Some(standing) = standing else { return next.run(request).await };
    let mut response = if standing.is_over {
        let said = format!("Too many requests: try again in {} s", standing.reset);
        let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, said);
        retry_after(&mut response, standing.reset.into());
        response
    } else {
        next.run(request).await
    };
    for (name, number) in
        [(LIMIT, standing.limit), (REMAINING, standing.remaining), (RESET, standing.reset)]
    {
        response.headers_mut().insert(HeaderName::from_static(name), number.into());
    }
    response
}

impl Limits {
    /// Where a request is counted.
    fn buckets(&self, request: &Request) -> [Option<(Bucket, NonZeroU32)>; 2] {
        let address = request.extensions().get::<Origin>().and_then(|origin| origin.address);
        let token = request.headers().get(AUTHORIZATION);
        [
            address.zip(self.per_address).map(|(address, limit)| (by_address(address), limit)),
            token.zip(self.per_token).map(|(token, limit)| (Bucket::new("token", token), limit)),
        ]
    }

    /// How the client stands after a request, where it stands worst.
    async fn count(&self, buckets: [Option<(Bucket, NonZeroU32)>; 2]) -> Option<Standing> {
        let mut worst: Option<Standing> = None;
        for (bucket, limit) in buckets.into_iter().flatten() {
            let standing = self.limiter.hit(&bucket, limit).await;
            let is_worse = |than: Standing| match (standing.is_over, than.is_over) {
                (true, true) | (false, false) => standing.remaining < than.remaining,
                (is_over, _) => is_over,
            };
            if worst.is_none_or(is_worse) {
                worst = Some(standing);
            }
        }
        worst
    }
}

/// An IPv6 client has a whole /64 to itself.
fn by_address(address: IpAddr) -> Bucket {
    match address {
        IpAddr::V4(address) => Bucket::new("ip", address.octets()),
        IpAddr::V6(address) => Bucket::new("ip", &address.octets()[..8]),
    }
}
