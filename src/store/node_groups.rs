//! Node groups and their revisions.

use chrono::{DateTime, Utc};
use marchproxy_schema::{certificate, listener, mapping, node_group, route, service};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QuerySelect as _, Set, Unchanged,
};

use super::rows::{Row, to_json};
use super::{Tx, name_taken};
use crate::error::{Error, Result};
use crate::model::{
    DesiredState, Logging, Name, NodeGroup, NodeGroupId, NodeGroupSpec, Revision, UserId,
};
use crate::model::{Listed, Page, Window};

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

    /// The groups of these ids, in any order.
    pub async fn node_groups_by_id(&self, ids: &[NodeGroupId]) -> Result<Vec<NodeGroup>> {
        let wanted = node_group::Entity::find()
            .filter(node_group::Column::Id.is_in(ids.iter().map(|id| i32::from(*id))));
        self.rows(wanted, parse).await
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
        self.page(node_group::Entity::find(), node_group::Column::Id, page, parse).await
    }

    /// How many groups there are.
    pub async fn count_node_groups(&self) -> Result<u64> {
        Ok(node_group::Entity::find().count(&self.0).await?)
    }

    /// Those of these groups that there are, in the order of their ids.
    pub async fn node_groups_among(
        &self,
        ids: &[NodeGroupId],
        page: Page,
    ) -> Result<Vec<NodeGroup>> {
        let wanted = node_group::Entity::find()
            .filter(node_group::Column::Id.is_in(ids.iter().copied().map(i32::from)));
        self.page(wanted, node_group::Column::Id, page, parse).await
    }

    /// A window on the groups, or on these groups, the newest first.
    pub async fn list_node_groups(
        &self,
        among: Option<&[NodeGroupId]>,
        window: Window,
    ) -> Result<Listed<NodeGroup>> {
        let mut wanted = node_group::Entity::find();
        if let Some(among) = among {
            let among = among.iter().map(|id| i32::from(*id));
            wanted = wanted.filter(node_group::Column::Id.is_in(among));
        }
        if window.active_only {
            wanted = wanted.filter(node_group::Column::IsActive.eq(true));
        }
        self.window(wanted, node_group::Column::Id, window, parse).await
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
        created_by: Option<UserId>,
        now: DateTime<Utc>,
    ) -> Result<NodeGroup> {
        let row = node_group::ActiveModel {
            is_default: Set(is_default),
            revision: Set(0),
            settings_revision: Set(0),
            created_by: Set(created_by.map(i32::from)),
            created_at: Set(now),
            ..columns(spec, now)
        };
        parse(row.insert(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// Inserts a group that was there before, under its old id, at revision 0.
    pub async fn insert_node_group_again(&self, group: &NodeGroup) -> Result<NodeGroup> {
        let NodeGroup { id, is_default, created_by, spec, created_at, updated_at, .. } = group;
        let row = node_group::ActiveModel {
            id: Set((*id).into()),
            is_default: Set(*is_default),
            revision: Set(0),
            settings_revision: Set(0),
            created_by: Set(created_by.map(i32::from)),
            created_at: Set(*created_at),
            ..columns(spec, *updated_at)
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
        let row = node_group::ActiveModel {
            id: Unchanged(id.into()),
            settings_revision: Set(self.1.revision()),
            ..columns(spec, now)
        };
        parse(row.update(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// Deletes a group, its default listener, its proxies that are offline, and
    /// its history.
    ///
    /// Anything else that still stands in it is `InUse`.
    pub async fn delete_node_group(&self, group: &NodeGroup) -> Result<()> {
        self.bump_revision(group.id).await?; // nothing comes in any more
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
        let mappings = mapping::Entity::find().filter(mapping::Column::NodeGroupId.eq(id));
        in_use(mappings.count(&self.0).await?, "mappings")?;
        let certificates =
            certificate::Entity::find().filter(certificate::Column::NodeGroupId.eq(id));
        in_use(certificates.count(&self.0).await?, "certificates")?;
        in_use(self.count_proxies(group.id).await?, "proxies")?;
        listener::Entity::delete_many()
            .filter(listener::Column::NodeGroupId.eq(id))
            .exec(&self.0)
            .await?;
        self.forget_all(group.id).await?;
        node_group::Entity::delete_by_id(id).exec(&self.0).await?;
        Ok(())
    }

    /// Counts one more change of a group, and returns the count. What this
    /// transaction writes from then on has that revision.
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
        let revision = self.node_group(group).await?.revision;
        self.1.note(revision);
        Ok(revision)
    }

    /// Everything that the group's snapshot is made of.
    pub async fn desired_state(&self, group: NodeGroupId) -> Result<DesiredState> {
        Ok(DesiredState {
            group: self.node_group(group).await?,
            services: self.services(group, Page::ALL).await?,
            routes: self.routes(group, Page::ALL).await?,
            listeners: self.listeners(group, Page::ALL).await?,
            mappings: self.mappings(group, Page::ALL).await?,
            certificates: self.certificates(group, Page::ALL).await?,
        })
    }
}

/// What people configured, as columns; identity and birth are left open.
fn columns(spec: &NodeGroupSpec, now: DateTime<Utc>) -> node_group::ActiveModel {
    node_group::ActiveModel {
        name: Set(spec.name.to_string()),
        description: Set(spec.description.clone()),
        runtime: Set(to_json(&spec.runtime)),
        syslog_endpoint: Set(spec.logging.endpoint.as_ref().map(ToString::to_string)),
        log_auth: Set(spec.logging.auth),
        log_netflow: Set(spec.logging.netflow),
        log_debug: Set(spec.logging.debug),
        max_proxies: Set(spec.max_proxies.into()),
        is_active: Set(spec.is_active),
        updated_at: Set(now),
        ..Default::default()
    }
}

fn parse(row: node_group::Model) -> Result<NodeGroup> {
    let at = Row { table: "node_group", id: row.id };
    Ok(NodeGroup {
        id: at.parse("id", row.id)?,
        is_default: row.is_default,
        revision: row.revision.into(),
        created_by: at.optional("created_by", row.created_by)?,
        spec: NodeGroupSpec {
            name: at.parse("name", row.name)?,
            description: row.description,
            runtime: at.json("runtime", row.runtime)?,
            logging: Logging {
                endpoint: at.optional("syslog_endpoint", row.syslog_endpoint)?,
                auth: row.log_auth,
                netflow: row.log_netflow,
                debug: row.log_debug,
            },
            max_proxies: at.parse("max_proxies", row.max_proxies)?,
            is_active: row.is_active,
        },
        settings_revision: row.settings_revision.into(),
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
