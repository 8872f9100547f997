//! Certificates with their keys, and listeners that prove themselves with one.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    blob, boolean, integer, integer_null, json, pk_auto, string, text, text_null,
    timestamp_with_time_zone, timestamp_with_time_zone_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait tells the two apart")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(certificates()).await?;
        let name = Index::create()
            .name("certificate_name")
            .table(Certificate::Table)
            .col(Certificate::NodeGroupId)
            .col(Certificate::Name)
            .unique()
            .to_owned();
        manager.create_index(name).await?;
        let due = Index::create()
            .name("certificate_not_after")
            .table(Certificate::Table)
            .col(Certificate::NotAfter)
            .to_owned();
        manager.create_index(due).await?;
        // No foreign key: SQLite adds none to a table that is there. What a listener
        // refers to is checked when its group is compiled, in the same transaction.
        let listener = Table::alter()
            .table(Listener::Table)
            .add_column(integer_null(Listener::CertificateId))
            .to_owned();
        manager.alter_table(listener).await
    }
}

#[derive(DeriveIden)]
enum NodeGroup {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum Listener {
    Table,
    CertificateId,
}

#[derive(DeriveIden)]
enum Certificate {
    Table,
    Id,
    NodeGroupId,
    Name,
    Description,
    SourceType,
    Source,
    Chain,
    SealedKey,
    NotAfter,
    AutoRenew,
    RenewBeforeDays,
    IsActive,
    LastRenewal,
    RenewalError,
    TriedAt,
    CreatedBy,
    CreatedAt,
    UpdatedAt,
}

fn certificates() -> TableCreateStatement {
    Table::create()
        .table(Certificate::Table)
        .col(pk_auto(Certificate::Id))
        .col(integer(Certificate::NodeGroupId))
        .col(string(Certificate::Name))
        .col(text(Certificate::Description))
        .col(string(Certificate::SourceType))
        .col(json(Certificate::Source))
        .col(text(Certificate::Chain))
        .col(blob(Certificate::SealedKey))
        .col(timestamp_with_time_zone(Certificate::NotAfter))
        .col(boolean(Certificate::AutoRenew))
        .col(integer(Certificate::RenewBeforeDays))
        .col(boolean(Certificate::IsActive))
        .col(timestamp_with_time_zone_null(Certificate::LastRenewal))
        .col(text_null(Certificate::RenewalError))
        .col(timestamp_with_time_zone_null(Certificate::TriedAt))
        .col(integer_null(Certificate::CreatedBy))
        .col(timestamp_with_time_zone(Certificate::CreatedAt))
        .col(timestamp_with_time_zone(Certificate::UpdatedAt))
        .foreign_key(
            ForeignKey::create()
                .from(Certificate::Table, Certificate::NodeGroupId)
                .to(NodeGroup::Table, NodeGroup::Id)
                .on_delete(ForeignKeyAction::Restrict),
        )
        .to_owned()
}
