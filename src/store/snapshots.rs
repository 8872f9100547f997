//! The history of snapshots: what was compiled, why, and by whom.

use chrono::{DateTime, Utc};
use marchproxy_schema::snapshot;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, ExprTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Set, sea_query::Expr,
};

use super::Tx;
use super::rows::{Row, said_to_json, to_json};
use crate::error::{Error, Result};
use crate::model::{Answers, NewSnapshot, NodeGroupId, Revision, SnapshotId, SnapshotRecord};

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
            adopted: Set(0),
            refused: Set(0),
            first_refusal: Set(None),
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

    /// Adds what more proxies made of a snapshot. Nothing, if it is forgotten by now.
    pub async fn add_answers(
        &self,
        group: NodeGroupId,
        revision: Revision,
        more: &Answers,
    ) -> Result<()> {
        use snapshot::Column;
        let add = |column: Column, more: i32| Expr::col(column).add(more);
        let of_it = || {
            snapshot::Entity::update_many()
                .filter(Column::NodeGroupId.eq(i32::from(group)))
                .filter(Column::Revision.eq(i64::from(revision)))
        };
        of_it()
            .col_expr(Column::Adopted, add(Column::Adopted, more.adopted))
            .col_expr(Column::Refused, add(Column::Refused, more.refused))
            .exec(&self.0)
            .await?;
        if let Some(first) = &more.first_refusal {
            of_it()
                .col_expr(Column::FirstRefusal, Expr::value(said_to_json(first)))
                .filter(Column::FirstRefusal.is_null())
                .exec(&self.0)
                .await?;
        }
        Ok(())
    }

    /// When the newest snapshot of all was made.
    pub async fn last_snapshot_at(&self) -> Result<Option<DateTime<Utc>>> {
        let newest = snapshot::Entity::find().order_by_desc(snapshot::Column::Id).one(&self.0);
        Ok(newest.await?.map(|row| row.created_at))
    }

    /// Pretends that a snapshot had another version.
    #[cfg(test)]
    pub async fn set_version(&self, id: SnapshotId, version: &str) -> Result<()> {
        snapshot::Entity::update_many()
            .col_expr(snapshot::Column::Version, Expr::value(version))
            .filter(snapshot::Column::Id.eq(i32::from(id)))
            .exec(&self.0)
            .await?;
        Ok(())
    }

    /// The snapshot of this id, or `NotFound`: it may be forgotten by now.
    pub async fn snapshot(&self, id: SnapshotId) -> Result<SnapshotRecord> {
        let row = snapshot::Entity::find_by_id(i32::from(id)).one(&self.0).await?;
        parse(row.ok_or_else(|| Error::not_found("snapshot", id))?)
    }

    /// Those of these snapshots that there are, in any order.
    pub async fn snapshots_by_id(&self, ids: &[SnapshotId]) -> Result<Vec<SnapshotRecord>> {
        let wanted = snapshot::Entity::find()
            .filter(snapshot::Column::Id.is_in(ids.iter().map(|id| i32::from(*id))));
        self.rows(wanted, parse).await
    }

    /// A group's snapshot of this revision.
    pub async fn find_snapshot_at(
        &self,
        group: NodeGroupId,
        revision: Revision,
    ) -> Result<Option<SnapshotRecord>> {
        let query = snapshot::Entity::find()
            .filter(snapshot::Column::NodeGroupId.eq(i32::from(group)))
            .filter(snapshot::Column::Revision.eq(i64::from(revision)));
        query.one(&self.0).await?.map(parse).transpose()
    }

    /// What was a group's newest snapshot at a time.
    pub async fn find_snapshot_of_time(
        &self,
        group: NodeGroupId,
        time: DateTime<Utc>,
    ) -> Result<Option<SnapshotRecord>> {
        let query = snapshot::Entity::find()
            .filter(snapshot::Column::NodeGroupId.eq(i32::from(group)))
            .filter(snapshot::Column::CreatedAt.lte(time))
            .order_by_desc(snapshot::Column::Revision);
        query.one(&self.0).await?.map(parse).transpose()
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
        id: at.parse("id", row.id)?,
        group: at.parse("node_group_id", row.node_group_id)?,
        revision: row.revision.into(),
        version: row.version,
        types: at.json("types", row.types)?,
        cause: row.cause,
        author: row.author_id.map(|id| at.parse("author_id", id)).transpose()?,
        answers: Answers {
            adopted: row.adopted,
            refused: row.refused,
            first_refusal: row.first_refusal.map(|v| at.json("first_refusal", v)).transpose()?,
        },
        created_at: row.created_at,
    })
}
