//! Opening the database: pools, pragmas, migrations.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use marchproxy_migration::{Migrator, MigratorTrait as _};
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use super::Store;
use crate::error::{Error, Result};

const READERS: u32 = 4;
const BUSY: Duration = Duration::from_secs(10);

/// What the connections of a pool may do.
#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
}

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file of SQLite's, made if it is not there.
    Sqlite(PathBuf),
}

/// A database URL that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// No scheme that is known.
    #[error("must start with sqlite://")]
    Scheme,
    /// No path after the scheme.
    #[error("must name a file: sqlite:///path/to/file.db")]
    NoFile,
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(url: &str) -> Result<Self, DatabaseUrlError> {
        let path = url.strip_prefix("sqlite://").ok_or(DatabaseUrlError::Scheme)?;
        if path.is_empty() || path.contains(":memory:") {
            return Err(DatabaseUrlError::NoFile);
        }
        Ok(Self::Sqlite(path.into()))
    }
}

impl Store {
    /// Opens the database and brings its schema up to date.
    ///
    /// SQLite keeps a write-ahead log, so that readers see one state while the
    /// one writer goes on; a commit is on disk before it is answered.
    pub async fn open(url: &DatabaseUrl) -> Result<Self> {
        let DatabaseUrl::Sqlite(path) = url;
        let url = format!("sqlite://{}?mode=rwc", path.display());
        let writer = connect(&url, 1, Access::Write).await?;
        Migrator::up(&writer, None).await?;
        let reader = connect(&url, READERS, Access::Read).await?;
        Ok(Self { reader, writer })
    }
}

async fn connect(url: &str, connections: u32, access: Access) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).acquire_timeout(BUSY).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(move |sqlite| {
        let sqlite = sqlite
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY);
        match access {
            Access::Read => sqlite.pragma("query_only", "ON"),
            Access::Write => sqlite,
        }
    });
    Database::connect(options).await.map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_names_a_file() {
        let table = [
            ("sqlite://a.db", Ok(DatabaseUrl::Sqlite("a.db".into()))),
            ("sqlite:///var/a.db", Ok(DatabaseUrl::Sqlite("/var/a.db".into()))),
            ("sqlite://", Err(DatabaseUrlError::NoFile)),
            ("sqlite://:memory:", Err(DatabaseUrlError::NoFile)),
            ("mysql://a", Err(DatabaseUrlError::Scheme)),
            ("", Err(DatabaseUrlError::Scheme)),
        ];
        for (input, want) in table {
            assert_eq!(input.parse::<DatabaseUrl>(), want, "input {input:?}");
        }
    }
}
