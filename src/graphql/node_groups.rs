//! Node groups.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};

use super::certificates::{self, CertificateObject};
use super::change::{ChangeObject, DeleteInput, WaitForInput};
use super::global_id::GlobalId as _;
use super::labels::LabelInput;
use super::listeners::{self, ListenerObject};
use super::mappings::{self, MappingObject};
use super::node_tokens::{self, NodeTokenObject};
use super::page::{Paged, Slice};
use super::parse::{in_input, number, replaced};
use super::payload::{UserErrorObject, answer, answer_or, payloads};
use super::proxies::{self, ProxyObject};
use super::routes::{self, RouteObject};
use super::scalars::Time;
use super::services::{self, ServiceObject};
use super::snapshots::{self, SnapshotObject};
use super::sync::ConvergenceObject;
use super::xds_nodes::XdsNodeObject;
use super::{app_and_actor, in_mode};
use crate::error::Error;
use crate::model::{
    At as _, Invalid, Name, NodeGroup, NodeGroupChange, NodeGroupId, NodeGroupSpec, RuntimeKey,
    RuntimeValue,
};

const MOST_SETTINGS: usize = 256;
const LONGEST_TEXT: usize = 1000;

#[derive(Default)]
pub(super) struct NodeGroupQuery;

#[derive(Default)]
pub(super) struct NodeGroupMutation;

/// A runtime setting of the group's Envoys, for instance
/// `upstream.healthy_panic_threshold` and `50`.
#[derive(InputObject)]
pub(super) struct RuntimeSettingInput {
    /// What is set.
    key: String,
    /// `true`, `false`, a number, or any other text.
    value: String,
}

/// What the group's registered proxies log; what is left out stays, or is as usual.
#[derive(InputObject)]
pub(super) struct LoggingInput {
    /// The syslog server, as in `syslog.internal:514`. Null: none.
    syslog_endpoint: MaybeUndefined<String>,
    /// Who proved themselves, and who could not; true if not said.
    auth: Option<bool>,
    /// Which connections there were; true if not said.
    netflow: Option<bool>,
    /// Whatever helps to find out what is wrong; false if not said.
    debug: Option<bool>,
}

/// A node group to be made.
#[derive(InputObject)]
pub(super) struct CreateNodeGroupInput {
    /// Unique; an Envoy whose `node.cluster` is this belongs to the group.
    name: String,
    /// What it is for.
    #[graphql(default)]
    description: String,
    /// What its Envoys' runtime is set to.
    #[graphql(default)]
    runtime: Vec<RuntimeSettingInput>,
    /// What its proxies log.
    logging: Option<LoggingInput>,
    /// How many proxies may be registered at once.
    #[graphql(default = 3)]
    max_proxies: i64,
}

/// What to change; what is left out stays as it is.
#[derive(InputObject)]
pub(super) struct UpdateNodeGroupInput {
    /// The node group.
    id: ID,
    /// The `settingsRevision` that you have seen: `CONFLICT` if it was changed since.
    if_revision: i64,
    /// Unique.
    name: Option<String>,
    /// What it is for.
    description: Option<String>,
    /// Takes the place of all settings.
    runtime: Option<Vec<RuntimeSettingInput>>,
    /// What its proxies log.
    logging: Option<LoggingInput>,
    /// How many proxies may be registered at once.
    max_proxies: Option<i64>,
    /// False gives the group's Envoys nothing to serve, and makes its key good for
    /// nothing over REST. The default group stays active.
    is_active: Option<bool>,
}

/// What became of a node group.
#[derive(Default, SimpleObject)]
pub(super) struct NodeGroupPayload {
    /// As it is since; with `CONFLICT`, as somebody else has made it.
    node_group: Option<NodeGroupObject>,
    #[graphql(flatten)]
    change: ChangeObject,
}

payloads!(NodeGroupPayload.change.user_errors);

/// What became of a node group that was to go.
#[derive(Default, SimpleObject)]
pub(super) struct DeleteNodeGroupPayload {
    /// What is gone.
    deleted_id: Option<ID>,
    /// Why it did nothing.
    user_errors: Vec<UserErrorObject>,
}

payloads!(DeleteNodeGroupPayload.user_errors);

/// A runtime setting.
#[derive(SimpleObject)]
#[graphql(name = "RuntimeSetting")]
pub(super) struct RuntimeSettingObject {
    /// What is set.
    key: String,
    /// What it is set to.
    value: String,
}

/// What the group's registered proxies log.
#[derive(SimpleObject)]
#[graphql(name = "Logging")]
pub(super) struct LoggingObject {
    /// The syslog server that they log to; to none if null.
    syslog_endpoint: Option<String>,
    /// Whether they log who proved themselves.
    auth: bool,
    /// Whether they log connections.
    netflow: bool,
    /// Whether they log what helps to find out what is wrong.
    debug: bool,
}

pub(super) struct NodeGroupObject(pub(super) NodeGroup);

#[Object]
impl NodeGroupQuery {
    /// The node groups.
    async fn node_groups(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<NodeGroupObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        let slice = Slice::parse(first, after.as_deref())?;
        let rows = app.node_groups(actor, slice.page()).await?;
        Ok(slice.present(rows, |group| i32::from(group.id).into(), NodeGroupObject))
    }

