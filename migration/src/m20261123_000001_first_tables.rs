//! Node groups, services, listeners, routes, snapshots and users.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, boolean, integer, integer_null, json, json_null, pk_auto, small_integer, string,
    string_uniq, text, timestamp_with_time_zone,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait tells the two apart")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            users(),
            node_groups(),
            services(),
            listeners(),
            routes(),
            route_backends(),
            snapshots(),
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
    Username,
    PasswordHash,
    Role,
    CreatedAt,
}

#[derive(DeriveIden)]
enum NodeGroup {
    Table,
    Id,
    Name,
    Description,
    Runtime,
    IsDefault,
    Revision,
    CreatedAt,
    UpdatedAt,
}

#[derive(DeriveIden)]
enum Service {
    Table,
    Id,
    NodeGroupId,
    Name,
    Protocol,
    HttpVersion,
    IpFqdn,
    Port,
    Weight,
    Endpoints,
    LoadBalancing,
    ConnectTimeoutMs,
    RequestTimeoutMs,
    IdleTimeoutMs,
    HealthCheck,
    Tls,
    CreatedAt,
    UpdatedAt,
}

#[derive(DeriveIden)]
enum Listener {
    Table,
    Id,
    NodeGroupId,
    Name,
    Address,
    Port,
    ServiceId,
    IsDefault,
    CreatedAt,
    UpdatedAt,
}

#[derive(DeriveIden)]
enum Route {
    Table,
    Id,
    NodeGroupId,
    ListenerId,
    Name,
    Priority,
    Hosts,
    Path,
    Methods,
    Headers,
    Action,
    CreatedAt,
    UpdatedAt,
}

#[derive(DeriveIden)]
enum RouteBackend {
    Table,
    RouteId,
    ServiceId,
}

#[derive(DeriveIden)]
enum Snapshot {
    Table,
    Id,
    NodeGroupId,
    Revision,
    Version,
    Types,
    Cause,
    AuthorId,
    CreatedAt,
}

fn users() -> TableCreateStatement {
    Table::create()
        .table(User::Table)
        .col(pk_auto(User::Id))
        .col(string_uniq(User::Username))
        .col(string(User::PasswordHash))
        .col(string(User::Role))
        .col(timestamp_with_time_zone(User::CreatedAt))
        .to_owned()
}

fn node_groups() -> TableCreateStatement {
    Table::create()
        .table(NodeGroup::Table)
        .col(pk_auto(NodeGroup::Id))
        .col(string_uniq(NodeGroup::Name))
        .col(text(NodeGroup::Description))
        .col(json(NodeGroup::Runtime))
        .col(boolean(NodeGroup::IsDefault))
        .col(big_integer(NodeGroup::Revision))
        .col(timestamp_with_time_zone(NodeGroup::CreatedAt))
        .col(timestamp_with_time_zone(NodeGroup::UpdatedAt))
        .to_owned()
}

fn services() -> TableCreateStatement {
    Table::create()
        .table(Service::Table)
        .col(pk_auto(Service::Id))
        .col(integer(Service::NodeGroupId))
        .col(string(Service::Name))
        .col(string(Service::Protocol))
        .col(small_integer(Service::HttpVersion))
        .col(string(Service::IpFqdn))
        .col(integer(Service::Port))
        .col(integer(Service::Weight))
        .col(json(Service::Endpoints))
        .col(json(Service::LoadBalancing))
        .col(integer(Service::ConnectTimeoutMs))
        .col(integer(Service::RequestTimeoutMs))
        .col(integer(Service::IdleTimeoutMs))
        .col(json_null(Service::HealthCheck))
        .col(json_null(Service::Tls))
        .col(timestamp_with_time_zone(Service::CreatedAt))
        .col(timestamp_with_time_zone(Service::UpdatedAt))
        .foreign_key(&mut of_group(
            Service::Table,
            Service::NodeGroupId,
            ForeignKeyAction::Restrict,
        ))
        .to_owned()
}

