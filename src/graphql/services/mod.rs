//! Services.

mod input;
mod object;

use async_graphql::{Context, ID, Object, Result, SimpleObject};

pub(super) use self::input::{CreateServiceInput, UpdateServiceInput};
pub(super) use self::object::ServiceObject;
use super::change::{
    ChangeObject, ChangePayload, DeleteInput, DeletePayload, WaitForInput, changed, changed_or,
};
use super::global_id::{GlobalId as _, optional};
use super::labels::LabelInput;
use super::page::{Paged, Slice};
use super::parse::in_input;
use super::payload::payloads;
use super::{app_and_actor, in_mode};
use crate::model::{NodeGroupId, Service, ServiceId};

#[derive(Default)]
pub(super) struct ServiceQuery;

#[derive(Default)]
pub(super) struct ServiceMutation;

/// What became of a service.
#[derive(Default, SimpleObject)]
pub(super) struct ServicePayload {
    /// As it is since; with `CONFLICT`, as somebody else has made it.
    service: Option<ServiceObject>,
    #[graphql(flatten)]
    change: ChangeObject,
}

payloads!(ServicePayload.change.user_errors);

impl ChangePayload for ServicePayload {
    type Of = Service;

    fn new(service: Service, change: ChangeObject) -> Self {
        Self { service: Some(ServiceObject(service)), change }
    }
}

#[Object]
impl ServiceQuery {
    /// A node group's services; the default group's if none is named.
    async fn services(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The node group; the default one if null.")] group: Option<ID>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
        #[graphql(desc = "Only what has all of these labels.")] labels: Option<Vec<LabelInput>>,
    ) -> Result<Paged<ServiceObject>> {
        let (app, _) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        paged(ctx, group.unwrap_or(app.default_group()), first, after.as_deref(), labels).await
    }

    /// One service.
    async fn service(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A global id.")] id: ID,
    ) -> Result<ServiceObject> {
        let (app, actor) = app_and_actor(ctx)?;
        let id = ServiceId::parse(&id, "id")?;
        Ok(ServiceObject(app.service(actor, id).await?))
    }
}

/// A page of a group's services.
pub(super) async fn paged(
    ctx: &Context<'_>,
    group: NodeGroupId,
    first: i64,
    after: Option<&str>,
    labels: Option<Vec<LabelInput>>,
) -> Result<Paged<ServiceObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let slice = Slice::parse(first, after)?;
    let rows = app.services(actor, group, slice.labelled(labels)?).await?;
    Ok(slice.present(rows, |service| i32::from(service.id).into(), ServiceObject))
}

#[Object]
impl ServiceMutation {
    /// Creates a service.
    async fn create_service(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: CreateServiceInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<ServicePayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let new = in_input(input.parse())?;
            let (served, change) = in_input(app.create_service(actor, new).await)?;
            Ok((served.service, change))
        };
        changed(ctx, wait_for, done).await
    }

    /// Changes a service.
    async fn update_service(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: UpdateServiceInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<ServicePayload> {
        let id = input.id.clone();
        let current = async { Ok(ServiceQuery.service(ctx, id).await?.0) };
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let (id, change) = in_input(input.parse())?;
            let (served, change) = in_input(app.update_service(actor, id, change).await)?;
            Ok((served.service, change))
        };
        changed_or(ctx, wait_for, done, current).await
    }

    /// Deletes a service. `IN_USE` while a route, a listener or a mapping names it.
    async fn delete_service(
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
            let change = in_input(app.delete_service(actor, id, Some(seen)).await)?;
            Ok((input.id, change))
        };
        changed(ctx, wait_for, done).await
    }
}
