//! The event log: what happened, in the order in which it was committed.

use std::hash::{BuildHasher as _, RandomState};

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, integer, integer_null, json, string, string_null,
    timestamp_with_time_zone,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait tells the two apart")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let log = Table::create()
            .table(EventLog::Table)
            .col(integer(EventLog::Id).primary_key())
            .col(big_integer(EventLog::LogId))
            .col(big_integer(EventLog::FirstSeq))
            .col(big_integer(EventLog::LastSeq))
            .to_owned();
        manager.create_table(log).await?;
        let row = Query::insert()
            .into_table(EventLog::Table)
            .columns([EventLog::Id, EventLog::LogId, EventLog::FirstSeq, EventLog::LastSeq])
            .values_panic([1.into(), random().into(), 1_i64.into(), 0_i64.into()])
            .to_owned();
        manager.exec_stmt(row).await?;

        let events = Table::create()
            .table(Event::Table)
            .col(big_integer(Event::Seq).primary_key())
            .col(timestamp_with_time_zone(Event::At))
            .col(string(Event::Kind))
            .col(integer_null(Event::NodeGroupId))
            .col(integer_null(Event::UserId))
            .col(string_null(Event::Username))
            .col(json(Event::Payload))
            .col(big_integer_null(Event::Batch))
            .to_owned();
        manager.create_table(events).await?;
        index(manager, "event_of_group", &[Event::NodeGroupId, Event::Seq], false).await?;
        index(manager, "event_of_kind", &[Event::Kind, Event::Seq], false).await?;
        index(manager, "event_of_batch", &[Event::Batch], true).await
    }
}

async fn index(
    manager: &SchemaManager<'_>,
    name: &str,
    columns: &[Event],
    unique: bool,
) -> Result<(), DbErr> {
    let mut index = Index::create();
    index.name(name).table(Event::Table);
    for column in columns {
        index.col(*column);
    }
    if unique {
        index.unique();
    }
    manager.create_index(index.to_owned()).await
}

/// Tells one log from another: each `RandomState` has keys of its own.
fn random() -> i64 {
    (RandomState::new().hash_one(()) >> 1).cast_signed()
}

#[derive(DeriveIden)]
enum EventLog {
    Table,
    Id,
    LogId,
    FirstSeq,
    LastSeq,
}

#[derive(Clone, Copy, DeriveIden)]
enum Event {
    Table,
    Seq,
    At,
    Kind,
    NodeGroupId,
    UserId,
    Username,
    Payload,
    Batch,
}
