//! Floor 0: what is counted and timed, for Prometheus.
//!
//! One registry for the process, the default one of the library. What a label says
//! comes from a short list that is known beforehand: never from what a client sent.
//! What can be counted when it is asked for (nodes, revisions, the licence) is not
//! here, but in `server/metrics.rs`.

use std::sync::LazyLock;

use prometheus::{
    Histogram, HistogramOpts, HistogramTimer, HistogramVec, IntCounterVec, IntGauge, Opts,
    exponential_buckets, register,
};

/// Requests over HTTP: `method`, `route`, `status`.
static HTTP_REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("marchproxy_http_requests_total", "Answered requests.", &["method", "route", "status"])
});

/// How long they took: `method`, `route`.
static HTTP_SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    let help = "From a request to the head of its answer.";
    histograms("marchproxy_http_request_duration_seconds", help, &["method", "route"])
});

/// Operations of GraphQL: `type`, `code`.
static GRAPHQL_OPERATIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help =
        "Executed or refused operations, and results of subscriptions, by their first error.";
    counters("marchproxy_graphql_operations_total", help, &["type", "code"])
});

static SUBSCRIPTIONS: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge("marchproxy_graphql_subscriptions_open", "Subscriptions that are open.")
});

static XDS_STREAMS: LazyLock<IntGauge> =
    LazyLock::new(|| gauge("marchproxy_xds_streams_connected", "Streams of nodes."));

/// What is sent to nodes, and what they say: `type`, `event`.
static XDS_EVENTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Responses to nodes that were sent (push), accepted (ack), refused (nack).";
    counters("marchproxy_xds_responses_total", help, &["type", "event"])
});

static PUBLISH_SECONDS: LazyLock<Histogram> = LazyLock::new(|| {
    let help = "Loading, compiling and publishing the snapshot of one node group.";
    let histogram = Histogram::with_opts(opts("marchproxy_xds_publish_duration_seconds", help));
    registered(histogram.expect("the name is good"))
});

/// How long a transaction waits for a connection: `purpose`.
static DATABASE_WAIT: LazyLock<HistogramVec> = LazyLock::new(|| {
    let help = "Until a transaction has begun: a connection was free, and on SQLite the writer.";
    histograms("marchproxy_database_wait_seconds", help, &["purpose"])
});

/// How long a transaction lasts: `purpose`.
static DATABASE_SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    let help = "From the beginning of a transaction to its end.";
    histograms("marchproxy_database_transaction_duration_seconds", help, &["purpose"])
});

/// Attempts to sign in: `outcome`.
static SIGN_INS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Attempts to sign in, by what came of them.";
    counters("marchproxy_sign_ins_total", help, &["outcome"])
});

/// What came of an attempt to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInOutcome {
    /// They are in.
    Ok,
    /// It takes a code as well.
    NeedsCode,
    /// It was refused.
    Failed,
    /// There were too many before.
    Limited,
}

/// What happened to a response on an xDS stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdsEvent {
    /// It was sent.
    Push,
    /// It was accepted.
    Ack,
    /// It was refused.
    Nack,
}

/// Counted for as long as it is there.
#[derive(Debug)]
pub struct Open(&'static IntGauge);

/// Counts a request over HTTP; `route` is the pattern that its path matched.
pub fn http_request(method: &str, route: &str, status: u16, seconds: f64) {
    HTTP_REQUESTS.with_label_values(&[method, route, status.to_string().as_str()]).inc();
    HTTP_SECONDS.with_label_values(&[method, route]).observe(seconds);
}

/// Counts an operation of GraphQL, by the code of its first error.
pub fn graphql_operation(kind: &str, code: Option<&str>) {
    GRAPHQL_OPERATIONS.with_label_values(&[kind, code.unwrap_or("OK")]).inc();
}

/// Counts a subscription.
pub fn subscription() -> Open {
    Open::of(&SUBSCRIPTIONS)
}

/// Counts a node's stream.
pub fn xds_stream() -> Open {
    Open::of(&XDS_STREAMS)
}

/// Counts a response of this type.
pub fn xds_event(resource_type: &str, event: XdsEvent) {
    let event = match event {
        XdsEvent::Push => "push",
        XdsEvent::Ack => "ack",
        XdsEvent::Nack => "nack",
    };
    XDS_EVENTS.with_label_values(&[resource_type, event]).inc();
}

/// Times the publishing of a snapshot, until it is dropped.
pub fn publishing() -> HistogramTimer {
    PUBLISH_SECONDS.start_timer()
}

/// Times the wait for a transaction, until it is dropped.
pub fn waiting_for_database(purpose: &str) -> HistogramTimer {
    DATABASE_WAIT.with_label_values(&[purpose]).start_timer()
}

/// Times a transaction, until it is dropped.
pub fn in_transaction(purpose: &str) -> HistogramTimer {
    DATABASE_SECONDS.with_label_values(&[purpose]).start_timer()
}

/// Counts an attempt to sign in.
pub fn sign_in(outcome: SignInOutcome) {
    let outcome = match outcome {
        SignInOutcome::Ok => "ok",
        SignInOutcome::NeedsCode => "needs_code",
        SignInOutcome::Failed => "failed",
        SignInOutcome::Limited => "limited",
    };
    SIGN_INS.with_label_values(&[outcome]).inc();
}

/// Makes sure that what has not happened yet is shown as 0.
pub fn show() {
    LazyLock::force(&SUBSCRIPTIONS);
    LazyLock::force(&XDS_STREAMS);
    LazyLock::force(&PUBLISH_SECONDS);
    for outcome in ["ok", "needs_code", "failed", "limited"] {
        SIGN_INS.with_label_values(&[outcome]);
    }
}

impl Open {
    fn of(gauge: &'static IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(IntCounterVec::new(Opts::new(name, help), labels).expect("the names are good"))
}

fn histograms(name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    registered(HistogramVec::new(opts(name, help), labels).expect("the names are good"))
}

fn gauge(name: &str, help: &str) -> IntGauge {
    registered(IntGauge::new(name, help).expect("the name is good"))
}

/// From half a millisecond to 16 seconds.
fn opts(name: &str, help: &str) -> HistogramOpts {
    let buckets = exponential_buckets(0.0005, 2.0, 16).expect("they grow");
    HistogramOpts::new(name, help).buckets(buckets)
}

fn registered<C: prometheus::core::Collector + Clone + 'static>(collector: C) -> C {
    register(Box::new(collector.clone())).expect("each name is registered once");
    collector
}
