//! What proxies made of each snapshot; and keys for pages of large groups.

use sea_orm_migration::prelude::*;

/// What is listed a page at a time, group by group.
const PAGED: [&str; 6] = ["service", "route", "listener", "mapping", "certificate", "proxy"];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait tells the two apart")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for count in ["adopted", "refused"] {
            let mut column = ColumnDef::new(Alias::new(count));
            add(manager, column.integer().not_null().default(0)).await?;
        }
        add(manager, ColumnDef::new(Alias::new("first_refusal")).json().null()).await?;
        for table in PAGED {
            let index = Index::create()
                .name(format!("{table}_page"))
                .table(Alias::new(table))
                .col(Alias::new("node_group_id"))
                .col(Alias::new("id"))
                .to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

async fn add(manager: &SchemaManager<'_>, column: &mut ColumnDef) -> Result<(), DbErr> {
    let table = Table::alter().table(Alias::new("snapshot")).add_column(column).to_owned();
    manager.alter_table(table).await
}
