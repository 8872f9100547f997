//! `marchproxy config`: what `serve` would be told, and by what.

use std::fmt::Write as _;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

/// The settings whose values are URLs that may hold a password.
const URLS: [&str; 2] = ["DATABASE_URL", "REDIS_URL"];

/// Says what each setting of `serve` is, and whether a flag, a variable of the
/// environment or nobody said so. Secrets are not shown.
pub(super) fn shown(serve: &Command, matches: &ArgMatches) -> String {
    let mut text = String::new();
    for argument in serve.get_arguments() {
        let Some(variable) = argument.get_env().and_then(|name| name.to_str()) else { continue };
        let source = match matches.value_source(argument.get_id().as_str()) {
            Some(ValueSource::CommandLine) => "flag",
            Some(ValueSource::EnvVariable) => "environment",
            Some(_) | None => "default",
        };
        let values = matches.get_raw(argument.get_id().as_str());
        let value = values.and_then(|mut values| values.next()).map(|v| v.to_string_lossy());
        let value = match value {
            None => String::new(),
            Some(url) if URLS.contains(&variable) => without_password(&url),
            Some(_) if argument.is_hide_env_values_set() => "(not shown)".to_owned(),
            Some(value) => value.into_owned(),
        };
        writeln!(text, "{:<48} # {source}", format!("{variable}={value}")).ok();
    }
    text
}

/// A URL with stars in the place of its password.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let hidden = rest[..authority].rfind('@').and_then(|at| {
        let colon = rest[..at].find(':')?;
        Some(format!("{scheme}://{}:***{}", &rest[..colon], &rest[at..]))
    });
    hidden.unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;
    use crate::config::ServeConfig;

    #[test]
    fn every_setting_is_shown_and_no_secret() {
        let command = ServeConfig::augment_args(Command::new("serve").no_binary_name(true));
        let arguments = ["--port=9000", "--secret-key=hush-hush", "--admin-password=hush-hush"];
        let matches = command.clone().get_matches_from(arguments);
        ServeConfig::from_arg_matches(&matches).unwrap();
        let shown = shown(&command, &matches);
        assert!(shown.contains("PORT=9000") && shown.contains("# flag"), "{shown}");
        assert!(shown.contains("WORKERS=4"), "{shown}");
        assert!(shown.contains("SECRET_KEY=(not shown)"), "{shown}");
        assert!(!shown.contains("hush"), "{shown}");
    }

    #[test]
    fn every_setting_has_a_variable_of_its_flags_name() {
        let command = ServeConfig::augment_args(Command::new("serve"));
        for argument in command.get_arguments() {
            let flag = argument.get_long().unwrap().to_uppercase().replace('-', "_");
            assert_eq!(argument.get_env().unwrap().to_str().unwrap(), flag);
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        for (url, want) in [
            ("postgresql://u:p@db:5432/m", "postgresql://u:***@db:5432/m"),
            ("postgresql+asyncpg://u:p:@q@db/m?a=b@c", "postgresql+asyncpg://u:***@db/m?a=b@c"),
            ("redis://:p@redis:6379/0", "redis://:***@redis:6379/0"),
            ("redis://redis:6379/0", "redis://redis:6379/0"),
            ("sqlite://data/a.db", "sqlite://data/a.db"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(without_password(url), want);
        }
    }
}
