//! Floor 5, an edge: GraphQL.
//!
//! Translates and decides nothing: inputs are parsed into domain types, the
//! operation in `app/` is called, and what comes back is presented. One file
//! for each noun holds its object, its inputs, its queries and its mutations.

mod change;
mod errors;
mod global_id;
mod listeners;
mod loaders;
mod loads;
mod node_groups;
mod node_tokens;
mod page;
mod parse;
mod routes;
mod scalars;
mod services;
mod sign_in;
mod snapshots;
mod subscription;
mod xds_nodes;

use async_graphql::{Context, MergedObject, Schema};
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::auth::Actor;
use crate::error::{Error, Result};

pub use errors::refusal;
pub use subscription::Subscription;

/// The schema that is served.
pub type ApiSchema = Schema<Query, Mutation, Subscription>;

/// Deep enough for the introspection query of common clients.
const DEEPEST: usize = 15;
const MOST_COMPLEX: usize = 2000;
const MOST_DIRECTIVES: usize = 50;

/// What can be asked.
#[derive(Default, MergedObject)]
#[graphql(name = "Query")]
pub struct Query(
    sign_in::SignInQuery,
    node_groups::NodeGroupQuery,
    node_tokens::NodeTokenQuery,
    services::ServiceQuery,
    routes::RouteQuery,
    listeners::ListenerQuery,
    xds_nodes::XdsNodeQuery,
    snapshots::SnapshotQuery,
);

/// What can be changed.
#[derive(Default, MergedObject)]
#[graphql(name = "Mutation")]
pub struct Mutation(
    sign_in::SignInMutation,
    node_groups::NodeGroupMutation,
    node_tokens::NodeTokenMutation,
    services::ServiceMutation,
    routes::RouteMutation,
    listeners::ListenerMutation,
);

/// Who asks, and until when their token lets them.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// When the token ends, and what was subscribed with it.
    pub expires_at: DateTime<Utc>,
}

/// Builds the schema over `app`; subscriptions end at `stop`.
pub fn schema(app: App, stop: CancellationToken) -> ApiSchema {
    let loaders = loaders::Loaders::new(&app);
    builder().data(app).data(stop).data(loaders).finish()
}

/// The schema's SDL, as clients get it.
pub fn sdl() -> String {
    use async_graphql::SDLExportOptions;
    let options = SDLExportOptions::new().sorted_fields().sorted_enum_items();
    builder().finish().sdl_with_options(options)
}

fn builder() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription)
        .extension(errors::CodedErrors)
        .limit_depth(DEEPEST)
        .limit_complexity(MOST_COMPLEX)
        .limit_directives(MOST_DIRECTIVES)
}

/// The operations, and who asks for one: what each resolver starts with.
fn app_and_actor<'a>(ctx: &Context<'a>) -> Result<(&'a App, &'a Actor)> {
    let caller = ctx.data_opt::<Caller>();
    let caller = caller.ok_or(Error::Unauthenticated("send `Authorization: Bearer <token>`"))?;
    Ok((app(ctx), &caller.actor))
}

/// The operations, for those that need nobody signed in.
fn app<'a>(ctx: &Context<'a>) -> &'a App {
    ctx.data_opt::<App>().expect("the schema was built with it")
}
