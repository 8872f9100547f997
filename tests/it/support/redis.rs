//! Real Redis servers, of the package that the machine has.

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

    /// Stops the server.
    pub(crate) async fn stop(&self) {
        self.0.tell("stop").await;
    }

    /// Kills it (SIGKILL).
    pub(crate) async fn kill(&self) {
        self.0.tell("kill").await;
    }

    /// Starts it again, on the same port.
    pub(crate) async fn start_again(&self) {
        self.0.tell("start").await;
    }

    /// Has the server not answer, and keep what is connected.
    pub(crate) async fn freeze(&self) {
        self.0.tell("freeze").await;
    }

    /// Has it go on.
    pub(crate) async fn thaw(&self) {
        self.0.tell("thaw").await;
    }
}
