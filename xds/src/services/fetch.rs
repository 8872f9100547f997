//! Fetch: one request and one answer, from what the source has now.
//!
//! Answered even if the client says that it has this version already. Over REST
//! that would be a 304, which gRPC does not have: an error would look like a
//! failure, and an empty answer like the loss of everything. Envoy itself never
//! fetches over gRPC, it streams:
//! <https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol>.
//!
//! For the length of the call there is a connection to the source, but nothing is
//! observed on it: nobody will say what became of the answer.

use std::sync::Arc;
use std::time::Duration;

use marchproxy_proto as proto;
use tokio_stream::StreamExt as _;
use tonic::Status;

use super::{Backend, DiscoveryService};
use crate::drive::{Call, introduced};
use crate::interest::Interest;
use crate::{Hello, Protocol, ResourceType, Snapshot, Source};

/// How long a client waits for the source to have a snapshot.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers one request for resources of this type.
pub(super) async fn fetch<S: Source>(
    backend: Backend<S>,
    resource_type: ResourceType,
    call: Call,
    mut request: proto::DiscoveryRequest,
) -> Result<proto::DiscoveryResponse, Status> {
    DiscoveryService::Of(resource_type).settle_type(&mut request.type_url)?;
    let node = introduced(request.node.as_deref(), "a fetch must have a node")?;
    let hello = call.hello(node, Protocol::Sotw, &request.resource_names);
    tracing::debug!(
        node.id = %hello.node.id,
        node.cluster = %hello.node.cluster,
        peer.addr = ?hello.peer,
        resource_type = %resource_type,
        "xds fetched",
    );
    let snapshot = tokio::select! {
        biased;
        () = backend.stop.cancelled() => return Err(Status::unavailable("the server is stopping")),
        snapshot = tokio::time::timeout(PATIENCE, latest(&*backend.source, resource_type, hello)) => {
            snapshot
        }
    };
    let snapshot = snapshot.map_err(|_| Status::unavailable("there is nothing to serve yet"))??;
    Ok(answer(resource_type, &snapshot, &request))
}

/// What a client that says this has now, or as soon as there is something.
///
/// Not if the type is withheld from it: a stream would say nothing, a fetch has to.
async fn latest<S: Source>(
    source: &S,
    resource_type: ResourceType,
    hello: Hello,
) -> Result<Arc<Snapshot>, Status> {
    let mut connection = source.connect(hello).await?;
    if connection.withheld.contains(&resource_type) {
        let message = format!("the type {resource_type} is not given on this connection");
        return Err(Status::permission_denied(message));
    }
    let snapshot = connection.snapshots.next().await;
    snapshot.ok_or_else(|| Status::unavailable("there is nothing to serve any more"))
}

