//! `marchproxy xds-server`: the server with the flags of MarchProxy's first xDS
//! server, which Go's `flag` package read.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// What it is called, as a command and as a file.
const NAME: &str = "xds-server";

const USAGE: &str = "\
Usage of xds-server:
  -debug
    \tEnable debug logging
  -http-port int
    \tThe same as -metrics
  -metrics int
    \tPort of the internal HTTP API (default 19000)
  -nodeID string
    \tWhat this server calls itself (default \"marchproxy-control-plane\")
  -port int
    \txDS gRPC port (default 18000)

It is `marchproxy serve`: what has no flag here is said by variables of the
environment, see `marchproxy serve --help`.
";

/// What to do about a command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Run this one instead.
    Run(Vec<OsString>),
    /// Show how it is used, and exit well.
    Usage(&'static str),
    /// Say what is wrong and how it is used, and exit with 2, as Go does.
    Wrong(String),
}

/// Reads the command line if it is `xds-server`'s: by the name that the program was
/// called by, or by its first argument.
pub(super) fn asked(arguments: &[OsString]) -> Option<Asked> {
    let (program, rest) = arguments.split_first()?;
    let called = Path::new(program).file_name() == Some(OsStr::new(NAME));
    let flags = match rest.split_first() {
        Some((first, rest)) if first == NAME => rest,
        _ if called => rest,
        _ => return None,
    };
    Some(translated(program, flags).unwrap_or_else(|done| done))
}

fn translated(program: &OsStr, flags: &[OsString]) -> Result<Asked, Asked> {
    let mut serve = vec![program.to_owned(), "serve".into()];
    let mut flags = flags.iter();
    while let Some(argument) = flags.next() {
        let text = argument.to_string_lossy().into_owned();
        let Some(flag) = text.strip_prefix("--").or_else(|| text.strip_prefix('-')) else {
            return Err(wrong(format!("{text} is no flag")));
        };
        if flag.is_empty() {
            return Err(wrong(format!("bad flag syntax: {text}")));
        }
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        let option = match name {
            "h" | "help" => return Err(Asked::Usage(USAGE)),
            "debug" => {
                let said = value.as_deref().unwrap_or("true");
                if truth(said).ok_or_else(|| bad(name, said))? {
                    serve.push("--log-level=debug,h2=info,hyper=info,sqlx=info,tower=info".into());
                }
                continue;
            }
            "port" => "--xds-grpc-port",
            "metrics" | "http-port" => "--xds-http-port",
            "nodeID" => "--xds-node-id",
            _ => return Err(wrong(format!("flag provided but not defined: -{name}"))),
        };
        let next = || flags.next().map(|value| value.to_string_lossy().into_owned());
        let Some(value) = value.or_else(next) else {
            return Err(wrong(format!("flag needs an argument: -{name}")));
        };
        let is_port = value.parse::<u16>().is_ok_and(|port| port > 0);
        if option != "--xds-node-id" && !is_port {
            return Err(bad(name, &value));
        }
        // The last one counts, as in Go.
        serve.retain(|given| !given.to_string_lossy().starts_with(&format!("{option}=")));
        serve.push(format!("{option}={value}").into());
    }
    Ok(Asked::Run(serve))
}

/// What Go's `strconv.ParseBool` takes.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn bad(name: &str, value: &str) -> Asked {
    wrong(format!("invalid value {value:?} for flag -{name}"))
}

fn wrong(why: impl std::fmt::Display) -> Asked {
    Asked::Wrong(format!("{why}\n{USAGE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(arguments: &[&str]) -> Option<Asked> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        asked(&arguments)
    }

    fn run(arguments: &[&str]) -> Option<Asked> {
        Some(Asked::Run(arguments.iter().map(OsString::from).collect()))
    }

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let grpc = "--xds-grpc-port=1";
        let table: &[(&[&str], &[&str])] = &[
            (&["marchproxy", "xds-server"], &["marchproxy", "serve"]),
            (&["/usr/bin/xds-server"], &["/usr/bin/xds-server", "serve"]),
            (&["m", "xds-server", "-port", "1"], &["m", "serve", grpc]),
            (&["m", "xds-server", "--port", "1"], &["m", "serve", grpc]),
            (&["xds-server", "-port=2", "-port=1"], &["xds-server", "serve", grpc]),
            (&["xds-server", "-metrics", "5"], &["xds-server", "serve", "--xds-http-port=5"]),
            (&["xds-server", "-http-port=5"], &["xds-server", "serve", "--xds-http-port=5"]),
            (&["xds-server", "-nodeID", "-x"], &["xds-server", "serve", "--xds-node-id=-x"]),
            (&["xds-server", "-debug=false"], &["xds-server", "serve"]),
            (&["xds-server", "xds-server"], &["xds-server", "serve"]),
        ];
        for (arguments, want) in table {
            assert_eq!(ask(arguments), run(want), "{arguments:?}");
        }
        let debug = ask(&["xds-server", "-debug", "-port", "1"]);
        assert!(format!("{debug:?}").contains("--log-level=debug"), "{debug:?}");
        assert_eq!(ask(&["marchproxy", "serve", "-port", "1"]), None);
        assert_eq!(ask(&["marchproxy"]), None);
    }

    #[test]
    fn wrong_flags_are_told_apart_from_a_call_for_help() {
        for help in ["-help", "--help", "-h"] {
            assert_eq!(ask(&["xds-server", "-debug", help]), Some(Asked::Usage(USAGE)));
        }
        let table: &[(&[&str], &str)] = &[
            (&["-ports", "1"], "flag provided but not defined: -ports"),
            (&["-port"], "flag needs an argument: -port"),
            (&["-port", "x"], "invalid value \"x\" for flag -port"),
            (&["-metrics=0"], "invalid value \"0\" for flag -metrics"),
            (&["-debug=maybe"], "invalid value \"maybe\" for flag -debug"),
            (&["run"], "run is no flag"),
            (&["--"], "bad flag syntax: --"),
        ];
        for (arguments, want) in table {
            let all = [&["xds-server"], *arguments].concat();
            let Some(Asked::Wrong(said)) = ask(&all) else { panic!("{arguments:?} was taken") };
            assert!(said.starts_with(want) && said.contains("Usage of"), "{said}");
        }
    }
}
