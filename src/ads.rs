//! Floor 5, an edge: xDS. Translates between the engine and the operations.

use std::error::Error as _;

use marchproxy_xds::loads::{LoadHello, LoadSession, LoadSink};
use marchproxy_xds::{Authorize, CallInfo, Connection, Hello, Source, Visibility};
use tonic::Status;

use crate::app::{Admission, App, LoadAdmission};
use crate::auth::NodeCredential;
use crate::error::Error;

impl Source for App {
    async fn connect(&self, hello: Hello) -> Result<Connection, Status> {
        let credential = NodeCredential::read(&hello.headers, &hello.extensions);
        let admission = self.admit(hello, &credential).await.map_err(|e| status(&e))?;
        let Admission { snapshots, observer, withheld } = admission;
        let tag = Some(observer.node().into());
        Ok(Connection { snapshots, observer: Box::new(observer), withheld, tag })
    }
}

impl LoadSink for App {
    async fn connect(&self, hello: LoadHello) -> Result<LoadSession, Status> {
        let credential = NodeCredential::read(&hello.call.headers, &hello.call.extensions);
        let admission = self.admit_loads(hello, &credential).await.map_err(|e| status(&e))?;
        let LoadAdmission { asks, observer } = admission;
        Ok(LoadSession { asks, observer: Box::new(observer) })
    }
}

impl Authorize for App {
    async fn authorize(&self, call: &CallInfo) -> Result<Visibility, Status> {
        let credential = NodeCredential::read(&call.headers, &call.extensions);
        self.may_inspect(&credential).map_err(|e| status(&e))?;
        Ok(Visibility::All)
    }
}

/// An error as a gRPC client gets it; the cause goes to the log.
fn status(error: &Error) -> Status {
    if let Some(cause) = error.source() {
        tracing::error!(error = cause, reason = %error, "cannot let a node in");
    }
    Status::new(error.codes().grpc, error.to_string())
}
