//! Which services a route sends to, so that the database keeps both together.

use sea_orm::entity::prelude::*;

/// One service of one route.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "route_backend")]
pub struct Model {
    /// The route; its backends go with it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub route_id: i32,
    /// The service; it cannot go while it stands here.
    #[sea_orm(primary_key, auto_increment = false)]
    pub service_id: i32,
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
