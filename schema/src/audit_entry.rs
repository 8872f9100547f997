//! The audit log. Rows are added, never changed.

use sea_orm::entity::prelude::*;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_entry")]
pub struct Model {
    /// Its place in the log.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// When it was done.
    pub at: DateTimeUtc,
    /// Who did it. No foreign key: they may be gone.
    pub user_id: Option<i32>,
    /// Their name then.
    pub username: Option<String>,
    /// What they were known by.
    pub via: Option<String>,
    /// The edge that it came over.
    pub edge: Option<String>,
    /// The address that it came from.
    pub address: Option<String>,
    /// What the client called itself.
    pub user_agent: Option<String>,
    /// The request that it was part of.
    pub request_id: Option<String>,
    /// Which operation.
    pub operation: String,
    /// Which kind of thing it changed.
    pub noun: Option<String>,
    /// Which one.
    pub noun_id: Option<String>,
    /// The node group that was changed.
    pub node_group_id: Option<i32>,
    /// What was done, for people.
    pub summary: String,
    /// Why it was refused; null if it was done.
    pub refused: Option<String>,
    /// How it was before, without what is secret.
    pub before: Option<Json>,
    /// How it is since, without what is secret.
    pub after: Option<Json>,
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