fn listeners() -> TableCreateStatement {
    Table::create()
        .table(Listener::Table)
        .col(pk_auto(Listener::Id))
        .col(integer(Listener::NodeGroupId))
        .col(string(Listener::Name))
        .col(string(Listener::Address))
        .col(integer(Listener::Port))
        .col(integer_null(Listener::ServiceId))
        .col(boolean(Listener::IsDefault))
        .col(timestamp_with_time_zone(Listener::CreatedAt))
        .col(timestamp_with_time_zone(Listener::UpdatedAt))
        .foreign_key(&mut of_group(
            Listener::Table,
            Listener::NodeGroupId,
            ForeignKeyAction::Restrict,
        ))
        .foreign_key(
            ForeignKey::create()
                .from(Listener::Table, Listener::ServiceId)
                .to(Service::Table, Service::Id)
                .on_delete(ForeignKeyAction::Restrict),
        )
        .to_owned()
}

fn routes() -> TableCreateStatement {
    Table::create()
        .table(Route::Table)
        .col(pk_auto(Route::Id))
        .col(integer(Route::NodeGroupId))
        .col(integer(Route::ListenerId))
        .col(string(Route::Name))
        .col(integer(Route::Priority))
        .col(json(Route::Hosts))
        .col(json(Route::Path))
        .col(json(Route::Methods))
        .col(json(Route::Headers))
        .col(json(Route::Action))
        .col(timestamp_with_time_zone(Route::CreatedAt))
        .col(timestamp_with_time_zone(Route::UpdatedAt))
        .foreign_key(&mut of_group(Route::Table, Route::NodeGroupId, ForeignKeyAction::Restrict))
        .foreign_key(
            ForeignKey::create()
                .from(Route::Table, Route::ListenerId)
                .to(Listener::Table, Listener::Id)
                .on_delete(ForeignKeyAction::Restrict),
        )
        .to_owned()
}

fn route_backends() -> TableCreateStatement {
    Table::create()
        .table(RouteBackend::Table)
        .col(integer(RouteBackend::RouteId))
        .col(integer(RouteBackend::ServiceId))
        .primary_key(Index::create().col(RouteBackend::RouteId).col(RouteBackend::ServiceId))
        .foreign_key(
            ForeignKey::create()
                .from(RouteBackend::Table, RouteBackend::RouteId)
                .to(Route::Table, Route::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .foreign_key(
            ForeignKey::create()
                .from(RouteBackend::Table, RouteBackend::ServiceId)
                .to(Service::Table, Service::Id)
                .on_delete(ForeignKeyAction::Restrict),
        )
        .to_owned()
}

fn snapshots() -> TableCreateStatement {
    Table::create()
        .table(Snapshot::Table)
        .col(pk_auto(Snapshot::Id))
        .col(integer(Snapshot::NodeGroupId))
        .col(big_integer(Snapshot::Revision))
        .col(string(Snapshot::Version))
        .col(json(Snapshot::Types))
        .col(text(Snapshot::Cause))
        .col(integer_null(Snapshot::AuthorId))
        .col(timestamp_with_time_zone(Snapshot::CreatedAt))
        .foreign_key(&mut of_group(
            Snapshot::Table,
            Snapshot::NodeGroupId,
            ForeignKeyAction::Cascade,
        ))
        .foreign_key(
            ForeignKey::create()
                .from(Snapshot::Table, Snapshot::AuthorId)
                .to(User::Table, User::Id)
                .on_delete(ForeignKeyAction::SetNull),
        )
        .to_owned()
}

/// A key to the node group that a row belongs to.
fn of_group<T: IntoIden, C: IntoIden>(
    table: T,
    column: C,
    on_delete: ForeignKeyAction,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from_tbl(table)
        .from_col(column)
        .to(NodeGroup::Table, NodeGroup::Id)
        .on_delete(on_delete)
        .to_owned()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        unique("service_name", Service::Table, Service::NodeGroupId, Service::Name),
        unique("listener_name", Listener::Table, Listener::NodeGroupId, Listener::Name),
        unique("route_name", Route::Table, Route::NodeGroupId, Route::Name),
        unique("snapshot_revision", Snapshot::Table, Snapshot::NodeGroupId, Snapshot::Revision),
        Index::create()
            .name("snapshot_version")
            .table(Snapshot::Table)
            .col(Snapshot::Version)
            .to_owned(),
        Index::create()
            .name("route_backend_service")
            .table(RouteBackend::Table)
            .col(RouteBackend::ServiceId)
            .to_owned(),
    ]
}

fn unique<T: IntoIden, C: IntoIden>(name: &str, table: T, a: C, b: C) -> IndexCreateStatement {
    Index::create().name(name).table(table.into_iden()).col(a).col(b).unique().to_owned()
}
