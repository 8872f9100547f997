//! The database of a plane, past the plane: for more rows than anybody would make.

use marchproxy_schema::service;
use sea_orm::sea_query::Iden as _;
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Iterable as _, Statement};

use super::{Kind, Plane};

/// A connection of one's own.
pub(crate) struct Rows(DatabaseConnection);

impl Rows {
    /// Opens one to the database of `plane`.
    pub(crate) async fn open(plane: &Plane) -> Self {
        Self(Database::connect(plane.database()).await.unwrap())
    }

    /// Adds `count` services that are like the first one, but for their names.
    pub(crate) async fn multiply_services(&self, count: u32) {
        let columns = service::Column::iter().map(|column| column.to_string());
        let columns: Vec<_> = columns.filter(|name| name != "id" && name != "name").collect();
        let (into, from) = (columns.join(", "), columns.join(", service."));
        self.run(&format!(
            "INSERT INTO service (name, {into})
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             SELECT 's' || n.i, service.{from} FROM service, n WHERE service.id = 1"
        ))
        .await;
        self.run("ANALYZE").await;
    }

    /// How the database would run a query.
    pub(crate) async fn plan(&self, sql: &str) -> String {
        let (explain, column) = match Kind::of_this_run() {
            Kind::Sqlite => ("EXPLAIN QUERY PLAN", "detail"),
            Kind::Postgres => ("EXPLAIN", "QUERY PLAN"),
        };
        let statement =
            Statement::from_string(self.0.get_database_backend(), format!("{explain} {sql}"));
        let rows = self.0.query_all_raw(statement).await.unwrap();
        let lines = rows.iter().map(|row| row.try_get::<String>("", column).unwrap());
        lines.collect::<Vec<_>>().join("\n")
    }

    async fn run(&self, sql: &str) {
        self.0.execute_unprepared(sql).await.unwrap();
    }
}
