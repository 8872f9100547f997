//! Being told to stop.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

/// How long what is under way may take to end.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Comes when the process is sent SIGINT or SIGTERM.
///
/// The signals are taken over when this is called, not when it is polled.
pub fn signalled() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
