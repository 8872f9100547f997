//! The event log. What a transaction tells is written by its commit, as the last thing:
//! the numbers come from one row, which stays locked until the transaction has ended.
//! So numbers have the order of commits, and no hole is ever seen among them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use marchproxy_schema::event::{ActiveModel, Column, Entity, Model};
use marchproxy_schema::event_log;
use parking_lot::Mutex;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait as _, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Set, Statement,
};
use tokio::sync::Notify;

use super::rows::{Row, said_to_json};
use super::{Store, Tx};
use crate::error::{Error, Result};
use crate::model::{
    Event, EventCursor, EventFilter, EventOrder, Happening, LogEnds, NewEvent, NodeGroupId, UserId,
};

/// How many rows one statement inserts.
const CHUNK: usize = 500;

/// What a transaction tells once it is committed.
#[derive(Debug)]
pub(super) struct Told {
    telling: Mutex<Telling>,
    news: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Telling {
    events: Vec<NewEvent>,
    batch: Option<i64>,
}

impl Told {
    /// Of a transaction that says to `news` when it is committed and has told something.
    pub(super) fn new(news: &Arc<Notify>) -> Self {
        Self { telling: Mutex::default(), news: Arc::clone(news) }
    }
}

impl Store {
    /// Comes when a transaction of this process has told something.
    pub async fn told(&self) {
        self.told.notified().await;
    }
}

impl Tx {
    /// Has an event written by the commit of this transaction.
    pub fn tell(&self, event: NewEvent) {
        self.2.telling.lock().events.push(event);
    }

    /// As [`Tx::tell`], for many; `batch` is a number that no other batch has.
    ///
    /// Whether a batch was there already, whose commit may have gone wrong on the way
    /// back: then nothing is told again. Holds up all others who tell something.
    pub async fn tell_batch(&self, batch: i64, events: Vec<NewEvent>) -> Result<bool> {
        self.number(0).await?; // whoever is at it has ended by then, one way or the other
        let told = Entity::find().filter(Column::Batch.eq(batch)).count(&self.0).await? > 0;
        if !told {
            *self.2.telling.lock() = Telling { events, batch: Some(batch) };
        }
        Ok(told)
    }

