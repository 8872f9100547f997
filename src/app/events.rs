//! Events: who may follow which, how they are brought here, and how long they are kept.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{BoxStream, StreamExt as _};
use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::forgetting::keep_forgetting;
use super::shown::About;
use super::{App, now};
use crate::auth::{Actor, Operation, Scope};
use crate::error::{Error, Result};
use crate::events::Told;
use crate::history;
use crate::model::{
    ChangeKind, Event, EventCursor, EventFilter, EventOrder, Happening, Item, ItemKind, LogEnds,
    NewAuditEntry, NewEvent, NodeGroupId, NodeReport, Noun, ResetReason, ResourceChange, Revision,
    ServiceId, SnapshotNews, SnapshotRecord, Which,
};
use crate::nodes::NodeStatus;
use crate::store::Tx;

/// How often it is looked for what other instances have told.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is looked what is not to be kept any more.
const FORGET: Duration = Duration::from_secs(60);
/// How many events are forgotten in one transaction.
const BATCH: i64 = 5000;
/// How many are read at a time to find those that somebody may see.
const PAGE: u64 = 500;

/// How long events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRetention {
    /// For how long; none for ever.
    pub age: Option<TimeDelta>,
    /// How many.
    pub most: i64,
}

impl App {
    /// What happens after `after`, or from now on, as far as `actor` may see it.
    ///
    /// Where something is not told, a reset comes in its place: whoever looks after that
    /// how things stand has missed nothing.
    pub async fn follow_events(
        &self,
        actor: &Actor,
        after: Option<EventCursor>,
        filter: EventFilter,
    ) -> Result<BoxStream<'static, Told>> {
        actor.may(Operation::FollowEvents, Scope::Everywhere)?;
        if let Some(group) = filter.group {
            self.node_group(actor, group).await?;
        }
        let (actor, told) = (actor.clone(), self.0.events.follow(after).await?);
        let seen = move |told: &Told| {
            std::future::ready(match told {
                Told::Event(event) => filter.wants(&event.told) && sees(&actor, &event.told),
                Told::Reset(_) => true,
            })
        };
        Ok(told.filter(seen).boxed())
    }

    /// Events that are kept and that `actor` may see, beyond `after` in this order.
    /// `CursorExpired` if some of them are not kept any more.
    pub async fn events(
        &self,
        actor: &Actor,
        filter: &EventFilter,
        order: EventOrder,
        after: Option<EventCursor>,
        limit: u64,
    ) -> Result<Vec<Event>> {
        let tx = self.look(actor, Operation::ListEvents, Scope::Everywhere).await?;
        if let Some(after) = after {
            match (tx.event_log().await?.lost_since(after), order) {
                (None, _) | (Some(ResetReason::Expired), EventOrder::NewestFirst) => {}
                (Some(_), _) => return Err(Error::CursorExpired),
            }
        }
        let mut from = after.map(|after| after.seq);
        let (known, limit) = (actor.known_groups(), usize::try_from(limit).unwrap_or(usize::MAX));
        let mut seen = vec![];
        loop {
            let page = tx.events(filter, known.as_deref(), order, from, PAGE).await?;
            let Some(last) = page.last().map(|event| event.cursor.seq) else { return Ok(seen) };
            seen.extend(page.into_iter().filter(|event| sees(actor, &event.told)));
            if seen.len() >= limit {
                seen.truncate(limit);
                return Ok(seen);
            }
            from = Some(last);
        }
    }

    /// Which events there are.
    pub async fn event_log(&self, actor: &Actor) -> Result<LogEnds> {
        self.look(actor, Operation::ReadServer, Scope::Everywhere).await?.event_log().await
    }

    /// Tells this process from all others.
    pub fn instance(&self) -> &str {
        self.0.events.instance()
    }

    /// The node that an event tells of, if it is known to this process.
    pub fn reported_node(
        &self,
        actor: &Actor,
        report: &NodeReport,
    ) -> Result<Option<Arc<NodeStatus>>> {
        if report.instance != self.instance() {
            return Ok(None);
        }
        self.find_node(actor, report.id.into())
    }

    /// Brings events to their followers until `stop`: at once what is told here, within
    /// a second what is told elsewhere.
    pub async fn bring_events(&self, stop: CancellationToken) {
        let mut tick = time::interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_away = false;
        let bring = async {
            loop {
                let is_ours = tokio::select! {
                    () = self.0.store.told() => true,
                    () = self.0.nudge.for_events() => false,
                    _ = tick.tick() => false,
                };
                if is_ours {
                    self.0.nudge.tell_peers();
                }
                match self.0.events.look().await {
                    Ok(()) => is_away = false,
                    Err(e) if !is_away => {
                        is_away = true;
                        let error = &e as &dyn std::error::Error;
                        tracing::error!(error, "cannot look for events; trying again");
                    }
                    Err(_) => {}
                }
            }
        };
        stop.run_until_cancelled(bring).await;
    }

    /// Forgets events that are not to be kept any more, now and every minute, until `stop`.
    pub async fn keep_events(&self, retention: EventRetention, stop: CancellationToken) {
        let forget = || self.forget_events(retention);
        keep_forgetting("events", FORGET, forget, stop).await;
    }

    /// Forgets what is not to be kept, a batch at a time, so that no transaction holds
    /// up others for long.
    pub(super) async fn forget_events(&self, retention: EventRetention) -> Result<u64> {
        let EventRetention { age, most } = retention;
        let end = age.map(|age| now() - age);
        let mut forgotten = 0;
        loop {
            let tx = self.0.store.write().await?;
            let batch = tx.forget_events(end, most, BATCH).await?;
            if batch == 0 {
                return Ok(forgotten);
            }
            tx.commit().await?;
            forgotten += batch;
        }
    }
}

