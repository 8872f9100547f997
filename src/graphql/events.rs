//! Events: what happened, as a list, and as it goes on.

use std::sync::Arc;

use async_graphql::connection::{Connection, Edge};
use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject, Union};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use futures_util::stream::{Stream, StreamExt as _};

use super::app_and_actor;
use super::global_id::{GlobalId as _, optional};
use super::nacks::RefusalObject;
use super::node::{NodeObject, find};
use super::page::Slice;
use super::scalars::Time;
use super::snapshots::{TypeVersionObject, type_versions};
use super::subscription::counted;
use super::xds_nodes::{XdsNodeObject, XdsTypeEnum, resource_type};
use crate::error::Error;
use crate::events::Told;
use crate::model::{
    ApiTokenId, CertificateId, ChangeKind, Event, EventCursor, EventFilter, EventKind, EventOrder,
    Happening, Invalid, InvitationId, ListenerId, MappingId, NewEvent, NodeGroupId, NodeReport,
    NodeTokenId, ProxyId, ResetReason, ResourceChange, RouteId, ServiceId, SnapshotNews, UserId,
};

#[derive(Default)]
pub(super) struct EventQuery;

#[derive(Default)]
pub(super) struct EventSubscription;

/// What kind of thing happened. There may come more.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "EventKind", remote = "EventKind")]
pub(super) enum EventKindEnum {
    /// Something that people configure was made, changed or removed. A rollback, and whatever
    /// replaces all of a node group, is told of the group, and of each thing in it.
    ResourceChanged,
    /// A node group has a new snapshot.
    SnapshotPublished,
    /// A proxy connected.
    NodeConnected,
    /// A proxy went away.
    NodeDisconnected,
    /// A proxy has accepted something. Told four times a second for a proxy at the most, as
    /// it stood at the end of that time.
    NodeAcked,
    /// A proxy has refused something.
    NodeNacked,
    /// The database was away for so long that reports of proxies could not be kept.
    ReportsLost,
    /// Something that a newer release told of.
    Other,
}

/// What was done to a thing.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ResourceChangeKind", remote = "ChangeKind")]
pub(super) enum ChangeKindEnum {
    /// It is new.
    Added,
    /// It is another now, or something was done with it that does not show.
    Changed,
    /// It is gone.
    Removed,
}

/// Why something is not told.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "StreamResetReason", remote = "ResetReason")]
pub(super) enum ResetReasonEnum {
    /// There was no cursor to go on from.
    NoCursor,
    /// What came after the cursor is not kept any more.
    Expired,
    /// The cursor is of another log: another database is in the place of the one before.
    OtherLog,
}

/// In which order events are listed.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "EventOrder", remote = "EventOrder")]
pub(super) enum EventOrderEnum {
    /// As they happened.
    OldestFirst,
    /// The newest first.
    NewestFirst,
}

/// Which events; what is left out does not matter.
#[derive(Default, InputObject)]
pub(super) struct EventFilterInput {
    /// Of these kinds.
    kinds: Option<Vec<EventKindEnum>>,
    /// About this node group.
    group: Option<ID>,
}

/// What comes over a stream of events.
#[derive(Union)]
#[graphql(name = "EventStreamItem")]
pub(super) enum EventStreamItem {
    Event(EventObject),
    Reset(StreamReset),
}

/// That something before this is not told: look how things stand now. What happens after
/// that comes next.
#[derive(SimpleObject)]
pub(super) struct StreamReset {
    /// Why.
    reason: ResetReasonEnum,
    /// From where the stream goes on.
    cursor: String,
}

pub(super) struct EventObject(Arc<Event>);

struct ResourceChangeObject<'a>(&'a ResourceChange);

struct SnapshotNewsObject<'a>(&'a SnapshotNews);

struct NodeReportObject<'a>(&'a NodeReport);

/// A version that a proxy has accepted.
#[derive(SimpleObject)]
#[graphql(name = "AckedVersion")]
struct AckedObject {
    /// Of which type.
    #[graphql(name = "type")]
    resource_type: XdsTypeEnum,
    /// Which version.
    version: String,
}

