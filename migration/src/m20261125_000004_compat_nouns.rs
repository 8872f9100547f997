//! What REST clients know of node groups and services, and their own nouns:
//! mappings, secrets of services, and proxies that register.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer_null, big_pk_auto, boolean, double_null, integer, integer_null, json, json_null,
    pk_auto, string, string_null, text, timestamp_with_time_zone, timestamp_with_time_zone_null,
    var_binary,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait tells the two apart")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One column each: SQLite takes no more at once.
        for column in node_group_columns() {
            manager.alter_table(added(NodeGroup::Table, column)).await?;
        }
        for column in service_columns() {
            manager.alter_table(added(Service::Table, column)).await?;
        }
        for table in [service_secrets(), mappings(), proxies(), proxy_metrics()] {
            manager.create_table(table).await?;
        }
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
    IsActive,
    SyslogEndpoint,
    LogAuth,
    LogNetflow,
    LogDebug,
    MaxProxies,
    CreatedBy,
}

#[derive(DeriveIden)]
enum Service {
    Table,
    Id,
    IsActive,
    Collection,
    AuthType,
    JwtExpiry,
    JwtAlgorithm,
    Metadata,
    CreatedBy,
}

#[derive(DeriveIden)]
enum ServiceSecret {
    Table,
    ServiceId,
    Kind,
    Sealed,
    CreatedAt,
}

#[derive(DeriveIden)]
enum Mapping {
    Table,
    Id,
    NodeGroupId,
    Name,
    Description,
    SourceServices,
    DestServices,
    Protocols,
    Ports,
    AuthRequired,
    Comments,
    IsActive,
    CreatedBy,
    CreatedAt,
    UpdatedAt,
}

#[derive(DeriveIden)]
enum Proxy {
    Table,
    Id,
    NodeGroupId,
    Name,
    Hostname,
    IpAddress,
    Port,
    Version,
    Capabilities,
    Status,
    LastSeen,
    LastConfigFetch,
    ConfigVersion,
    RegisteredAt,
}

#[derive(DeriveIden)]
enum ProxyMetric {
    Table,
    Id,
    ProxyId,
    ReportedAt,
    CpuUsage,
    MemoryUsage,
    ConnectionsActive,
    ConnectionsTotal,
    BytesSent,
    BytesReceived,
    RequestsPerSecond,
    LatencyAvg,
    LatencyP95,
    ErrorsPerSecond,
}

fn added<T: IntoIden>(table: T, mut column: ColumnDef) -> TableAlterStatement {
    Table::alter().table(table.into_iden()).add_column(&mut column).to_owned()
}

/// `created_by` is no key: whoever made something may be gone.
fn node_group_columns() -> [ColumnDef; 7] {
    [
        boolean(NodeGroup::IsActive).default(true).to_owned(),
        string_null(NodeGroup::SyslogEndpoint),
        boolean(NodeGroup::LogAuth).default(true).to_owned(),
        boolean(NodeGroup::LogNetflow).default(true).to_owned(),
        boolean(NodeGroup::LogDebug).default(false).to_owned(),
        integer(NodeGroup::MaxProxies).default(3).to_owned(),
        integer_null(NodeGroup::CreatedBy),
    ]
}

fn service_columns() -> [ColumnDef; 7] {
    [
        boolean(Service::IsActive).default(true).to_owned(),
        string_null(Service::Collection),
        string(Service::AuthType).default("none").to_owned(),
        integer(Service::JwtExpiry).default(3600).to_owned(),
        string(Service::JwtAlgorithm).default("HS256").to_owned(),
        json_null(Service::Metadata),
        integer_null(Service::CreatedBy),
    ]
}