/// Without a nonce: there is no stream on which it could be repeated.
fn answer(
    resource_type: ResourceType,
    snapshot: &Snapshot,
    request: &proto::DiscoveryRequest,
) -> proto::DiscoveryResponse {
    let names = &request.resource_names;
    let mut interest = Interest::default();
    interest.replace(names, resource_type.is_full_state() && names.is_empty());
    let shelf = snapshot.shelf(resource_type);
    let resources = shelf.pick(&interest);
    let denied = shelf.denied(None, &interest);
    let errors = denied.filter_map(|name| Some(shelf.denial(name)?.told(name)));
    proto::DiscoveryResponse {
        version_info: snapshot.version(resource_type).to_string(),
        resources: resources.map(|resource| resource.body().clone()).collect(),
        type_url: resource_type.type_url().to_owned(),
        nonce: String::new(),
        resource_errors: errors.collect(),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;
    use tonic::Code;

    use super::*;
    use crate::testing::{FakeSource, News, cluster, endpoint, name_and_content, snapshot};

    fn backend() -> Backend<FakeSource> {
        Backend::new(Arc::default(), CancellationToken::new(), crate::Settings::default())
    }

    fn call() -> Call {
        Call::new(DiscoveryService::Of(ResourceType::Cluster), crate::CallInfo::default())
    }

    fn request(names: &[&str]) -> proto::DiscoveryRequest {
        let node = proto::Node { id: "n".into(), ..Default::default() };
        proto::DiscoveryRequest {
            node: Some(node.encode_to_vec().into()),
            resource_names: names.iter().map(|&name| name.to_owned()).collect(),
            ..Default::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_snapshot_is_waited_for_but_not_for_ever() {
        let backend = backend();
        let start = Instant::now();
        let fetched = fetch(backend.clone(), ResourceType::Cluster, call(), request(&[])).await;
        assert_eq!(fetched.expect_err("there is none").code(), Code::Unavailable);
        assert_eq!(start.elapsed(), PATIENCE);
        let news = [News::Connected("n".into()), News::Ended("n".into())];
        assert_eq!(backend.source.news(), news);

        let late = fetch(backend.clone(), ResourceType::Cluster, call(), request(&[]));
        let publish = async {
            tokio::time::advance(PATIENCE / 2).await;
            backend.source.publish(snapshot(1, [cluster("a", "1"), endpoint("a", "1")]));
        };
        let (late, ()) = tokio::join!(late, publish);
        assert_eq!(late.expect("it came in time").resources.len(), 1);
    }

    /// Gives everything but secrets.
    struct Withholding(FakeSource);

    impl Source for Withholding {
        async fn connect(&self, hello: Hello) -> Result<crate::Connection, Status> {
            let connection = self.0.connect(hello).await?;
            Ok(crate::Connection { withheld: vec![ResourceType::Secret], ..connection })
        }
    }

    #[tokio::test]
    async fn what_is_withheld_cannot_be_fetched() {
        let source = FakeSource::default();
        let secret = crate::testing::resource(ResourceType::Secret, "a", "hidden");
        source.publish(snapshot(1, [secret, crate::testing::route("a", "1")]));
        let (stop, settings) = (CancellationToken::new(), crate::Settings::default());
        let backend = Backend::new(Arc::new(Withholding(source)), stop, settings);
        let secrets = fetch(backend.clone(), ResourceType::Secret, call(), request(&["a"])).await;
        let status = secrets.expect_err("it is withheld");
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(!format!("{status:?}").contains("hidden"));
        let routes = fetch(backend, ResourceType::Route, call(), request(&["a"])).await;
        assert_eq!(routes.expect("it is given").resources.len(), 1);
    }

    #[tokio::test]
    async fn a_stop_ends_the_waiting() {
        let backend = backend();
        let fetched = fetch(backend.clone(), ResourceType::Cluster, call(), request(&[]));
        let stop = async { backend.stop.cancel() };
        let (fetched, ()) = tokio::join!(fetched, stop);
        assert_eq!(fetched.expect_err("it stops").code(), Code::Unavailable);
    }

    #[test]
    fn names_and_wildcards_mean_what_they_mean_on_a_stream() {
        let all = ["a", "b"].map(|name| [cluster(name, "1"), endpoint(name, "1")]);
        let snapshot = snapshot(1, all.into_iter().flatten());
        let names = |resource_type, names: &[&str]| {
            let answer = answer(resource_type, &snapshot, &request(names));
            assert_eq!(answer.version_info.as_str(), snapshot.version(resource_type).as_ref());
            let names = answer.resources.iter().map(|any| name_and_content(any).0);
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(ResourceType::Cluster, &[]), ["a", "b"]);
        assert_eq!(names(ResourceType::Cluster, &["b"]), ["b"]);
        assert_eq!(names(ResourceType::Endpoint, &[]), [""; 0]);
        assert_eq!(names(ResourceType::Endpoint, &["b", "x"]), ["b"]);
        assert_eq!(names(ResourceType::Endpoint, &["*"]), ["a", "b"]);
    }
}
