//! Routes.

mod input;
mod object;

use async_graphql::{Context, ID, Object, Result, SimpleObject};

pub(super) use self::input::{CreateRouteInput, UpdateRouteInput};
pub(super) use self::object::RouteObject;
use super::change::{
    ChangeObject, ChangePayload, DeleteInput, DeletePayload, WaitForInput, changed, changed_or,
};
use super::global_id::{GlobalId as _, optional};
use super::labels::LabelInput;
use super::page::{Paged, Slice};
use super::parse::in_input;
use super::payload::payloads;
use super::{app_and_actor, in_mode};
use crate::model::{NodeGroupId, Route, RouteId};

#[derive(Default)]
pub(super) struct RouteQuery;

#[derive(Default)]
pub(super) struct RouteMutation;

/// What became of a route.
#[derive(Default, SimpleObject)]
pub(super) struct RoutePayload {
    /// As it is since; with `CONFLICT`, as somebody else has made it.
    route: Option<RouteObject>,
    #[graphql(flatten)]
    change: ChangeObject,
}

payloads!(RoutePayload.change.user_errors);

impl ChangePayload for RoutePayload {
    type Of = Route;

    fn new(route: Route, change: ChangeObject) -> Self {
        Self { route: Some(RouteObject(route)), change }
    }
}

#[Object]
impl RouteQuery {
    /// A node group's routes; the default group's if none is named.
    async fn routes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The node group; the default one if null.")] group: Option<ID>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
        #[graphql(desc = "Only what has all of these labels.")] labels: Option<Vec<LabelInput>>,
    ) -> Result<Paged<RouteObject>> {
        let (app, _) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        paged(ctx, group.unwrap_or(app.default_group()), first, after.as_deref(), labels).await
    }

    /// One route.
    async fn route(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A global id.")] id: ID,
    ) -> Result<RouteObject> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(RouteObject(app.route(actor, RouteId::parse(&id, "id")?).await?))
    }
}

/// A page of a group's routes.
pub(super) async fn paged(
    ctx: &Context<'_>,
    group: NodeGroupId,
    first: i64,
    after: Option<&str>,
    labels: Option<Vec<LabelInput>>,
) -> Result<Paged<RouteObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let slice = Slice::parse(first, after)?;
    let rows = app.routes(actor, group, slice.labelled(labels)?).await?;
    Ok(slice.present(rows, |route| i32::from(route.id).into(), RouteObject))
}

#[Object]
impl RouteMutation {
    /// Creates a route.
    async fn create_route(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: CreateRouteInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<RoutePayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let new = in_input(input.parse())?;
            in_input(app.create_route(actor, new).await)
        };
        changed(ctx, wait_for, done).await
    }

    /// Changes a route.
    async fn update_route(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: UpdateRouteInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<RoutePayload> {
        let id = input.id.clone();
        let current = async { Ok(RouteQuery.route(ctx, id).await?.0) };
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let (id, change) = in_input(input.parse())?;
            in_input(app.update_route(actor, id, change).await)
        };
        changed_or(ctx, wait_for, done, current).await
    }

    /// Deletes a route.
    async fn delete_route(
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
            let change = in_input(app.delete_route(actor, id, Some(seen)).await)?;
            Ok((input.id, change))
        };
        changed(ctx, wait_for, done).await
    }
}
