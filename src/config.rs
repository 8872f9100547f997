//! What the process is told: by flags, or by variables of the environment.
//!
//! Every value is parsed here, once; a bad one is refused by its name before a
//! socket is bound or the database is opened.

use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::{ArgAction, Args, ValueEnum};
use marchproxy_xds::Settings;
use rand::Rng as _;
use rand::distr::Alphanumeric;
use secrecy::{ExposeSecret as _, SecretString};

use crate::app::FirstAdmin;
use crate::auth::{NodeAccess, NodeAuth};
use crate::model::{Port, Username};
use crate::server::TlsFiles;
use crate::store::DatabaseUrl;

const SHORTEST_PASSWORD: usize = 8;

/// What `marchproxy serve` is told.
#[derive(Clone, Debug, Args)]
pub struct ServeConfig {
    /// The IP address that HTTP is served on.
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub host: IpAddr,

    /// The port that HTTP is served on.
    #[arg(long, env = "PORT", default_value_t = 8000, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// The IP address that xDS is served on.
    #[arg(long, env = "XDS_HOST", default_value = "127.0.0.1")]
    pub xds_host: IpAddr,

    /// The port that xDS is served on.
    #[arg(long, env = "XDS_GRPC_PORT", default_value_t = 18000, value_parser = clap::value_parser!(u16).range(1..))]
    pub xds_grpc_port: u16,

    /// What proxies have to prove themselves with.
    #[arg(long, env = "XDS_AUTH", value_enum, default_value_t)]
    pub xds_auth: NodeAuth,

    /// The certificate that xDS is served with: PEM, the server's own first. It is
    /// read again when it changes. Without one xDS is plain text.
    #[arg(long, env = "XDS_TLS_CERT", value_name = "FILE")]
    pub xds_tls_cert: Option<PathBuf>,

    /// Its private key: PEM.
    #[arg(long, env = "XDS_TLS_KEY", value_name = "FILE")]
    pub xds_tls_key: Option<PathBuf>,

    /// The authorities that the certificates of proxies are from: PEM. For
    /// `XDS_AUTH=mtls`.
    #[arg(long, env = "XDS_TLS_CLIENT_CA", value_name = "FILE")]
    pub xds_tls_client_ca: Option<PathBuf>,

    /// Whether secrets (SDS) may go over plain text to other machines.
    #[arg(
        long,
        env = "XDS_ALLOW_PLAINTEXT_SECRETS",
        action = ArgAction::Set,
        default_value_t = false,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true
    )]
    pub xds_allow_plaintext_secrets: bool,

    /// How many xDS streams may be open in all.
    #[arg(long, env = "XDS_MAX_STREAMS", default_value = "50000")]
    pub xds_max_streams: NonZeroU32,

    /// How many of them one IP address may have open.
    #[arg(long, env = "XDS_MAX_STREAMS_PER_PEER", default_value = "10000")]
    pub xds_max_streams_per_peer: NonZeroU32,

    /// Where the embedded database and the made-up secret key are kept.
    #[arg(long, env = "DATA_DIR", default_value = "data")]
    pub data_dir: PathBuf,

    /// The database; a file in the data directory if not said.
    #[arg(long, env = "DATABASE_URL")]
    pub database_url: Option<DatabaseUrl>,

    /// What tokens are signed with; made up and kept if not said.
    #[arg(long, env = "SECRET_KEY", hide_env_values = true)]
    pub secret_key: Option<SecretString>,

    /// The first administrator's name, at the first start.
    #[arg(long, env = "ADMIN_USERNAME", default_value = "admin", value_parser = username)]
    pub admin_username: Username,

    /// Their password, at the first start; made up and shown once if not said.
    #[arg(long, env = "ADMIN_PASSWORD", hide_env_values = true)]
    pub admin_password: Option<SecretString>,

    /// What is logged, for instance `info` or `marchproxy=debug`.
    #[arg(long, env = "LOG_LEVEL", default_value = "info,sea_orm_migration=warn")]
    pub log_level: String,

    /// How it is logged.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

impl ServeConfig {
    /// Where HTTP is served.
    pub fn http_address(&self) -> SocketAddr {
        (self.host, self.port).into()
    }

    /// Where xDS is served.
    pub fn xds_address(&self) -> SocketAddr {
        (self.xds_host, self.xds_grpc_port).into()
    }