    /// Writes what is to be told. Nothing may come after it but the commit. Gives what
    /// to say then that there are events, if there are.
    pub(super) async fn write_told(&self) -> Result<Option<Arc<Notify>>> {
        let Telling { events, batch } = std::mem::take(&mut *self.2.telling.lock());
        let Some(count) = i64::try_from(events.len()).ok().filter(|count| *count > 0) else {
            return Ok(None);
        };
        let first = self.number(count).await?;
        let mut rows: Vec<_> = (first..).zip(events).map(|(seq, event)| row(seq, event)).collect();
        if let Some(row) = rows.first_mut() {
            row.batch = Set(batch);
        }
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(CHUNK));
            Entity::insert_many(rows).exec_without_returning(&self.0).await?;
            rows = rest;
        }
        Ok(Some(Arc::clone(&self.2.news)))
    }

    /// Takes so many numbers, and gives the first; locks the log until the end.
    async fn number(&self, count: i64) -> Result<i64> {
        let sql = "UPDATE event_log SET last_seq = last_seq + $1 RETURNING last_seq";
        let backend = self.0.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, sql, [count.into()]);
        let row = self.0.query_one_raw(statement).await?;
        let row = row.ok_or_else(|| Error::internal("there is no event log"))?;
        Ok(row.try_get::<i64>("", "last_seq")? - count + 1)
    }

    /// Which events there are.
    pub async fn event_log(&self) -> Result<LogEnds> {
        let log = event_log::Entity::find().one(&self.0).await?;
        let log = log.ok_or_else(|| Error::internal("there is no event log"))?;
        Ok(LogEnds { log: log.log_id, first: log.first_seq, last: log.last_seq })
    }

    /// The events after this number, in their order.
    pub async fn events_after(&self, seq: i64, limit: u64) -> Result<Vec<Event>> {
        self.events(&EventFilter::default(), None, EventOrder::OldestFirst, Some(seq), limit).await
    }

    /// The events beyond the number `from` in this order: those about `known` groups or
    /// about none, if these are said.
    pub async fn events(
        &self,
        filter: &EventFilter,
        known: Option<&[NodeGroupId]>,
        order: EventOrder,
        from: Option<i64>,
        limit: u64,
    ) -> Result<Vec<Event>> {
        let log = self.event_log().await?.log;
        let query = Entity::find().filter(condition(filter, known)).limit(limit);
        let query = match order {
            EventOrder::OldestFirst => query.order_by_asc(Column::Seq),
            EventOrder::NewestFirst => query.order_by_desc(Column::Seq),
        };
        let query = match (order, from) {
            (_, None) => query,
            (EventOrder::OldestFirst, Some(from)) => query.filter(Column::Seq.gt(from)),
            (EventOrder::NewestFirst, Some(from)) => query.filter(Column::Seq.lt(from)),
        };
        query.all(&self.0).await?.into_iter().map(|row| parse(log, row)).collect()
    }

    /// Forgets the oldest events, `batch` at most: those of before `end`, and those that
    /// are more than `most`. Says how many.
    pub async fn forget_events(
        &self,
        end: Option<DateTime<Utc>>,
        most: i64,
        batch: i64,
    ) -> Result<u64> {
        let ends = self.event_log().await?;
        let too_old = match end {
            Some(end) => {
                let oldest = Column::Seq.lt(ends.first.saturating_add(batch));
                let query = Entity::find().select_only().column_as(Column::Seq.max(), "seq");
                let query = query.filter(oldest).filter(Column::At.lt(end));
                query.into_tuple::<Option<i64>>().one(&self.0).await?.flatten().unwrap_or(0)
            }
            None => 0,
        };
        let too_many = (ends.last - most).min(ends.first.saturating_add(batch) - 1);
        let newest = too_old.max(too_many);
        if newest < ends.first {
            return Ok(0);
        }
        let gone = Entity::delete_many().filter(Column::Seq.lte(newest)).exec(&self.0).await?;
        event_log::Entity::update_many()
            .col_expr(event_log::Column::FirstSeq, Expr::value(newest + 1))
            .filter(event_log::Column::FirstSeq.lte(newest))
            .exec(&self.0)
            .await?;
        Ok(gone.rows_affected)
    }
}

fn row(seq: i64, event: NewEvent) -> ActiveModel {
    ActiveModel {
        seq: Set(seq),
        at: Set(event.at),
        kind: Set(event.happening.kind().as_str().to_owned()),
        node_group_id: Set(event.group.map(i32::from)),
        user_id: Set(event.user.map(i32::from)),
        username: Set(event.username),
        payload: Set(said_to_json(&event.happening)),
        batch: Set(None),
    }
}

fn condition(filter: &EventFilter, known: Option<&[NodeGroupId]>) -> Condition {
    let kinds = filter.kinds.iter().map(|kind| kind.as_str());
    let kinds = (!filter.kinds.is_empty()).then(|| Column::Kind.is_in(kinds));
    let known = known.map(|known| {
        let known = known.iter().map(|group| i32::from(*group));
        Condition::any().add(Column::NodeGroupId.is_null()).add(Column::NodeGroupId.is_in(known))
    });
    Condition::all()
        .add_option(kinds)
        .add_option(filter.group.map(|group| Column::NodeGroupId.eq(i32::from(group))))
        .add_option(known)
}

/// A row that a newer release wrote is no error: whoever follows goes on.
fn parse(log: i64, row: Model) -> Result<Event> {
    let at = Row { table: "event", id: i32::try_from(row.seq).unwrap_or(i32::MAX) };
    let user: Option<UserId> = at.optional("user_id", row.user_id)?;
    Ok(Event {
        cursor: EventCursor { log, seq: row.seq },
        told: NewEvent {
            at: row.at,
            group: at.optional("node_group_id", row.node_group_id)?,
            user,
            username: row.username,
            happening: at.json("payload", row.payload).unwrap_or(Happening::Other),
        },
    })
}
