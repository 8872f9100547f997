//! Relay's `Node`: what has a global id, by that alone.

use async_graphql::{Context, ID, Interface, Object, Result};

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
use crate::app::{App, Found};
use crate::auth::Actor;
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
        Ok(find(app, actor, &id, "id").await?)
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
        let mut found = vec![];
        for (i, id) in ids.iter().enumerate() {
            let found_here = find(app, actor, id, &i.to_string()).await;
            found.push(found_here.map_err(|e| e.within("ids"))?);
        }
        Ok(found)
    }
}

/// What has the id that a client sent in `field`.
pub(super) async fn find(
    app: &App,
    actor: &Actor,
    id: &ID,
    field: &str,
) -> Result<Option<NodeObject>, Error> {
    let found = match type_of(id, field)?.as_str() {
        CertificateId::TYPE => app
            .certificate(actor, parse(id, field)?)
            .await
            .map(|c| NodeObject::from(CertificateObject(c))),
        ListenerId::TYPE => {
            app.listener(actor, parse(id, field)?).await.map(|l| ListenerObject(l).into())
        }
        MappingId::TYPE => {
            app.mapping(actor, parse(id, field)?).await.map(|m| MappingObject(m).into())
        }
        NodeGroupId::TYPE => {
            app.node_group(actor, parse(id, field)?).await.map(|g| NodeGroupObject(g).into())
        }
        ProxyId::TYPE => app.proxy(actor, parse(id, field)?).await.map(|p| ProxyObject(p).into()),
        RouteId::TYPE => app.route(actor, parse(id, field)?).await.map(|r| RouteObject(r).into()),
        ServiceId::TYPE => {
            app.service(actor, parse(id, field)?).await.map(|s| ServiceObject(s).into())
        }
        SnapshotId::TYPE => {
            app.snapshot(actor, parse(id, field)?).await.map(|s| SnapshotObject(s).into())
        }
        UserId::TYPE => user(app, actor, parse(id, field)?).await.map(|u| UserObject(u).into()),
        NodeId::TYPE => {
            let node = app.find_node(actor, parse(id, field)?)?;
            return Ok(node.map(|node| XdsNodeObject(node).into()));
        }
        _ => return Ok(None),
    };
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound { .. } | Error::Forbidden) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Oneself, or another user for administrators.
async fn user(app: &App, actor: &Actor, id: UserId) -> Result<crate::model::User, Error> {
    if id == actor.user { app.me(actor).await } else { app.user(actor, id).await }
}

fn parse<T: GlobalId>(id: &ID, field: &str) -> Result<T, Invalid> {
    T::parse(id, field)
}

/// What was found, unless it is gone since.
pub(super) async fn found(ctx: &Context<'_>, found: Found) -> Result<Option<NodeObject>, Error> {
    let (app, actor) = app_and_actor(ctx).map_err(|_| Error::Forbidden)?;
    Ok(match found {
        Found::NodeGroup(id) => Some(loaders::node_group(ctx, id).await?.into()),
        Found::Service(id) => loaders::find_service(ctx, id).await?.map(Into::into),
        Found::Listener(id) => Some(loaders::listener(ctx, id).await?.into()),
        Found::Certificate(id) => Some(loaders::certificate(ctx, id).await?.into()),
        Found::Route(id) => Some(RouteObject(app.route(actor, id).await?).into()),
        Found::Mapping(id) => Some(MappingObject(app.mapping(actor, id).await?).into()),
        Found::Proxy(id) => Some(ProxyObject(app.proxy(actor, id).await?).into()),
        Found::Node(id) => app.find_node(actor, id)?.map(|node| XdsNodeObject(node).into()),
    })
}
