//! The commands.

mod bootstrap;
mod healthcheck;
mod serve;

use std::io::{self, Write as _};

use clap::{Parser, Subcommand};

use crate::config::ServeConfig;
use crate::graphql;

/// A control plane for Envoy that shows every change land.
#[derive(Debug, Parser)]
#[command(name = "marchproxy", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves GraphQL and xDS until it is told to stop.
    Serve(ServeConfig),
    /// Prints an Envoy bootstrap that works as it stands.
    Bootstrap(bootstrap::BootstrapArgs),
    /// Prints the GraphQL schema.
    Schema,
    /// Asks a running server whether it is healthy; exits with 1 if not.
    Healthcheck(healthcheck::HealthcheckArgs),
}

/// Runs the command of the command line.
pub fn run() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Serve(config) => serve::run(config),
        Command::Bootstrap(args) => print(&args.bootstrap()?),
        Command::Schema => print(&graphql::sdl()),
        Command::Healthcheck(args) => args.run(),
    }
}

/// Writes to standard output what a command was run for.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
