use envoy_types::pb::envoy::config::core::v3 as envoy_core;
use envoy_types::pb::envoy::config::endpoint::v3 as envoy_endpoint;
use envoy_types::pb::envoy::service::load_stats::v3 as envoy_load_stats;
use envoy_types::pb::google::protobuf::Duration as GoogleDuration;

use super::{node, there_and_back};
use crate::load_stats::*;
use crate::*;
use prost::Message as _;

fn metric() -> envoy_endpoint::EndpointLoadMetricStats {
    envoy_endpoint::EndpointLoadMetricStats {
        metric_name: "queue".into(),
        num_requests_finished_with_metric: 2,
        total_metric_value: 1.5,
    }
}

fn locality() -> envoy_endpoint::UpstreamLocalityStats {
    envoy_endpoint::UpstreamLocalityStats {
        locality: Some(envoy_core::Locality { zone: "z".into(), ..Default::default() }),
        total_successful_requests: 1,
        total_requests_in_progress: 2,
        total_error_requests: 3,
        total_issued_requests: 4,
        load_metric_stats: vec![metric()],
        priority: 5,
        ..Default::default()
    }
}

fn dropped() -> envoy_endpoint::cluster_stats::DroppedRequests {
    envoy_endpoint::cluster_stats::DroppedRequests { category: "throttle".into(), dropped_count: 7 }
}

fn cluster() -> envoy_endpoint::ClusterStats {
    envoy_endpoint::ClusterStats {
        cluster_name: "a".into(),
        cluster_service_name: "b".into(),
        upstream_locality_stats: vec![locality()],
        total_dropped_requests: 8,
        dropped_requests: vec![dropped()],
        load_report_interval: Some(GoogleDuration { seconds: 1, nanos: 2 }),
    }
}

#[test]
fn a_load_report_is_the_same_on_the_wire() {
    let envoy = envoy_load_stats::LoadStatsRequest {
        node: Some(node()),
        cluster_stats: vec![cluster(), envoy_endpoint::ClusterStats::default()],
    };
    let lite: LoadStatsRequest = there_and_back(&envoy);
    assert_eq!(lite.node.as_deref(), Some(node().encode_to_vec().as_slice()));
    assert_eq!(lite.cluster_stats, [cluster().encode_to_vec(), Vec::new()]);
}

#[test]
fn the_load_of_a_cluster_is_the_same_on_the_wire() {
    let lite: ClusterStats = there_and_back(&cluster());
    assert_eq!((lite.cluster_name.as_str(), lite.cluster_service_name.as_str()), ("a", "b"));
    assert_eq!(lite.upstream_locality_stats, [locality().encode_to_vec()]);
    assert_eq!(lite.total_dropped_requests, 8);
    assert_eq!(lite.dropped_requests, [dropped().encode_to_vec()]);
    assert_eq!(lite.load_report_interval, Some(Duration { seconds: 1, nanos: 2 }));

    let lite: DroppedRequests = there_and_back(&dropped());
    assert_eq!((lite.category.as_str(), lite.dropped_count), ("throttle", 7));
}

#[test]
fn the_load_of_a_locality_is_the_same_on_the_wire() {
    let lite: UpstreamLocalityStats = there_and_back(&locality());
    assert_eq!(lite.locality.expect("a locality").zone, "z");
    assert_eq!((lite.total_successful_requests, lite.total_requests_in_progress), (1, 2));
    assert_eq!((lite.total_error_requests, lite.total_issued_requests), (3, 4));
    assert_eq!(lite.load_metric_stats, [metric().encode_to_vec()]);
    assert_eq!(lite.priority, 5);

    let lite: LoadMetric = there_and_back(&metric());
    assert_eq!((lite.metric_name.as_str(), lite.total_metric_value), ("queue", 1.5));
    assert_eq!(lite.num_requests_finished_with_metric, 2);
}

#[test]
fn what_is_reported_endpoint_by_endpoint_is_skipped() {
    let envoy = envoy_endpoint::UpstreamLocalityStats {
        upstream_endpoint_stats: vec![Default::default()],
        ..locality()
    };
    let lite = UpstreamLocalityStats::decode(envoy.encode_to_vec().as_slice()).expect("it decodes");
    assert_eq!(lite.encode_to_vec(), locality().encode_to_vec());
}

#[test]
fn what_is_asked_of_a_reporter_is_the_same_on_the_wire() {
    let envoy = envoy_load_stats::LoadStatsResponse {
        clusters: vec!["a".into(), "b".into()],
        send_all_clusters: true,
        load_reporting_interval: Some(GoogleDuration { seconds: 3, nanos: 0 }),
        report_endpoint_granularity: true,
    };
    let lite: LoadStatsResponse = there_and_back(&envoy);
    assert_eq!(lite.clusters, ["a", "b"]);
    assert!(lite.send_all_clusters && lite.report_endpoint_granularity);
    assert_eq!(lite.load_reporting_interval, Some(Duration { seconds: 3, nanos: 0 }));
}

#[test]
fn the_features_of_a_node_can_be_read_alone() {
    let envoy = envoy_core::Node { client_features: vec!["f".into(), "g".into()], ..node() };
    let lite = NodeFeatures::decode(envoy.encode_to_vec().as_slice()).expect("it decodes");
    assert_eq!(lite.client_features, ["f", "g"]);
}
