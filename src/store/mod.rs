//! Floor 1: rows and transactions. The only SQL.
//!
//! [`Store::read`] gives a transaction that sees one state of the database;
//! [`Store::write`] gives one that changes something. Both are a [`Tx`]: what finds
//! is on it, and what changes. Only [`Tx::commit`] keeps anything; dropping a `Tx`
//! rolls it back. A row is an edge too: it is parsed into domain types here.
//!
//! All of it runs on SQLite, which has one writer at a time, and on PostgreSQL,
//! where [`Tx::bump_revision`] puts the changes of one group in a row, and those of
//! two groups go on side by side.

mod api_tokens;
mod assignments;
mod audit;
mod certificates;
mod connect;
mod events;
mod failure;
mod history;
mod import;
mod invitations;
mod labels;
mod legacy;
mod licences;
mod listeners;
mod lists;
mod mappings;
mod node_groups;
mod node_tokens;
mod proxies;
mod queue;
mod restore;
mod routes;
mod rows;
mod search;
mod service_secrets;
mod services;
mod sessions;
mod snapshots;
mod transaction;
mod url;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sea_orm::ConnectionTrait as _;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::model::Revision;

pub use certificates::{CertificateFilter, KeptPair};
pub use legacy::LegacyRows;
pub use search::{Named, Within};
pub use service_secrets::KeptSecret;
pub use url::{DatabaseUrl, DatabaseUrlError, PostgresUrl};

use events::Told;
use failure::name_taken;
use queue::Queue;
use transaction::{Bounded, LIMIT, Lock, Purpose};

/// How long a server may take to take leave.
const CLOSE: Duration = Duration::from_secs(2);

/// How long filling a whole database may take.
const LONG_LIMIT: Duration = Duration::from_secs(600);

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    reader: Queue,
    writer: Queue,
    told: Arc<Notify>,
}

/// One transaction. Dropped, it rolls back; so it does when it has lasted for 9
/// seconds, and is `Unavailable` from then on.
#[derive(Debug)]
pub struct Tx(Bounded, Making, Told, Ending);

/// The revision that a transaction makes of a group: that of each row which it writes.
#[derive(Debug, Default)]
struct Making(AtomicI64);

/// What becomes of a transaction that is committed.
#[derive(Clone, Copy, Debug, Default)]
enum Ending {
    /// What it changed is kept.
    #[default]
    Kept,
    /// It was only tried: it is rolled back.
    Tried,
}

impl Making {
    fn note(&self, revision: Revision) {
        self.0.store(revision.into(), Ordering::Relaxed);
    }

    fn revision(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Store {
    /// Begins a transaction that sees one state and changes nothing.
    pub async fn read(&self) -> Result<Tx> {
        Ok(self.begun(Bounded::begin(&self.reader, Purpose::Read, LIMIT).await?))
    }

    /// Begins a transaction that changes something; on SQLite there is one at a
    /// time.
    pub async fn write(&self) -> Result<Tx> {
        Ok(self.begun(Bounded::begin(&self.writer, Purpose::Write, LIMIT).await?))
    }

    /// As [`Store::write`], but one at a time on any database, in all instances:
    /// for what looks whether something is there, and makes it if not.
    pub async fn write_alone(&self) -> Result<Tx> {
        let tx = self.write().await?;
        Lock::Alone.take(&tx.0).await?;
        Ok(tx)
    }

    /// As [`Store::write_alone`], for what fills a whole database and may take long.
    pub async fn write_all(&self) -> Result<Tx> {
        let begun = Bounded::begin(&self.writer, Purpose::Write, LONG_LIMIT).await?;
        let tx = self.begun(begun);
        Lock::Alone.take(&tx.0).await?;
        Ok(tx)
    }

    /// How many statements the database has answered.
    #[cfg(test)]
    pub fn statements(&self) -> u64 {
        self.reader.pulse.count() + self.writer.pulse.count()
    }

    fn begun(&self, begun: Bounded) -> Tx {
        Tx(begun, Making::default(), Told::new(&self.told), Ending::default())
    }

    /// Closes both pools, once what they are doing is done.
    pub async fn close(self) -> Result<()> {
        let close = async {
            self.writer.db.close().await?;
            self.reader.db.close().await
        };
        let closed = timeout(CLOSE, close).await;
        Ok(closed.map_err(|late| Error::unavailable("the database", late))??)
    }
}

impl Tx {
    /// The same transaction, but only tried: its [`Tx::commit`] rolls it back.
    #[must_use]
    pub fn tried(self) -> Self {
        Self(self.0, self.1, self.2, Ending::Tried)
    }

    /// Whether it is only tried.
    pub fn is_tried(&self) -> bool {
        match self.3 {
            Ending::Kept => false,
            Ending::Tried => true,
        }
    }

    /// Keeps what this transaction changed, and what it tells of that, unless it is only
    /// tried. The last `await` of a change.
    ///
    /// `Unavailable` may mean that the database did keep it, and could not say so.
    pub async fn commit(self) -> Result<()> {
        if self.is_tried() {
            return Ok(self.0.roll_back().await?);
        }
        let told = Box::pin(self.write_told()).await?;
        self.0.commit().await?;
        if let Some(news) = told {
            news.notify_one();
        }
        Ok(())
    }

    /// Marks where the transaction is, until [`Tx::forget_mark`] or [`Tx::back_to_mark`].
    pub async fn mark(&self) -> Result<()> {
        self.0.execute_unprepared("SAVEPOINT mark").await?;
        Ok(())
    }

    /// Undoes what was done since the mark, also if that has failed; the mark is gone.
    pub async fn back_to_mark(&self) -> Result<()> {
        self.0.execute_unprepared("ROLLBACK TO SAVEPOINT mark").await?;
        self.forget_mark().await
    }

    /// Takes the mark away: what was done since stays.
    pub async fn forget_mark(&self) -> Result<()> {
        self.0.execute_unprepared("RELEASE SAVEPOINT mark").await?;
        Ok(())
    }
}
