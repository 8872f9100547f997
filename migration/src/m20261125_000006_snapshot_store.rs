//! What each snapshot was made of: its resources, and what people had configured.
//!
//! Content is kept once (`history_blob`); for which revisions of a group it
//! held is a span (`history_span`), so that a change adds rows for what it
//! changed and for nothing else.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, blob, integer, pk_auto, string};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait tells the two apart")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(blobs()).await?;
        manager.create_table(spans()).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

#[derive(DeriveIden)]
enum NodeGroup {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum HistoryBlob {
    Table,
    Hash,
    Content,
}

#[derive(DeriveIden)]
enum HistorySpan {
    Table,
    Id,
    NodeGroupId,
    Kind,
    Name,
    FromRevision,
    ToRevision,
    Hash,
}

fn blobs() -> TableCreateStatement {
    Table::create()
        .table(HistoryBlob::Table)
        .col(string(HistoryBlob::Hash).primary_key())
        .col(blob(HistoryBlob::Content))
        .to_owned()
}

/// A group that goes takes its spans along.
fn spans() -> TableCreateStatement {
    Table::create()
        .table(HistorySpan::Table)
        .col(pk_auto(HistorySpan::Id))
        .col(integer(HistorySpan::NodeGroupId))
        .col(string(HistorySpan::Kind))
        .col(string(HistorySpan::Name))
        .col(big_integer(HistorySpan::FromRevision))
        .col(big_integer_null(HistorySpan::ToRevision))
        .col(string(HistorySpan::Hash))
        .foreign_key(
            ForeignKey::create()
                .from(HistorySpan::Table, HistorySpan::NodeGroupId)
                .to(NodeGroup::Table, NodeGroup::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .foreign_key(
            ForeignKey::create()
                .from(HistorySpan::Table, HistorySpan::Hash)
                .to(HistoryBlob::Table, HistoryBlob::Hash)
                .on_delete(ForeignKeyAction::Restrict),
        )
        .to_owned()
}

fn indexes() -> [IndexCreateStatement; 3] {
    let index = |name: &str| Index::create().name(name).table(HistorySpan::Table).to_owned();
    [
        index("history_span_place")
            .col(HistorySpan::NodeGroupId)
            .col(HistorySpan::Kind)
            .col(HistorySpan::Name)
            .col(HistorySpan::FromRevision)
            .unique()
            .to_owned(),
        index("history_span_end")
            .col(HistorySpan::NodeGroupId)
            .col(HistorySpan::ToRevision)
            .to_owned(),
        index("history_span_hash").col(HistorySpan::Hash).to_owned(),
    ]
}
