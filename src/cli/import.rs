//! `marchproxy import`: takes over a first MarchProxy's database.

use anyhow::{Context as _, bail};
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use super::print;
use crate::app::{Import, Retention};
use crate::config::{SignInConfig, StorageConfig};
use crate::store::{DatabaseUrl, LegacyRows, Store};

/// What to take over, and whether to.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The first MarchProxy's database: `postgresql://user:password@host/name`. It
    /// is only read.
    // Parsed later: clap would print the password with its error.
    #[arg(long, env = "IMPORT_FROM", hide_env_values = true, value_name = "URL")]
    from: SecretString,

    /// Does it. Without this it is only said what would be done.
    #[arg(long)]
    apply: bool,

    #[command(flatten)]
    storage: StorageConfig,

    #[command(flatten)]
    sign_in: SignInConfig,
}

impl ImportArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.import())
    }

    async fn import(self) -> anyhow::Result<()> {
        let from = self.from.expose_secret().parse().context("--from")?;
        let DatabaseUrl::Postgres(from) = from else {
            bail!("--from must be a PostgreSQL database: postgresql://user:password@host/name");
        };
        let rows = LegacyRows::read(&from).await;
        let rows = rows.with_context(|| format!("cannot read the database {from} (--from)"))?;
        let import = Import::plan(rows)?;
        print(&import.report().to_string())?;
        if !self.apply {
            return print("\nNothing was changed. To do it, say --apply.\n");
        }
        let keys = self.sign_in.keys(&self.storage)?;
        let database = self.storage.database()?;
        let store = Store::open(&database)
            .await
            .with_context(|| format!("cannot open the database {database} (DATABASE_URL)"))?;
        let retention = Retention::from(self.storage.snapshot_history);
        import.apply(&store, &keys.sealer, retention).await?;
        store.close().await?;
        print("\nDone. Start the server with the same SECRET_KEY.\n")
    }
}