    /// What proxies have to prove, and what they are given.
    ///
    /// The error names the setting that is missing.
    pub fn node_access(&self) -> anyhow::Result<NodeAccess> {
        let ready = self.xds_tls_cert.is_some() && self.xds_tls_client_ca.is_some();
        ensure!(
            self.xds_auth != NodeAuth::Mtls || ready,
            "XDS_AUTH=mtls needs XDS_TLS_CERT, XDS_TLS_KEY and XDS_TLS_CLIENT_CA"
        );
        Ok(NodeAccess::new(self.xds_auth, self.xds_allow_plaintext_secrets))
    }

    /// The files that xDS is secured with; none if it is plain text.
    ///
    /// The error names the setting that is missing, or of no use.
    pub fn xds_tls(&self) -> anyhow::Result<Option<TlsFiles>> {
        let client_authorities = self.xds_tls_client_ca.clone();
        ensure!(
            client_authorities.is_none() || self.xds_auth == NodeAuth::Mtls,
            "XDS_TLS_CLIENT_CA is of no use without XDS_AUTH=mtls"
        );
        match (self.xds_tls_cert.clone(), self.xds_tls_key.clone()) {
            (Some(certificate), Some(key)) => {
                Ok(Some(TlsFiles { certificate, key, client_authorities }))
            }
            (Some(_), None) => bail!("XDS_TLS_CERT needs XDS_TLS_KEY, its private key"),
            (None, Some(_)) => bail!("XDS_TLS_KEY needs XDS_TLS_CERT, its certificate"),
            (None, None) => Ok(None),
        }
    }

    /// What whoever starts it should think about again.
    pub fn warnings(&self) -> Vec<&'static str> {
        let plain = self.xds_tls_cert.is_none();
        let mut warnings = vec![];
        if self.xds_host.is_loopback() {
            return warnings;
        }
        match self.xds_auth {
            NodeAuth::None if plain => warnings.push(
                "xDS is served off loopback, in plain text and to whoever connects: \
                 keep it on a network of its own, or set XDS_AUTH and XDS_TLS_CERT",
            ),
            NodeAuth::None => warnings.push(
                "xDS is served off loopback and to whoever connects: \
                 keep it on a network of its own, or set XDS_AUTH",
            ),
            NodeAuth::Token if plain => warnings.push(
                "xDS is served off loopback in plain text: \
                 whoever reads along has the tokens; set XDS_TLS_CERT",
            ),
            NodeAuth::Token | NodeAuth::Mtls => {}
        }
        if plain && self.xds_allow_plaintext_secrets {
            warnings
                .push("XDS_ALLOW_PLAINTEXT_SECRETS: secrets go to other machines in plain text");
        }
        warnings
    }

    /// How the xDS server behaves.
    pub fn xds_settings(&self) -> Settings {
        let count = |number: NonZeroU32| usize::try_from(number.get()).unwrap_or(usize::MAX);
        let mut settings = Settings::default();
        settings.streams = count(self.xds_max_streams);
        settings.streams_per_peer = count(self.xds_max_streams_per_peer);
        settings
    }

    /// The database; the data directory is made if it is to be in there.
    pub fn database(&self) -> anyhow::Result<DatabaseUrl> {
        if let Some(url) = &self.database_url {
            return Ok(url.clone());
        }
        make_dir(&self.data_dir)?;
        Ok(DatabaseUrl::Sqlite(self.data_dir.join("marchproxy.db")))
    }

    /// What tokens are signed with: what was said, or else what is kept in the
    /// data directory, or else a new one that is kept there from now on.
    pub fn secret(&self) -> anyhow::Result<SecretString> {
        match &self.secret_key {
            Some(key) => {
                ensure!(!key.expose_secret().is_empty(), "SECRET_KEY must not be empty");
                Ok(key.clone())
            }
            None => {
                make_dir(&self.data_dir)?;
                kept_secret(&self.data_dir.join("secret_key"))
            }
        }
    }

    /// Who is to be the administrator if there is no user yet.
    pub fn first_admin(&self) -> anyhow::Result<FirstAdmin> {
        let password = self.admin_password.clone();
        if let Some(password) = &password {
            let long_enough = password.expose_secret().chars().count() >= SHORTEST_PASSWORD;
            // Not by clap, which would print the password with its error.
            ensure!(
                long_enough,
                "ADMIN_PASSWORD must have at least {SHORTEST_PASSWORD} characters"
            );
        }
        Ok(FirstAdmin { username: self.admin_username.clone(), password })
    }
}

