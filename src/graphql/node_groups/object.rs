//! What clients get of a node group.

use async_graphql::{Context, ID, Object, Result, SimpleObject};

use crate::graphql::app_and_actor;
use crate::graphql::certificates::{self, CertificateObject};
use crate::graphql::global_id::GlobalId as _;
use crate::graphql::labels::LabelInput;
use crate::graphql::listeners::{self, ListenerObject};
use crate::graphql::mappings::{self, MappingObject};
use crate::graphql::node_tokens::{self, NodeTokenObject};
use crate::graphql::page::Paged;
use crate::graphql::proxies::{self, ProxyObject};
use crate::graphql::routes::{self, RouteObject};
use crate::graphql::scalars::Time;
use crate::graphql::services::{self, ServiceObject};
use crate::graphql::snapshots::{self, SnapshotObject};
use crate::graphql::sync::ConvergenceObject;
use crate::graphql::xds_nodes::XdsNodeObject;
use crate::model::NodeGroup;

/// A runtime setting.
#[derive(SimpleObject)]
#[graphql(name = "RuntimeSetting")]
pub(in crate::graphql) struct RuntimeSettingObject {
    /// What is set.
    key: String,
    /// What it is set to.
    value: String,
}

/// What the group's registered proxies log.
#[derive(SimpleObject)]
#[graphql(name = "Logging")]
pub(in crate::graphql) struct LoggingObject {
    /// The syslog server that they log to; to none if null.
    syslog_endpoint: Option<String>,
    /// Whether they log who proved themselves.
    auth: bool,
    /// Whether they log connections.
    netflow: bool,
    /// Whether they log what helps to find out what is wrong.
    debug: bool,
}

pub(in crate::graphql) struct NodeGroupObject(pub(in crate::graphql) NodeGroup);

/// A set of proxies that are given one configuration.
#[Object(name = "NodeGroup")]
impl NodeGroupObject {
    /// Its global id.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// Unique; an Envoy whose `node.cluster` is this belongs to it.
    async fn name(&self) -> &str {
        self.0.spec.name.as_str()
    }

    /// What it is for.
    async fn description(&self) -> &str {
        &self.0.spec.description
    }

    /// Whether proxies that name no group belong to it.
    async fn is_default(&self) -> bool {
        self.0.is_default
    }

    /// Whether it counts. The Envoys of an inactive one are given nothing to serve.
    async fn is_active(&self) -> bool {
        self.0.spec.is_active
    }

    /// What its proxies log.
    async fn logging(&self) -> LoggingObject {
        let logging = &self.0.spec.logging;
        LoggingObject {
            syslog_endpoint: logging.endpoint.as_ref().map(ToString::to_string),
            auth: logging.auth,
            netflow: logging.netflow,
            debug: logging.debug,
        }
    }

    /// How many proxies may be registered at once.
    async fn max_proxies(&self) -> i32 {
        self.0.spec.max_proxies.into()
    }

    /// An Envoy with this `node.id` belongs to the group.
    async fn envoy_node_id(&self) -> String {
        format!("cluster-{}", self.0.id)
    }

    /// How many changes the group has seen.
    async fn revision(&self) -> i64 {
        self.0.revision.into()
    }

    /// What its Envoys' runtime is set to.
    async fn runtime(&self) -> Vec<RuntimeSettingObject> {
        let settings = self.0.spec.runtime.iter();
        settings
            .map(|(key, value)| RuntimeSettingObject {
                key: key.0.to_string(),
                value: value.to_string(),
            })
            .collect()
    }

    /// The newest snapshot.
    async fn snapshot(&self, ctx: &Context<'_>) -> Result<Option<SnapshotObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        let newest = app.snapshots(actor, self.0.id, None, 1).await?.into_iter().next();
        Ok(newest.map(SnapshotObject))
    }

    /// The group's snapshots, the newest first.
    async fn snapshots(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 20)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<SnapshotObject>> {
        snapshots::paged(ctx, self.0.id, first, after.as_deref()).await
    }

    /// What its traffic goes to.
    async fn services(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
        #[graphql(desc = "Only what has all of these labels.")] labels: Option<Vec<LabelInput>>,
    ) -> Result<Paged<ServiceObject>> {
        services::paged(ctx, self.0.id, first, after.as_deref(), labels).await
    }

    /// Which requests go where.
    async fn routes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
        #[graphql(desc = "Only what has all of these labels.")] labels: Option<Vec<LabelInput>>,
    ) -> Result<Paged<RouteObject>> {
        routes::paged(ctx, self.0.id, first, after.as_deref(), labels).await
    }

    /// Where its proxies accept traffic.
    async fn listeners(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
        #[graphql(desc = "Only what has all of these labels.")] labels: Option<Vec<LabelInput>>,
    ) -> Result<Paged<ListenerObject>> {
        listeners::paged(ctx, self.0.id, first, after.as_deref(), labels).await
    }

    /// Which of its services may reach which.
    async fn mappings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
        #[graphql(desc = "Only what has all of these labels.")] labels: Option<Vec<LabelInput>>,
    ) -> Result<Paged<MappingObject>> {
        mappings::paged(ctx, self.0.id, first, after.as_deref(), labels).await
    }

    /// What its listeners may prove themselves with.
    async fn certificates(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
        #[graphql(desc = "Only what has all of these labels.")] labels: Option<Vec<LabelInput>>,
    ) -> Result<Paged<CertificateObject>> {
        certificates::paged(ctx, self.0.id, first, after.as_deref(), labels).await
    }

    /// The proxies that registered over REST.
    async fn proxies(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<ProxyObject>> {
        proxies::paged(ctx, self.0.id, first, after.as_deref()).await
    }

    /// Since when its proxies may prove themselves with the key that it has; null
    /// if it has none.
    async fn key_created_at(&self, ctx: &Context<'_>) -> Result<Option<Time>> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(app.find_node_group_key(actor, self.0.id).await?.map(Time))
    }

    /// What else its proxies may prove themselves with.
    async fn node_tokens(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<NodeTokenObject>> {
        node_tokens::paged(ctx, self.0.id, first, after.as_deref()).await
    }

    /// The proxies that are or were connected, as this process has seen them.
    async fn xds_nodes(&self, ctx: &Context<'_>) -> Result<Vec<XdsNodeObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(app.nodes(actor, Some(self.0.id))?.into_iter().map(XdsNodeObject).collect())
    }

    /// How long its proxies took of late from the publication of a snapshot until nothing
    /// was left to do: the last 1024 times, as this process has seen them.
    async fn convergence(&self, ctx: &Context<'_>) -> Result<ConvergenceObject> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(app.convergence(actor, self.0.id)?.into())
    }

    /// The revision at which its own settings were last changed; goes into `ifRevision`
    /// of `updateNodeGroup`.
    async fn settings_revision(&self) -> i64 {
        self.0.settings_revision.into()
    }

    /// When it was made.
    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }

    /// When it was last changed.
    async fn updated_at(&self) -> Time {
        Time(self.0.updated_at)
    }
}
