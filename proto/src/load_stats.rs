//! `envoy.service.load_stats.v3`: how much a client has sent to each cluster.
//!
//! Clusters and localities stay bytes until somebody wants them: a small request
//! can have very many of them. What is reported endpoint by endpoint is skipped.

use bytes::Bytes;

use crate::{Duration, Locality};

/// A client's report; its first one says who it is.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct LoadStatsRequest {
    /// The encoded [`Node`](crate::Node); only a stream's first request must have it.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub node: Option<Bytes>,
    /// Each an encoded [`ClusterStats`].
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub cluster_stats: Vec<Bytes>,
}

/// What a server wants to be told from now on.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct LoadStatsResponse {
    /// The clusters to report on.
    #[prost(string, repeated, tag = "1")]
    pub clusters: Vec<String>,
    /// How often.
    #[prost(message, optional, tag = "2")]
    pub load_reporting_interval: Option<Duration>,
    /// Whether each endpoint is to be reported on its own.
    #[prost(bool, tag = "3")]
    pub report_endpoint_granularity: bool,
    /// Whether to report on all clusters, of those clients that can.
    #[prost(bool, tag = "4")]
    pub send_all_clusters: bool,
}

/// The features in an encoded [`Node`](crate::Node), and nothing else of it.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct NodeFeatures {
    /// What the client can do.
    #[prost(string, repeated, tag = "10")]
    pub client_features: Vec<String>,
}

/// What was sent to one cluster.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ClusterStats {
    /// The name of the cluster.
    #[prost(string, tag = "1")]
    pub cluster_name: String,
    /// Each an encoded [`UpstreamLocalityStats`].
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub upstream_locality_stats: Vec<Bytes>,
    /// How many requests were dropped by any category.
    #[prost(uint64, tag = "3")]
    pub total_dropped_requests: u64,
    /// How long was measured.
    #[prost(message, optional, tag = "4")]
    pub load_report_interval: Option<Duration>,
    /// How many requests were dropped, by category. Each an encoded [`DroppedRequests`].
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub dropped_requests: Vec<Bytes>,
    /// The name of its endpoints, if another one than the cluster's.
    #[prost(string, tag = "6")]
    pub cluster_service_name: String,
}

/// Requests that were dropped for one reason.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct DroppedRequests {
    /// The reason, as the endpoints' drop policy names it.
    #[prost(string, tag = "1")]
    pub category: String,
    /// How many.
    #[prost(uint64, tag = "2")]
    pub dropped_count: u64,
}

/// What was sent to the endpoints of one locality and priority.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct UpstreamLocalityStats {
    /// Where they are.
    #[prost(message, optional, tag = "1")]
    pub locality: Option<Locality>,
    /// How many requests succeeded.
    #[prost(uint64, tag = "2")]
    pub total_successful_requests: u64,
    /// How many were under way at the end.
    #[prost(uint64, tag = "3")]
    pub total_requests_in_progress: u64,
    /// How many failed.
    #[prost(uint64, tag = "4")]
    pub total_error_requests: u64,
    /// What endpoints measured themselves. Each an encoded [`LoadMetric`].
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub load_metric_stats: Vec<Bytes>,
    /// The priority of the endpoints.
    #[prost(uint32, tag = "6")]
    pub priority: u32,
    /// How many were begun.
    #[prost(uint64, tag = "8")]
    pub total_issued_requests: u64,
}

/// `EndpointLoadMetricStats`: what endpoints measured with their answers.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct LoadMetric {
    /// What was measured.
    #[prost(string, tag = "1")]
    pub metric_name: String,
    /// By how many answers.
    #[prost(uint64, tag = "2")]
    pub num_requests_finished_with_metric: u64,
    /// The sum of what they said.
    #[prost(double, tag = "3")]
    pub total_metric_value: f64,
}
