//! Things by a part of their names.

use marchproxy_schema::{certificate, listener, mapping, node_group, proxy, route, service};
use sea_orm::sea_query::{Expr, Func, LikeExpr};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::Tx;
use crate::error::Result;
use crate::model::{NodeGroupId, ServiceId};

/// What can be found by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Node groups.
    NodeGroup,
    /// Services.
    Service,
    /// Routes.
    Route,
    /// Listeners.
    Listener,
    /// Mappings.
    Mapping,
    /// Certificates.
    Certificate,
    /// Proxies that registered over REST.
    Proxy,
}

impl Named {
    /// All of it, in the order in which it is shown.
    pub const ALL: [Self; 7] = [
        Self::NodeGroup,
        Self::Service,
        Self::Route,
        Self::Listener,
        Self::Mapping,
        Self::Certificate,
        Self::Proxy,
    ];
}

/// What may be found.
#[derive(Clone, Debug, Default)]
pub struct Within {
    /// In these groups; in any if not said.
    pub groups: Option<Vec<NodeGroupId>>,
    /// And these services.
    pub services: Vec<ServiceId>,
}

impl Tx {
    /// The ids of things whose names have `text` in them, in whatever case; the shortest
    /// names first.
    pub async fn search(
        &self,
        named: Named,
        text: &str,
        within: &Within,
        limit: u64,
    ) -> Result<Vec<i32>> {
        let groups = within.groups.as_ref();
        let groups = groups.map(|ids| ids.iter().map(|id| i32::from(*id)).collect::<Vec<_>>());
        let in_group = |column: &dyn Fn(Vec<i32>) -> Condition| groups.clone().map(column);
        macro_rules! search {
            ($entity:ident, $group:ident) => {{
                use $entity::Column;
                let seen = in_group(&|ids| Condition::any().add(Column::$group.is_in(ids)));
                self.ids::<$entity::Entity>((Column::Id, Column::Name), text, seen, limit).await
            }};
        }
        match named {
            Named::NodeGroup => search!(node_group, Id),
            Named::Route => search!(route, NodeGroupId),
            Named::Listener => search!(listener, NodeGroupId),
            Named::Mapping => search!(mapping, NodeGroupId),
            Named::Certificate => search!(certificate, NodeGroupId),
            Named::Proxy => search!(proxy, NodeGroupId),
            Named::Service => {
                use service::Column;
                let single = within.services.iter().map(|id| i32::from(*id)).collect::<Vec<_>>();
                let seen = in_group(&|ids| {
                    let single = Column::Id.is_in(single.clone());
                    Condition::any().add(Column::NodeGroupId.is_in(ids)).add(single)
                });
                self.ids::<service::Entity>((Column::Id, Column::Name), text, seen, limit).await
            }
        }
    }

    async fn ids<E: EntityTrait>(
        &self,
        (id, name): (E::Column, E::Column),
        text: &str,
        seen: Option<Condition>,
        limit: u64,
    ) -> Result<Vec<i32>> {
        let escaped = text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%");
        let pattern = LikeExpr::new(format!("%{}%", escaped.replace('_', "\\_"))).escape('\\');
        let column = || Expr::col((E::default(), name));
        let mut query = E::find()
            .select_only()
            .column(id)
            .filter(Expr::expr(Func::lower(column())).like(pattern))
            .order_by_asc(Expr::expr(Func::char_length(column())))
            .order_by_asc(name)
            .order_by_asc(id)
            .limit(limit);
        if let Some(seen) = seen {
            query = query.filter(seen);
        }
        Ok(query.into_tuple().all(&self.0).await?)
    }
}
