//! Accounts: users whole, their sessions, second factors, API tokens, invitations
//! and assignments, and the audit log.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer_null, big_pk_auto, boolean, integer, integer_null, json_null, pk_auto, string,
    string_null, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null,
    var_binary_null, var_binary_uniq,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait tells the two apart")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in user_columns() {
            // One at a time: SQLite adds no more.
            let table = Table::alter().table(User::Table).add_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        for table in [
            sessions(),
            backup_codes(),
            api_tokens(),
            invitations(),
            group_assignments(),
            service_assignments(),
            audit_entries(),
        ] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

#[derive(DeriveIden)]
enum User {
    Table,
    Id,
    Email,
    EmailKey,
    FirstName,
    LastName,
    IsActive,
    IsVerified,
    TotpSecret,
    TotpEnabled,
    TotpLastStep,
    RefusesOldTokens,
    LastLoginAt,
    UpdatedAt,
}

#[derive(DeriveIden)]
enum NodeGroup {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum Service {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum Session {
    Table,
    Id,
    UserId,
    RefreshHash,
    ExpiresAt,
    RevokedAt,
    CreatedAt,
}

#[derive(DeriveIden)]
enum BackupCode {
    Table,
    Id,
    UserId,
    Hash,
}

#[derive(DeriveIden)]
enum ApiToken {
    Table,
    Id,
    UserId,
    Name,
    Role,
    NodeGroupId,
    Hash,
    ExpiresAt,
    LastUsedAt,
    CreatedAt,
}

#[derive(DeriveIden)]
enum Invitation {
    Table,
    Id,
    Hash,
    Role,
    Email,
    InvitedBy,
    ExpiresAt,
    CreatedAt,
}

#[derive(DeriveIden)]
enum GroupAssignment {
    Table,
    UserId,
    NodeGroupId,
    Role,
    AssignedBy,
    CreatedAt,
}

#[derive(DeriveIden)]
enum ServiceAssignment {
    Table,
    UserId,
    ServiceId,
    Role,
    AssignedBy,
    CreatedAt,
}

#[derive(DeriveIden)]
enum AuditEntry {
    Table,
    Id,
    At,
    UserId,
    Username,
    Via,
    Edge,
    Address,
    UserAgent,
    RequestId,
    Operation,
    Noun,
    NounId,
    NodeGroupId,
    Summary,
    Refused,
    Before,
    After,
}

/// What users had not: all of it null, or the same for those that there are.
fn user_columns() -> Vec<ColumnDef> {
    vec![
        string_null(User::Email),
        string_null(User::EmailKey),
        string_null(User::FirstName),
        string_null(User::LastName),
        boolean(User::IsActive).default(true).take(),
        boolean(User::IsVerified).default(false).take(),
        var_binary_null(User::TotpSecret, 255),
        boolean(User::TotpEnabled).default(false).take(),
        big_integer_null(User::TotpLastStep),
        boolean(User::RefusesOldTokens).default(false).take(),
        timestamp_with_time_zone_null(User::LastLoginAt),
        timestamp_with_time_zone_null(User::UpdatedAt),
    ]
}

fn sessions() -> TableCreateStatement {
    Table::create()
        .table(Session::Table)
        .col(string(Session::Id).primary_key())
        .col(integer(Session::UserId))
        .col(var_binary_uniq(Session::RefreshHash, 32))
        .col(timestamp_with_time_zone(Session::ExpiresAt))
        .col(timestamp_with_time_zone_null(Session::RevokedAt))
        .col(timestamp_with_time_zone(Session::CreatedAt))
        .foreign_key(&mut of_user(Session::Table, Session::UserId))
        .to_owned()
}

fn backup_codes() -> TableCreateStatement {
    Table::create()
        .table(BackupCode::Table)
        .col(pk_auto(BackupCode::Id))
        .col(integer(BackupCode::UserId))
        .col(var_binary_uniq(BackupCode::Hash, 32))
        .foreign_key(&mut of_user(BackupCode::Table, BackupCode::UserId))
        .to_owned()
}

fn api_tokens() -> TableCreateStatement {
    Table::create()
        .table(ApiToken::Table)
        .col(pk_auto(ApiToken::Id))
        .col(integer(ApiToken::UserId))
        .col(string(ApiToken::Name))
        .col(string(ApiToken::Role))
        .col(integer_null(ApiToken::NodeGroupId))
        .col(var_binary_uniq(ApiToken::Hash, 32))
        .col(timestamp_with_time_zone_null(ApiToken::ExpiresAt))
        .col(timestamp_with_time_zone_null(ApiToken::LastUsedAt))
        .col(timestamp_with_time_zone(ApiToken::CreatedAt))
        .foreign_key(&mut of_user(ApiToken::Table, ApiToken::UserId))
        .foreign_key(&mut of_group(ApiToken::Table, ApiToken::NodeGroupId))
        .to_owned()
}

fn invitations() -> TableCreateStatement {
    Table::create()
        .table(Invitation::Table)
        .col(pk_auto(Invitation::Id))
        .col(var_binary_uniq(Invitation::Hash, 32))
        .col(string(Invitation::Role))
        .col(string_null(Invitation::Email))
        .col(integer_null(Invitation::InvitedBy))
        .col(timestamp_with_time_zone(Invitation::ExpiresAt))
        .col(timestamp_with_time_zone(Invitation::CreatedAt))
        .foreign_key(&mut by_user(Invitation::Table, Invitation::InvitedBy))
        .to_owned()
}

fn group_assignments() -> TableCreateStatement {
    Table::create()
        .table(GroupAssignment::Table)
        .col(integer(GroupAssignment::UserId))
        .col(integer(GroupAssignment::NodeGroupId))
        .col(string(GroupAssignment::Role))
        .col(integer_null(GroupAssignment::AssignedBy))
        .col(timestamp_with_time_zone(GroupAssignment::CreatedAt))
        .primary_key(Index::create().col(GroupAssignment::UserId).col(GroupAssignment::NodeGroupId))
        .foreign_key(&mut of_user(GroupAssignment::Table, GroupAssignment::UserId))
        .foreign_key(&mut of_group(GroupAssignment::Table, GroupAssignment::NodeGroupId))
        .foreign_key(&mut by_user(GroupAssignment::Table, GroupAssignment::AssignedBy))
        .to_owned()
}

fn service_assignments() -> TableCreateStatement {
    Table::create()
        .table(ServiceAssignment::Table)
        .col(integer(ServiceAssignment::UserId))
        .col(integer(ServiceAssignment::ServiceId))
        .col(string(ServiceAssignment::Role))
        .col(integer_null(ServiceAssignment::AssignedBy))
        .col(timestamp_with_time_zone(ServiceAssignment::CreatedAt))
        .primary_key(
            Index::create().col(ServiceAssignment::UserId).col(ServiceAssignment::ServiceId),
        )
        .foreign_key(&mut of_user(ServiceAssignment::Table, ServiceAssignment::UserId))
        .foreign_key(
            ForeignKey::create()
                .from(ServiceAssignment::Table, ServiceAssignment::ServiceId)
                .to(Service::Table, Service::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .foreign_key(&mut by_user(ServiceAssignment::Table, ServiceAssignment::AssignedBy))
        .to_owned()
}

/// No foreign keys: what was done stays in the log when who and what are gone.
fn audit_entries() -> TableCreateStatement {
    Table::create()
        .table(AuditEntry::Table)
        .col(big_pk_auto(AuditEntry::Id))
        .col(timestamp_with_time_zone(AuditEntry::At))
        .col(integer_null(AuditEntry::UserId))
        .col(text_null(AuditEntry::Username))
        .col(string_null(AuditEntry::Via))
        .col(string_null(AuditEntry::Edge))
        .col(string_null(AuditEntry::Address))
        .col(text_null(AuditEntry::UserAgent))
        .col(text_null(AuditEntry::RequestId))
        .col(string(AuditEntry::Operation))
        .col(string_null(AuditEntry::Noun))
        .col(string_null(AuditEntry::NounId))
        .col(integer_null(AuditEntry::NodeGroupId))
        .col(text(AuditEntry::Summary))
        .col(text_null(AuditEntry::Refused))
        .col(json_null(AuditEntry::Before))
        .col(json_null(AuditEntry::After))
        .to_owned()
}

/// A key to the user whose it is; it goes when they go.
fn of_user<T: IntoIden, C: IntoIden>(table: T, column: C) -> ForeignKeyCreateStatement {
    to_user(table, column, ForeignKeyAction::Cascade)
}

/// A key to the user who did it; it outlives them.
fn by_user<T: IntoIden, C: IntoIden>(table: T, column: C) -> ForeignKeyCreateStatement {
    to_user(table, column, ForeignKeyAction::SetNull)
}

fn to_user<T: IntoIden, C: IntoIden>(
    table: T,
    column: C,
    on_delete: ForeignKeyAction,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from_tbl(table)
        .from_col(column)
        .to(User::Table, User::Id)
        .on_delete(on_delete)
        .to_owned()
}

/// A key to a node group; a group that goes takes it along.
fn of_group<T: IntoIden, C: IntoIden>(table: T, column: C) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from_tbl(table)
        .from_col(column)
        .to(NodeGroup::Table, NodeGroup::Id)
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

fn indexes() -> Vec<IndexCreateStatement> {
    let unique = |name: &str| Index::create().name(name).unique().to_owned();
    let plain = |name: &str| Index::create().name(name).to_owned();
    vec![
        unique("user_email_key").table(User::Table).col(User::EmailKey).take(),
        unique("api_token_name")
            .table(ApiToken::Table)
            .col(ApiToken::UserId)
            .col(ApiToken::Name)
            .take(),
        plain("session_user").table(Session::Table).col(Session::UserId).take(),
        plain("backup_code_user").table(BackupCode::Table).col(BackupCode::UserId).take(),
        plain("service_assignment_service")
            .table(ServiceAssignment::Table)
            .col(ServiceAssignment::ServiceId)
            .take(),
        plain("audit_entry_user").table(AuditEntry::Table).col(AuditEntry::UserId).take(),
        plain("audit_entry_noun")
            .table(AuditEntry::Table)
            .col(AuditEntry::Noun)
            .col(AuditEntry::NounId)
            .take(),
    ]
}
