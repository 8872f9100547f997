//! Listeners.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};

use super::certificates::CertificateObject;
use super::change::{
    ChangeObject, ChangePayload, DeleteInput, DeletePayload, WaitForInput, changed, changed_or,
};
use super::changes::{Refers, value_mut};
use super::global_id::{GlobalId as _, optional};
use super::labels::{self, LabelInput, LabelObject};
use super::loaders;
use super::node_groups::NodeGroupObject;
use super::page::{Paged, Slice};
use super::parse::{in_input, number, replaced};
use super::payload::payloads;
use super::scalars::Time;
use super::services::ServiceObject;
use super::{app_and_actor, in_mode};
use crate::app::NewListener;
use crate::model::{
    At as _, CertificateId, Invalid, Listener, ListenerChange, ListenerId, ListenerProtocol,
    ListenerSpec, NodeGroupId, ServiceId,
};

#[derive(Default)]
pub(super) struct ListenerQuery;

#[derive(Default)]
pub(super) struct ListenerMutation;

/// A listener to be made.
#[derive(InputObject)]
pub(super) struct CreateListenerInput {
    /// The node group; the default one if not said.
    group: Option<ID>,
    /// Unique in its group.
    name: String,
    /// The IP address that proxies bind.
    #[graphql(default = "0.0.0.0")]
    address: String,
    /// The port that they bind, 1 to 65535.
    port: i64,
    /// The service that every connection is handed on to; without one the
    /// listener reads HTTP requests and routes them.
    tcp_service: Option<ID>,
    /// The certificate that it proves itself with: connections are encrypted (TLS).
    certificate: Option<ID>,
    /// What to sort it by; up to 32 labels.
    #[graphql(default)]
    labels: Vec<LabelInput>,
}

/// What to change; what is left out stays as it is.
#[derive(InputObject)]
pub(super) struct UpdateListenerInput {
    /// The listener.
    id: ID,
    /// The `revision` that you have seen: `CONFLICT` if it was changed since.
    if_revision: i64,
    /// Unique in its group.
    name: Option<String>,
    /// The IP address that proxies bind.
    address: Option<String>,
    /// The port that they bind, 1 to 65535.
    port: Option<i64>,
    /// Null makes it HTTP.
    tcp_service: MaybeUndefined<ID>,
    /// Null: connections are not encrypted.
    certificate: MaybeUndefined<ID>,
    /// Takes the place of all labels.
    labels: Option<Vec<LabelInput>>,
}

/// What became of a listener.
#[derive(Default, SimpleObject)]
pub(super) struct ListenerPayload {
    /// As it is since; with `CONFLICT`, as somebody else has made it.
    listener: Option<ListenerObject>,
    #[graphql(flatten)]
    change: ChangeObject,
}

payloads!(ListenerPayload.change.user_errors);

impl ChangePayload for ListenerPayload {
    type Of = Listener;

    fn new(listener: Listener, change: ChangeObject) -> Self {
        Self { listener: Some(ListenerObject(listener)), change }
    }
}

pub(super) struct ListenerObject(pub(super) Listener);

#[Object]
impl ListenerQuery {
    /// A node group's listeners; the default group's if none is named.
    async fn listeners(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The node group; the default one if null.")] group: Option<ID>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
        #[graphql(desc = "Only what has all of these labels.")] labels: Option<Vec<LabelInput>>,
    ) -> Result<Paged<ListenerObject>> {
        let (app, _) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        paged(ctx, group.unwrap_or(app.default_group()), first, after.as_deref(), labels).await
    }

    /// One listener.
    async fn listener(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A global id.")] id: ID,
    ) -> Result<ListenerObject> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(ListenerObject(app.listener(actor, ListenerId::parse(&id, "id")?).await?))
    }
}

/// A page of a group's listeners.
pub(super) async fn paged(
    ctx: &Context<'_>,
    group: NodeGroupId,
    first: i64,
    after: Option<&str>,
    labels: Option<Vec<LabelInput>>,
) -> Result<Paged<ListenerObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let slice = Slice::parse(first, after)?;
    let rows = app.listeners(actor, group, slice.labelled(labels)?).await?;
    Ok(slice.present(rows, |listener| i32::from(listener.id).into(), ListenerObject))
}

