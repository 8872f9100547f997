//! The commands.

mod bootstrap;
mod config;
mod healthcheck;
mod import;
mod serve;
mod xds_server;

use std::io::{self, Write as _};
use std::num::{IntErrorKind, ParseIntError};

use clap::error::{ContextKind, ContextValue};
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::xds_server::Asked;
use crate::config::ServeConfig;
use crate::{graphql, rest};

/// A control plane for Envoy that shows every change land.
#[derive(Debug, Parser)]
#[command(
    name = "marchproxy",
    version,
    after_help = "`marchproxy xds-server -help` tells what `serve` takes in the place of the first \
                  MarchProxy's xDS server."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves GraphQL and xDS until it is told to stop.
    Serve(ServeConfig),
    /// Prints what `serve` would be told, and by what; takes the same flags.
    Config(ServeConfig),
    /// Prints an Envoy bootstrap that works as it stands.
    Bootstrap(bootstrap::BootstrapArgs),
    /// Prints the GraphQL schema, or the OpenAPI document.
    Schema(SchemaArgs),
    /// Asks a running server whether it is healthy; exits with 1 if not.
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Takes over a first MarchProxy's database; shows what it would do, unless told to do it.
    Import(import::ImportArgs),
}

/// Which contract to print.
#[derive(Debug, clap::Args)]
struct SchemaArgs {
    /// That of REST: the OpenAPI document.
    #[arg(long)]
    rest: bool,
}

/// Runs the command of the command line.
pub fn run() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().collect();
    let arguments = match xds_server::asked(&arguments) {
        None => arguments,
        Some(Asked::Run(arguments)) => arguments,
        Some(Asked::Usage(usage)) => return print(usage),
        Some(Asked::Wrong(why)) => {
            io::stderr().lock().write_all(why.as_bytes()).ok();
            std::process::exit(2);
        }
    };
    let matches = Cli::command().try_get_matches_from(arguments);
    let matches = matches.unwrap_or_else(|error| named(error).exit());
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match cli.command {
        Command::Serve(config) => serve::run(config),
        Command::Config(_) => print(&shown(&matches)),
        Command::Bootstrap(args) => print(&args.bootstrap()?),
        Command::Schema(SchemaArgs { rest: true }) => print(&rest::openapi_text()?),
        Command::Schema(SchemaArgs { rest: false }) => print(&graphql::sdl()),
        Command::Healthcheck(args) => args.run(),
        Command::Import(args) => args.run(),
    }
}

fn shown(matches: &ArgMatches) -> String {
    let mut command = Cli::command();
    command.build();
    match (command.find_subcommand("config"), matches.subcommand_matches("config")) {
        (Some(command), Some(matches)) => config::shown(command, matches),
        _ => String::new(),
    }
}

/// Says the variable's name too where a setting's value is refused: it is what
/// most people set. The value of one that may hold a password is left out.
fn named(error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let flag = argument.split([' ', '=', '[']).next().unwrap_or_default();
    let mut command = Cli::command();
    let serve = command.find_subcommand_mut("serve").expect("there is one");
    let found = serve.get_arguments().find(|a| a.get_long() == flag.strip_prefix("--"));
    let variable = found.and_then(|a| a.get_env()?.to_str());
    let reason = match (std::error::Error::source(&error), error.get(ContextKind::ValidValue)) {
        (Some(reason), _) => worded(reason),
        // That is how an empty value of a text is refused.
        (None, Some(ContextValue::Strings(values))) if values.is_empty() => {
            "must not be empty".to_owned()
        }
        (None, Some(ContextValue::Strings(values))) => format!("must be {}", values.join(" or ")),
        (None, _) => return error,
    };
    let Some(variable) = variable else { return error };
    clap::Error::raw(error.kind(), format!("{variable} ({flag}): {reason}\n"))
}

/// A reason, in words of those who set things. Rust's numbers have others.
fn worded(reason: &(dyn std::error::Error + 'static)) -> String {
    match reason.downcast_ref::<ParseIntError>().map(ParseIntError::kind) {
        None => reason.to_string(),
        Some(IntErrorKind::Zero) => "must not be 0".to_owned(),
        Some(IntErrorKind::PosOverflow) => "is too large".to_owned(),
        Some(IntErrorKind::Empty | IntErrorKind::InvalidDigit | IntErrorKind::NegOverflow | _) => {
            "must be a whole number".to_owned()
        }
    }
}

/// Writes to standard output what a command was run for.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
