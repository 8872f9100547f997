//! Proxies that registered over REST, and what they measured.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use marchproxy_schema::{node_group, proxy, proxy_metric};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait as _};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Set, Unchanged,
};

use super::Tx;
use super::lists::in_groups;
use super::rows::Row;
use crate::error::{Error, Result};
use crate::model::{
    ConfigVersion, DEGRADED_AFTER, Listed, METRICS_KEPT, Metrics, NodeGroupId, OFFLINE_AFTER, Page,
    Proxy, ProxyId, ProxySpec, ProxyStatus, Report, Window,
};

const KIND: &str = "proxy";

impl Tx {
    /// The proxy of this id, or `NotFound`.
    pub async fn proxy(&self, id: ProxyId) -> Result<Proxy> {
        let row = proxy::Entity::find_by_id(i32::from(id)).one(&self.0).await?;
        parse(row.ok_or_else(|| Error::not_found(KIND, id))?)
    }

    /// Those of these proxies that there are, in any order.
    pub async fn proxies_by_id(&self, ids: &[ProxyId]) -> Result<Vec<Proxy>> {
        let wanted = proxy::Entity::find()
            .filter(proxy::Column::Id.is_in(ids.iter().map(|id| i32::from(*id))));
        self.rows(wanted, parse).await
    }

    /// A group's proxies in the order of their ids.
    pub async fn proxies(&self, group: NodeGroupId, page: Page) -> Result<Vec<Proxy>> {
        let wanted = proxy::Entity::find().filter(proxy::Column::NodeGroupId.eq(i32::from(group)));
        self.page(wanted, proxy::Column::Id, page, parse).await
    }

    /// A window on the proxies of a group, or of all groups, as far as they are in
    /// these groups, the newest first.
    pub async fn list_proxies(
        &self,
        group: Option<NodeGroupId>,
        seen: Option<&[NodeGroupId]>,
        window: Window,
    ) -> Result<Listed<Proxy>> {
        let wanted =
            proxy::Entity::find().filter(in_groups(proxy::Column::NodeGroupId, group, seen));
        self.window(wanted, proxy::Column::Id, window, parse).await
    }

    /// How many of a group's proxies are not offline.
    pub async fn count_proxies(&self, group: NodeGroupId) -> Result<u64> {
        let here = proxy::Entity::find()
            .filter(proxy::Column::NodeGroupId.eq(i32::from(group)))
            .filter(proxy::Column::Status.ne(ProxyStatus::Offline.as_str()));
        Ok(here.count(&self.0).await?)
    }

    /// The same of each of these groups that has any.
    pub async fn proxy_counts(&self, groups: &[NodeGroupId]) -> Result<HashMap<NodeGroupId, u64>> {
        let rows: Vec<(i32, i64)> = proxy::Entity::find()
            .select_only()
            .column(proxy::Column::NodeGroupId)
            .column_as(proxy::Column::Id.count(), "count")
            .filter(proxy::Column::NodeGroupId.is_in(groups.iter().map(|id| i32::from(*id))))
            .filter(proxy::Column::Status.ne(ProxyStatus::Offline.as_str()))
            .group_by(proxy::Column::NodeGroupId)
            .into_tuple()
            .all(&self.0)
            .await?;
        let parse = |(id, count): (i32, i64)| {
            let group = Row { table: "proxy", id }.parse("node_group_id", id)?;
            Ok((group, count.unsigned_abs()))
        };
        rows.into_iter().map(parse).collect()
    }

    /// Makes others that lock the same group wait until the transaction ends: so each
    /// registration sees how many proxies there are, and each new key the one before.
    pub async fn lock_node_group(&self, group: NodeGroupId) -> Result<()> {
        let row = node_group::Entity::find_by_id(i32::from(group)).lock_exclusive();
        row.one(&self.0).await?;
        Ok(())
    }

