//! Relay's `Node`: what has a global id, by that alone.

use async_graphql::{Context, ID, Interface, Object, Result};
use futures_util::future::join_all;

use super::app_and_actor;
use super::certificates::CertificateObject;
use super::global_id::{GlobalId, type_of};
use super::listeners::ListenerObject;
use super::loaders;
use super::mappings::MappingObject;
use super::node_groups::NodeGroupObject;
use super::proxies::ProxyObject;
use super::routes::RouteObject;
use super::services::ServiceObject;
use super::snapshots::SnapshotObject;
use super::users::UserObject;
use super::xds_nodes::XdsNodeObject;
use crate::app::Found;
use crate::error::Error;
use crate::model::{
    CertificateId, Invalid, ListenerId, MappingId, NodeGroupId, ProxyId, RouteId, ServiceId,
    SnapshotId, UserId,
};
use crate::nodes::NodeId;

/// How many may be asked for at once.
const MOST: usize = 100;

#[derive(Default)]
pub(super) struct NodeQuery;

/// What can be asked for again by its id alone. A proxy that talks xDS is an `XdsNode`.
#[derive(Interface)]
#[graphql(name = "Node", field(name = "id", ty = "ID", desc = "Its global id."))]
pub(super) enum NodeObject {
    Certificate(CertificateObject),
    Listener(ListenerObject),
    Mapping(MappingObject),
    NodeGroup(NodeGroupObject),
    Proxy(ProxyObject),
    Route(RouteObject),
    Service(ServiceObject),
    Snapshot(SnapshotObject),
    User(UserObject),
    XdsNode(XdsNodeObject),
}

#[Object]
impl NodeQuery {
    /// What has this id; null if there is no such thing, or none that you may see.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A global id.")] id: ID,
    ) -> Result<Option<NodeObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        app.may_read_by_id(actor)?;
        Ok(find(ctx, &id, "id").await?)
    }

    /// What has each of these ids, in their order, as `node`; at most 100.
    #[graphql(complexity = "ids.len() * (1 + child_complexity)")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global ids.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<NodeObject>>> {
        let (app, actor) = app_and_actor(ctx)?;
        app.may_read_by_id(actor)?;
        if ids.len() > MOST {
            let most = format!("must be at most {MOST}, not {}", ids.len());
            return Err(Invalid::new("ids", most).into());
        }
        let all = ids.iter().enumerate().map(async |(place, id)| {
            find(ctx, id, &place.to_string()).await.map_err(|e| e.within("ids"))
        });
        // Together, so that they are read together.
        Ok(join_all(all).await.into_iter().collect::<Result<_, Error>>()?)
    }
}

/// What has the id that a client sent in `field`; none if there is no such thing, or none
/// that they may see.
pub(super) async fn find(
    ctx: &Context<'_>,
    id: &ID,
    field: &str,
) -> Result<Option<NodeObject>, Error> {
    Ok(match type_of(id, field)?.as_str() {
        CertificateId::TYPE => {
            loaders::find_certificate(ctx, parse(id, field)?).await?.map(Into::into)
        }
        ListenerId::TYPE => loaders::find_listener(ctx, parse(id, field)?).await?.map(Into::into),
        MappingId::TYPE => loaders::find_mapping(ctx, parse(id, field)?).await?.map(Into::into),
        NodeGroupId::TYPE => {
            loaders::find_node_group(ctx, parse(id, field)?).await?.map(Into::into)
        }
        ProxyId::TYPE => loaders::find_proxy(ctx, parse(id, field)?).await?.map(Into::into),
        RouteId::TYPE => loaders::find_route(ctx, parse(id, field)?).await?.map(Into::into),
        ServiceId::TYPE => loaders::find_service(ctx, parse(id, field)?).await?.map(Into::into),
        SnapshotId::TYPE => loaders::find_snapshot(ctx, parse(id, field)?).await?.map(Into::into),
        UserId::TYPE => loaders::find_user(ctx, parse(id, field)?).await?.map(Into::into),
        NodeId::TYPE => find_node(ctx, parse(id, field)?)?,
        _ => None,
    })
}

fn find_node(ctx: &Context<'_>, id: NodeId) -> Result<Option<NodeObject>, Error> {
    let (app, actor) = app_and_actor(ctx)?;
    Ok(app.find_node(actor, id)?.map(|node| XdsNodeObject(node).into()))
}

fn parse<T: GlobalId>(id: &ID, field: &str) -> Result<T, Invalid> {
    T::parse(id, field)
}

/// What was found, unless it is gone since.
pub(super) async fn found(ctx: &Context<'_>, found: Found) -> Result<Option<NodeObject>, Error> {
    Ok(match found {
        Found::NodeGroup(id) => loaders::find_node_group(ctx, id).await?.map(Into::into),
        Found::Service(id) => loaders::find_service(ctx, id).await?.map(Into::into),
        Found::Listener(id) => loaders::find_listener(ctx, id).await?.map(Into::into),
        Found::Certificate(id) => loaders::find_certificate(ctx, id).await?.map(Into::into),
        Found::Route(id) => loaders::find_route(ctx, id).await?.map(Into::into),
        Found::Mapping(id) => loaders::find_mapping(ctx, id).await?.map(Into::into),
        Found::Proxy(id) => loaders::find_proxy(ctx, id).await?.map(Into::into),
        Found::Node(id) => find_node(ctx, id)?,
    })
}