/// Tells what an audit entry tells, if something that people configure was changed.
pub(super) fn tell_change(tx: &Tx, entry: &NewAuditEntry, about: About, now: DateTime<Utc>) {
    let (Some(noun), Some(id)) = (&entry.noun, &entry.noun_id) else { return };
    if entry.operation == Operation::SignIn.name() {
        return; // that changes no user
    }
    let change = match (&entry.before, &entry.after) {
        (None, Some(_)) => ChangeKind::Added,
        (Some(_), None) => ChangeKind::Removed,
        (Some(_), Some(_)) | (None, None) => ChangeKind::Changed,
    };
    let group = entry.group.or(about.group);
    tx.tell(changed(entry, group, now, |operation, summary| ResourceChange {
        noun: noun.clone(),
        id: id.clone(),
        change,
        operation,
        summary,
        owner: about.owner,
    }));
}

/// What may change anything in a group, at once.
const WHOLESALE: [Operation; 3] =
    [Operation::ApplyChanges, Operation::Rollback, Operation::ReplaceContent];

/// What a group consisted of before an operation that may change any of it.
pub(super) async fn before(
    tx: &Tx,
    operation: Operation,
    group: NodeGroupId,
    revision: Revision,
) -> Result<Option<Vec<Item>>> {
    if ![Operation::Rollback, Operation::ReplaceContent].contains(&operation) {
        return Ok(None);
    }
    let before = (i64::from(revision) - 1).into();
    Ok(Some(tx.items(group, before, Which::Desired).await?))
}

/// Tells what such an operation has changed, thing by thing.
pub(super) async fn tell_changes(
    tx: &Tx,
    entry: &NewAuditEntry,
    before: Option<Vec<Item>>,
    revision: Revision,
    now: DateTime<Utc>,
) -> Result<()> {
    let (Some(before), Some(group)) = (before, entry.group) else { return Ok(()) };
    let after = tx.items(group, revision, Which::Desired).await?;
    for item in history::changes(before, after) {
        let noun = match item.kind {
            // The group is what the entry itself is about.
            ItemKind::Desired(Noun::NodeGroup) | ItemKind::Resource(_) => continue,
            ItemKind::Desired(noun) => noun.as_str().to_owned(),
        };
        let change = match (item.from, item.to) {
            (None, _) => ChangeKind::Added,
            (Some(_), None) => ChangeKind::Removed,
            (Some(_), Some(_)) => ChangeKind::Changed,
        };
        tx.tell(changed(entry, Some(group), now, |operation, summary| {
            let id = item.name;
            ResourceChange { noun, id, change, operation, summary, owner: None }
        }));
    }
    Ok(())
}

fn changed(
    entry: &NewAuditEntry,
    group: Option<NodeGroupId>,
    at: DateTime<Utc>,
    change: impl FnOnce(String, String) -> ResourceChange,
) -> NewEvent {
    let change = change(entry.operation.clone(), entry.summary.clone());
    let (user, username) = (entry.user, entry.username.clone());
    NewEvent { at, group, user, username, happening: Happening::ResourceChanged(change) }
}

/// Tells of a new snapshot.
pub(super) fn tell_snapshot(
    tx: &Tx,
    record: &SnapshotRecord,
    actor: Option<&Actor>,
    at: DateTime<Utc>,
) {
    let news = SnapshotNews {
        id: record.id,
        revision: record.revision,
        version: record.version.clone(),
        cause: record.cause.clone(),
        types: record.types.clone(),
    };
    tx.tell(NewEvent {
        at,
        group: Some(record.group),
        user: actor.map(|actor| actor.user),
        username: actor.map(|actor| actor.username.to_string()),
        happening: Happening::SnapshotPublished(news),
    });
}

/// Whether somebody may know of an event: what they may see of it otherwise.
pub(super) fn sees(actor: &Actor, event: &NewEvent) -> bool {
    let may = |operation, scope: Scope| actor.may(operation, scope).is_ok();
    match (&event.happening, event.group) {
        (Happening::ResourceChanged(change), group) => sees_change(actor, change, group),
        (
            Happening::SnapshotPublished(_)
            | Happening::NodeConnected(_)
            | Happening::NodeDisconnected(_)
            | Happening::NodeAcked(_)
            | Happening::NodeNacked(_),
            Some(group),
        ) => actor.sees_group(group),
        (Happening::ReportsLost { .. }, _) => actor.sees_everything(),
        (
            Happening::SnapshotPublished(_)
            | Happening::NodeConnected(_)
            | Happening::NodeDisconnected(_)
            | Happening::NodeAcked(_)
            | Happening::NodeNacked(_)
            | Happening::Other,
            _,
        ) => may(Operation::ReadAudit, Scope::Everywhere),
    }
}

fn sees_change(actor: &Actor, change: &ResourceChange, group: Option<NodeGroupId>) -> bool {
    let Some(group) = group else {
        // Accounts.
        let is_own = change.owner == Some(actor.user);
        return is_own || actor.may(Operation::ReadAudit, Scope::Everywhere).is_ok();
    };
    let service = || change.id.parse::<i32>().ok().and_then(|id| ServiceId::try_from(id).ok());
    // What it says of itself may name anything in the group.
    let is_of_all = WHOLESALE.iter().any(|operation| operation.name() == change.operation);
    match change.noun.as_str() {
        "node group" if is_of_all => actor.sees_group(group),
        "node group" => actor.knows_group(group),
        "service" => service()
            .is_some_and(|id| actor.may(Operation::ReadService, Scope::Service(group, id)).is_ok()),
        _ => actor.sees_group(group),
    }
}
