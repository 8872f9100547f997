//! Reports of load: `envoy.service.load_stats.v3` (LRS).
//!
//! A client opens a stream and says who it is. The server answers at once with
//! what it wants to know: how often, and of which clusters. From then on the client
//! reports, at that interval, what it has sent to each cluster since. The server may
//! change its mind.
//!
//! What a report may hold is bounded by [`LoadLimits`]: the rest is counted and
//! not read.

use std::pin::Pin;
use std::time::Duration;

use tokio_stream::Stream;
use tonic::Status;

use crate::{CallInfo, NodeInfo};

mod read;
mod server;

pub use self::server::LoadServer;

/// Where reports of load go.
pub trait LoadSink: Send + Sync + 'static {
    /// Decides what a client that has just introduced itself is asked for.
    ///
    /// The status ends the stream; a client will come back and try again.
    fn connect(&self, hello: LoadHello)
    -> impl Future<Output = Result<LoadSession, Status>> + Send;
}

/// How a client that can report its load introduces itself.
#[derive(Clone, Debug)]
pub struct LoadHello {
    /// Who it says it is.
    pub node: NodeInfo,
    /// Its call.
    pub call: CallInfo,
    /// Whether it can report on all clusters without being told their names.
    ///
    /// One that cannot reports nothing if it is asked for [`LoadClusters::All`].
    pub knows_all: bool,
}

/// What a [`LoadSink`] gives to one stream.
pub struct LoadSession {
    /// What the client is to report now, then whenever that changes. The stream ends
    /// with it, with OK, and the client comes back.
    ///
    /// A question starts the client's interval anew. So after the first change, each
    /// waits for a report; of those that come meanwhile only the last is asked.
    pub asks: Pin<Box<dyn Stream<Item = LoadAsk> + Send>>,
    /// Who is told.
    pub observer: Box<dyn LoadObserver>,
}

/// What a client is to report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadAsk {
    /// How often. Less than 100 ms becomes that.
    pub interval: Duration,
    /// What about.
    pub clusters: LoadClusters,
}

/// Which clusters a client is to report on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadClusters {
    /// All that it has. An Envoy leaves out what it sends to a new cluster until the
    /// next report on others.
    All,
    /// Those with these names, as soon as they are there.
    Named(Vec<String>),
}

/// Told what is reported on one stream, in order.
///
/// Dropped when the stream ends. Must not block: the stream waits for it.
pub trait LoadObserver: Send {
    /// Takes note of one report.
    fn observe(&mut self, report: LoadReport);
}

/// What one client says that it has done since its last report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// The clusters with something to say about. A cluster may come twice.
    pub clusters: Vec<ClusterLoad>,
    /// What was in the report and is not here.
    pub left_out: LeftOut,
}

/// What was sent to one cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterLoad {
    /// The name of the cluster.
    pub cluster: String,
    /// The name of its endpoints, if another one than the cluster's; or else empty.
    pub service_name: String,
    /// How long the client has measured; zero if it does not say.
    pub interval: Duration,
    /// How many requests were dropped, whatever for.
    pub dropped: u64,
    /// How many of them by which category.
    pub dropped_by: Vec<(String, u64)>,
    /// Where the others went.
    pub localities: Vec<LocalityLoad>,
}

/// What was sent to the endpoints of one locality and priority.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalityLoad {
    /// Where they are, as `region/zone/sub_zone`; empty if they do not say.
    pub locality: String,
    /// Their priority; 0 is the highest.
    pub priority: u32,
    /// How many requests succeeded since the last report.
    pub successful: u64,
    /// How many failed since the last report.
    pub errors: u64,
    /// How many were begun since the last report.
    pub issued: u64,
    /// How many were under way when the report was made.
    pub in_progress: u64,
    /// What endpoints measured themselves.
    pub metrics: Vec<NamedMetric>,
}

/// What endpoints measured, and reported with their answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamedMetric {
    /// What was measured.
    pub name: String,
    /// By how many answers.
    pub requests: u64,
    /// The sum of what they said.
    pub total: f64,
}

/// How much of one report is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadLimits {
    /// The size of one message in bytes. A larger one ends the stream with
    /// `OUT_OF_RANGE`.
    pub message: usize,
    /// Clusters in a report.
    pub clusters: usize,
    /// Localities of a cluster.
    pub localities: usize,
    /// Metrics of a locality.
    pub metrics: usize,
    /// Categories of drops of a cluster.
    pub categories: usize,
    /// The length of a name in bytes; what has a longer one is left out.
    pub name: usize,
}

/// How much of a report was not read, for its [`LoadLimits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Clusters, with all that they have.
    pub clusters: usize,
    /// Localities of clusters that were read.
    pub localities: usize,
    /// Metrics of localities that were read.
    pub metrics: usize,
    /// Categories of drops; the drops are in the cluster's sum.
    pub categories: usize,
}

impl Default for LoadLimits {
    /// 4 MiB, 4096 clusters, 128 localities each, 32 metrics each, 32 categories,
    /// names of 512 bytes.
    fn default() -> Self {
        Self {
            message: 4 << 20,
            clusters: 4096,
            localities: 128,
            metrics: 32,
            categories: 32,
            name: 512,
        }
    }
}

impl LeftOut {
    /// Whether all of the report was read.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}
