//! Floor 2: how much the proxies have sent where, by their own account.
//!
//! What stands here was reported to this process on streams that are open now: a
//! stream that ends takes its reports along, and one that is opened anew counts
//! from zero. How much is kept is bounded, for each stream and in all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use marchproxy_xds::loads as reported;
use parking_lot::RwLock;

use crate::model::NodeGroupId;

/// How many entries one stream may have: clusters, localities, categories, metrics.
const MOST_OF_A_STREAM: usize = 5_000;
/// How many all streams may have. An entry takes some 250 bytes.
const MOST: usize = 500_000;

/// What is reported on the streams that are open.
#[derive(Debug, Default)]
pub struct Loads(RwLock<Inner>);

#[derive(Debug, Default)]
struct Inner {
    streams: BTreeMap<u64, Stream>,
    last_id: u64,
    /// How many reports there were.
    last_report: u64,
    /// Of all streams.
    entries: usize,
}

#[derive(Debug)]
struct Stream {
    reporter: Reporter,
    clusters: BTreeMap<ClusterKey, ClusterTotals>,
    entries: usize,
    /// The number of its latest report; 0 if there was none.
    report: u64,
}

/// The name of a cluster, and that of its endpoints if it is another one.
type ClusterKey = (String, String);

/// Who reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporter {
    /// The group that it belongs to.
    pub group: NodeGroupId,
    /// What it calls itself (`node.id`).
    pub name: String,
    /// Where it connects from.
    pub peer: Option<SocketAddr>,
}

/// A stream's place among the [`Loads`]; what it has reported goes when it is dropped.
#[derive(Debug)]
pub struct LoadStream {
    loads: Arc<Loads>,
    id: u64,
}

/// What was sent to one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterTotals {
    /// The name of the cluster.
    pub cluster: String,
    /// When it was last reported on.
    pub reported_at: DateTime<Utc>,
    /// How long was measured for that; zero if the proxy does not say.
    pub interval: Duration,
    /// How many requests were dropped in all.
    pub dropped: u64,
    /// How many of them by which category.
    pub dropped_by: BTreeMap<String, u64>,
    /// Where the others went: by locality (`region/zone/sub_zone`) and priority.
    pub localities: BTreeMap<(String, u32), LocalityTotals>,
}

/// What was sent to the endpoints of one locality and priority.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalityTotals {
    /// Since the stream was opened.
    pub total: Counts,
    /// In the last report.
    pub latest: Counts,
    /// How many requests were under way at that report.
    pub in_progress: u64,
    /// What endpoints measured since the stream was opened, by name.
    pub metrics: BTreeMap<String, MetricTotal>,
}

/// Requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many succeeded.
    pub successful: u64,
    /// How many failed.
    pub errors: u64,
    /// How many were begun.
    pub issued: u64,
}

/// What endpoints measured under one name.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MetricTotal {
    /// By how many answers.
    pub requests: u64,
    /// The sum of what they said.
    pub total: f64,
}

/// How many entries may still be made.
struct Budget {
    left: usize,
    made: usize,
    refused: usize,
}

// === impl Loads ===

impl Loads {
    /// Makes a registry that knows of no stream.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Takes in a stream.
    pub fn open(self: &Arc<Self>, reporter: Reporter) -> LoadStream {
        let mut inner = self.0.write();
        inner.last_id += 1;
        let id = inner.last_id;
        inner
            .streams
            .insert(id, Stream { reporter, clusters: BTreeMap::new(), entries: 0, report: 0 });
        LoadStream { loads: Arc::clone(self), id }
    }

    /// Who has reported since the report of this number, and the number of the newest.
    pub fn since(&self, report: u64) -> (Vec<Reporter>, u64) {
        let inner = self.0.read();
        let streams = inner.streams.values().filter(|stream| stream.report > report);
        (streams.map(|stream| stream.reporter.clone()).collect(), inner.last_report)
    }

    /// What those that call themselves `name` have reported, by the name of the
    /// cluster; with a `peer` only those that connect from there.
    pub fn of(
        &self,
        group: NodeGroupId,
        name: &str,
        peer: Option<SocketAddr>,
    ) -> Vec<ClusterTotals> {
        let inner = self.0.read();
        let is_meant = |reporter: &Reporter| {
            let is_there = peer.is_none() || reporter.peer == peer;
            reporter.group == group && reporter.name == name && is_there
        };
        let mut clusters: BTreeMap<ClusterKey, ClusterTotals> = BTreeMap::new();
        for stream in inner.streams.values().filter(|stream| is_meant(&stream.reporter)) {
            for (key, totals) in &stream.clusters {
                match clusters.get_mut(key) {
                    Some(sum) => sum.merge(totals),
                    None => {
                        clusters.insert(key.clone(), totals.clone());
                    }
                }
            }
        }
        clusters.into_values().collect()
    }
}

