//! What Prometheus is told: that it can be read, and that the numbers move.

use std::collections::BTreeMap;

use marchproxy_xds::testing::FakeEnvoy;
use marchproxy_xds::{Protocol, ResourceType};
use serde_json::json;

use crate::support::{Plane, eventually};

/// What was exposed: each series with its value, by name and labels as they stand there.
type Series = BTreeMap<String, f64>;

async fn scrape(plane: &Plane) -> Series {
    let response = plane.http_request("GET", "/metrics").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    parse(&response.text().await.unwrap())
}

/// Reads the text format 0.0.4, and checks what it asks for: a type before the series of a
/// family, each family and each series once.
fn parse(text: &str) -> Series {
    let (mut series, mut families) = (Series::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(families.insert(name, kind).is_none(), "twice: {line}");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (key, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let name = key.split('{').next().unwrap();
        let suffixes = ["_bucket", "_sum", "_count"].into_iter();
        let of_histogram = suffixes.filter_map(|suffix| name.strip_suffix(suffix));
        let in_histogram = |family: &str| families.get(family) == Some(&"histogram");
        let has_type = families.contains_key(name) || of_histogram.into_iter().any(in_histogram);
        assert!(has_type, "no type before {line}");
        if families.get(name) == Some(&"counter") {
            assert!(name.ends_with("_total"), "{name} is a counter");
        }
        assert!(series.insert(key.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
    }
    series
}

/// The sum of a family's series that have all of these labels.
fn sum(series: &Series, name: &str, labels: &[&str]) -> f64 {
    let of = |key: &str| {
        let (family, rest) = key.split_once('{').unwrap_or((key, ""));
        family == name && labels.iter().all(|label| rest.contains(label))
    };
    series.iter().filter(|(key, _)| of(key)).map(|(_, value)| value).sum()
}

#[tokio::test]
async fn the_figures_move_with_what_happens() {
    let plane = Plane::start().await;
    let before = scrape(&plane).await;
    let address = ([127, 0, 0, 1], plane.xds_port()).into();
    let mut envoy = FakeEnvoy::connect(address, Protocol::Delta, "cluster-1", "node").await;
    envoy.subscribe(ResourceType::Listener, &[]).await;
    envoy.next().await;
    let input = json!({ "name": "a", "ipFqdn": "127.0.0.1", "port": 80 });
    plane.change("createService", "CreateServiceInput", input).await;
    plane.ask("{ nothing }", json!({})).await;
    let wrong = json!({ "username": "admin", "password": "wrong" });
    let login = plane.http_request("POST", "/api/v1/auth/login").json(&wrong);
    assert_eq!(login.send().await.unwrap().status(), 401);
    for path in ["/nowhere/1", "/nowhere/2", "/api/v1/services/1"] {
        plane.http_request("GET", path).send().await.unwrap();
    }
    // A change is published a moment after it was made.
    let revision = "marchproxy_xds_snapshot_revision";
    let newest = plane.ask("{ nodeGroups { nodes { revision } } }", json!({})).await.data();
    let newest = newest["nodeGroups"]["nodes"][0]["revision"].as_f64().unwrap();
    let after = eventually("the change is published", async || {
        let series = scrape(&plane).await;
        let is = sum(&series, revision, &["node_group=\"1\""]);
        if is == newest { Ok(series) } else { Err(format!("{is} of {newest}")) }
    })
    .await;

    let grown =
        |name: &str, labels: &[&str]| sum(&after, name, labels) - sum(&before, name, labels);
    let requests = "marchproxy_http_requests_total";
    let login = ["method=\"POST\"", "route=\"/api/v1/auth/login\"", "status=\"401\""];
    assert_eq!(grown(requests, &login), 1.0, "{after:#?}");
    assert_eq!(grown(requests, &["route=\"(none)\"", "status=\"404\""]), 2.0, "{after:#?}");
    assert_eq!(grown(requests, &["route=\"/api/v1/services/{service_id}\""]), 1.0);
    assert!(!after.keys().any(|key| key.contains("nowhere")), "a client makes up labels");
    let seconds = "marchproxy_http_request_duration_seconds_count";
    assert_eq!(grown(seconds, &["route=\"/api/v1/auth/login\""]), 1.0);

    let operations = "marchproxy_graphql_operations_total";
    assert_eq!(grown(operations, &["type=\"mutation\"", "code=\"OK\""]), 1.0);
    assert_eq!(grown(operations, &["type=\"unknown\"", "code=\"INVALID\""]), 1.0);
    assert_eq!(grown("marchproxy_sign_ins_total", &["outcome=\"failed\""]), 1.0);

    assert_eq!(grown("marchproxy_xds_streams_connected", &[]), 1.0);
    assert_eq!(grown("marchproxy_xds_nodes", &["state=\"connected\""]), 1.0);
    let pushes = grown("marchproxy_xds_responses_total", &["event=\"push\""]);
    assert!(pushes >= 1.0, "{after:#?}");
    assert!(grown("marchproxy_xds_publish_duration_seconds_count", &[]) >= 1.0);
    let writes = "marchproxy_database_transaction_duration_seconds_count";
    assert!(grown(writes, &["purpose=\"write\""]) >= 1.0);
    assert!(grown("marchproxy_database_wait_seconds_count", &["purpose=\"read\""]) >= 1.0);
    assert_eq!(sum(&after, "marchproxy_licence_state", &["state=\"not_enforced\""]), 1.0);
    assert_eq!(sum(&after, "marchproxy_licence_state", &[]), 1.0);
}
