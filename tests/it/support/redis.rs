//! Real Redis servers, of the package that the machine has.

use std::ops::Deref;

use super::scripted::Scripted;

/// A running Redis.
pub(crate) struct Redis(Scripted);

impl Redis {
    /// One of the test's own.
    pub(crate) async fn start() -> Self {
        Self(Scripted::start("redis-server").await)
    }

    /// What `REDIS_URL` is to be.
    pub(crate) fn url(&self) -> String {
        self.0.url().to_owned()
    }
}

impl Deref for Redis {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.0
    }
}