#[Object]
impl EventQuery {
    /// What happened, as far as it is kept. `after` is the cursor of an edge, or of any
    /// event; in the order `OLDEST_FIRST` it is an error (`CURSOR_EXPIRED`) if some of what
    /// came after it is not kept any more.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those that all of this is true of.")] filter: Option<
            EventFilterInput,
        >,
        #[graphql(desc = "Which comes first.", default_with = "EventOrderEnum::OldestFirst")] order: EventOrderEnum,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Connection<String, EventObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        let filter = filter.unwrap_or_default().parse().map_err(|e| e.within("filter"))?;
        let slice = Slice::parse(first, None)?;
        let after = after.map(|after| read(&after)).transpose()?;
        let mut events = app.events(actor, &filter, order.into(), after, slice.limit()).await?;
        let has_more = events.len() > slice.first();
        events.truncate(slice.first());
        let mut connection = Connection::new(after.is_some(), has_more);
        connection.edges.extend(events.into_iter().map(|event| {
            let cursor = written(event.cursor);
            Edge::new(cursor, EventObject(Arc::new(event)))
        }));
        Ok(connection)
    }
}

#[async_graphql::Subscription]
impl EventSubscription {
    /// What happens, in the order in which it was committed, each once: after `after`, or
    /// from now on. Where something is not told (there is no cursor, or what came after it is
    /// not kept), exactly one `StreamReset` comes in its place.
    async fn event_stream<'ctx>(
        &self,
        ctx: &Context<'ctx>,
        #[graphql(desc = "The cursor of the last event that you have.")] after: Option<String>,
        #[graphql(desc = "Only those that all of this is true of.")] filter: Option<
            EventFilterInput,
        >,
    ) -> Result<impl Stream<Item = EventStreamItem> + use<'ctx>> {
        let filter = filter.unwrap_or_default().parse().map_err(|e| e.within("filter"))?;
        follow(ctx, after.as_deref(), filter).await
    }

    /// What proxies of a node group, or of all, refuse; as `eventStream`.
    async fn nack_received<'ctx>(
        &self,
        ctx: &Context<'ctx>,
        #[graphql(desc = "The node group; all of them if null.")] group: Option<ID>,
        #[graphql(desc = "The cursor of the last event that you have.")] after: Option<String>,
    ) -> Result<impl Stream<Item = EventStreamItem> + use<'ctx>> {
        let kinds = vec![EventKind::NodeNacked];
        let group = optional(group.as_ref(), "group")?;
        follow(ctx, after.as_deref(), EventFilter { kinds, group }).await
    }

    /// What people change in a node group, or everywhere; as `eventStream`.
    async fn resource_changed<'ctx>(
        &self,
        ctx: &Context<'ctx>,
        #[graphql(desc = "The node group; all of them if null.")] group: Option<ID>,
        #[graphql(desc = "The cursor of the last event that you have.")] after: Option<String>,
    ) -> Result<impl Stream<Item = EventStreamItem> + use<'ctx>> {
        let kinds = vec![EventKind::ResourceChanged];
        let group = optional(group.as_ref(), "group")?;
        follow(ctx, after.as_deref(), EventFilter { kinds, group }).await
    }
}

async fn follow(
    ctx: &Context<'_>,
    after: Option<&str>,
    filter: EventFilter,
) -> Result<impl Stream<Item = EventStreamItem> + use<>> {
    let (app, actor) = app_and_actor(ctx)?;
    let after = after.map(read).transpose()?;
    let told = app.follow_events(actor, after, filter).await?;
    Ok(counted(told.map(|told| match told {
        Told::Event(event) => EventStreamItem::Event(EventObject(event)),
        Told::Reset(reset) => EventStreamItem::Reset(StreamReset {
            reason: reset.reason.into(),
            cursor: written(reset.cursor),
        }),
    })))
}

