//! The three figures that upstream's dashboards read.

use crate::app::App;

/// All of them, in Prometheus' text format 0.0.4.
pub(super) fn text(app: &App) -> String {
    let calls = app.xds_calls();
    [
        (
            "xds_requests_total",
            "counter",
            "Requests of proxies: that opened a stream, or answered a response.",
            calls.requests,
        ),
        ("xds_fetches_total", "counter", "Fetches of proxies.", calls.fetches),
        (
            "xds_cache_version",
            "gauge",
            "The revision of the default node group that proxies are given.",
            app.published_revision(app.default_group()).as_u64(),
        ),
    ]
    .map(|(name, kind, help, value)| {
        format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n")
    })
    .concat()
}
