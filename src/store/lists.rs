//! Reading lists: how any of them is cut.

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
};

use super::Tx;
use crate::error::Result;
use crate::model::{Listed, NodeGroupId, Page, Window};

impl Tx {
    /// All that is wanted.
    pub(super) async fn rows<E: EntityTrait, T>(
        &self,
        wanted: Select<E>,
        parse: impl Fn(E::Model) -> Result<T>,
    ) -> Result<Vec<T>> {
        wanted.all(&self.0).await?.into_iter().map(parse).collect()
    }

    /// A page of what is wanted, in the order of ids.
    pub(super) async fn page<E: EntityTrait, T>(
        &self,
        wanted: Select<E>,
        id: E::Column,
        page: Page,
        parse: impl Fn(E::Model) -> Result<T>,
    ) -> Result<Vec<T>> {
        let wanted = wanted.filter(id.gt(page.after)).order_by_asc(id).limit(page.limit);
        self.rows(wanted, parse).await
    }

    /// A window on what is wanted, the newest first, and how much that is in all. What is
    /// switched off is left out by who knows what says so.
    pub(super) async fn window<E: EntityTrait, T>(
        &self,
        wanted: Select<E>,
        id: E::Column,
        window: Window,
        parse: impl Fn(E::Model) -> Result<T>,
    ) -> Result<Listed<T>>
    where
        E::Model: Send + Sync,
    {
        let total = wanted.clone().count(&self.0).await?;
        let wanted = wanted.order_by_desc(id).offset(window.skip).limit(window.limit);
        Ok(Listed { total, rows: self.rows(wanted, parse).await? })
    }
}

/// What is in this group, and in one of these, as far as that is said.
pub(super) fn in_groups(
    column: impl ColumnTrait,
    group: Option<NodeGroupId>,
    seen: Option<&[NodeGroupId]>,
) -> Condition {
    let these = |seen: &[NodeGroupId]| column.is_in(seen.iter().map(|id| i32::from(*id)));
    Condition::all()
        .add_option(group.map(|group| column.eq(i32::from(group))))
        .add_option(seen.map(these))
}
