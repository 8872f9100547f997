//! The rows of a first MarchProxy's database, read and never written.
//!
//! There are two schemas of it, which have drifted apart: what its program made,
//! and what its migrations made. So each row is taken as JSON, by the names of the
//! columns that it happens to have, and parsed from that.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use sea_orm::{ConnectionTrait as _, DbBackend, JsonValue, Statement};

use super::PostgresUrl;
use super::connect::postgres_source;
use super::transaction::{Bounded, Purpose};
use crate::error::Result;

/// The tables that are read.
const TABLES: [&str; 8] = [
    "auth_user",
    "clusters",
    "services",
    "mappings",
    "proxy_servers",
    "user_cluster_assignments",
    "user_service_assignments",
    "certificates",
];

/// The tables whose rows are only counted: there is no place for them here.
const COUNTED: [&str; 10] = [
    "proxy_metrics",
    "qos_policies",
    "route_tables",
    "route_health_status",
    "tracing_configs",
    "tracing_stats",
    "modules",
    "module_routes",
    "scaling_policies",
    "deployments",
];

/// How long reading all of it may take.
const LIMIT: Duration = Duration::from_secs(300);

/// What a first MarchProxy's database holds. `Debug` shows no row: there are
/// hashes and secrets in them.
pub struct LegacyRows {
    tables: BTreeMap<&'static str, Vec<JsonValue>>,
    counted: Vec<(&'static str, i64)>,
}

impl LegacyRows {
    /// Reads the database in one transaction that may change nothing.
    pub async fn read(url: &PostgresUrl) -> Result<Self> {
        let queue = postgres_source(url.options()).await?;
        let tx = Bounded::begin(&queue, Purpose::Read, LIMIT).await?;
        let mut tables = BTreeMap::new();
        for table in TABLES {
            if is_there(&tx, table).await? {
                let sql = format!("SELECT to_jsonb(t) AS found FROM {table} t ORDER BY t.id");
                let rows = tx.query_all_raw(Statement::from_string(DbBackend::Postgres, sql));
                let rows = rows.await?.into_iter().map(|row| row.try_get("", "found"));
                tables.insert(table, rows.collect::<Result<Vec<JsonValue>, _>>()?);
            }
        }
        let mut counted = vec![];
        for table in COUNTED {
            if is_there(&tx, table).await? {
                let sql = format!("SELECT count(*) AS found FROM {table}");
                let row = tx.query_one_raw(Statement::from_string(DbBackend::Postgres, sql));
                let count = row.await?.map(|row| row.try_get("", "found")).transpose()?;
                counted.push((table, count.unwrap_or(0)));
            }
        }
        drop(tx);
        queue.db.close().await?;
        Ok(Self { tables, counted })
    }

    /// Whether there is such a table.
    pub fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// A table's rows, in the order of their ids; none if it is not there.
    pub fn take(&mut self, table: &str) -> Vec<JsonValue> {
        self.tables.get_mut(table).map(std::mem::take).unwrap_or_default()
    }

    /// The tables that are there and are not read, and how many rows they have.
    pub fn counted(&self) -> &[(&'static str, i64)] {
        &self.counted
    }
}

impl fmt::Debug for LegacyRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegacyRows").field("counted", &self.counted).finish_non_exhaustive()
    }
}

async fn is_there(tx: &Bounded, table: &str) -> Result<bool> {
    let sql = format!("SELECT to_regclass('{table}') IS NOT NULL AS found");
    let row = tx.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    Ok(row.map(|row| row.try_get("", "found")).transpose()?.unwrap_or(false))
}