/// Parses a port that may not be 0.
pub fn port(port: &str) -> anyhow::Result<Port> {
    Ok(Port::try_from(port.parse::<i32>()?)?)
}

fn username(name: &str) -> anyhow::Result<Username> {
    Ok(Username::try_from(name.to_owned())?)
}

fn make_dir(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make DATA_DIR {}", dir.display()))
}

/// Reads the secret in `path`, or makes one there that only its owner can read.
fn kept_secret(path: &Path) -> anyhow::Result<SecretString> {
    let shown = path.display();
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let secret: String =
                rand::rng().sample_iter(Alphanumeric).take(64).map(char::from).collect();
            file.write_all(secret.as_bytes())
                .and_then(|()| file.sync_all())
                .with_context(|| format!("cannot write {shown}"))?;
            Ok(secret.into())
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let secret =
                fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
            ensure!(!secret.trim().is_empty(), "{shown} is empty: remove it, or set SECRET_KEY");
            Ok(secret.trim().to_owned().into())
        }
        Err(e) => Err(e).with_context(|| format!("cannot make {shown}")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn config(arguments: &[&str]) -> ServeConfig {
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            config: ServeConfig,
        }
        let arguments = std::iter::once("serve").chain(arguments.iter().copied());
        <Command as clap::Parser>::try_parse_from(arguments).unwrap().config
    }

    #[test]
    fn what_goes_together_is_asked_for_by_name() {
        const TLS: [&str; 2] = ["--xds-tls-cert=c", "--xds-tls-key=k"];
        const CA: &str = "--xds-tls-client-ca=a";
        let table: [(&[&str], &str); 10] = [
            (&[], ""),
            (&["--xds-auth=token"], ""),
            (&TLS, ""),
            (&["--xds-auth=mtls", TLS[0], TLS[1], CA], ""),
            (&["--xds-auth=mtls"], "XDS_AUTH=mtls needs"),
            (&["--xds-auth=mtls", TLS[0], TLS[1]], "XDS_AUTH=mtls needs"),
            (&["--xds-auth=mtls", CA], "XDS_AUTH=mtls needs"),
            (&["--xds-auth=token", TLS[0], TLS[1], CA], "XDS_TLS_CLIENT_CA is of no use"),
            (&[TLS[0]], "XDS_TLS_CERT needs XDS_TLS_KEY"),
            (&[TLS[1]], "XDS_TLS_KEY needs XDS_TLS_CERT"),
        ];
        for (arguments, want) in table {
            let config = config(arguments);
            let checked = config.node_access().and_then(|_| config.xds_tls());
            let said = checked.err().map(|e| e.to_string()).unwrap_or_default();
            assert_eq!(said.is_empty(), want.is_empty(), "{arguments:?}: {said}");
            assert!(said.starts_with(want), "{arguments:?}: {said}");
        }
    }

    #[test]
    fn open_doors_are_warned_of() {
        const AWAY: &str = "--xds-host=0.0.0.0";
        const TLS: [&str; 2] = ["--xds-tls-cert=c", "--xds-tls-key=k"];
        let table: [(&[&str], usize); 8] = [
            (&[], 0),
            (&["--xds-allow-plaintext-secrets"], 0),
            (&[AWAY], 1),
            (&[AWAY, "--xds-allow-plaintext-secrets=true"], 2),
            (&[AWAY, "--xds-auth=token"], 1),
            (&[AWAY, TLS[0], TLS[1]], 1),
            (&[AWAY, TLS[0], TLS[1], "--xds-auth=token"], 0),
            (&[AWAY, TLS[0], TLS[1], "--xds-auth=token", "--xds-allow-plaintext-secrets"], 0),
        ];
        for (arguments, want) in table {
            assert_eq!(config(arguments).warnings().len(), want, "{arguments:?}");
        }
    }

    #[test]
    fn a_made_up_secret_is_kept_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret_key");
        let made = kept_secret(&path).unwrap();
        assert_eq!(made.expose_secret().len(), 64);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = kept_secret(&path).unwrap();
        assert_eq!(read.expose_secret(), made.expose_secret());
        fs::write(&path, "").unwrap();
        assert!(kept_secret(&path).is_err());
    }
}
