//! Which change of its group each thing was last changed by.

use sea_orm_migration::prelude::*;

/// What stands in a group and is changed by people.
const TABLES: [&str; 5] = ["service", "route", "listener", "mapping", "certificate"];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait tells the two apart")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            add(manager, table, "revision").await?;
            let of_group = Query::select()
                .column(Alias::new("revision"))
                .from(Alias::new("node_group"))
                .and_where(
                    Expr::col((Alias::new("node_group"), Alias::new("id")))
                        .equals((Alias::new(table), Alias::new("node_group_id"))),
                )
                .to_owned();
            let fill = Query::update()
                .table(Alias::new(table))
                .value(
                    Alias::new("revision"),
                    SimpleExpr::SubQuery(None, Box::new(of_group.into_sub_query_statement())),
                )
                .to_owned();
            manager.exec_stmt(fill).await?;
        }
        add(manager, "node_group", "settings_revision").await?;
        let fill = Query::update()
            .table(Alias::new("node_group"))
            .value(Alias::new("settings_revision"), Expr::col(Alias::new("revision")))
            .to_owned();
        manager.exec_stmt(fill).await
    }
}

async fn add(manager: &SchemaManager<'_>, table: &str, column: &str) -> Result<(), DbErr> {
    let mut column = ColumnDef::new(Alias::new(column));
    let alter = Table::alter()
        .table(Alias::new(table))
        .add_column(column.big_integer().not_null().default(0))
        .to_owned();
    manager.alter_table(alter).await
}
