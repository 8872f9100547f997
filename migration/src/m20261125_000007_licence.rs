//! What the licence server last said yes to, so that a restart forgets nothing.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{json, timestamp_with_time_zone, var_binary};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait tells the two apart")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(Licence::Table)
            .col(var_binary(Licence::KeyHash, 32).primary_key())
            .col(json(Licence::Answer))
            .col(timestamp_with_time_zone(Licence::AnsweredAt))
            .to_owned();
        manager.create_table(table).await
    }
}

#[derive(DeriveIden)]
enum Licence {
    Table,
    KeyHash,
    Answer,
    AnsweredAt,
}
