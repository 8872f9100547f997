//! Which database: `DATABASE_URL`, parsed.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sea_orm::sqlx::postgres::PgConnectOptions;
use url::Url;

/// How URLs of PostgreSQL begin; the last two are those of Python's `SQLAlchemy`.
const POSTGRES: [&str; 4] =
    ["postgresql://", "postgres://", "postgresql+asyncpg://", "postgresql+psycopg2://"];

/// The parameters that are honoured. Any other is refused: it may be there to
/// protect something.
const PARAMETERS: [&str; 11] = [
    "application_name",
    "dbname",
    "host",
    "options",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Where the database is. Neither `Debug` nor `Display` shows a password.
#[derive(Clone, Debug)]
pub enum DatabaseUrl {
    /// A file of SQLite's, made if it is not there.
    Sqlite(PathBuf),
    /// A database on a server.
    Postgres(PostgresUrl),
}

/// A database of PostgreSQL's, and how to sign in there.
#[derive(Clone)]
pub struct PostgresUrl(Box<PgConnectOptions>);

/// A database URL that cannot be used. What it says holds no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// No scheme that is known.
    #[error("must start with postgresql:// or sqlite://")]
    Scheme,
    /// No path after the scheme.
    #[error("must name a file: sqlite:///path/to/file.db")]
    NoFile,
    /// It breaks the rules of URLs.
    #[error("is no URL: {0} (what a name or a password holds of :/?#[]@% must be %-encoded)")]
    NoUrl(url::ParseError),
    /// A parameter that is not honoured.
    #[error("has the parameter {0}, which is not known")]
    Parameter(String),
    /// A parameter has no good value.
    #[error("has no good value of sslmode, port or statement-cache-capacity")]
    Value,
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(url: &str) -> Result<Self, DatabaseUrlError> {
        if let Some(rest) = POSTGRES.iter().find_map(|scheme| url.strip_prefix(scheme)) {
            return postgres(rest).map(Self::Postgres);
        }
        // SQLAlchemy's has one slash more than the path.
        let path = match url.strip_prefix("sqlite+aiosqlite://") {
            Some(path) => path.strip_prefix('/').ok_or(DatabaseUrlError::NoFile)?,
            None => url.strip_prefix("sqlite://").ok_or(DatabaseUrlError::Scheme)?,
        };
        if path.is_empty() || path.contains(":memory:") {
            return Err(DatabaseUrlError::NoFile);
        }
        Ok(Self::Sqlite(path.into()))
    }
}

/// Parses what stands after the scheme.
fn postgres(rest: &str) -> Result<PostgresUrl, DatabaseUrlError> {
    let mut url: Url = format!("postgresql://{rest}").parse().map_err(DatabaseUrlError::NoUrl)?;
    let parameters = url.query_pairs().map(|(name, value)| parameter(&name, &value));
    let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
    if !parameters.is_empty() {
        url.query_pairs_mut().clear().extend_pairs(parameters);
    }
    // The error is not told: it may hold what was given.
    let options = url.as_str().parse().map_err(|_| DatabaseUrlError::Value)?;
    Ok(PostgresUrl(Box::new(options)))
}

/// A parameter as it is honoured; asyncpg has other names for two.
fn parameter(name: &str, value: &str) -> Result<(String, String), DatabaseUrlError> {
    let (name, value) = match (name, value) {
        ("ssl", "true") => ("sslmode", "require"),
        ("ssl", value) => ("sslmode", value),
        ("prepared_statement_cache_size", value) => ("statement-cache-capacity", value),
        both => both,
    };
    if PARAMETERS.contains(&name) {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err(DatabaseUrlError::Parameter(name.to_owned()))
    }
}

impl PostgresUrl {
    /// How a connection is made.
    pub(super) fn options(&self) -> PgConnectOptions {
        (*self.0).clone()
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.0;
        let (user, port) = (options.get_username(), options.get_port());
        let database = options.get_database().unwrap_or(user);
        match options.get_socket() {
            Some(socket) => {
                write!(f, "postgresql:///{database}?host={}&user={user}", socket.display())
            }
            None => write!(f, "postgresql://{user}@{}:{port}/{database}", options.get_host()),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::sqlx::postgres::PgSslMode;

    use super::*;

    fn shown(url: &str) -> Result<String, DatabaseUrlError> {
        url.parse::<DatabaseUrl>().map(|url| url.to_string())
    }

    #[test]
    fn a_database_url_names_a_file_or_a_server() {
        use DatabaseUrlError::{NoFile, NoUrl, Parameter, Scheme, Value};
        let ok = |text: &str| Ok(text.to_owned());
        let table = [
            ("sqlite://a.db", ok("sqlite://a.db")),
            ("sqlite:///var/a.db", ok("sqlite:///var/a.db")),
            ("sqlite+aiosqlite:///a.db", ok("sqlite://a.db")),
            ("sqlite+aiosqlite:////var/a.db", ok("sqlite:///var/a.db")),
            ("sqlite://", Err(NoFile)),
            ("sqlite://:memory:", Err(NoFile)),
            ("sqlite+aiosqlite://", Err(NoFile)),
            ("postgresql://u:p@h/d", ok("postgresql://u@h:5432/d")),
            ("postgres://u:p@h:6543/d", ok("postgresql://u@h:6543/d")),
            ("postgresql+asyncpg://u:p@h/d", ok("postgresql://u@h:5432/d")),
            ("postgresql+psycopg2://u:p@h/d", ok("postgresql://u@h:5432/d")),
            ("postgresql://u@h", ok("postgresql://u@h:5432/u")),
            ("postgresql://u@h/d?sslmode=require", ok("postgresql://u@h:5432/d")),
            ("postgresql:///d?user=u&host=/run/pg", ok("postgresql:///d?host=/run/pg&user=u")),
            ("postgresql://u@h/d?sslmode=perhaps", Err(Value)),
            ("postgresql://u@h/d?sslpassword=p", Err(Parameter("sslpassword".to_owned()))),
            ("postgresql://u@h:70000/d", Err(NoUrl(url::ParseError::InvalidPort))),
            ("mysql://a", Err(Scheme)),
            ("", Err(Scheme)),
        ];
        for (input, want) in table {
            assert_eq!(shown(input), want, "input {input:?}");
        }
    }

    #[test]
    fn asyncpg_says_ssl_where_libpq_says_sslmode() {
        let table = [
            ("", PgSslMode::Prefer),
            ("?sslmode=disable", PgSslMode::Disable),
            ("?sslmode=verify-full", PgSslMode::VerifyFull),
            ("?ssl=require&prepared_statement_cache_size=0", PgSslMode::Require),
            ("?ssl=true", PgSslMode::Require),
        ];
        for (parameters, want) in table {
            let url = format!("postgresql+asyncpg://u:p@h/d{parameters}").parse().unwrap();
            let DatabaseUrl::Postgres(url) = url else { panic!("{url:?}") };
            let mode = url.options().get_ssl_mode();
            assert_eq!(format!("{mode:?}"), format!("{want:?}"), "{parameters}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        let urls = [
            "postgresql://u:hunter2@h/d",
            "postgresql://u@h/d?password=hunter2",
            "postgresql://u:hunter2@h:70000/d",
            "postgresql://u:hunter2@h/d?sslmode=hunter2",
            "postgresql://u:hunter2@h/d?port=hunter2",
            "postgresql://u:hunter2@[h/d",
        ];
        for url in urls {
            let parsed = url.parse::<DatabaseUrl>();
            let said = match &parsed {
                Ok(url) => format!("{url} {url:?}"),
                Err(e) => format!("{e} {e:?}"),
            };
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
