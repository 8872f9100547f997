//! Real PostgreSQL servers, of the package that the machine has.

use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::sqlx::{AssertSqlSafe, Connection as _, PgConnection, query_scalar, raw_sql};
use tokio::sync::OnceCell;

use super::scripted::Scripted;

/// A running PostgreSQL.
#[derive(Clone)]
pub(crate) struct Postgres(Scripted);

/// Which database planes keep their state in, unless a test says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    /// What `TEST_DATABASE` says: `sqlite`, or `postgres`.
    #[expect(clippy::disallowed_methods, reason = "it configures the tests, not the server")]
    pub(crate) fn of_this_run() -> Self {
        match std::env::var("TEST_DATABASE").as_deref() {
            Err(_) | Ok("sqlite") => Self::Sqlite,
            Ok("postgres") => Self::Postgres,
            Ok(other) => panic!("TEST_DATABASE is {other}: sqlite or postgres?"),
        }
    }

    /// The URL of a new, empty database of this kind, in `dir` if it is a file.
    pub(crate) async fn database(self, dir: &Path) -> String {
        match self {
            Self::Sqlite => format!("sqlite://{}/{}.db", dir.display(), next()),
            Self::Postgres => Postgres::shared().await.database().await,
        }
    }
}

impl Postgres {
    /// The one that the tests of this process share; nobody stops it.
    pub(crate) async fn shared() -> Self {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await.clone()
    }

    /// One of the test's own.
    pub(crate) async fn start() -> Self {
        Self(Scripted::start("postgres-server").await)
    }

    /// The URL of a new, empty database.
    pub(crate) async fn database(&self) -> String {
        let name = format!("test_{}", next());
        self.run("postgres", &format!("CREATE DATABASE {name}")).await;
        format!("{}/{name}", self.0.url())
    }

    /// Runs statements in a database, as its administrator.
    pub(crate) async fn run(&self, database: &str, sql: &str) {
        let mut connection = self.connect(database).await;
        raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The one number that a query gives.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        let mut connection = self.connect("postgres").await;
        query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }

    async fn connect(&self, database: &str) -> PgConnection {
        PgConnection::connect(&format!("{}/{database}", self.0.url())).await.unwrap()
    }
}

impl Deref for Postgres {
    type Target = Scripted;

    fn deref(&self) -> &Scripted {
        &self.0
    }
}

fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
