//! What the process is told: by flags, or by variables of the environment.
//!
//! Every value is parsed here, once; a bad one is refused by its name before a
//! socket is bound or the database is opened.

mod certificates;
mod graphql;
mod http;
mod internal;
mod licence;
mod log;
mod sign_in;
mod storage;
mod xds;

use std::num::NonZeroUsize;

use anyhow::Context as _;
use clap::Args;

use crate::model::Port;

pub use certificates::CertificateConfig;
pub use graphql::{DocumentsMode, GraphqlConfig};
pub use http::HttpConfig;
pub use internal::InternalConfig;
pub use licence::LicenceConfig;
pub use log::{LogConfig, LogFormat};
pub use sign_in::SignInConfig;
pub use storage::StorageConfig;
pub use xds::XdsConfig;

/// What `marchproxy serve` is told.
#[derive(Clone, Debug, Args)]
#[expect(missing_docs, reason = "each says so itself")]
pub struct ServeConfig {
    #[command(flatten)]
    pub http: HttpConfig,

    #[command(flatten)]
    pub graphql: GraphqlConfig,

    #[command(flatten)]
    pub xds: XdsConfig,

    #[command(flatten)]
    pub internal: InternalConfig,

    #[command(flatten)]
    pub storage: StorageConfig,

    #[command(flatten)]
    pub sign_in: SignInConfig,

    #[command(flatten)]
    pub licence: LicenceConfig,

    #[command(flatten)]
    pub certificates: CertificateConfig,

    #[command(flatten)]
    pub log: LogConfig,

    /// How many threads serve.
    #[arg(long, env = "WORKERS", default_value = "4")]
    pub workers: NonZeroUsize,
}

/// Parses a port that may not be 0.
pub fn port(port: &str) -> anyhow::Result<Port> {
    Ok(Port::try_from(port.parse::<i32>().context("must be a whole number")?)?)
}
