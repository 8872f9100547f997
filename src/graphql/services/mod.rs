//! Services.

mod input;
mod object;

use async_graphql::{Context, ID, Object, Result, SimpleObject};

pub(super) use self::input::{CreateServiceInput, UpdateServiceInput};
pub(super) use self::object::ServiceObject;
use super::change::{ChangeObject, DeleteInput, DeletePayload, WaitForInput};
use super::global_id::{GlobalId as _, optional};
use super::labels::{self, LabelInput};
use super::page::{Paged, Slice};
use super::parse::in_input;
use super::payload::{answer, answer_or, payloads};
use super::{app_and_actor, in_mode};
use crate::model::Labelled;
use crate::model::{NodeGroupId, ServiceId};

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
    let labels = labels::parse(labels.unwrap_or_default())?;
    let page = Labelled { page: slice.page(), labels };
    let rows = app.services(actor, group, page).await?;
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
            let wait = WaitForInput::parse(wait_for)?;
            let new = in_input(input.parse())?;
            let (served, change) = in_input(app.create_service(actor, new).await)?;
            let change = ChangeObject::after(ctx, change, wait).await?;
            Ok(ServicePayload { service: Some(ServiceObject(served.service)), change })
        };
        answer(ctx, done).await
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
        let current = async {
            let service = ServiceQuery.service(ctx, id).await?;
            Ok(ServicePayload { service: Some(service), ..Default::default() })
        };
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let wait = WaitForInput::parse(wait_for)?;
            let (id, change) = in_input(input.parse())?;
            let (served, change) = in_input(app.update_service(actor, id, change).await)?;
            let change = ChangeObject::after(ctx, change, wait).await?;
            Ok(ServicePayload { service: Some(ServiceObject(served.service)), change })
        };
        answer_or(ctx, done, current).await
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
            let wait = WaitForInput::parse(wait_for)?;
            let id = in_input(ServiceId::parse(&input.id, "id"))?;
            let expected = Some(input.if_revision.into());
            let change = in_input(app.delete_service(actor, id, expected).await)?;
            let change = ChangeObject::after(ctx, change, wait).await?;
            Ok(DeletePayload { deleted_id: Some(input.id), change })
        };
        answer(ctx, done).await
    }
}
