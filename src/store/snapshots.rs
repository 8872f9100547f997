//! The history of snapshots: what was compiled, why, and by whom.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use marchproxy_schema::snapshot;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Set,
};
use serde::{Deserialize, Serialize};

use super::Tx;
use super::rows::{Row, to_json};
use crate::error::Result;
use crate::model::{NodeGroupId, Revision, UserId};

/// One snapshot as history keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// Its place in the history of all groups.
    pub id: i32,
    /// Whose it is.
    pub group: NodeGroupId,
    /// The group's revision that it was compiled from.
    pub revision: Revision,
    /// A hash of its content.
    pub version: String,
    /// Each type's version and number of resources, by the type's name.
    pub types: BTreeMap<String, TypeRecord>,
    /// What was done.
    pub cause: String,
    /// Who did it; none for the control plane itself.
    pub author: Option<UserId>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// What a snapshot holds of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeRecord {
    /// A hash of the type's resources.
    pub version: String,
    /// How many there are.
    pub count: usize,
}

/// A snapshot to be kept.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as in SnapshotRecord")]
pub struct NewSnapshot {
    pub group: NodeGroupId,
    pub revision: Revision,
    pub version: String,
    pub types: BTreeMap<String, TypeRecord>,
    pub cause: String,
    pub author: Option<UserId>,
}

impl Tx {
    /// Keeps a snapshot in its group's history.
    pub async fn insert_snapshot(
        &self,
        new: NewSnapshot,
        now: DateTime<Utc>,
    ) -> Result<SnapshotRecord> {
        let row = snapshot::ActiveModel {
            node_group_id: Set(new.group.into()),
            revision: Set(new.revision.into()),
            version: Set(new.version),
            types: Set(to_json(&new.types)),
            cause: Set(new.cause),
            author_id: Set(new.author.map(i32::from)),
            created_at: Set(now),
            ..Default::default()
        };
        parse(row.insert(&self.0).await?)
    }

    /// A group's snapshots, the newest first, from before revision `before`.
    pub async fn snapshots(
        &self,
        group: NodeGroupId,
        before: Option<Revision>,
        limit: u64,
    ) -> Result<Vec<SnapshotRecord>> {
        let mut query = snapshot::Entity::find()
            .filter(snapshot::Column::NodeGroupId.eq(i32::from(group)))
            .order_by_desc(snapshot::Column::Revision)
            .limit(limit);
        if let Some(before) = before {
            query = query.filter(snapshot::Column::Revision.lt(i64::from(before)));
        }
        query.all(&self.0).await?.into_iter().map(parse).collect()
    }

    /// The newest snapshot of this version, in `group` or in any.
    pub async fn find_snapshot(
        &self,
        group: Option<NodeGroupId>,
        version: &str,
    ) -> Result<Option<SnapshotRecord>> {
        let mut query = snapshot::Entity::find()
            .filter(snapshot::Column::Version.eq(version))
            .order_by_desc(snapshot::Column::Id);
        if let Some(group) = group {
            query = query.filter(snapshot::Column::NodeGroupId.eq(i32::from(group)));
        }
        query.one(&self.0).await?.map(parse).transpose()
    }
}

fn parse(row: snapshot::Model) -> Result<SnapshotRecord> {
    let at = Row { table: "snapshot", id: row.id };
    Ok(SnapshotRecord {
        id: row.id,
        group: at.parse("node_group_id", row.node_group_id)?,
        revision: row.revision.into(),
        version: row.version,
        types: at.json("types", row.types)?,
        cause: row.cause,
        author: row.author_id.map(|id| at.parse("author_id", id)).transpose()?,
        created_at: row.created_at,
    })
}
