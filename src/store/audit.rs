//! The audit log. Rows are added, never changed, and forgotten when they are old.

use chrono::{DateTime, Utc};
use marchproxy_schema::audit_entry::{ActiveModel, Column, Entity, Model};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Set,
};

use super::Tx;
use super::rows::Row;
use crate::error::Result;
use crate::model::{AuditEntry, AuditFilter, NewAuditEntry};

impl Tx {
    /// Adds an entry.
    pub async fn insert_audit_entry(&self, new: NewAuditEntry, now: DateTime<Utc>) -> Result<()> {
        let row = ActiveModel {
            at: Set(now),
            user_id: Set(new.user.map(i32::from)),
            username: Set(new.username),
            via: Set(new.via),
            edge: Set(new.edge),
            address: Set(new.address),
            user_agent: Set(new.user_agent),
            request_id: Set(new.request_id),
            operation: Set(new.operation),
            noun: Set(new.noun),
            noun_id: Set(new.noun_id),
            node_group_id: Set(new.group.map(i32::from)),
            summary: Set(new.summary),
            refused: Set(new.refused),
            before: Set(new.before),
            after: Set(new.after),
            ..Default::default()
        };
        row.insert(&self.0).await?;
        Ok(())
    }

    /// Forgets entries of before `end`, the oldest `most` of all that are kept at most; and
    /// says how many. Entries are as old as their ids say, so that no more than those are
    /// looked at.
    pub async fn forget_audit_entries(&self, end: DateTime<Utc>, most: i64) -> Result<u64> {
        let oldest = Entity::find().order_by_asc(Column::Id).one(&self.0).await?;
        let Some(oldest) = oldest else { return Ok(0) };
        let forgotten = Entity::delete_many()
            .filter(Column::Id.lt(oldest.id.saturating_add(most)))
            .filter(Column::At.lt(end))
            .exec(&self.0)
            .await?;
        Ok(forgotten.rows_affected)
    }

    /// Entries, the newest first, from before the entry `before`.
    pub async fn audit_entries(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<AuditEntry>> {
        let mut query = Entity::find().filter(condition(filter));
        if let Some(before) = before {
            query = query.filter(Column::Id.lt(before));
        }
        let query = query.order_by_desc(Column::Id).limit(limit);
        query.all(&self.0).await?.into_iter().map(parse).collect()
    }
}

fn condition(filter: &AuditFilter) -> Condition {
    let refused = filter.refused.map(|refused| match refused {
        true => Column::Refused.is_not_null(),
        false => Column::Refused.is_null(),
    });
    Condition::all()
        .add_option(filter.user.map(|user| Column::UserId.eq(i32::from(user))))
        .add_option(filter.operation.as_ref().map(|name| Column::Operation.eq(name)))
        .add_option(filter.noun.as_ref().map(|noun| Column::Noun.eq(noun)))
        .add_option(filter.noun_id.as_ref().map(|id| Column::NounId.eq(id)))
        .add_option(filter.group.map(|group| Column::NodeGroupId.eq(i32::from(group))))
        .add_option(refused)
        .add_option(filter.since.map(|since| Column::At.gte(since)))
        .add_option(filter.until.map(|until| Column::At.lt(until)))
}

fn parse(row: Model) -> Result<AuditEntry> {
    let at = Row { table: "audit_entry", id: i32::try_from(row.id).unwrap_or(i32::MAX) };
    Ok(AuditEntry {
        id: row.id,
        at: row.at,
        done: NewAuditEntry {
            user: row.user_id.map(|id| at.parse("user_id", id)).transpose()?,
            username: row.username,
            via: row.via,
            edge: row.edge,
            address: row.address,
            user_agent: row.user_agent,
            request_id: row.request_id,
            operation: row.operation,
            noun: row.noun,
            noun_id: row.noun_id,
            group: row.node_group_id.map(|id| at.parse("node_group_id", id)).transpose()?,
            summary: row.summary,
            refused: row.refused,
            before: row.before,
            after: row.after,
        },
    })
}
