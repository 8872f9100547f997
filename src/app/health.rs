//! Whether the control plane can do its work.

use super::App;

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
        let database = async { self.0.store.read().await?.revisions().await }.await;
        if let Err(e) = &database {
            tracing::error!(error = e as &dyn std::error::Error, "the database does not answer");
        }
        let xds_server = self.0.hub.current(self.default_group()).is_some();
        Health { database: database.is_ok(), xds_server }
    }
}
