//! Labels of what stands in a group.

use sea_orm_migration::prelude::*;

const TABLES: [&str; 5] = ["service", "route", "listener", "mapping", "certificate"];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait tells the two apart")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            let mut column = ColumnDef::new(Alias::new("labels"));
            let alter = Table::alter()
                .table(Alias::new(table))
                .add_column(column.text().not_null().default(""))
                .to_owned();
            manager.alter_table(alter).await?;
        }
        Ok(())
    }
}