impl LoadStream {
    /// Adds a report to what is known. Returns how many entries had no place.
    pub fn add(&self, report: reported::LoadReport, now: DateTime<Utc>) -> usize {
        let mut inner = self.loads.0.write();
        let Inner { streams, entries, last_report, .. } = &mut *inner;
        let Some(stream) = streams.get_mut(&self.id) else { return 0 };
        *last_report += 1;
        stream.report = *last_report;
        let left = (MOST_OF_A_STREAM - stream.entries).min(MOST - *entries);
        let mut budget = Budget { left, made: 0, refused: 0 };
        for load in report.clusters {
            let key = (load.cluster.clone(), load.service_name.clone());
            let new = || ClusterTotals::new(load.cluster.clone(), now);
            if let Some(totals) = budget.entry(&mut stream.clusters, key, new) {
                totals.add(load, now, &mut budget);
            }
        }
        stream.entries += budget.made;
        *entries += budget.made;
        budget.refused
    }
}

impl Drop for LoadStream {
    fn drop(&mut self) {
        let mut inner = self.loads.0.write();
        if let Some(stream) = inner.streams.remove(&self.id) {
            inner.entries -= stream.entries;
        }
    }
}

impl Budget {
    /// The entry of that name, made now if it is new and there is a place for it.
    fn entry<'a, K: Ord, V>(
        &mut self,
        map: &'a mut BTreeMap<K, V>,
        key: K,
        new: impl FnOnce() -> V,
    ) -> Option<&'a mut V> {
        use std::collections::btree_map::Entry;
        match map.entry(key) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(place) if self.left > 0 => {
                self.left -= 1;
                self.made += 1;
                Some(place.insert(new()))
            }
            Entry::Vacant(_) => {
                self.refused += 1;
                None
            }
        }
    }
}

// === impl ClusterTotals ===

impl ClusterTotals {
    fn new(cluster: String, now: DateTime<Utc>) -> Self {
        Self {
            cluster,
            reported_at: now,
            interval: Duration::ZERO,
            dropped: 0,
            dropped_by: BTreeMap::new(),
            localities: BTreeMap::new(),
        }
    }

    fn add(&mut self, load: reported::ClusterLoad, now: DateTime<Utc>, budget: &mut Budget) {
        self.reported_at = now;
        self.interval = load.interval;
        self.dropped = self.dropped.saturating_add(load.dropped);
        for (category, dropped) in load.dropped_by {
            if let Some(sum) = budget.entry(&mut self.dropped_by, category, || 0) {
                *sum = sum.saturating_add(dropped);
            }
        }
        for load in load.localities {
            let latest =
                Counts { successful: load.successful, errors: load.errors, issued: load.issued };
            let key = (load.locality, load.priority);
            let place = budget.entry(&mut self.localities, key, LocalityTotals::default);
            let Some(totals) = place else { continue };
            totals.total.add(latest);
            totals.latest = latest;
            totals.in_progress = load.in_progress;
            for metric in load.metrics.into_iter().filter(|metric| metric.total.is_finite()) {
                let new = MetricTotal::default;
                if let Some(sum) = budget.entry(&mut totals.metrics, metric.name, new) {
                    sum.add(MetricTotal { requests: metric.requests, total: metric.total });
                }
            }
        }
    }

    /// Adds what another stream has reported; the latest is that of the later one.
    fn merge(&mut self, other: &Self) {
        let is_later = other.reported_at > self.reported_at;
        if is_later {
            self.reported_at = other.reported_at;
            self.interval = other.interval;
        }
        self.dropped = self.dropped.saturating_add(other.dropped);
        for (category, dropped) in &other.dropped_by {
            let sum = self.dropped_by.entry(category.clone()).or_default();
            *sum = sum.saturating_add(*dropped);
        }
        for (key, other) in &other.localities {
            let totals = self.localities.entry(key.clone()).or_default();
            totals.total.add(other.total);
            if is_later {
                totals.latest = other.latest;
                totals.in_progress = other.in_progress;
            }
            for (name, metric) in &other.metrics {
                totals.metrics.entry(name.clone()).or_default().add(*metric);
            }
        }
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.successful = self.successful.saturating_add(other.successful);
        self.errors = self.errors.saturating_add(other.errors);
        self.issued = self.issued.saturating_add(other.issued);
    }
}

