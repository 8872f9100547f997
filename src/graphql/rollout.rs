//! Rollouts: how far a node group's proxies are with a snapshot.

use async_graphql::{Context, ID, Object, Result, SimpleObject};

use super::app_and_actor;
use super::change::ProgressObject;
use super::global_id::optional;
use crate::app::Progress;

#[derive(Default)]
pub(super) struct RolloutQuery;

/// How far a node group's connected proxies are with a snapshot.
#[derive(SimpleObject)]
pub(super) struct Rollout {
    /// The version that was asked for.
    version: String,
    /// The newest revision that has this version.
    revision: i64,
    /// Whether every connected proxy has answered, one way or the other.
    done: bool,
    #[graphql(flatten)]
    progress: ProgressObject,
}

#[Object]
impl RolloutQuery {
    /// How far the connected proxies are with the snapshot of this version now.
    async fn rollout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The version of a snapshot.")] version: String,
        #[graphql(desc = "The node group to look for it in; all of them if null.")] group: Option<
            ID,
        >,
    ) -> Result<Rollout> {
        let (app, actor) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        let snapshot = app.snapshot_of_version(actor, group, &version).await?;
        let progress = app.rollout_now(actor, snapshot.group, snapshot.revision)?;
        Ok(Rollout::new(version, progress))
    }
}

impl Rollout {
    pub(super) fn new(version: String, progress: Progress) -> Self {
        Self {
            version,
            revision: progress.revision.into(),
            done: progress.is_done(),
            progress: ProgressObject(progress),
        }
    }
}
