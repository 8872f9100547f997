//! Node groups and their revisions.

use chrono::{DateTime, Utc};
use marchproxy_schema::{listener, node_group, route, service};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Set,
};

use super::rows::{Row, to_json};
use super::{Tx, name_taken};
use crate::error::{Error, Result};
use crate::model::Page;
use crate::model::{DesiredState, Name, NodeGroup, NodeGroupId, NodeGroupSpec, Revision};

const KIND: &str = "node group";

impl Tx {
    /// The group of this id, or `NotFound`.
    pub async fn node_group(&self, id: NodeGroupId) -> Result<NodeGroup> {
        self.find_node_group_by_id(id).await?.ok_or_else(|| Error::not_found(KIND, id))
    }

    /// The group of this id.
    pub async fn find_node_group_by_id(&self, id: NodeGroupId) -> Result<Option<NodeGroup>> {
        node_group::Entity::find_by_id(i32::from(id)).one(&self.0).await?.map(parse).transpose()
    }

    /// The group of this name.
    pub async fn find_node_group(&self, name: &Name) -> Result<Option<NodeGroup>> {
        let query = node_group::Entity::find().filter(node_group::Column::Name.eq(name.as_str()));
        query.one(&self.0).await?.map(parse).transpose()
    }

    /// The group of the proxies that name none.
    pub async fn find_default_node_group(&self) -> Result<Option<NodeGroup>> {
        let query = node_group::Entity::find().filter(node_group::Column::IsDefault.eq(true));
        query.one(&self.0).await?.map(parse).transpose()
    }

    /// Groups in the order of their ids.
    pub async fn node_groups(&self, page: Page) -> Result<Vec<NodeGroup>> {
        node_group::Entity::find()
            .filter(node_group::Column::Id.gt(page.after))
            .order_by_asc(node_group::Column::Id)
            .limit(page.limit)
            .all(&self.0)
            .await?
            .into_iter()
            .map(parse)
            .collect()
    }

    /// Each group's revision.
    pub async fn revisions(&self) -> Result<Vec<(NodeGroupId, Revision)>> {
        let rows: Vec<(i32, i64)> = node_group::Entity::find()
            .select_only()
            .columns([node_group::Column::Id, node_group::Column::Revision])
            .into_tuple()
            .all(&self.0)
            .await?;
        rows.into_iter()
            .map(|(id, revision)| {
                let row = Row { table: "node_group", id };
                Ok((row.parse("id", id)?, revision.into()))
            })
            .collect()
    }

    /// Inserts a group at revision 0.
    pub async fn insert_node_group(
        &self,
        spec: &NodeGroupSpec,
        is_default: bool,
        now: DateTime<Utc>,
    ) -> Result<NodeGroup> {
        let row = node_group::ActiveModel {
            name: Set(spec.name.to_string()),
            description: Set(spec.description.clone()),
            runtime: Set(to_json(&spec.runtime)),
            is_default: Set(is_default),
            revision: Set(0),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        };
        parse(row.insert(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// Writes what people configured of a group.
    pub async fn update_node_group(
        &self,
        id: NodeGroupId,
        spec: &NodeGroupSpec,
        now: DateTime<Utc>,
    ) -> Result<NodeGroup> {
        let row = node_group::Entity::find_by_id(i32::from(id)).one(&self.0).await?;
        let mut row = row.ok_or_else(|| Error::not_found(KIND, id))?.into_active_model();
        row.name = Set(spec.name.to_string());
        row.description = Set(spec.description.clone());
        row.runtime = Set(to_json(&spec.runtime));
        row.updated_at = Set(now);
        parse(row.update(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// Deletes a group, its default listener and its history.
    ///
    /// Anything else that still stands in it is `InUse`.
    pub async fn delete_node_group(&self, group: &NodeGroup) -> Result<()> {
        let id = i32::from(group.id);
        let in_use = |n: u64, what: &str| match n {
            0 => Ok(()),
            n => Err(Error::InUse {
                kind: KIND,
                name: group.spec.name.to_string(),
                by: format!("{n} {what}"),
            }),
        };
        let services = service::Entity::find().filter(service::Column::NodeGroupId.eq(id));
        in_use(services.count(&self.0).await?, "services")?;
        let routes = route::Entity::find().filter(route::Column::NodeGroupId.eq(id));
        in_use(routes.count(&self.0).await?, "routes")?;
        let listeners = listener::Entity::find()
            .filter(listener::Column::NodeGroupId.eq(id))
            .filter(listener::Column::IsDefault.eq(false));
        in_use(listeners.count(&self.0).await?, "listeners")?;
        listener::Entity::delete_many()
            .filter(listener::Column::NodeGroupId.eq(id))
            .exec(&self.0)
            .await?;
        node_group::Entity::delete_by_id(id).exec(&self.0).await?;
        Ok(())
    }

    /// Counts one more change of a group, and returns the count.
    ///
    /// The row stays locked until the transaction ends, so that changes of one
    /// group come one after the other on any database.
    pub async fn bump_revision(&self, group: NodeGroupId) -> Result<Revision> {
        let updated = node_group::Entity::update_many()
            .col_expr(
                node_group::Column::Revision,
                Expr::col(node_group::Column::Revision).add(1_i64),
            )
            .filter(node_group::Column::Id.eq(i32::from(group)))
            .exec(&self.0)
            .await?;
        if updated.rows_affected == 0 {
            return Err(Error::not_found(KIND, group));
        }
        Ok(self.node_group(group).await?.revision)
    }

    /// Everything that the group's snapshot is made of.
    pub async fn desired_state(&self, group: NodeGroupId) -> Result<DesiredState> {
        Ok(DesiredState {
            group: self.node_group(group).await?,
            services: self.services(group, Page::ALL).await?,
            routes: self.routes(group, Page::ALL).await?,
            listeners: self.listeners(group, Page::ALL).await?,
        })
    }
}

fn parse(row: node_group::Model) -> Result<NodeGroup> {
    let at = Row { table: "node_group", id: row.id };
    Ok(NodeGroup {
        id: at.parse("id", row.id)?,
        is_default: row.is_default,
        revision: row.revision.into(),
        spec: NodeGroupSpec {
            name: at.parse("name", row.name)?,
            description: row.description,
            runtime: at.json("runtime", row.runtime)?,
        },
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
