//! Requests through an Envoy, one or many.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{LIMIT, eventually};

/// How long requests go on that nobody stops.
const LONGEST: Duration = Duration::from_secs(120);

/// Continuous requests, one after the other, until stopped.
pub(crate) struct Traffic {
    stop: CancellationToken,
    running: JoinSet<Report>,
    done: Arc<AtomicUsize>,
    began: tokio::time::Instant,
}

/// What came of continuous requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// How many were answered 200, by what they were answered with.
    pub(crate) answered: BTreeMap<String, usize>,
    /// What went wrong with the others.
    pub(crate) failed: Vec<String>,
}

impl Traffic {
    /// One request by `Host`; its body if it was answered 200.
    pub(crate) async fn get(port: u16, host: &str, path: &str) -> Result<String, String> {
        get(&reqwest::Client::new(), port, host, path).await
    }

    /// One request by `Host`; its status.
    pub(crate) async fn status(port: u16, host: &str) -> Result<u16, String> {
        let request = reqwest::Client::new().get(format!("http://127.0.0.1:{port}/"));
        let answer = request.header("host", host).send().await.map_err(|e| e.to_string())?;
        Ok(answer.status().as_u16())
    }

    /// Waits until a request by `Host` is answered with `body`.
    pub(crate) async fn until(port: u16, host: &str, body: &str) {
        eventually(&format!("{host} is answered by {body}"), async || {
            match Self::get(port, host, "/").await {
                Ok(got) if got == body => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Starts requests that go on until stopped, or for two minutes.
    pub(crate) fn start(port: u16, host: &'static str) -> Self {
        Self::start_many(port, host, 1)
    }

    /// As [`Traffic::start`], by so many clients at once, on one connection each.
    pub(crate) fn start_many(port: u16, host: &'static str, clients: usize) -> Self {
        let stop = CancellationToken::new();
        let done = Arc::new(AtomicUsize::new(0));
        let mut running = JoinSet::new();
        for _ in 0..clients {
            let (stopped, done) = (stop.clone(), Arc::clone(&done));
            running.spawn(async move {
                let client = reqwest::Client::new();
                let mut report = Report::default();
                let end = tokio::time::Instant::now() + LONGEST;
                while !stopped.is_cancelled() && tokio::time::Instant::now() < end {
                    match get(&client, port, host, "/").await {
                        Ok(body) => *report.answered.entry(body).or_default() += 1,
                        Err(e) => report.failed.push(e),
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                report
            });
        }
        Self { stop, running, done, began: tokio::time::Instant::now() }
    }

    /// Whether so many requests have come to an end. Panics if that takes longer
    /// than requests go on.
    pub(crate) fn has_done(&self, wanted: usize) -> bool {
        let done = self.done.load(Ordering::Relaxed);
        assert!(done >= wanted || self.began.elapsed() < LONGEST, "only {done} requests");
        done >= wanted
    }

    /// Stops the requests.
    pub(crate) async fn stop(mut self) -> Report {
        self.stop.cancel();
        let mut sum = Report::default();
        while let Some(report) = self.running.join_next().await {
            let Report { answered, failed } = report.unwrap();
            answered.into_iter().for_each(|(body, n)| *sum.answered.entry(body).or_default() += n);
            sum.failed.extend(failed);
        }
        sum
    }
}

async fn get(
    client: &reqwest::Client,
    port: u16,
    host: &str,
    path: &str,
) -> Result<String, String> {
    let request = client.get(format!("http://127.0.0.1:{port}{path}")).timeout(LIMIT);
    let answer = request.header("host", host).send().await.map_err(|e| format!("{e:?}"))?;
    match answer.status().as_u16() {
        200 => answer.text().await.map_err(|e| e.to_string()),
        status => Err(format!("status {status}: {}", answer.text().await.unwrap_or_default())),
    }
}