    /// The proxy of this name in a group.
    pub async fn find_proxy(&self, group: NodeGroupId, name: &str) -> Result<Option<Proxy>> {
        let query = proxy::Entity::find()
            .filter(proxy::Column::NodeGroupId.eq(i32::from(group)))
            .filter(proxy::Column::Name.eq(name));
        query.one(&self.0).await?.map(parse).transpose()
    }

    /// Inserts a proxy that has just registered.
    pub async fn insert_proxy(
        &self,
        group: NodeGroupId,
        spec: &ProxySpec,
        now: DateTime<Utc>,
    ) -> Result<Proxy> {
        let row = proxy::ActiveModel {
            node_group_id: Set(group.into()),
            registered_at: Set(now),
            ..columns(spec, now)
        };
        parse(row.insert(&self.0).await?)
    }

    /// Inserts a proxy that was there before, under its old id.
    pub async fn insert_proxy_again(&self, proxy: &Proxy) -> Result<Proxy> {
        let row = proxy::ActiveModel {
            id: Set(proxy.id.into()),
            node_group_id: Set(proxy.group.into()),
            status: Set(proxy.status.as_str().to_owned()),
            last_seen: Set(proxy.last_seen),
            last_config_fetch: Set(proxy.last_config_fetch),
            config_version: Set(proxy.config_version.as_ref().map(ToString::to_string)),
            registered_at: Set(proxy.registered_at),
            ..columns(&proxy.spec, proxy.registered_at)
        };
        parse(row.insert(&self.0).await?)
    }

    /// Writes what a proxy says of itself that has registered again.
    pub async fn update_proxy(
        &self,
        id: ProxyId,
        spec: &ProxySpec,
        now: DateTime<Utc>,
    ) -> Result<Proxy> {
        let row = proxy::ActiveModel { id: Unchanged(id.into()), ..columns(spec, now) };
        parse(row.update(&self.0).await?)
    }

    /// Notes how a proxy stands that was just heard of.
    pub async fn set_proxy_status(
        &self,
        id: ProxyId,
        status: ProxyStatus,
        now: DateTime<Utc>,
    ) -> Result<Proxy> {
        let row = proxy::ActiveModel {
            id: Unchanged(id.into()),
            status: Set(status.as_str().to_owned()),
            last_seen: Set(Some(now)),
            ..Default::default()
        };
        parse(row.update(&self.0).await?)
    }

    /// Notes which configuration a proxy has fetched.
    pub async fn set_proxy_config(
        &self,
        id: ProxyId,
        version: &ConfigVersion,
        now: DateTime<Utc>,
    ) -> Result<Proxy> {
        let row = proxy::ActiveModel {
            id: Unchanged(id.into()),
            config_version: Set(Some(version.to_string())),
            last_config_fetch: Set(Some(now)),
            ..Default::default()
        };
        parse(row.update(&self.0).await?)
    }

    /// Notes of every proxy that was not heard of for long that it is in trouble,
    /// or gone; how many that were.
    pub async fn mark_stale_proxies(&self, now: DateTime<Utc>) -> Result<u64> {
        let [degraded, offline] = [ProxyStatus::Degraded, ProxyStatus::Offline].map(|s| s.as_str());
        let silent = |since| proxy::Column::LastSeen.lt(now - since);
        let status = CaseStatement::new()
            .case(silent(OFFLINE_AFTER), Expr::value(offline))
            .finally(Expr::value(degraded));
        let newly_degraded = proxy::Column::Status.ne(degraded).and(silent(DEGRADED_AFTER));
        let updated = proxy::Entity::update_many()
            .col_expr(proxy::Column::Status, status.into())
            .filter(proxy::Column::Status.ne(offline))
            .filter(Condition::any().add(silent(OFFLINE_AFTER)).add(newly_degraded))
            .exec(&self.0)
            .await?;
        Ok(updated.rows_affected)
    }

