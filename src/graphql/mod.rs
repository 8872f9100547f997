//! Floor 5, an edge: GraphQL.
//!
//! Translates and decides nothing: inputs are parsed into domain types, the
//! operation in `app/` is called, and what comes back is presented. One file
//! or folder for each noun holds its object, its inputs, its queries and its mutations.

mod api_tokens;
mod audit;
mod certificates;
mod change;
mod changes;
mod cookies;
mod errors;
mod events;
mod global_id;
mod guard;
mod invitations;
mod labels;
mod licence;
mod listeners;
mod loaders;
mod loads;
mod mappings;
mod measured;
mod nacks;
mod node;
mod node_groups;
mod node_tokens;
mod page;
mod parse;
mod payload;
mod proxies;
mod rollout;
mod routes;
mod scalars;
mod search;
mod server;
mod services;
mod sign_in;
mod snapshots;
#[cfg(test)]
mod statement_tests;
mod subscription;
mod sync;
#[cfg(test)]
mod tests;
mod users;
mod variables;
mod xds_nodes;

use async_graphql::{Context, MergedObject, MergedSubscription, Schema};

use crate::app::{App, Authenticated};
use crate::auth::{Actor, Origin};
use crate::error::{Error, Result};

pub use cookies::{CookieJar, REQUESTED_BY, access_token};
pub use errors::refusal;
pub use guard::Introspection;

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
    node::NodeQuery,
    search::SearchQuery,
    sign_in::SignInQuery,
    users::UserQuery,
    api_tokens::ApiTokenQuery,
    invitations::InvitationQuery,
    audit::AuditQuery,
    events::EventQuery,
    server::ServerQuery,
    node_groups::NodeGroupQuery,
    node_tokens::NodeTokenQuery,
    services::ServiceQuery,
    routes::RouteQuery,
    listeners::ListenerQuery,
    certificates::CertificateQuery,
    mappings::MappingQuery,
    proxies::ProxyQuery,
    xds_nodes::XdsNodeQuery,
    snapshots::SnapshotQuery,
    rollout::RolloutQuery,
    licence::LicenceQuery,
    changes::PreviewQuery,
);

/// What can be changed.
#[derive(Default, MergedObject)]
#[graphql(name = "Mutation")]
pub struct Mutation(
    sign_in::SignInMutation,
    users::UserMutation,
    api_tokens::ApiTokenMutation,
    invitations::InvitationMutation,
    node_groups::NodeGroupMutation,
    node_tokens::NodeTokenMutation,
    services::ServiceMutation,
    routes::RouteMutation,
    listeners::ListenerMutation,
    certificates::CertificateMutation,
    snapshots::SnapshotMutation,
    mappings::MappingMutation,
    changes::ChangesMutation,
);

/// What can be followed.
#[derive(Default, MergedSubscription)]
#[graphql(name = "Subscription")]
pub struct Subscription(
    subscription::StateSubscription,
    events::EventSubscription,
    loads::LoadSubscription,
);

/// Builds the schema over `app`.
pub fn schema(app: App, introspection: Introspection) -> ApiSchema {
    builder().extension(guard::Guarded(introspection)).data(app).finish()
}

/// The schema's SDL, as clients get it.
pub fn sdl() -> String {
    use async_graphql::SDLExportOptions;
    let options = SDLExportOptions::new().sorted_fields().sorted_enum_items();
    builder().finish().sdl_with_options(options)
}

fn builder() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .extension(errors::CodedErrors)
        .extension(measured::Measured)
        .extension(variables::Given)
        .extension(loaders::Loading)
        .limit_depth(DEEPEST)
        .limit_complexity(MOST_COMPLEX)
        .limit_directives(MOST_DIRECTIVES)
}

/// The operations, and who asks for one: what each resolver starts with.
fn app_and_actor<'a>(ctx: &Context<'a>) -> Result<(&'a App, &'a Actor)> {
    let caller = ctx.data_opt::<Authenticated>();
    let caller = caller.ok_or(Error::Unauthenticated("send `Authorization: Bearer <token>`"))?;
    Ok((app(ctx), &caller.actor))
}

/// As [`app_and_actor`], for a mutation that may be tried only.
fn in_mode<'a>(ctx: &Context<'a>, dry_run: bool) -> Result<(App, &'a Actor)> {
    let (app, actor) = app_and_actor(ctx)?;
    Ok((app.dry_run(dry_run), actor))
}

/// Where the request came from.
fn origin(ctx: &Context<'_>) -> Origin {
    ctx.data_opt::<Origin>().cloned().unwrap_or_default()
}

/// The operations, for those that need nobody signed in.
fn app<'a>(ctx: &Context<'a>) -> &'a App {
    ctx.data_opt::<App>().expect("the schema was built with it")
}
