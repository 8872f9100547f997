//! Floor 1: rows and transactions. The only SQL.
//!
//! [`Store::read`] gives a transaction that sees one state of the database;
//! [`Store::write`] gives the one writer's. Both are a [`Tx`]: what finds is on
//! it, and what changes. Only [`Tx::commit`] keeps anything; dropping a `Tx`
//! rolls it back. A row is an edge too: it is parsed into domain types here.

mod connect;
mod listeners;
mod node_groups;
mod node_tokens;
mod routes;
mod rows;
mod services;
mod snapshots;
mod users;

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqlErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};

use crate::error::{Error, Result};

pub use connect::{DatabaseUrl, DatabaseUrlError};

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
}

/// One transaction. Dropped, it rolls back.
#[derive(Debug)]
pub struct Tx(DatabaseTransaction);

impl Store {
    /// Begins a transaction that sees one state and changes nothing.
    pub async fn read(&self) -> Result<Tx> {
        begin(&self.reader, SqliteTransactionMode::Deferred).await
    }

    /// Begins the writer's transaction; on SQLite there is one at a time.
    pub async fn write(&self) -> Result<Tx> {
        begin(&self.writer, SqliteTransactionMode::Immediate).await
    }

    /// Closes both pools, once what they are doing is done.
    pub async fn close(self) -> Result<()> {
        self.writer.close().await?;
        self.reader.close().await?;
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that begins transactions")]
async fn begin(db: &DatabaseConnection, mode: SqliteTransactionMode) -> Result<Tx> {
    let options = TransactionOptions { sqlite_transaction_mode: Some(mode), ..Default::default() };
    Ok(Tx(db.begin_with_options(options).await?))
}

impl Tx {
    /// Keeps what this transaction changed. The last `await` of a change.
    pub async fn commit(self) -> Result<()> {
        Ok(self.0.commit().await?)
    }
}

impl From<DbErr> for Error {
    /// The one place where a database's error becomes ours: always internal,
    /// unless the store recognised what it means.
    fn from(e: DbErr) -> Self {
        Self::internal(e)
    }
}

/// What an insert or update says of a name that is taken.
fn name_taken(kind: &'static str, name: &str) -> impl FnOnce(DbErr) -> Error + use<> {
    let name = name.to_owned();
    move |e| match e.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => {
            Error::AlreadyExists { kind, name, path: vec!["name".to_owned()] }
        }
        Some(_) | None => e.into(),
    }
}
