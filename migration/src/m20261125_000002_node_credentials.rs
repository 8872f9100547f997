//! What nodes prove with whose they are: the keys of groups, and node tokens.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    integer, pk_auto, string, string_null, timestamp_with_time_zone, timestamp_with_time_zone_null,
    var_binary_uniq,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait tells the two apart")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(node_group_keys()).await?;
        manager.create_table(node_tokens()).await?;
        let name = Index::create()
            .name("node_token_name")
            .table(NodeToken::Table)
            .col(NodeToken::NodeGroupId)
            .col(NodeToken::Name)
            .unique()
            .to_owned();
        manager.create_index(name).await
    }
}

#[derive(DeriveIden)]
enum NodeGroup {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum NodeGroupKey {
    Table,
    NodeGroupId,
    Hash,
    CreatedAt,
}

#[derive(DeriveIden)]
enum NodeToken {
    Table,
    Id,
    NodeGroupId,
    Name,
    NodeId,
    Hash,
    ExpiresAt,
    CreatedAt,
}

/// One key for each group at the most.
fn node_group_keys() -> TableCreateStatement {
    Table::create()
        .table(NodeGroupKey::Table)
        .col(integer(NodeGroupKey::NodeGroupId).primary_key())
        .col(var_binary_uniq(NodeGroupKey::Hash, 32))
        .col(timestamp_with_time_zone(NodeGroupKey::CreatedAt))
        .foreign_key(&mut of_group(NodeGroupKey::Table, NodeGroupKey::NodeGroupId))
        .to_owned()
}

fn node_tokens() -> TableCreateStatement {
    Table::create()
        .table(NodeToken::Table)
        .col(pk_auto(NodeToken::Id))
        .col(integer(NodeToken::NodeGroupId))
        .col(string(NodeToken::Name))
        .col(string_null(NodeToken::NodeId))
        .col(var_binary_uniq(NodeToken::Hash, 32))
        .col(timestamp_with_time_zone_null(NodeToken::ExpiresAt))
        .col(timestamp_with_time_zone(NodeToken::CreatedAt))
        .foreign_key(&mut of_group(NodeToken::Table, NodeToken::NodeGroupId))
        .to_owned()
}

/// A key to the node group; a group that goes takes its credentials along.
fn of_group<T: IntoIden, C: IntoIden>(table: T, column: C) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from_tbl(table)
        .from_col(column)
        .to(NodeGroup::Table, NodeGroup::Id)
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}
