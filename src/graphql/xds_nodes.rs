//! Nodes: the proxies that are connected, and how far each has come.
//!
//! `XdsNode` in the schema, because `Node` and `node` are Relay's words.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use marchproxy_xds::ResourceType;

use super::app_and_actor;
use super::global_id::{GlobalId as _, optional};
use super::loaders;
use super::loads::ClusterLoadObject;
use super::nacks::RefusalObject;
use super::node_groups::NodeGroupObject;
use super::scalars::Time;
use super::sync::{self, TypeSyncObject};
use crate::error::Error;
use crate::model::NodeGroupId;
use crate::nodes::{NodeId, NodeStatus, TypeStatus};

#[derive(Default)]
pub(super) struct XdsNodeQuery;

/// A type of xDS resources.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "XdsType")]
pub(super) enum XdsTypeEnum {
    /// Settings of the runtime.
    Runtime,
    /// Certificates, keys and authorities.
    Secret,
    /// What traffic goes to.
    Cluster,
    /// Where that is.
    Endpoint,
    /// Where traffic is accepted.
    Listener,
    /// Which requests go where.
    Route,
    /// One that proxies may ask for, and that this control plane does not make.
    Other,
}

impl From<ResourceType> for XdsTypeEnum {
    fn from(resource_type: ResourceType) -> Self {
        match resource_type {
            ResourceType::Runtime => Self::Runtime,
            ResourceType::Secret => Self::Secret,
            ResourceType::Cluster => Self::Cluster,
            ResourceType::Endpoint => Self::Endpoint,
            ResourceType::Listener => Self::Listener,
            ResourceType::Route => Self::Route,
            ResourceType::Extension
            | ResourceType::ScopedRoute
            | ResourceType::VirtualHost
            | ResourceType::Other(_) => Self::Other,
        }
    }
}

/// The type of this name, as events and history have it.
pub(super) fn resource_type(name: &str) -> Option<ResourceType> {
    let known = ResourceType::ALL.into_iter().find(|known| known.to_string() == name);
    known.or_else(|| ResourceType::from_type_url(name))
}

/// How a proxy is talked to.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "XdsProtocol", remote = "marchproxy_xds::Protocol")]
pub(super) enum XdsProtocolEnum {
    /// State of the world: listeners and clusters always in full.
    Sotw,
    /// Incremental: what has changed.
    Delta,
}

/// Why a proxy is in its group.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "GroupMatch", remote = "crate::nodes::Matched")]
pub(super) enum MatchedEnum {
    /// Its `node.id` is `cluster-<group id>`.
    Id,
    /// Its `node.cluster` is the group's name.
    Cluster,
    /// Its `metadata.node_group` is the group's name.
    Metadata,
    /// It names no group that there is, and is given the default one's.
    Fallback,
    /// It has the group's key.
    GroupKey,
    /// It has a node token of the group.
    NodeToken,
    /// Its client certificate names the group.
    Certificate,
}

pub(super) struct XdsNodeObject(pub(super) Arc<NodeStatus>);

/// How far a proxy has come with one type.
#[derive(SimpleObject)]
#[graphql(name = "XdsTypeStatus")]
pub(super) struct TypeStatusObject {
    /// Which type.
    #[graphql(name = "type")]
    resource_type: XdsTypeEnum,
    /// What it was last sent; null if it held everything already.
    sent_version: Option<String>,
    /// When.
    sent_at: Option<Time>,
    /// What it holds.
    acked_version: Option<String>,
    /// When it accepted that.
    acked_at: Option<Time>,
    /// The version that it refuses at present, if it does.
    nacked_version: Option<String>,
    /// What it refuses at present, in its own words.
    nack: Option<RefusalObject>,
}

#[Object]
impl XdsNodeQuery {
    /// The proxies of a node group, or of all, as this process has seen them.
    async fn xds_nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The node group; all of them if null.")] group: Option<ID>,
    ) -> Result<Vec<XdsNodeObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        Ok(app.nodes(actor, group)?.into_iter().map(XdsNodeObject).collect())
    }

    /// One proxy.
    async fn xds_node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A global id.")] id: ID,
    ) -> Result<XdsNodeObject> {
        let (app, actor) = app_and_actor(ctx)?;
        let id = NodeId::parse(&id, "id")?;
        let node = app.find_node(actor, id)?.ok_or_else(|| Error::not_found("node", id))?;
        Ok(XdsNodeObject(node))
    }
}

/// A proxy that talks xDS to this control plane.
#[Object(name = "XdsNode")]
impl XdsNodeObject {
    /// Its global id.
    pub(super) async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// What it calls itself: `node.id` in its bootstrap.
    async fn node_id(&self) -> &str {
        &self.0.name
    }

    /// Whose configuration it is given.
    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        Ok(loaders::node_group(ctx, self.0.group).await?)
    }

    /// Why it is in that group.
    async fn matched_by(&self) -> MatchedEnum {
        self.0.matched.into()
    }

    /// Whether it is connected now.
    async fn connected(&self) -> bool {
        self.0.is_connected()
    }

    /// Since when it is connected, or was the last time.
    async fn connected_since(&self) -> Time {
        Time(self.0.connected_at)
    }

    /// When it went away; null if it is there.
    async fn disconnected_at(&self) -> Option<Time> {
        self.0.disconnected_at.map(Time)
    }

    /// Where it connects from.
    async fn address(&self) -> Option<String> {
        self.0.peer.map(|peer| peer.to_string())
    }

    /// What software it is, and which version.
    async fn software(&self) -> &str {
        &self.0.software
    }

    /// How it is talked to.
    async fn protocol(&self) -> XdsProtocolEnum {
        self.0.protocol.into()
    }

    /// The newest revision at which it had nothing left to do.
    async fn revision(&self) -> Option<i64> {
        self.0.settled.as_ref().map(|settled| settled.revision.into())
    }

    /// How much it has sent to each cluster since it began to report, for as long as
    /// it does. Empty for an Envoy without `load_stats_config` in its bootstrap
    /// (`marchproxy bootstrap --load-reports`).
    async fn loads(&self, ctx: &Context<'_>) -> Result<Vec<ClusterLoadObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(app.loads(actor, &self.0)?.into_iter().map(Into::into).collect())
    }

    /// How far it has come with each type that it asks for.
    async fn types(&self) -> Vec<TypeStatusObject> {
        let types = self.0.types.iter();
        types.map(|(t, status)| TypeStatusObject::new(self.0.group, (*t).into(), status)).collect()
    }

    /// How each type stands that it asks for, down to the single resource.
    async fn sync(&self, ctx: &Context<'_>) -> Result<Vec<TypeSyncObject>> {
        sync::of_node(ctx, &self.0)
    }

    /// The last thing that it refused, even if that is mended by now.
    async fn last_nack(&self) -> Option<RefusalObject> {
        let refusal = self.0.last_refusal.clone();
        refusal.map(|refusal| RefusalObject::new(self.0.group, refusal))
    }
}

impl TypeStatusObject {
    fn new(group: NodeGroupId, resource_type: XdsTypeEnum, status: &TypeStatus) -> Self {
        let refused = status.refused.clone();
        let text = |version: &Option<Arc<str>>| version.as_ref().map(ToString::to_string);
        Self {
            resource_type,
            sent_version: text(&status.sent_version),
            sent_at: status.sent_at.map(Time),
            acked_version: text(&status.acked_version),
            acked_at: status.acked_at.map(Time),
            nacked_version: status.refused.as_ref().map(|refusal| refusal.version.to_string()),
            nack: refused.map(|refusal| RefusalObject::new(group, refusal)),
        }
    }
}
