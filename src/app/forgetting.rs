//! Forgetting, again and again, what is not to be kept any more.

use std::time::Duration;

use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::error::Result;

/// Has `forget` forget old things, which are called `what`, now and every so often, until
/// `stop`. It says how many it forgot. If it fails, it is tried again when it is due.
pub(super) async fn keep_forgetting<F: Future<Output = Result<u64>>>(
    what: &str,
    every: Duration,
    forget: impl Fn() -> F,
    stop: CancellationToken,
) {
    let mut tick = time::interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let keep = async {
        loop {
            tick.tick().await;
            match forget().await {
                Ok(0) => {}
                Ok(forgotten) => tracing::info!(forgotten, "forgot old {what}"),
                Err(e) => {
                    let error = &e as &dyn std::error::Error;
                    tracing::error!(error, "cannot forget old {what}");
                }
            }
        }
    };
    stop.run_until_cancelled(keep).await;
}
