//! Opening the database: pools, what their connections may do, migrations.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use marchproxy_migration::{Migrator, MigratorTrait as _};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _};
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr};
use tokio::time::timeout;

use super::queue::Queue;
use super::transaction::{ACQUIRE, Lock, begin_migration};
use super::{DatabaseUrl, Store};
use crate::error::{Error, Result};

/// How many connections read at once, of each kind of database.
const SQLITE_READERS: u32 = 4;
const POSTGRES_READERS: u32 = 6;

/// How many change something at once on PostgreSQL; on SQLite it is one.
const POSTGRES_WRITERS: u32 = 4;

/// How long a first connection may take to be made.
const CONNECT: Duration = Duration::from_secs(8);

/// How long a connection that comes back to its pool may take to answer.
const PING: Duration = Duration::from_secs(2);

/// What PostgreSQL itself puts an end to, in milliseconds: what we gave up on
/// must not go on there, and keep locks, when we are away.
const POSTGRES_LIMITS: [(&str, &str); 3] = [
    ("statement_timeout", "10000"),
    ("lock_timeout", "10000"),
    ("idle_in_transaction_session_timeout", "30000"),
];

/// How long an instance waits until another one has brought the schema up to
/// date, in milliseconds.
const MIGRATION_LIMITS: [(&str, &str); 1] = [("lock_timeout", "60000")];

/// What the connections of a pool may do.
#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
}

impl Store {
    /// Opens the database and brings its schema up to date.
    ///
    /// `Unavailable` if a server does not let us in within 8 seconds.
    pub async fn open(url: &DatabaseUrl) -> Result<Self> {
        match url {
            DatabaseUrl::Sqlite(path) => open_sqlite(path).await,
            DatabaseUrl::Postgres(url) => open_postgres(url.options()).await,
        }
    }
}

/// SQLite keeps a write-ahead log, so that readers see one state while the one
/// writer goes on; a commit is on disk before it is answered.
async fn open_sqlite(path: &Path) -> Result<Store> {
    let writer = sqlite_pool(path, 1, Access::Write).await?;
    Migrator::up(&writer, None).await?;
    let reader = sqlite_pool(path, SQLITE_READERS, Access::Read).await?;
    let (reader, writer) = (Queue::new(reader, SQLITE_READERS), Queue::new(writer, 1));
    Ok(Store { reader, writer, told: Arc::default() })
}

async fn sqlite_pool(path: &Path, connections: u32, access: Access) -> Result<DatabaseConnection> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(ACQUIRE)
        .disable_statement_logging();
    let options = match access {
        Access::Read => options.pragma("query_only", "ON"),
        Access::Write => options,
    };
    let pool = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE);
    Ok(pool.connect_with(options).await.map_err(connection_failed)?.into())
}

async fn open_postgres(options: PgConnectOptions) -> Result<Store> {
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("marchproxy"),
    };
    let options = options.disable_statement_logging();
    // A pool would go on trying, and not say why it cannot.
    let first = timeout(CONNECT, options.connect()).await;
    let first = first.map_err(|late| Error::unavailable("the database", late))?;
    first.map_err(connection_failed)?.close().await.map_err(connection_failed)?;

    migrate(options.clone()).await?;
    let options = options.options(POSTGRES_LIMITS);
    let queue = |connections| Queue::new(postgres_pool(options.clone(), connections), connections);
    let (reader, writer) = (queue(POSTGRES_READERS), queue(POSTGRES_WRITERS));
    Ok(Store { reader, writer, told: Arc::default() })
}

/// One connection to a database that is another's, and only to be read.
pub(super) async fn postgres_source(options: PgConnectOptions) -> Result<Queue> {
    let options = options.application_name("marchproxy import").disable_statement_logging();
    let first = timeout(CONNECT, options.connect()).await;
    let first = first.map_err(|late| Error::unavailable("the database", late))?;
    first.map_err(connection_failed)?.close().await.map_err(connection_failed)?;
    let options = options.options([("default_transaction_read_only", "on")]);
    Ok(Queue::new(postgres_pool(options, 1), 1))
}

/// Brings the schema up to date, all of it or nothing. Of several instances that
/// start at once the first does, and the others wait and find it done.
async fn migrate(options: PgConnectOptions) -> Result<()> {
    let db = postgres_pool(options.options(MIGRATION_LIMITS), 1);
    let tx = begin_migration(&db).await?;
    Lock::Migration.take(&tx).await?;
    Migrator::up(&tx, None).await?;
    tx.commit().await?;
    Ok(db.close().await?)
}

/// A pool that connects when it has to, and tries a connection before its use,
/// so that it gets over a server that was away.
fn postgres_pool(options: PgConnectOptions, connections: u32) -> DatabaseConnection {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .test_before_acquire(true)
        // One that hangs would keep its place in the pool until TCP gives up.
        .after_release(|connection, _| {
            Box::pin(async move {
                let answer = timeout(PING, connection.ping()).await;
                answer.map_err(|late| sqlx::Error::Io(late.into()))?.map(|()| true)
            })
        })
        .connect_lazy_with(options)
        .into()
}

fn connection_failed(e: sqlx::Error) -> Error {
    DbErr::Conn(RuntimeErr::SqlxError(e.into())).into()
}
