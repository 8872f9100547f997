//! Who signs in first, and what tokens are signed with.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use chrono::TimeDelta;
use clap::{ArgAction, Args};
use rand::Rng as _;
use rand::distr::Alphanumeric;
use secrecy::{ExposeSecret as _, SecretString};

use super::StorageConfig;
use crate::app::FirstAdmin;
use crate::auth::{Keys, Lifetimes};
use crate::model::Username;

const SHORTEST_PASSWORD: usize = 8;

/// How people sign in.
#[derive(Clone, Debug, Args)]
pub struct SignInConfig {
    /// What tokens are signed with; made up and kept if not said.
    #[arg(long, env = "SECRET_KEY", hide_env_values = true)]
    pub secret_key: Option<SecretString>,

    /// A private key that tokens are signed with instead: PEM, Ed25519 or RSA. What
    /// `SECRET_KEY` signed stays good until it ends.
    #[arg(long, env = "JWT_PRIVATE_KEY", value_name = "FILE")]
    pub jwt_private_key: Option<PathBuf>,

    /// How many minutes an access token is good for.
    #[arg(
        long,
        env = "ACCESS_TOKEN_EXPIRE_MINUTES",
        default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=1440)
    )]
    pub access_token_expire_minutes: u32,

    /// How many days a refresh token is good for.
    #[arg(
        long,
        env = "REFRESH_TOKEN_EXPIRE_DAYS",
        default_value_t = 7,
        value_parser = clap::value_parser!(u32).range(1..=365)
    )]
    pub refresh_token_expire_days: u32,

    /// The first administrator's name, at the first start.
    #[arg(long, env = "ADMIN_USERNAME", default_value = "admin", value_parser = username)]
    pub admin_username: Username,

    /// Their password, at the first start; made up and shown once if not said.
    #[arg(long, env = "ADMIN_PASSWORD", hide_env_values = true)]
    pub admin_password: Option<SecretString>,

    /// Whether the first start makes no administrator: whoever registers first is it.
    #[arg(
        long,
        env = "ADMIN_REGISTERS",
        action = ArgAction::Set,
        default_value_t = false,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true
    )]
    pub admin_registers: bool,
}

impl SignInConfig {
    /// What tokens are signed with: what was said, or else what is kept in the
    /// data directory, or else a new one that is kept there from now on.
    pub fn secret(&self, storage: &StorageConfig) -> anyhow::Result<SecretString> {
        match &self.secret_key {
            Some(key) => {
                ensure!(!key.expose_secret().is_empty(), "SECRET_KEY must not be empty");
                Ok(key.clone())
            }
            None => kept_secret(&storage.made_data_dir()?.join("secret_key")),
        }
    }

    /// What tokens are signed with, and what is kept is sealed with.
    pub fn keys(&self, storage: &StorageConfig) -> anyhow::Result<Keys> {
        let lifetimes = Lifetimes {
            access: TimeDelta::minutes(self.access_token_expire_minutes.into()),
            refresh: TimeDelta::days(self.refresh_token_expire_days.into()),
        };
        let mut keys = Keys::new(&self.secret(storage)?, lifetimes);
        if let Some(path) = &self.jwt_private_key {
            let shown = || format!("JWT_PRIVATE_KEY {}", path.display());
            let pem = fs::read_to_string(path).with_context(shown)?;
            keys.tokens = keys.tokens.signing_with(&pem.into()).with_context(shown)?;
        }
        Ok(keys)
    }

    /// Who is to be the administrator if there is no user yet; whoever registers
    /// first if nobody.
    pub fn first_admin(&self) -> anyhow::Result<Option<FirstAdmin>> {
        let password = self.admin_password.clone();
        if self.admin_registers {
            ensure!(password.is_none(), "ADMIN_PASSWORD is of no use with ADMIN_REGISTERS=true");
            return Ok(None);
        }
        if let Some(password) = &password {
            let long_enough = password.expose_secret().chars().count() >= SHORTEST_PASSWORD;
            // Not by clap, which would print the password with its error.
            ensure!(
                long_enough,
                "ADMIN_PASSWORD must have at least {SHORTEST_PASSWORD} characters"
            );
        }
        Ok(Some(FirstAdmin { username: self.admin_username.clone(), password }))
    }
}

fn username(name: &str) -> anyhow::Result<Username> {
    Ok(Username::try_from(name.to_owned())?)
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
