//! Mappings.

use chrono::{DateTime, Utc};
use marchproxy_schema::mapping;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, Set, Unchanged,
};

use super::labels::labelled;
use super::lists::in_groups;
use super::rows::{Row, to_json};
use super::{Making, Tx, name_taken};
use crate::error::{Error, Result};
use crate::model::Labelled;
use crate::model::{Listed, Window};
use crate::model::{Mapping, MappingId, MappingSpec, NodeGroupId, UserId};

const KIND: &str = "mapping";

impl Tx {
    /// The mapping of this id, or `NotFound`.
    pub async fn mapping(&self, id: MappingId) -> Result<Mapping> {
        let row = mapping::Entity::find_by_id(i32::from(id)).one(&self.0).await?;
        parse(row.ok_or_else(|| Error::not_found(KIND, id))?)
    }

    /// A group's mappings in the order of their ids.
    pub async fn mappings(
        &self,
        group: NodeGroupId,
        page: impl Into<Labelled>,
    ) -> Result<Vec<Mapping>> {
        let Labelled { page, labels } = page.into();
        let wanted = mapping::Entity::find()
            .filter(mapping::Column::NodeGroupId.eq(i32::from(group)))
            .filter(labelled(mapping::Column::Labels, &labels));
        self.page(wanted, mapping::Column::Id, page, parse).await
    }

    /// A window on the mappings of a group, or of all groups, as far as they are in
    /// these groups, the newest first.
    pub async fn list_mappings(
        &self,
        group: Option<NodeGroupId>,
        seen: Option<&[NodeGroupId]>,
        window: Window,
    ) -> Result<Listed<Mapping>> {
        let mut wanted =
            mapping::Entity::find().filter(in_groups(mapping::Column::NodeGroupId, group, seen));
        if window.active_only {
            wanted = wanted.filter(mapping::Column::IsActive.eq(true));
        }
        self.window(wanted, mapping::Column::Id, window, parse).await
    }

    /// Inserts a mapping. `AlreadyExists` if its group has one of that name.
    pub async fn insert_mapping(
        &self,
        group: NodeGroupId,
        spec: &MappingSpec,
        created_by: Option<UserId>,
        now: DateTime<Utc>,
    ) -> Result<Mapping> {
        let row = mapping::ActiveModel {
            node_group_id: Set(group.into()),
            created_by: Set(created_by.map(i32::from)),
            created_at: Set(now),
            ..columns(spec, &self.1, now)
        };
        parse(row.insert(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// Inserts a mapping under the id that it had.
    pub async fn insert_mapping_again(
        &self,
        mapping: &Mapping,
        now: DateTime<Utc>,
    ) -> Result<Mapping> {
        let Mapping { id, group, created_by, spec, created_at, .. } = mapping;
        let row = mapping::ActiveModel {
            id: Set((*id).into()),
            node_group_id: Set((*group).into()),
            created_by: Set(created_by.map(i32::from)),
            created_at: Set(*created_at),
            ..columns(spec, &self.1, now)
        };
        parse(row.insert(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// The mappings of these ids, in any order.
    pub async fn mappings_by_id(&self, ids: &[MappingId]) -> Result<Vec<Mapping>> {
        let wanted = mapping::Entity::find()
            .filter(mapping::Column::Id.is_in(ids.iter().map(|id| i32::from(*id))));
        self.rows(wanted, parse).await
    }

    /// Writes what people configured of a mapping.
    pub async fn update_mapping(
        &self,
        id: MappingId,
        spec: &MappingSpec,
        now: DateTime<Utc>,
    ) -> Result<Mapping> {
        let row = mapping::ActiveModel { id: Unchanged(id.into()), ..columns(spec, &self.1, now) };
        parse(row.update(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// Deletes a mapping.
    pub async fn delete_mapping(&self, mapping: &Mapping) -> Result<()> {
        mapping::Entity::delete_by_id(i32::from(mapping.id)).exec(&self.0).await?;
        Ok(())
    }
}

fn columns(spec: &MappingSpec, making: &Making, now: DateTime<Utc>) -> mapping::ActiveModel {
    mapping::ActiveModel {
        name: Set(spec.name.to_string()),
        description: Set(spec.description.clone()),
        source_services: Set(to_json(&spec.sources)),
        dest_services: Set(to_json(&spec.destinations)),
        protocols: Set(to_json(&spec.protocols)),
        ports: Set(to_json(&spec.ports)),
        auth_required: Set(spec.auth_required),
        comments: Set(spec.comments.clone()),
        is_active: Set(spec.is_active),
        labels: Set(spec.labels.to_string()),
        revision: Set(making.revision()),
        updated_at: Set(now),
        ..Default::default()
    }
}

fn parse(row: mapping::Model) -> Result<Mapping> {
    let at = Row { table: "mapping", id: row.id };
    Ok(Mapping {
        id: at.parse("id", row.id)?,
        group: at.parse("node_group_id", row.node_group_id)?,
        created_by: at.optional("created_by", row.created_by)?,
        spec: MappingSpec {
            labels: at.parse("labels", row.labels)?,
            name: at.parse("name", row.name)?,
            description: row.description,
            sources: at.json("source_services", row.source_services)?,
            destinations: at.json("dest_services", row.dest_services)?,
            protocols: at.json("protocols", row.protocols)?,
            ports: at.json("ports", row.ports)?,
            auth_required: row.auth_required,
            comments: row.comments,
            is_active: row.is_active,
        },
        revision: row.revision.into(),
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
