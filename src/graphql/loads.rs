//! Loads: how much each proxy has sent where.
//!
//! Counts are `Float` in the schema, because `Int` has 32 bits. They are whole, and
//! exact below 2^53.

use async_graphql::{Context, ID, Result, SimpleObject};
use futures_util::stream::{Stream, StreamExt as _};

use super::app_and_actor;
use super::global_id::optional;
use super::parse::number;
use super::scalars::Time;
use super::subscription::counted;
use super::xds_nodes::XdsNodeObject;
use crate::app::LoadRate;
use crate::loads::{ClusterTotals, Counts};
use crate::model::At as _;

#[derive(Default)]
pub(super) struct LoadSubscription;

/// What a proxy has sent so far.
#[derive(SimpleObject)]
struct LoadReported {
    /// Which proxy.
    node: XdsNodeObject,
    /// How much it has sent to each cluster since it began to report.
    loads: Vec<ClusterLoadObject>,
}

#[async_graphql::Subscription]
impl LoadSubscription {
    /// How much the proxies of a node group, or of all, have sent where: now, and each proxy
    /// again once it has reported more, every `everyMs` milliseconds (250 to 60000) at the
    /// most. Counters, not history: who is slow is told less often, and loses nothing.
    async fn load_reported<'ctx>(
        &self,
        ctx: &Context<'ctx>,
        #[graphql(desc = "The node group; all of them if null.")] group: Option<ID>,
        #[graphql(desc = "How often, in milliseconds.", default = 1000)] every_ms: i64,
    ) -> Result<impl Stream<Item = LoadReported> + use<'ctx>> {
        let (app, actor) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        let every = LoadRate::every(number(every_ms).at("everyMs")?)?;
        let loads = app.follow_loads(actor, group, every).await?;
        Ok(counted(loads.map(|(node, loads)| LoadReported {
            node: XdsNodeObject(node),
            loads: loads.into_iter().map(Into::into).collect(),
        })))
    }
}

/// How much a proxy has sent to one cluster, by its own account.
#[derive(SimpleObject)]
#[graphql(name = "XdsClusterLoad")]
pub(super) struct ClusterLoadObject {
    /// The name of the cluster in Envoy, such as `Service.envoyCluster`.
    cluster: String,
    /// When the proxy last reported on it. What is idle may not be reported on.
    last_report_at: Time,
    /// How long the proxy had measured for that, in milliseconds.
    interval_ms: f64,
    /// How many requests were dropped since the proxy began to report.
    dropped: f64,
    /// How many of them by which category.
    dropped_by: Vec<DroppedObject>,
    /// Where the others went.
    localities: Vec<LocalityLoadObject>,
}

/// Requests that were dropped for one reason.
#[derive(SimpleObject)]
#[graphql(name = "XdsDropped")]
pub(super) struct DroppedObject {
    /// Why, in the words of the drop policy.
    category: String,
    /// How many requests.
    dropped: f64,
}

/// How much a proxy has sent to the endpoints of one locality and priority.
#[derive(SimpleObject)]
#[graphql(name = "XdsLocalityLoad")]
pub(super) struct LocalityLoadObject {
    /// Where they are, as `region/zone/sub_zone`; null if they do not say.
    locality: Option<String>,
    /// Their priority; 0 is the highest.
    priority: u32,
    /// Since the proxy began to report.
    total: LoadCountsObject,
    /// In its last report.
    latest: LoadCountsObject,
    /// How many requests were under way at its last report.
    in_progress: f64,
    /// What the endpoints measured since the proxy began to report.
    metrics: Vec<LoadMetricObject>,
}

/// Requests.
#[derive(SimpleObject)]
#[graphql(name = "XdsLoadCounts")]
pub(super) struct LoadCountsObject {
    /// How many succeeded.
    successful: f64,
    /// How many failed.
    errors: f64,
    /// How many were begun.
    issued: f64,
}

/// What endpoints measured under one name, and sent with their answers.
#[derive(SimpleObject)]
#[graphql(name = "XdsLoadMetric")]
pub(super) struct LoadMetricObject {
    /// Which figure.
    name: String,
    /// How many answers said something of it.
    requests: f64,
    /// The sum of what they said.
    total: f64,
}

impl From<ClusterTotals> for ClusterLoadObject {
    fn from(totals: ClusterTotals) -> Self {
        let dropped_by = totals
            .dropped_by
            .into_iter()
            .map(|(category, dropped)| DroppedObject { category, dropped: count(dropped) });
        let localities = totals.localities.into_iter().map(|((locality, priority), load)| {
            let metrics = load.metrics.into_iter().map(|(name, metric)| LoadMetricObject {
                name,
                requests: count(metric.requests),
                total: metric.total,
            });
            LocalityLoadObject {
                locality: Some(locality).filter(|locality| !locality.is_empty()),
                priority,
                total: load.total.into(),
                latest: load.latest.into(),
                in_progress: count(load.in_progress),
                metrics: metrics.collect(),
            }
        });
        Self {
            last_report_at: Time(totals.reported_at),
            interval_ms: totals.interval.as_secs_f64() * 1000.0,
            dropped: count(totals.dropped),
            dropped_by: dropped_by.collect(),
            localities: localities.collect(),
            cluster: totals.cluster,
        }
    }
}

impl From<Counts> for LoadCountsObject {
    fn from(counts: Counts) -> Self {
        let Counts { successful, errors, issued } = counts;
        Self { successful: count(successful), errors: count(errors), issued: count(issued) }
    }
}

/// Exact below 2^53; that many requests are not made.
fn count(count: u64) -> f64 {
    count as f64
}
