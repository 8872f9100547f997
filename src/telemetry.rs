//! Logs, to standard error by line; and traces, to a collector if one is named.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::{LogConfig, LogFormat};

const SERVICE: &str = "marchproxy";

/// Which spans are exported. What the exporter itself does is not: it would
/// never end.
const TRACED: &str = "off,marchproxy=info,marchproxy_xds=info";

/// What goes on being sent until this is given up.
#[derive(Debug)]
pub struct Telemetry(Option<SdkTracerProvider>);

/// Starts logging what `config` asks for, and exporting spans if it names a
/// collector. Within a runtime: the exporter connects in its background.
pub fn init(config: &LogConfig) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_new(config.level()).context("LOG_LEVEL is not a log filter")?;
    let logs = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let logs = match config.log_format {
        LogFormat::Text => logs.boxed(),
        LogFormat::Json => logs.json().flatten_event(true).boxed(),
    };
    let collector = config.otel_exporter_otlp_endpoint.as_deref().filter(|url| !url.is_empty());
    let provider = collector.map(provider).transpose()?;
    let spans = provider.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(SERVICE));
        layer.with_filter(EnvFilter::new(TRACED))
    });
    tracing_subscriber::registry().with(spans).with(logs.with_filter(filter)).init();
    Ok(Telemetry(provider))
}

fn provider(collector: &str) -> anyhow::Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(collector).build();
    let exporter = exporter.context("OTEL_EXPORTER_OTLP_ENDPOINT")?;
    let resource = Resource::builder().with_service_name(SERVICE).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

impl Telemetry {
    /// Sends what has not been sent yet; waits for it a few seconds at most.
    pub fn flush(self) {
        if let Some(provider) = self.0
            && let Err(e) = provider.shutdown()
        {
            tracing::warn!(error = &e as &dyn std::error::Error, "the last spans are lost");
        }
    }
}
