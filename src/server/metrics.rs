//! What this process has counted, in the text format of Prometheus.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::app::App;
use crate::metrics;

/// Of how many node groups the revision is shown: those that have been there longest.
const MOST_GROUPS: usize = 1000;

/// What is asked for that there is no route for.
const NO_ROUTE: &str = "(none)";

/// What was counted, and how things stand now.
pub(super) fn text(app: &App) -> String {
    metrics::show();
    let mut gathered = prometheus::gather();
    let now = standing(app).inspect_err(|error| {
        tracing::error!(error = error as &dyn std::error::Error, "cannot measure");
    });
    gathered.extend(now.unwrap_or_default());
    TextEncoder::new().encode_to_string(&gathered).unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "cannot write the metrics");
        String::new()
    })
}

/// What is not counted as it happens, but looked at: in a registry of its own, so that
/// a group that is gone leaves nothing behind.
fn standing(app: &App) -> prometheus::Result<Vec<MetricFamily>> {
    let registry = Registry::new();
    let gauge = |name: &str, help: &str, value: i64| {
        let gauge = IntGauge::new(name, help)?;
        gauge.set(value);
        registry.register(Box::new(gauge))
    };
    let standing = app.standing();
    let nodes = "Nodes that are connected, and those of them that refuse something.";
    let nodes_by = IntGaugeVec::new(Opts::new("marchproxy_xds_nodes", nodes), &["state"])?;
    for (state, count) in
        [("connected", standing.nodes_connected), ("refusing", standing.nodes_refusing)]
    {
        nodes_by.with_label_values(&[state]).set(int(count));
    }
    registry.register(Box::new(nodes_by))?;
    let revision = Opts::new(
        "marchproxy_xds_snapshot_revision",
        "The revision of a node group, by its id, that its proxies are given.",
    );
    let revision = IntGaugeVec::new(revision, &["node_group"])?;
    for (group, published) in standing.revisions.iter().take(MOST_GROUPS) {
        revision.with_label_values(&[group.to_string().as_str()]).set(i64::from(*published));
    }
    registry.register(Box::new(revision))?;
    let help = "How many node groups have something to give to their proxies.";
    gauge("marchproxy_node_groups_published", help, int(standing.revisions.len()))?;
    let help = "How the licence stands; 1 for the state that it is in.";
    let licence = IntGaugeVec::new(Opts::new("marchproxy_licence_state", help), &["state"])?;
    for state in ["not_enforced", "no_key", "valid", "grace", "invalid", "unknown"] {
        licence.with_label_values(&[state]).set(i64::from(state == standing.licence));
    }
    registry.register(Box::new(licence))?;
    Ok(registry.gather())
}

/// Counts a request and times it, by the route that it matched.
pub(super) async fn measure(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let status = response.status().as_u16();
    metrics::http_request(method, route, status, begun.elapsed().as_secs_f64());
    response
}

/// A client may make up methods.
fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_method_is_no_label() {
        assert_eq!(method(&Method::PATCH), "PATCH");
        assert_eq!(method(&Method::from_bytes(b"BREW").unwrap()), "other");
    }
}
