//! What came out of a run.

use std::time::Duration;

use marchproxy_xds::Protocol;

use crate::Plan;

/// What came out of one run.
pub(crate) struct Report {
    /// From the change until the last stream had it, round by round, sorted.
    pub(crate) all: Vec<Duration>,
    /// From the change until one stream had it, over all rounds, sorted.
    pub(crate) each: Vec<Duration>,
    /// Microseconds of the server's CPU per stream and change.
    pub(crate) cpu: f64,
    pub(crate) client_cpu: f64,
    pub(crate) bytes: f64,
    pub(crate) messages: f64,
    pub(crate) rss_kib: f64,
    pub(crate) sync: Duration,
    pub(crate) sync_cpu: f64,
    /// How it went while others misbehaved, and when all came back at once.
    pub(crate) notes: Vec<String>,
}

impl Report {
    pub(crate) fn print(&self, server: &str, plan: Plan) {
        let mode = match plan.protocol {
            Protocol::Sotw => "sotw",
            Protocol::Delta => "delta",
        };
        println!(
            "{server:>6} {mode:>7} {:>8} {:>8} | {:>8.1} {:>8.1} {:>8.1} | {:>9.1} {:>9.1} | {:>7.0} {:>5.1} | {:>8.1} | {:>7.2} {:>9.0}",
            plan.services,
            plan.streams,
            at(&self.all, 0.5),
            at(&self.all, 0.0),
            at(&self.all, 1.0),
            self.cpu,
            self.client_cpu,
            self.bytes,
            self.messages,
            self.rss_kib,
            self.sync.as_secs_f64(),
            self.sync_cpu,
        );
        for note in &self.notes {
            println!("{:>6} {note}", "");
        }
    }
}

/// The milliseconds that this part of them did not exceed.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a place in a list"
)]
pub(crate) fn at(sorted: &[Duration], part: f64) -> f64 {
    let place = (sorted.len() as f64 * part).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1].as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn figure(number: u64) -> f64 {
    number as f64
}
