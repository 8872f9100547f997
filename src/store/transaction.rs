//! Transactions that come to an end, whatever the database does.

use std::time::Duration;

use prometheus::HistogramTimer;
use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    ExecResult, IsolationLevel, QueryResult, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

use super::failure::late;
use super::queue::{Pulse, Queue};
use crate::error::Result;
use crate::metrics;

/// How long to wait until a transaction has begun, once a connection is one's own.
pub(super) const ACQUIRE: Duration = Duration::from_secs(9);

/// How long a transaction may last.
pub(super) const LIMIT: Duration = Duration::from_secs(9);

/// A transaction with an end. Dropped, it rolls back.
#[derive(Debug)]
pub(super) struct Bounded {
    tx: DatabaseTransaction,
    deadline: Instant,
    pulse: Pulse,
    // After `tx`: dropped when its connection is free again.
    _place: OwnedSemaphorePermit,
    _timed: HistogramTimer,
}

/// What only one instance may be at, among all that share a PostgreSQL. SQLite
/// has one writer anyway.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lock {
    /// Bringing the schema up to date.
    Migration,
    /// Looking for what must be there once, and making it.
    Alone,
}

impl Lock {
    /// Waits for the lock. It is held until the transaction ends.
    pub(super) async fn take(self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        // Any two numbers; "march" in ASCII, and which of ours.
        let which = match self {
            Self::Migration => 1,
            Self::Alone => 2,
        };
        let sql = format!("SELECT pg_advisory_xact_lock({})", 0x6d_61_72_63_68_00_i64 + which);
        match db.get_database_backend() {
            DbBackend::Postgres => db.execute_unprepared(&sql).await.map(drop),
            DbBackend::Sqlite | DbBackend::MySql | _ => Ok(()),
        }
    }
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// To see one state, and change nothing.
    Read,
    /// To change something; each statement sees what is committed by then.
    Write,
}

impl Purpose {
    /// What it is called among the metrics.
    fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl Bounded {
    /// Begins a transaction that has `limit` from then on.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that begins them")]
    pub(super) async fn begin(
        queue: &Queue,
        purpose: Purpose,
        limit: Duration,
    ) -> Result<Self, DbErr> {
        let waiting = metrics::waiting_for_database(purpose.as_str());
        let (place, db) = (queue.place().await?, &queue.db);
        let (isolation, access, mode) = match purpose {
            Purpose::Read => (
                IsolationLevel::RepeatableRead,
                AccessMode::ReadOnly,
                SqliteTransactionMode::Deferred,
            ),
            Purpose::Write => (
                IsolationLevel::ReadCommitted,
                AccessMode::ReadWrite,
                SqliteTransactionMode::Immediate,
            ),
        };
        let postgres = db.get_database_backend() == DbBackend::Postgres;
        let options = TransactionOptions {
            isolation_level: postgres.then_some(isolation),
            access_mode: postgres.then_some(access),
            sqlite_transaction_mode: Some(mode),
        };
        let tx = timeout(ACQUIRE, db.begin_with_options(options)).await.map_err(|_| late())??;
        waiting.observe_duration();
        let timed = metrics::in_transaction(purpose.as_str());
        queue.pulse.beat();
        let (deadline, pulse) = (Instant::now() + limit, queue.pulse.clone());
        Ok(Self { tx, deadline, pulse, _place: place, _timed: timed })
    }

    /// Keeps what was changed.
    pub(super) async fn commit(self) -> Result<(), DbErr> {
        timeout_at(self.deadline, self.tx.commit()).await.map_err(|_| late())??;
        self.pulse.beat();
        Ok(())
    }

    /// Gives up what was changed.
    pub(super) async fn roll_back(self) -> Result<(), DbErr> {
        timeout_at(self.deadline, self.tx.rollback()).await.map_err(|_| late())??;
        self.pulse.beat();
        Ok(())
    }

    async fn in_time<T>(
        &self,
        statement: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        let answer = timeout_at(self.deadline, statement).await.map_err(|_| late())?;
        self.pulse.beat();
        answer
    }
}

/// Begins what may last: a migration of much data takes its time.
#[expect(clippy::disallowed_methods, reason = "migrations are not ours to bound")]
pub(super) async fn begin_migration(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    db.begin().await
}

#[async_trait]
impl ConnectionTrait for Bounded {
    fn get_database_backend(&self) -> DbBackend {
        self.tx.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.in_time(self.tx.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.in_time(self.tx.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.in_time(self.tx.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.in_time(self.tx.query_all_raw(statement)).await
    }
}
