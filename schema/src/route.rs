//! Routes: which requests go where.

use sea_orm::entity::prelude::*;

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "route")]
pub struct Model {
    /// Its identity.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// Whose it is.
    pub node_group_id: i32,
    /// The listener whose requests it looks at.
    pub listener_id: i32,
    /// Unique in its group.
    pub name: String,
    /// Higher is asked first.
    pub priority: i32,
    /// Which hosts.
    pub hosts: Json,
    /// Which paths.
    pub path: Json,
    /// Which methods.
    pub methods: Json,
    /// Which headers.
    pub headers: Json,
    /// What happens to a request; the services stand in `route_backend` too.
    pub action: Json,
    /// Labels, as `;key=value;key=value;`; empty without any.
    #[sea_orm(column_type = "Text")]
    pub labels: String,
    /// The group's revision at which it was last changed.
    pub revision: i64,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it was last changed.
    pub updated_at: DateTimeUtc,
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