    /// Keeps what a proxy measured, and of what it said before only the latest.
    pub async fn insert_metrics(
        &self,
        proxy: ProxyId,
        metrics: &Metrics,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let row = proxy_metric::ActiveModel {
            proxy_id: Set(proxy.into()),
            reported_at: Set(now),
            cpu_usage: Set(metrics.cpu_usage),
            memory_usage: Set(metrics.memory_usage),
            connections_active: Set(metrics.connections_active),
            connections_total: Set(metrics.connections_total),
            bytes_sent: Set(metrics.bytes_sent),
            bytes_received: Set(metrics.bytes_received),
            requests_per_second: Set(metrics.requests_per_second),
            latency_avg: Set(metrics.latency_avg),
            latency_p95: Set(metrics.latency_p95),
            errors_per_second: Set(metrics.errors_per_second),
            ..Default::default()
        };
        row.insert(&self.0).await?;
        let newest_too_many: Option<i64> = proxy_metric::Entity::find()
            .select_only()
            .column(proxy_metric::Column::Id)
            .filter(proxy_metric::Column::ProxyId.eq(i32::from(proxy)))
            .order_by_desc(proxy_metric::Column::Id)
            .offset(METRICS_KEPT)
            .limit(1)
            .into_tuple()
            .one(&self.0)
            .await?;
        if let Some(id) = newest_too_many {
            proxy_metric::Entity::delete_many()
                .filter(proxy_metric::Column::ProxyId.eq(i32::from(proxy)))
                .filter(proxy_metric::Column::Id.lte(id))
                .exec(&self.0)
                .await?;
        }
        Ok(())
    }

    /// What a proxy measured, the latest first.
    pub async fn metrics(&self, proxy: ProxyId, limit: u64) -> Result<Vec<Report>> {
        let rows = proxy_metric::Entity::find()
            .filter(proxy_metric::Column::ProxyId.eq(i32::from(proxy)))
            .order_by_desc(proxy_metric::Column::Id)
            .limit(limit)
            .all(&self.0)
            .await?;
        Ok(rows.iter().map(report).collect())
    }
}

/// What a proxy says of itself, as columns; who says so is here, and well.
fn columns(spec: &ProxySpec, now: DateTime<Utc>) -> proxy::ActiveModel {
    proxy::ActiveModel {
        name: Set(spec.name.to_string()),
        hostname: Set(spec.hostname.to_string()),
        ip_address: Set(spec.ip_address.to_string()),
        port: Set(spec.port.into()),
        version: Set(spec.version.as_ref().map(ToString::to_string)),
        capabilities: Set(spec.capabilities.clone()),
        status: Set(ProxyStatus::Active.as_str().to_owned()),
        last_seen: Set(Some(now)),
        ..Default::default()
    }
}

fn parse(row: proxy::Model) -> Result<Proxy> {
    let at = Row { table: "proxy", id: row.id };
    Ok(Proxy {
        id: at.parse("id", row.id)?,
        group: at.parse("node_group_id", row.node_group_id)?,
        spec: ProxySpec {
            name: at.parse("name", row.name)?,
            hostname: at.parse("hostname", row.hostname)?,
            ip_address: row.ip_address.parse().map_err(|e| at.broken("ip_address", e))?,
            port: at.parse("port", row.port)?,
            version: at.optional("version", row.version)?,
            capabilities: row.capabilities,
        },
        status: at.parse("status", row.status)?,
        last_seen: row.last_seen,
        last_config_fetch: row.last_config_fetch,
        config_version: at.optional("config_version", row.config_version)?,
        registered_at: row.registered_at,
    })
}