    /// One node group, by id or by name; the default one if neither is said.
    async fn node_group(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A global id.")] id: Option<ID>,
        #[graphql(desc = "Its name.")] name: Option<String>,
    ) -> Result<NodeGroupObject> {
        let (app, actor) = app_and_actor(ctx)?;
        let group = match (id, name) {
            (Some(_), Some(_)) => {
                return Err(Invalid::new("name", "say an id or a name, not both").into());
            }
            (Some(id), None) => app.node_group(actor, NodeGroupId::parse(&id, "id")?).await?,
            (None, Some(name)) => {
                let name = Name::try_from(name).at("name")?;
                let group = app.find_node_group(actor, &name).await?;
                group.ok_or_else(|| Error::not_found("node group", name))?
            }
            (None, None) => app.node_group(actor, app.default_group()).await?,
        };
        Ok(NodeGroupObject(group))
    }
}

#[Object]
impl NodeGroupMutation {
    /// Creates a node group, with a default listener.
    async fn create_node_group(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: CreateNodeGroupInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<NodeGroupPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let wait = WaitForInput::parse(wait_for)?;
            let spec = in_input(input.parse())?;
            let (group, change) = in_input(app.create_node_group(actor, spec).await)?;
            let change = ChangeObject::after(ctx, change, wait).await?;
            Ok(NodeGroupPayload { node_group: Some(NodeGroupObject(group)), change })
        };
        answer(ctx, done).await
    }

    /// Changes a node group.
    async fn update_node_group(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: UpdateNodeGroupInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<NodeGroupPayload> {
        let id = input.id.clone();
        let current = async {
            let node_group = NodeGroupQuery.node_group(ctx, Some(id), None).await?;
            Ok(NodeGroupPayload { node_group: Some(node_group), ..Default::default() })
        };
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let wait = WaitForInput::parse(wait_for)?;
            let (id, change) = in_input(input.parse())?;
            let (group, change) = in_input(app.update_node_group(actor, id, change).await)?;
            let change = ChangeObject::after(ctx, change, wait).await?;
            Ok(NodeGroupPayload { node_group: Some(NodeGroupObject(group)), change })
        };
        answer_or(ctx, done, current).await
    }

    /// Deletes a node group. `IN_USE` while anything but its default listener and
    /// proxies that are offline stands in it; the default group stays.
    async fn delete_node_group(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: DeleteInput,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<DeleteNodeGroupPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let id = in_input(NodeGroupId::parse(&input.id, "id"))?;
            let expected = Some(input.if_revision.into());
            in_input(app.delete_node_group(actor, id, expected).await)?;
            Ok(DeleteNodeGroupPayload { deleted_id: Some(input.id), ..Default::default() })
        };
        answer(ctx, done).await
    }
}

impl CreateNodeGroupInput {
    fn parse(self) -> Result<NodeGroupSpec, Invalid> {
        let logging = self.logging.map(LoggingInput::parse).transpose()?.unwrap_or_default();
        let change = NodeGroupChange {
            description: Some(text(self.description, "description")?),
            runtime: Some(runtime(self.runtime)?),
            max_proxies: Some(number(self.max_proxies).at("maxProxies")?),
            ..logging
        };
        Ok(NodeGroupSpec::named(self.name.try_into().at("name")?).changed(change))
    }
}

impl UpdateNodeGroupInput {
    fn parse(self) -> Result<(NodeGroupId, NodeGroupChange), Invalid> {
        let logging = self.logging.map(LoggingInput::parse).transpose()?.unwrap_or_default();
        let change = NodeGroupChange {
            if_revision: Some(self.if_revision.into()),
            name: self.name.map(|name| name.try_into().at("name")).transpose()?,
            description: self.description.map(|d| text(d, "description")).transpose()?,
            runtime: self.runtime.map(runtime).transpose()?,
            max_proxies: self.max_proxies.map(|n| number(n).at("maxProxies")).transpose()?,
            is_active: self.is_active,
            ..logging
        };
        Ok((NodeGroupId::parse(&self.id, "id")?, change))
    }
}

impl LoggingInput {
    /// As a change of what is named.
    fn parse(self) -> Result<NodeGroupChange, Invalid> {
        let endpoint = replaced(self.syslog_endpoint, |e| e.try_into().at("syslogEndpoint"));
        Ok(NodeGroupChange {
            syslog_endpoint: endpoint.map_err(|e| e.within("logging"))?,
            log_auth: self.auth,
            log_netflow: self.netflow,
            log_debug: self.debug,
            ..Default::default()
        })
    }
}

pub(super) fn text(text: String, field: &str) -> Result<String, Invalid> {
    if text.chars().count() > LONGEST_TEXT {
        let why = format!("must be at most {LONGEST_TEXT} characters long");
        return Err(Invalid::new(field, why));
    }
    Ok(text)
}

fn runtime(
    settings: Vec<RuntimeSettingInput>,
) -> Result<std::collections::BTreeMap<RuntimeKey, RuntimeValue>, Invalid> {
    if settings.len() > MOST_SETTINGS {
        return Err(Invalid::new("runtime", format!("at most {MOST_SETTINGS} settings")));
    }
    let mut runtime = std::collections::BTreeMap::new();
    for (i, setting) in settings.into_iter().enumerate() {
        let at = |e: Invalid| e.within(i).within("runtime");
        let key = RuntimeKey(setting.key.try_into().at("key").map_err(at)?);
        let value = RuntimeValue::parse(&text(setting.value, "value").map_err(at)?);
        if runtime.insert(key, value).is_some() {
            return Err(at(Invalid::new("key", "stands here twice")));
        }
    }
    Ok(runtime)
}

/// A set of proxies that are given one configuration.
#[Object(name = "NodeGroup")]
impl NodeGroupObject {
    /// Its global id.
    pub(super) async fn id(&self) -> ID {
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