/// One secret for each service at the most; it goes with the service.
fn service_secrets() -> TableCreateStatement {
    Table::create()
        .table(ServiceSecret::Table)
        .col(integer(ServiceSecret::ServiceId).primary_key())
        .col(string(ServiceSecret::Kind))
        .col(var_binary(ServiceSecret::Sealed, 1024))
        .col(timestamp_with_time_zone(ServiceSecret::CreatedAt))
        .foreign_key(
            ForeignKey::create()
                .from(ServiceSecret::Table, ServiceSecret::ServiceId)
                .to(Service::Table, Service::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

fn mappings() -> TableCreateStatement {
    Table::create()
        .table(Mapping::Table)
        .col(pk_auto(Mapping::Id))
        .col(integer(Mapping::NodeGroupId))
        .col(string(Mapping::Name))
        .col(text(Mapping::Description))
        .col(json(Mapping::SourceServices))
        .col(json(Mapping::DestServices))
        .col(json(Mapping::Protocols))
        .col(json(Mapping::Ports))
        .col(boolean(Mapping::AuthRequired))
        .col(text(Mapping::Comments))
        .col(boolean(Mapping::IsActive))
        .col(integer_null(Mapping::CreatedBy))
        .col(timestamp_with_time_zone(Mapping::CreatedAt))
        .col(timestamp_with_time_zone(Mapping::UpdatedAt))
        .foreign_key(
            ForeignKey::create()
                .from(Mapping::Table, Mapping::NodeGroupId)
                .to(NodeGroup::Table, NodeGroup::Id)
                .on_delete(ForeignKeyAction::Restrict),
        )
        .to_owned()
}

/// Proxies go with their group, and what they measured with them.
fn proxies() -> TableCreateStatement {
    Table::create()
        .table(Proxy::Table)
        .col(pk_auto(Proxy::Id))
        .col(integer(Proxy::NodeGroupId))
        .col(string(Proxy::Name))
        .col(string(Proxy::Hostname))
        .col(string(Proxy::IpAddress))
        .col(integer(Proxy::Port))
        .col(string_null(Proxy::Version))
        .col(json_null(Proxy::Capabilities))
        .col(string(Proxy::Status))
        .col(timestamp_with_time_zone_null(Proxy::LastSeen))
        .col(timestamp_with_time_zone_null(Proxy::LastConfigFetch))
        .col(string_null(Proxy::ConfigVersion))
        .col(timestamp_with_time_zone(Proxy::RegisteredAt))
        .foreign_key(
            ForeignKey::create()
                .from(Proxy::Table, Proxy::NodeGroupId)
                .to(NodeGroup::Table, NodeGroup::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

fn proxy_metrics() -> TableCreateStatement {
    Table::create()
        .table(ProxyMetric::Table)
        .col(big_pk_auto(ProxyMetric::Id))
        .col(integer(ProxyMetric::ProxyId))
        .col(timestamp_with_time_zone(ProxyMetric::ReportedAt))
        .col(double_null(ProxyMetric::CpuUsage))
        .col(double_null(ProxyMetric::MemoryUsage))
        .col(big_integer_null(ProxyMetric::ConnectionsActive))
        .col(big_integer_null(ProxyMetric::ConnectionsTotal))
        .col(big_integer_null(ProxyMetric::BytesSent))
        .col(big_integer_null(ProxyMetric::BytesReceived))
        .col(double_null(ProxyMetric::RequestsPerSecond))
        .col(double_null(ProxyMetric::LatencyAvg))
        .col(double_null(ProxyMetric::LatencyP95))
        .col(double_null(ProxyMetric::ErrorsPerSecond))
        .foreign_key(
            ForeignKey::create()
                .from(ProxyMetric::Table, ProxyMetric::ProxyId)
                .to(Proxy::Table, Proxy::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

fn indexes() -> [IndexCreateStatement; 4] {
    [
        Index::create()
            .name("mapping_name")
            .table(Mapping::Table)
            .col(Mapping::NodeGroupId)
            .col(Mapping::Name)
            .unique()
            .to_owned(),
        Index::create()
            .name("proxy_name")
            .table(Proxy::Table)
            .col(Proxy::NodeGroupId)
            .col(Proxy::Name)
            .unique()
            .to_owned(),
        Index::create().name("proxy_last_seen").table(Proxy::Table).col(Proxy::LastSeen).to_owned(),
        Index::create()
            .name("proxy_metric_of_proxy")
            .table(ProxyMetric::Table)
            .col(ProxyMetric::ProxyId)
            .col(ProxyMetric::Id)
            .to_owned(),
    ]
}
