//! What a database holds, to the last byte.

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

/// Every row of every table of a database, as text, sorted.
pub(super) async fn contents(url: &str) -> Vec<String> {
    let db = Database::connect(url).await.unwrap();
    let tables = match db.get_database_backend() {
        DbBackend::Sqlite => {
            "SELECT name AS line FROM sqlite_master WHERE type = 'table' ORDER BY name"
        }
        DbBackend::MySql | DbBackend::Postgres | _ => {
            "SELECT tablename::text AS line FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        }
    };
    let mut rows = vec![];
    for table in lines(&db, tables.to_owned()).await {
        let row = match db.get_database_backend() {
            DbBackend::Sqlite => {
                let columns = format!(
                    "SELECT group_concat('quote(\"' || name || '\")', ' || '','' || ') AS line
                     FROM pragma_table_info('{table}')"
                );
                lines(&db, columns).await.remove(0)
            }
            DbBackend::MySql | DbBackend::Postgres | _ => "to_json(t)::text".to_owned(),
        };
        let found = lines(&db, format!("SELECT {row} AS line FROM \"{table}\" t")).await;
        let mut found: Vec<_> = found.into_iter().map(|row| format!("{table}: {row}")).collect();
        found.sort();
        rows.extend(found);
    }
    db.close().await.unwrap();
    assert!(rows.len() > 10, "{rows:#?}");
    rows
}

async fn lines(db: &DatabaseConnection, sql: String) -> Vec<String> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
    rows.unwrap().iter().map(|row| row.try_get("", "line").unwrap()).collect()
}
