//! Floor 5, an edge: xDS. Translates between the engine and the operations.

use marchproxy_xds::{Connection, Hello, Source};
use tonic::Status;

use crate::app::{Admission, App};
use crate::auth::NodeCredential;
use crate::error::Error;

impl Source for App {
    async fn connect(&self, hello: Hello) -> Result<Connection, Status> {
        let credential = NodeCredential::read(&hello.headers, &hello.extensions);
        let admission = self.admit(hello, &credential).await.map_err(|e| status(&e))?;
        let Admission { snapshots, observer, withheld } = admission;
        Ok(Connection { snapshots, observer: Box::new(observer), withheld })
    }
}

/// An error as a gRPC client gets it; the cause goes to the log.
fn status(error: &Error) -> Status {
    if let Error::Internal(cause) = error {
        tracing::error!(error = &**cause as &dyn std::error::Error, "cannot let a node in");
    }
    Status::new(error.codes().grpc, error.to_string())
}