impl MetricTotal {
    fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.total = (self.total + other.total).clamp(f64::MIN, f64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn group(id: i32) -> NodeGroupId {
        id.try_into().unwrap()
    }

    fn reporter(name: &str, port: u16) -> Reporter {
        let peer = Some(([127, 0, 0, 1], port).into());
        Reporter { group: group(1), name: name.to_owned(), peer }
    }

    fn issued(cluster: &str, issued: u64) -> reported::ClusterLoad {
        let locality = reported::LocalityLoad { issued, ..Default::default() };
        reported::ClusterLoad {
            cluster: cluster.to_owned(),
            localities: vec![locality],
            ..Default::default()
        }
    }

    fn report(clusters: Vec<reported::ClusterLoad>) -> reported::LoadReport {
        reported::LoadReport { clusters, ..Default::default() }
    }

    /// Of each cluster its name, and what was issued in all.
    fn shape(clusters: &[ClusterTotals]) -> Vec<(&str, u64)> {
        let issued = |c: &ClusterTotals| c.localities.values().map(|l| l.total.issued).sum();
        clusters.iter().map(|c| (c.cluster.as_str(), issued(c))).collect()
    }

    #[test]
    fn reports_add_up_and_the_latest_is_known() {
        let loads = Loads::new();
        let stream = loads.open(reporter("n", 1));
        let load = |n: u64| reported::ClusterLoad {
            cluster: "a".into(),
            interval: Duration::from_secs(n),
            dropped: n,
            dropped_by: vec![("busy".into(), n)],
            localities: vec![reported::LocalityLoad {
                locality: "r/z/".into(),
                priority: 1,
                successful: n,
                errors: 2 * n,
                issued: 3 * n,
                in_progress: 4 * n,
                metrics: vec![reported::NamedMetric {
                    name: "cpu".into(),
                    requests: n,
                    total: 0.5,
                }],
            }],
            ..Default::default()
        };
        assert_eq!(stream.add(report(vec![load(1)]), at(1)), 0);
        assert_eq!(stream.add(report(vec![load(10)]), at(2)), 0);
        let counts = |n| Counts { successful: n, errors: 2 * n, issued: 3 * n };
        let totals = LocalityTotals {
            total: counts(11),
            latest: counts(10),
            in_progress: 40,
            metrics: [("cpu".into(), MetricTotal { requests: 11, total: 1.0 })].into(),
        };
        let want = ClusterTotals {
            cluster: "a".into(),
            reported_at: at(2),
            interval: Duration::from_secs(10),
            dropped: 11,
            dropped_by: [("busy".into(), 11)].into(),
            localities: [(("r/z/".into(), 1), totals)].into(),
        };
        assert_eq!(loads.of(group(1), "n", None), [want]);
    }

    #[test]
    fn a_metric_stays_a_number() {
        let loads = Loads::new();
        let stream = loads.open(reporter("n", 1));
        for total in [f64::NAN, f64::INFINITY, f64::MAX, f64::MAX] {
            let mut load = issued("a", 1);
            let metric = reported::NamedMetric { name: "m".into(), requests: 1, total };
            load.localities[0].metrics = vec![metric];
            stream.add(report(vec![load]), at(1));
        }
        let cluster = &loads.of(group(1), "n", None)[0];
        let metric = cluster.localities[&(String::new(), 0)].metrics["m"];
        assert_eq!(metric, MetricTotal { requests: 2, total: f64::MAX });
    }

    #[test]
    fn what_a_stream_has_reported_goes_with_it() {
        let loads = Loads::new();
        let stream = loads.open(reporter("n", 1));
        stream.add(report(vec![issued("a", 1)]), at(1));
        assert_eq!(loads.0.read().entries, 2);
        drop(stream);
        assert_eq!(loads.of(group(1), "n", None), []);
        assert_eq!(loads.0.read().entries, 0);
    }

    #[test]
    fn those_with_the_same_name_are_told_apart_by_where_they_are() {
        let loads = Loads::new();
        let (one, two) = (loads.open(reporter("n", 1)), loads.open(reporter("n", 2)));
        let other = loads.open(reporter("m", 1));
        one.add(report(vec![issued("a", 1), issued("b", 1)]), at(2));
        two.add(report(vec![issued("a", 10)]), at(1));
        other.add(report(vec![issued("a", 100)]), at(1));
        let of = |peer| loads.of(group(1), "n", peer);
        assert_eq!(shape(&of(reporter("", 1).peer)), [("a", 1), ("b", 1)]);
        assert_eq!(shape(&of(reporter("", 2).peer)), [("a", 10)]);
        assert_eq!(shape(&of(None)), [("a", 11), ("b", 1)]);
        assert_eq!(of(None)[0].localities[&(String::new(), 0)].latest.issued, 1);
        assert_eq!(loads.of(group(2), "n", None), []);
    }

    #[test]
    fn what_has_no_place_is_counted_and_not_kept() {
        let loads = Loads::new();
        let stream = loads.open(reporter("n", 1));
        let many = |from: usize, to: usize| {
            report((from..to).map(|i| issued(&format!("c{i}"), 1)).collect())
        };
        // Each is a cluster and a locality.
        assert_eq!(stream.add(many(0, MOST_OF_A_STREAM / 2), at(1)), 0);
        assert_eq!(stream.add(many(0, MOST_OF_A_STREAM / 2 + 7), at(2)), 7);
        let kept = loads.of(group(1), "n", None);
        assert_eq!(kept.len(), MOST_OF_A_STREAM / 2);
        assert!(shape(&kept).iter().all(|(_, issued)| *issued == 2));

        // Each of the others takes a place of all, until there is none.
        let streams: Vec<_> = (1..=MOST / MOST_OF_A_STREAM)
            .map(|i| {
                let stream = loads.open(reporter(&format!("n{i}"), 1));
                let refused = stream.add(many(0, MOST_OF_A_STREAM / 2), at(1));
                assert_eq!(refused, if i < MOST / MOST_OF_A_STREAM { 0 } else { 2_500 });
                stream
            })
            .collect();
        assert_eq!(loads.0.read().entries, MOST);
        drop((stream, streams));
        assert_eq!(loads.0.read().entries, 0);
    }
}
