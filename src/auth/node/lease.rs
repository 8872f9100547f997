//! How long a stream may go on with the credential that it was opened with.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::sleep;

use crate::model::TokenHash;

/// The wall clock is looked at this often, since it may be set.
const LOOK: Duration = Duration::from_secs(3600);

/// A stream's right to go on: until its token ends, or is revoked.
#[derive(Debug)]
pub struct Lease(Option<Token>);

#[derive(Debug)]
struct Token {
    hash: TokenHash,
    expires_at: Option<DateTime<Utc>>,
    revoked: broadcast::Receiver<TokenHash>,
}

impl Lease {
    /// One that does not end by itself.
    pub fn for_good() -> Self {
        Self(None)
    }

    /// One that ends with a token.
    pub(crate) fn of_token(
        hash: TokenHash,
        expires_at: Option<DateTime<Utc>>,
        revoked: broadcast::Receiver<TokenHash>,
    ) -> Self {
        Self(Some(Token { hash, expires_at, revoked }))
    }

    /// Comes when the stream has to end. The node may come back and be asked anew.
    pub async fn ended(self) {
        let Some(Token { hash, expires_at, mut revoked }) = self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            () = expired(expires_at) => {}
            () = is_revoked(hash, &mut revoked) => {}
        }
    }
}

async fn is_revoked(hash: TokenHash, revoked: &mut broadcast::Receiver<TokenHash>) {
    loop {
        match revoked.recv().await {
            Ok(other) if other != hash => {}
            // Who has missed some cannot know: its node comes back and is asked.
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

async fn expired(at: Option<DateTime<Utc>>) {
    let Some(at) = at else { return std::future::pending().await };
    // An error is a time that has passed.
    while let Ok(left) = (at - Utc::now()).to_std() {
        sleep(left.min(LOOK)).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn hash(n: u8) -> TokenHash {
        TokenHash::new([n; 32])
    }

    #[tokio::test]
    async fn a_lease_ends_with_its_own_token_only() {
        let revoked = broadcast::Sender::new(4);
        let mut lease = Box::pin(Lease::of_token(hash(1), None, revoked.subscribe()).ended());
        assert_eq!(lease.as_mut().now_or_never(), None);
        revoked.send(hash(2)).unwrap();
        assert_eq!(lease.as_mut().now_or_never(), None);
        revoked.send(hash(1)).unwrap();
        assert_eq!(lease.as_mut().now_or_never(), Some(()));
    }

    #[tokio::test]
    async fn a_lease_that_missed_revocations_ends() {
        let revoked = broadcast::Sender::new(2);
        let lease = Lease::of_token(hash(1), None, revoked.subscribe());
        for n in 2..7 {
            revoked.send(hash(n)).unwrap();
        }
        assert_eq!(lease.ended().now_or_never(), Some(()));
    }

    #[tokio::test]
    async fn a_lease_ends_when_its_token_does() {
        let revoked = broadcast::Sender::new(2);
        let in_the_past = Some(Utc::now() - chrono::Duration::seconds(1));
        let lease = Lease::of_token(hash(1), in_the_past, revoked.subscribe());
        assert_eq!(lease.ended().now_or_never(), Some(()));
        let soon = Utc::now() + chrono::Duration::milliseconds(20);
        Lease::of_token(hash(1), Some(soon), revoked.subscribe()).ended().await;
        assert!(Utc::now() >= soon);
        assert_eq!(Lease::for_good().ended().now_or_never(), None);
    }
}