/// A cursor as clients get it.
pub(super) fn written(cursor: EventCursor) -> String {
    BASE64.encode(format!("e1:{:x}:{}", cursor.log, cursor.seq))
}

/// Reads a cursor that a client sent in `after`.
pub(super) fn read(text: &str) -> Result<EventCursor, Invalid> {
    let text = BASE64.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let parsed = text.as_deref().and_then(|text| {
        let (log, seq) = text.strip_prefix("e1:")?.split_once(':')?;
        Some(EventCursor { log: i64::from_str_radix(log, 16).ok()?, seq: seq.parse().ok()? })
    });
    parsed.ok_or_else(|| Invalid::new("after", "is not the cursor of an event"))
}

/// What a stream ends with that has no place for a `StreamReset`.
pub(super) fn expired(cursor: EventCursor) -> async_graphql::Error {
    let mut error = async_graphql::Error::from(Error::CursorExpired);
    error.extensions.get_or_insert_default().set("cursor", written(cursor));
    error
}

impl EventFilterInput {
    fn parse(self) -> Result<EventFilter, Invalid> {
        let kinds = self.kinds.unwrap_or_default().into_iter().map(Into::into).collect();
        Ok(EventFilter { kinds, group: optional(self.group.as_ref(), "group")? })
    }
}

/// Something that happened. Of what stands below `username`, what its kind has is there.
#[Object(name = "Event")]
impl EventObject {
    /// Its place in the log: what `after` takes.
    async fn cursor(&self) -> String {
        written(self.0.cursor)
    }

    /// When it happened.
    async fn at(&self) -> Time {
        Time(self.0.told.at)
    }

    /// What kind of thing.
    async fn kind(&self) -> EventKindEnum {
        self.0.told.happening.kind().into()
    }

    /// The node group that it is about; there may be no such group any more.
    async fn node_group_id(&self) -> Option<ID> {
        self.0.told.group.map(|group| group.global())
    }

    /// Who did it; null for the control plane itself, and for proxies.
    async fn user_id(&self) -> Option<ID> {
        self.0.told.user.map(|user| user.global())
    }

    /// Their name then.
    async fn username(&self) -> Option<&str> {
        self.0.told.username.as_deref()
    }

    /// What was made, changed or removed.
    async fn resource(&self) -> Option<ResourceChangeObject<'_>> {
        if let Happening::ResourceChanged(change) = &self.0.told.happening {
            Some(ResourceChangeObject(change))
        } else {
            None
        }
    }

    /// The snapshot that a node group has since.
    async fn snapshot(&self) -> Option<SnapshotNewsObject<'_>> {
        if let Happening::SnapshotPublished(news) = &self.0.told.happening {
            Some(SnapshotNewsObject(news))
        } else {
            None
        }
    }

    /// The proxy that it is about, as it stood.
    async fn node(&self) -> Option<NodeReportObject<'_>> {
        self.0.told.happening.node().map(NodeReportObject)
    }

    /// What the proxy has refused.
    async fn nack(&self) -> Option<RefusalObject> {
        let NewEvent { happening, group, at, .. } = &self.0.told;
        let Happening::NodeNacked(report) = happening else { return None };
        RefusalObject::kept((*group)?, report.revision, report.nack.clone(), *at)
    }

    /// How many reports of proxies could not be kept.
    async fn lost_reports(&self) -> Option<u64> {
        if let Happening::ReportsLost { count } = self.0.told.happening {
            Some(count)
        } else {
            None
        }
    }
}

