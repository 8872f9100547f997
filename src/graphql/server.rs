//! Which server answers.

use async_graphql::{Context, Object, Result, SimpleObject};

use super::app_and_actor;
use super::events::written;

#[derive(Default)]
pub(super) struct ServerQuery;

/// The server that answers.
#[derive(SimpleObject)]
struct ServerInfo {
    /// Its release.
    version: &'static str,
    /// Tells this process from all others, also from itself before a restart.
    instance: String,
    /// The events that are kept, of all servers on this database together.
    event_log: EventLogInfo,
}

/// Which events are kept.
#[derive(SimpleObject)]
#[graphql(name = "EventLog")]
struct EventLogInfo {
    /// Tells this log from any other.
    id: String,
    /// Before the oldest event that is kept: `after` this comes all that there is.
    first_cursor: String,
    /// After the newest event: `after` this comes what happens from now on.
    last_cursor: String,
}

#[Object]
impl ServerQuery {
    /// The server that answers, and which events it has.
    async fn server_info(&self, ctx: &Context<'_>) -> Result<ServerInfo> {
        let (app, actor) = app_and_actor(ctx)?;
        let ends = app.event_log(actor).await?;
        Ok(ServerInfo {
            version: env!("CARGO_PKG_VERSION"),
            instance: app.instance().to_owned(),
            event_log: EventLogInfo {
                id: format!("{:x}", ends.log),
                first_cursor: written(ends.start()),
                last_cursor: written(ends.end()),
            },
        })
    }
}
