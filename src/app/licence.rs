//! What the licence allows.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{App, now};
use crate::auth::{Actor, Operation, Scope, secret_hash};
use crate::error::{Error, Result};
use crate::licence::{Good, LicenceStanding, LicenceStatus};
use crate::model::{Licence, TokenHash};
use crate::store::Tx;

/// From one check to the next.
const HOUR: Duration = Duration::from_secs(3600);
/// The same while the server is away.
const MINUTE: Duration = Duration::from_secs(60);

impl App {
    /// How the licence stands.
    pub fn licence(&self, actor: &Actor) -> Result<LicenceStatus> {
        actor.may(Operation::ReadLicence, Scope::Everywhere)?;
        Ok(self.licence_status())
    }

    pub(super) fn licence_status(&self) -> LicenceStatus {
        self.0.licensing.status(now())
    }

    /// Asks the licence server now and then, until `stop`.
    pub async fn keep_licence(&self, stop: CancellationToken) {
        if !self.0.licensing.is_checked() {
            return;
        }
        let keep = async {
            if let Err(e) = self.recall_licence().await {
                let error = &e as &dyn std::error::Error;
                tracing::warn!(error, "what is known of the licence cannot be read");
            }
            loop {
                sleep(if self.check_licence().await { HOUR } else { MINUTE }).await;
            }
        };
        stop.run_until_cancelled(keep).await;
    }

    async fn recall_licence(&self) -> Result<()> {
        let Some(key) = self.licence_key() else { return Ok(()) };
        if let Some((answer, at)) = self.0.store.read().await?.find_licence(key).await? {
            self.0.licensing.remember(answer, at);
        }
        Ok(())
    }

    /// Asks the licence server, and says whether it answered.
    async fn check_licence(&self) -> bool {
        let good = self.0.licensing.check(now()).await;
        if let Some(good) = good {
            if let Err(e) = self.keep_answer(&good).await {
                let error = &e as &dyn std::error::Error;
                tracing::warn!(error, "what the licence server said cannot be kept");
            }
            self.0.licensing.keep_alive(&good).await;
        }
        match self.licence_status().standing {
            LicenceStanding::Grace(_) | LicenceStanding::Unknown(_) => false,
            LicenceStanding::NotEnforced
            | LicenceStanding::NoKey
            | LicenceStanding::Valid
            | LicenceStanding::Invalid(_) => true,
        }
    }

    async fn keep_answer(&self, good: &Good) -> Result<()> {
        let Some(key) = self.licence_key() else { return Ok(()) };
        let tx = self.write().await?;
        tx.put_licence(key, good.answer.clone(), good.at).await?;
        tx.commit().await
    }

    fn licence_key(&self) -> Option<TokenHash> {
        self.0.licensing.key().map(|key| secret_hash(key.expose_secret()))
    }

    /// Whether there may be one more node group than there are.
    pub(super) async fn may_add_group(&self, tx: &Tx) -> Result<()> {
        let licence = self.licence_status().licence;
        if licence.includes(Licence::MANY_GROUPS) || tx.count_node_groups().await? == 0 {
            return Ok(());
        }
        Err(Error::LicenceLimit { tier: licence.tier })
    }
}