/// Something that people configure, and what was done to it.
#[Object(name = "ResourceChange")]
impl ResourceChangeObject<'_> {
    /// Which kind of thing, as in the audit log: `service`, `node group`.
    async fn noun(&self) -> &str {
        &self.0.noun
    }

    /// Its number.
    async fn noun_id(&self) -> &str {
        &self.0.id
    }

    /// Its global id, if it has one.
    async fn resource_id(&self) -> Option<ID> {
        global(self.0)
    }

    /// The thing as it is now; null if it is gone, or none that implements `Node`.
    async fn resource(&self, ctx: &Context<'_>) -> Result<Option<NodeObject>> {
        let Some(id) = global(self.0) else { return Ok(None) };
        Ok(find(ctx, &id, "id").await?)
    }

    /// What was done to it.
    async fn change(&self) -> ChangeKindEnum {
        self.0.change.into()
    }

    /// By which operation, for instance `UpdateService`.
    async fn operation(&self) -> &str {
        &self.0.operation
    }

    /// For people: `update service api`.
    async fn summary(&self) -> &str {
        &self.0.summary
    }
}

/// A snapshot that a node group has since.
#[Object(name = "SnapshotNews")]
impl SnapshotNewsObject<'_> {
    /// Its global id; it may be forgotten by now.
    async fn snapshot_id(&self) -> ID {
        self.0.id.global()
    }

    /// The group's revision that it was compiled from.
    async fn revision(&self) -> i64 {
        self.0.revision.into()
    }

    /// A hash of its content.
    async fn version(&self) -> &str {
        &self.0.version
    }

    /// What was done, for instance `create service api`.
    async fn cause(&self) -> &str {
        &self.0.cause
    }

    /// What it holds of each type.
    async fn types(&self) -> Vec<TypeVersionObject> {
        type_versions(&self.0.types)
    }
}

/// A proxy, as it stood when something happened.
#[Object(name = "NodeReport")]
impl NodeReportObject<'_> {
    /// What it calls itself: `node.id` in its bootstrap.
    async fn node_id(&self) -> &str {
        &self.0.name
    }

    /// The server that it was connected to, as `serverInfo.instance` names it.
    async fn instance(&self) -> &str {
        &self.0.instance
    }

    /// Where it connected from.
    async fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }

    /// What software it was, and which version.
    async fn software(&self) -> &str {
        &self.0.software
    }

    /// The versions that it had accepted.
    async fn acked(&self) -> Vec<AckedObject> {
        let acked = self.0.acked.iter().map(|(name, version)| AckedObject {
            resource_type: resource_type(name).map_or(XdsTypeEnum::Other, Into::into),
            version: version.clone(),
        });
        acked.collect()
    }

    /// The newest revision at which it had nothing left to do.
    async fn revision(&self) -> Option<i64> {
        self.0.revision.map(i64::from)
    }

    /// The proxy as it is now; null if this server does not know it (any more).
    async fn node(&self, ctx: &Context<'_>) -> Result<Option<XdsNodeObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(app.reported_node(actor, self.0)?.map(XdsNodeObject))
    }
}

/// The global id of what was changed.
fn global(change: &ResourceChange) -> Option<ID> {
    let id: i32 = change.id.parse().ok()?;
    match change.noun.as_str() {
        "API token" => ApiTokenId::try_from(id).ok().map(|id| id.global()),
        "certificate" => CertificateId::try_from(id).ok().map(|id| id.global()),
        "invitation" => InvitationId::try_from(id).ok().map(|id| id.global()),
        "listener" => ListenerId::try_from(id).ok().map(|id| id.global()),
        "mapping" => MappingId::try_from(id).ok().map(|id| id.global()),
        "node group" => NodeGroupId::try_from(id).ok().map(|id| id.global()),
        "node token" => NodeTokenId::try_from(id).ok().map(|id| id.global()),
        "proxy" => ProxyId::try_from(id).ok().map(|id| id.global()),
        "route" => RouteId::try_from(id).ok().map(|id| id.global()),
        "service" => ServiceId::try_from(id).ok().map(|id| id.global()),
        "user" => UserId::try_from(id).ok().map(|id| id.global()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        for (log, seq) in [(0, 0), (i64::MAX, i64::MAX), (0xab, 17)] {
            let cursor = EventCursor { log, seq };
            assert_eq!(read(&written(cursor)), Ok(cursor));
        }
        for bad in ["", "7", "ZTE6YWI", &BASE64.encode("e2:ab:17"), &BASE64.encode("e1:ab:x")] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