#[Object]
impl ListenerMutation {
    /// Creates a listener.
    async fn create_listener(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: CreateListenerInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<ListenerPayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let new = in_input(input.parse())?;
            in_input(app.create_listener(actor, new).await)
        };
        changed(ctx, wait_for, done).await
    }

    /// Changes a listener.
    async fn update_listener(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: UpdateListenerInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<ListenerPayload> {
        let id = input.id.clone();
        let current = async { Ok(ListenerQuery.listener(ctx, id).await?.0) };
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let (id, change) = in_input(input.parse())?;
            in_input(app.update_listener(actor, id, change).await)
        };
        changed_or(ctx, wait_for, done, current).await
    }

    /// Deletes a listener. `IN_USE` while a route is on it.
    async fn delete_listener(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: DeleteInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<DeletePayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let (id, seen) = in_input(input.parse())?;
            let change = in_input(app.delete_listener(actor, id, Some(seen)).await)?;
            Ok((input.id, change))
        };
        changed(ctx, wait_for, done).await
    }
}

impl CreateListenerInput {
    pub(super) fn parse(self) -> Result<NewListener, Invalid> {
        let service = optional(self.tcp_service.as_ref(), "tcpService")?;
        Ok(NewListener {
            group: optional(self.group.as_ref(), "group")?,
            spec: ListenerSpec {
                labels: labels::parse(self.labels)?,
                name: self.name.try_into().at("name")?,
                address: self.address.parse().map_err(|_| not_an_address())?,
                port: number(self.port).at("port")?,
                protocol: service.map_or(ListenerProtocol::Http, ListenerProtocol::Tcp),
                certificate: optional(self.certificate.as_ref(), "certificate")?,
            },
        })
    }
}

impl UpdateListenerInput {
    pub(super) fn parse(self) -> Result<(ListenerId, ListenerChange), Invalid> {
        let service = replaced(self.tcp_service, |id| ServiceId::parse(&id, "tcpService"))?;
        let change = ListenerChange {
            labels: self.labels.map(labels::parse).transpose()?,
            if_revision: Some(self.if_revision.into()),
            name: self.name.map(|name| name.try_into().at("name")).transpose()?,
            address: self
                .address
                .map(|address| address.parse().map_err(|_| not_an_address()))
                .transpose()?,
            port: self.port.map(|port| number(port).at("port")).transpose()?,
            protocol: service
                .map(|service| service.map_or(ListenerProtocol::Http, ListenerProtocol::Tcp)),
            certificate: replaced(self.certificate, |id| CertificateId::parse(&id, "certificate"))?,
        };
        Ok((ListenerId::parse(&self.id, "id")?, change))
    }
}

impl Refers for CreateListenerInput {
    fn ids(&mut self) -> Vec<&mut ID> {
        self.tcp_service.iter_mut().chain(&mut self.certificate).collect()
    }
}

impl Refers for UpdateListenerInput {
    fn ids(&mut self) -> Vec<&mut ID> {
        [&mut self.tcp_service, &mut self.certificate].into_iter().filter_map(value_mut).collect()
    }
}

fn not_an_address() -> Invalid {
    Invalid::new("address", "is not an IP address")
}

/// Where proxies accept traffic.
#[Object(name = "Listener")]
impl ListenerObject {
    /// Its global id.
    pub(super) async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// Unique in its group.
    async fn name(&self) -> &str {
        self.0.spec.name.as_str()
    }

    /// The node group that it belongs to.
    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        Ok(loaders::node_group(ctx, self.0.group).await?)
    }

    /// Whether it is the one on which HTTP services answer to their names.
    async fn is_default(&self) -> bool {
        self.0.is_default
    }

    /// The IP address that proxies bind.
    async fn address(&self) -> String {
        self.0.spec.address.to_string()
    }

    /// The port that they bind.
    async fn port(&self) -> i32 {
        self.0.spec.port.into()
    }

    /// The service that every connection is handed on to; null if it is HTTP.
    async fn tcp_service(&self, ctx: &Context<'_>) -> Result<Option<ServiceObject>> {
        match self.0.spec.protocol {
            ListenerProtocol::Http => Ok(None),
            ListenerProtocol::Tcp(id) => Ok(Some(loaders::service(ctx, id).await?)),
        }
    }

    /// What it proves itself with; null if connections are not encrypted.
    async fn certificate(&self, ctx: &Context<'_>) -> Result<Option<CertificateObject>> {
        match self.0.spec.certificate {
            None => Ok(None),
            Some(id) => Ok(Some(loaders::certificate(ctx, id).await?)),
        }
    }

    /// What people sort it by, by key.
    async fn labels(&self) -> Vec<LabelObject> {
        labels::shown(&self.0.spec.labels)
    }

    /// The group's revision at which it was last changed; goes into `ifRevision`.
    async fn revision(&self) -> i64 {
        self.0.revision.into()
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
