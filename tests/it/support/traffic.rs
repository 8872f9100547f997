//! Requests through an Envoy, one or many.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{LIMIT, eventually};

/// Continuous requests, one after the other, until stopped.
pub(crate) struct Traffic {
    stop: CancellationToken,
    running: JoinSet<Report>,
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

    /// Starts requests that go on until stopped, or for a minute.
    pub(crate) fn start(port: u16, host: &'static str) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let client = reqwest::Client::new();
            let mut report = Report::default();
            let end = tokio::time::Instant::now() + Duration::from_secs(60);
            while !stopped.is_cancelled() && tokio::time::Instant::now() < end {
                match get(&client, port, host, "/").await {
                    Ok(body) => *report.answered.entry(body).or_default() += 1,
                    Err(e) => report.failed.push(e),
                }
            }
            report
        });
        Self { stop, running }
    }

    /// Stops the requests.
    pub(crate) async fn stop(mut self) -> Report {
        self.stop.cancel();
        self.running.join_next().await.unwrap().unwrap()
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