fn report(row: &proxy_metric::Model) -> Report {
    Report {
        at: row.reported_at,
        metrics: Metrics {
            cpu_usage: row.cpu_usage,
            memory_usage: row.memory_usage,
            connections_active: row.connections_active,
            connections_total: row.connections_total,
            bytes_sent: row.bytes_sent,
            bytes_received: row.bytes_received,
            requests_per_second: row.requests_per_second,
            latency_avg: row.latency_avg,
            latency_p95: row.latency_p95,
            errors_per_second: row.errors_per_second,
        },
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::model::NodeGroupSpec;
    use crate::store::Store;

    async fn store() -> (Store, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("a.db").display());
        (Store::open(&url.parse().unwrap()).await.unwrap(), dir)
    }

    fn named(name: &str) -> ProxySpec {
        ProxySpec {
            name: name.to_owned().try_into().unwrap(),
            hostname: "h".to_owned().try_into().unwrap(),
            ip_address: "10.0.0.1".parse().unwrap(),
            port: 8080.try_into().unwrap(),
            version: None,
            capabilities: None,
        }
    }

    #[tokio::test]
    async fn who_is_not_heard_of_is_degraded_and_then_offline() {
        let (store, _dir) = store().await;
        let (tx, start) = (store.write().await.unwrap(), DateTime::UNIX_EPOCH);
        let spec = NodeGroupSpec::named("a".to_owned().try_into().unwrap());
        let group = tx.insert_node_group(&spec, true, None, start).await.unwrap().id;
        let silent = tx.insert_proxy(group, &named("silent"), start).await.unwrap().id;
        let later = start + TimeDelta::minutes(4);
        let heard = tx.insert_proxy(group, &named("heard"), later).await.unwrap().id;
        let gone = tx.insert_proxy(group, &named("gone"), later).await.unwrap().id;
        tx.set_proxy_status(gone, ProxyStatus::Offline, start).await.unwrap();
        let table = [
            (90, 0, [ProxyStatus::Active, ProxyStatus::Active]),
            (91, 1, [ProxyStatus::Degraded, ProxyStatus::Active]),
            (92, 0, [ProxyStatus::Degraded, ProxyStatus::Active]),
            (300, 0, [ProxyStatus::Degraded, ProxyStatus::Active]),
            (301, 1, [ProxyStatus::Offline, ProxyStatus::Active]),
            (331, 1, [ProxyStatus::Offline, ProxyStatus::Degraded]),
            (999, 1, [ProxyStatus::Offline, ProxyStatus::Offline]),
            (9999, 0, [ProxyStatus::Offline, ProxyStatus::Offline]),
        ];
        for (seconds, marked, want) in table {
            let now = start + TimeDelta::seconds(seconds);
            assert_eq!(tx.mark_stale_proxies(now).await.unwrap(), marked, "after {seconds} s");
            let [a, b] = [tx.proxy(silent).await.unwrap(), tx.proxy(heard).await.unwrap()];
            assert_eq!([a.status, b.status], want, "after {seconds} s");
        }
        let back = tx.set_proxy_status(silent, ProxyStatus::Active, later).await.unwrap();
        assert_eq!((back.status, back.last_seen), (ProxyStatus::Active, Some(later)));
    }

    #[tokio::test]
    async fn the_latest_reports_are_kept_and_no_more() {
        let (store, _dir) = store().await;
        let (tx, now) = (store.write().await.unwrap(), DateTime::UNIX_EPOCH);
        let spec = NodeGroupSpec::named("a".to_owned().try_into().unwrap());
        let group = tx.insert_node_group(&spec, true, None, now).await.unwrap().id;
        let [one, other] = ["one", "other"].map(named);
        let one = tx.insert_proxy(group, &one, now).await.unwrap().id;
        let other = tx.insert_proxy(group, &other, now).await.unwrap().id;
        let report = |n| Metrics { bytes_sent: Some(n), ..Default::default() };
        tx.insert_metrics(other, &report(-1), now).await.unwrap();
        let kept = i64::try_from(METRICS_KEPT).unwrap();
        for n in 0..kept + 3 {
            tx.insert_metrics(one, &report(n), now).await.unwrap();
        }
        let reports = tx.metrics(one, 5000).await.unwrap();
        let ends = [reports.first(), reports.last()].map(|r| r.unwrap().metrics.bytes_sent);
        assert_eq!((reports.len(), ends), (1000, [Some(kept + 2), Some(3)]));
        assert_eq!(tx.metrics(other, 5000).await.unwrap().len(), 1, "another's are left alone");
    }
}
