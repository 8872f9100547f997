//! From the wire to a [`LoadReport`], no more of it than the limits allow.

use bytes::Bytes;
use marchproxy_proto::load_stats as proto;
use prost::Message;
use tonic::Status;

use super::{ClusterLoad, LeftOut, LoadLimits, LoadReport, LocalityLoad, NamedMetric};
use crate::source::locality;

impl LoadLimits {
    /// Reads the clusters of a report.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` with the place of what cannot be read.
    pub(super) fn read(&self, clusters: &[Bytes]) -> Result<LoadReport, Status> {
        let mut left_out = LeftOut::default();
        let (kept, beyond) = divided(clusters, self.clusters);
        left_out.clusters += beyond;
        let mut report = LoadReport::default();
        for (i, cluster) in kept.iter().enumerate() {
            let place = || format!("cluster_stats[{i}]");
            let stats: proto::ClusterStats = decoded(cluster, place)?;
            if [&stats.cluster_name, &stats.cluster_service_name].iter().any(|n| self.is_long(n)) {
                left_out.clusters += 1;
                continue;
            }
            report.clusters.push(self.cluster(stats, &mut left_out, place)?);
        }
        report.left_out = left_out;
        Ok(report)
    }

    fn cluster(
        &self,
        stats: proto::ClusterStats,
        left_out: &mut LeftOut,
        place: impl Fn() -> String,
    ) -> Result<ClusterLoad, Status> {
        let mut load = ClusterLoad {
            cluster: stats.cluster_name,
            service_name: stats.cluster_service_name,
            interval: stats.load_report_interval.unwrap_or_default().into(),
            dropped: stats.total_dropped_requests,
            ..ClusterLoad::default()
        };
        let (kept, beyond) = divided(&stats.dropped_requests, self.categories);
        left_out.categories += beyond;
        for (i, dropped) in kept.iter().enumerate() {
            let place = || format!("{}.dropped_requests[{i}]", place());
            let dropped: proto::DroppedRequests = decoded(dropped, place)?;
            if self.is_long(&dropped.category) {
                left_out.categories += 1;
                continue;
            }
            load.dropped_by.push((dropped.category, dropped.dropped_count));
        }
        let (kept, beyond) = divided(&stats.upstream_locality_stats, self.localities);
        left_out.localities += beyond;
        for (i, stats) in kept.iter().enumerate() {
            let place = || format!("{}.upstream_locality_stats[{i}]", place());
            let stats: proto::UpstreamLocalityStats = decoded(stats, place)?;
            let text = stats.locality.as_ref().map(locality).unwrap_or_default();
            if self.is_long(&text) {
                left_out.localities += 1;
                continue;
            }
            load.localities.push(LocalityLoad {
                locality: text,
                priority: stats.priority,
                successful: stats.total_successful_requests,
                errors: stats.total_error_requests,
                issued: stats.total_issued_requests,
                in_progress: stats.total_requests_in_progress,
                metrics: self.metrics(&stats.load_metric_stats, left_out, place)?,
            });
        }
        Ok(load)
    }

    fn metrics(
        &self,
        metrics: &[Bytes],
        left_out: &mut LeftOut,
        place: impl Fn() -> String,
    ) -> Result<Vec<NamedMetric>, Status> {
        let (kept, beyond) = divided(metrics, self.metrics);
        left_out.metrics += beyond;
        let mut read = Vec::with_capacity(kept.len());
        for (i, metric) in kept.iter().enumerate() {
            let place = || format!("{}.load_metric_stats[{i}]", place());
            let metric: proto::LoadMetric = decoded(metric, place)?;
            if self.is_long(&metric.metric_name) {
                left_out.metrics += 1;
                continue;
            }
            read.push(NamedMetric {
                name: metric.metric_name,
                requests: metric.num_requests_finished_with_metric,
                total: metric.total_metric_value,
            });
        }
        Ok(read)
    }

    fn is_long(&self, name: &str) -> bool {
        name.len() > self.name
    }
}

/// The first `limit`, and how many come after.
fn divided(all: &[Bytes], limit: usize) -> (&[Bytes], usize) {
    let kept = &all[..all.len().min(limit)];
    (kept, all.len() - kept.len())
}

