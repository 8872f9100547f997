//! What GraphQL answers, and how much.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::graphql::Introspection;
use crate::server::{Documents, GraphqlSettings};

/// How GraphQL is served.
#[derive(Clone, Debug, Args)]
pub struct GraphqlConfig {
    /// Which documents are executed: any, or only those of `GRAPHQL_TRUSTED_DOCUMENTS`.
    #[arg(long, env = "GRAPHQL_DOCUMENTS", value_enum, default_value_t)]
    pub graphql_documents: DocumentsMode,

    /// A JSON file of documents that clients may ask for by `documentId`: an object
    /// from ids to texts.
    #[arg(long, env = "GRAPHQL_TRUSTED_DOCUMENTS", value_name = "FILE")]
    pub graphql_trusted_documents: Option<PathBuf>,

    /// Who may ask for the schema.
    #[arg(long, env = "GRAPHQL_INTROSPECTION", value_enum, default_value_t)]
    pub graphql_introspection: Introspection,

    /// How many seconds a query may take.
    #[arg(long, env = "GRAPHQL_QUERY_TIMEOUT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub graphql_query_timeout: u32,

    /// How many operations may be open on one WebSocket.
    #[arg(long, env = "GRAPHQL_OPERATIONS_PER_SOCKET", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub graphql_operations_per_socket: u32,

    /// How many WebSockets one user may have open, on this instance.
    #[arg(long, env = "GRAPHQL_SOCKETS_PER_USER", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    pub graphql_sockets_per_user: u32,
}

/// Which documents are executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DocumentsMode {
    /// Any.
    #[default]
    Any,
    /// Those that are known beforehand.
    Trusted,
}

impl GraphqlConfig {
    /// How it is served. The error names the setting that is wrong.
    pub fn settings(&self) -> anyhow::Result<GraphqlSettings> {
        let only = self.graphql_documents == DocumentsMode::Trusted;
        let documents = match &self.graphql_trusted_documents {
            Some(file) => {
                let read = fs::read_to_string(file)
                    .with_context(|| format!("GRAPHQL_TRUSTED_DOCUMENTS: {}", file.display()))?;
                Documents::known(&read, only).with_context(|| {
                    format!(
                        "GRAPHQL_TRUSTED_DOCUMENTS: {} must be a JSON object from ids to texts",
                        file.display()
                    )
                })?
            }
            None => {
                anyhow::ensure!(!only, "GRAPHQL_DOCUMENTS=trusted needs GRAPHQL_TRUSTED_DOCUMENTS");
                Documents::any()
            }
        };
        let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(GraphqlSettings {
            documents,
            introspection: self.graphql_introspection,
            query_timeout: Duration::from_secs(self.graphql_query_timeout.into()),
            operations_per_socket: number(self.graphql_operations_per_socket),
            sockets_per_user: number(self.graphql_sockets_per_user),
        })
    }
}
