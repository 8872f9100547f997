//! Finding things by a part of their names.

use async_graphql::{Context, Object, Result};
use futures_util::future::try_join_all;

use super::app_and_actor;
use super::node::{NodeObject, found};

#[derive(Default)]
pub(super) struct SearchQuery;

#[Object]
impl SearchQuery {
    /// What you may see with this in its name, in whatever case: node groups, services, routes,
    /// listeners, mappings, certificates, proxies that registered, and proxies that talk xDS;
    /// the shortest names of each kind first.
    #[graphql(complexity = "first.clamp(1, 100) as usize * (1 + child_complexity)")]
    async fn search(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A part of a name; 1 to 128 characters.")] query: String,
        #[graphql(desc = "How many at the most; 1 to 100.", default = 20)] first: i64,
    ) -> Result<Vec<NodeObject>> {
        let (app, actor) = app_and_actor(ctx)?;
        let all = app.search(actor, &query, first).await?;
        let objects = all.into_iter().map(|one| found(ctx, one));
        Ok(try_join_all(objects).await?.into_iter().flatten().collect())
    }
}