fn decoded<M: Message + Default>(bytes: &Bytes, place: impl Fn() -> String) -> Result<M, Status> {
    M::decode(bytes.clone())
        .map_err(|error| Status::invalid_argument(format!("{} cannot be read: {error}", place())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use envoy_types::pb::envoy::config::core::v3 as envoy_core;
    use envoy_types::pb::envoy::config::endpoint::v3 as envoy;
    use envoy_types::pb::google::protobuf::Duration as GoogleDuration;
    use tonic::Code;

    use super::*;

    const SMALL: LoadLimits = LoadLimits {
        message: 1 << 20,
        clusters: 2,
        localities: 2,
        metrics: 2,
        categories: 2,
        name: 4,
    };

    fn metric(name: &str) -> envoy::EndpointLoadMetricStats {
        envoy::EndpointLoadMetricStats {
            metric_name: name.into(),
            num_requests_finished_with_metric: 3,
            total_metric_value: 1.5,
        }
    }

    fn in_zone(zone: &str) -> envoy::UpstreamLocalityStats {
        let locality = envoy_core::Locality { zone: zone.into(), ..Default::default() };
        envoy::UpstreamLocalityStats { locality: Some(locality), ..Default::default() }
    }

    fn dropped(category: &str) -> envoy::cluster_stats::DroppedRequests {
        envoy::cluster_stats::DroppedRequests { category: category.into(), dropped_count: 1 }
    }

    fn named(name: &str) -> envoy::ClusterStats {
        envoy::ClusterStats { cluster_name: name.into(), ..Default::default() }
    }

    fn read(clusters: &[envoy::ClusterStats], limits: LoadLimits) -> LoadReport {
        let clusters: Vec<_> = clusters.iter().map(|c| c.encode_to_vec().into()).collect();
        limits.read(&clusters).expect("a report")
    }

    #[test]
    fn a_report_is_read() {
        let cluster = envoy::ClusterStats {
            cluster_service_name: "b".into(),
            load_report_interval: Some(GoogleDuration { seconds: 1, nanos: 500_000_000 }),
            total_dropped_requests: 9,
            dropped_requests: vec![dropped("busy")],
            upstream_locality_stats: vec![envoy::UpstreamLocalityStats {
                total_successful_requests: 1,
                total_error_requests: 2,
                total_issued_requests: 3,
                total_requests_in_progress: 4,
                priority: 5,
                load_metric_stats: vec![metric("cpu")],
                ..in_zone("z")
            }],
            ..named("a")
        };
        let want = ClusterLoad {
            cluster: "a".into(),
            service_name: "b".into(),
            interval: Duration::from_millis(1500),
            dropped: 9,
            dropped_by: vec![("busy".into(), 1)],
            localities: vec![LocalityLoad {
                locality: "/z/".into(),
                priority: 5,
                successful: 1,
                errors: 2,
                issued: 3,
                in_progress: 4,
                metrics: vec![NamedMetric { name: "cpu".into(), requests: 3, total: 1.5 }],
            }],
        };
        let report = read(&[cluster], LoadLimits::default());
        assert_eq!(report.clusters, [want]);
        assert!(report.left_out.is_nothing());
    }

    #[test]
    fn what_is_beyond_the_limits_is_counted_and_not_kept() {
        let locality = envoy::UpstreamLocalityStats {
            load_metric_stats: vec![metric("a"), metric("too long"), metric("b"), metric("c")],
            ..in_zone("z")
        };
        let cluster = envoy::ClusterStats {
            upstream_locality_stats: vec![locality, in_zone("too long"), in_zone("y")],
            dropped_requests: vec![dropped("too long"), dropped("a"), dropped("b"), dropped("c")],
            ..named("a")
        };
        let report = read(&[cluster, named("too long"), named("b"), named("c")], SMALL);
        let want = LeftOut { clusters: 3, localities: 2, metrics: 3, categories: 3 };
        assert_eq!(report.left_out, want);
        let [cluster] = report.clusters.as_slice() else { panic!("{report:#?}") };
        assert_eq!(cluster.dropped_by, [("a".to_owned(), 1)]);
        let [locality] = cluster.localities.as_slice() else { panic!("{report:#?}") };
        assert_eq!(locality.metrics.len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        // A field of bytes that are not there.
        let broken = |tag: u8| vec![tag << 3 | 2, 9];
        let within = |tag: u8, inner: Vec<u8>| {
            let len = u8::try_from(inner.len()).expect("it is short");
            [vec![tag << 3 | 2, len], inner].concat()
        };
        let table = [
            (broken(1), "cluster_stats[1]"),
            (within(2, broken(1)), "cluster_stats[1].upstream_locality_stats[0]"),
            (within(5, broken(1)), "cluster_stats[1].dropped_requests[0]"),
            (
                within(2, within(5, broken(1))),
                "cluster_stats[1].upstream_locality_stats[0].load_metric_stats[0]",
            ),
        ];
        for (cluster, place) in table {
            let error = SMALL.read(&[Bytes::new(), cluster.into()]).expect_err("it is broken");
            assert_eq!(error.code(), Code::InvalidArgument);
            assert!(error.message().starts_with(&format!("{place} cannot be read")), "{error}");
        }
    }
}
