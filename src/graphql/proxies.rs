//! Proxies that registered over REST. They are not changed here.

use async_graphql::{Context, Enum, ID, Object, Result};

use super::app_and_actor;
use super::global_id::{GlobalId as _, optional};
use super::loaders;
use super::node_groups::NodeGroupObject;
use super::page::{Paged, Slice};
use super::scalars::Time;
use crate::model::{NodeGroupId, Proxy, ProxyId};

#[derive(Default)]
pub(super) struct ProxyQuery;

/// How a registered proxy stands.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ProxyStatus", remote = "crate::model::ProxyStatus")]
pub(super) enum ProxyStatusEnum {
    /// It is not at work yet.
    Pending,
    /// All is well.
    Active,
    /// It is in trouble, or has not been heard of for 90 seconds.
    Degraded,
    /// It said goodbye, or has not been heard of for 5 minutes.
    Offline,
}

pub(super) struct ProxyObject(pub(super) Proxy);

#[Object]
impl ProxyQuery {
    /// The proxies of a node group that registered over REST; the default group's
    /// if none is named.
    async fn proxies(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The node group; the default one if null.")] group: Option<ID>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<ProxyObject>> {
        let (app, _) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        paged(ctx, group.unwrap_or(app.default_group()), first, after.as_deref()).await
    }

    /// One proxy that registered over REST.
    async fn proxy(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A global id.")] id: ID,
    ) -> Result<ProxyObject> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(ProxyObject(app.proxy(actor, ProxyId::parse(&id, "id")?).await?))
    }
}

/// A page of a group's proxies.
pub(super) async fn paged(
    ctx: &Context<'_>,
    group: NodeGroupId,
    first: i64,
    after: Option<&str>,
) -> Result<Paged<ProxyObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let slice = Slice::parse(first, after)?;
    let rows = app.proxies(actor, group, slice.page()).await?;
    Ok(slice.present(rows, |proxy| i32::from(proxy.id).into(), ProxyObject))
}

/// A proxy of MarchProxy's own that registered over REST. Envoys are `XdsNode`s.
#[Object(name = "Proxy")]
impl ProxyObject {
    /// Its global id.
    pub(super) async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// The node group that it belongs to.
    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        Ok(loaders::node_group(ctx, self.0.group).await?)
    }

    /// Unique in its group.
    async fn name(&self) -> &str {
        self.0.spec.name.as_str()
    }

    /// What its machine is called.
    async fn hostname(&self) -> &str {
        self.0.spec.hostname.as_str()
    }

    /// Where it is.
    async fn ip_address(&self) -> String {
        self.0.spec.ip_address.to_string()
    }

    /// The port that it listens on.
    async fn port(&self) -> i32 {
        self.0.spec.port.into()
    }

    /// Which version of it runs, if it has said.
    async fn version(&self) -> Option<String> {
        self.0.spec.version.as_ref().map(ToString::to_string)
    }

    /// How it stands.
    async fn status(&self) -> ProxyStatusEnum {
        self.0.status.into()
    }

    /// Which configuration it has: the `config_version` that came with it.
    async fn config_version(&self) -> Option<String> {
        self.0.config_version.as_ref().map(ToString::to_string)
    }

    /// When it was last heard of.
    async fn last_seen_at(&self) -> Option<Time> {
        self.0.last_seen.map(Time)
    }

    /// When it last fetched its configuration; null if never.
    async fn last_config_fetch_at(&self) -> Option<Time> {
        self.0.last_config_fetch.map(Time)
    }

    /// When it first registered.
    async fn registered_at(&self) -> Time {
        Time(self.0.registered_at)
    }
}
