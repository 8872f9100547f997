//! Whether the control plane can do its work.

use std::time::Duration;

use tokio::time::timeout;

use super::App;
use crate::error::Error;

/// How long the database may take to answer: less than those wait who ask.
const PATIENCE: Duration = Duration::from_secs(3);

/// What works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The database answers.
    pub database: bool,
    /// There is something to give to a proxy that connects.
    pub xds_server: bool,
}

impl App {
    /// Looks whether the database answers and proxies can be served.
    pub async fn health(&self) -> Health {
        let database = async { self.0.store.read().await?.revisions().await };
        let database = timeout(PATIENCE, database).await;
        let database =
            database.unwrap_or_else(|late| Err(Error::unavailable("the database", late)));
        if let Err(e) = &database {
            tracing::error!(error = e as &dyn std::error::Error, "the database does not answer");
        }
        let xds_server = self.0.hub.current(self.default_group()).is_some();
        Health { database: database.is_ok(), xds_server }
    }
}
