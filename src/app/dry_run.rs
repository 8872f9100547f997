//! Dry runs: everything is done, and nothing of it kept.
//!
//! An [`App`] is either for real or for a dry run, and each operation is the same on
//! both: it checks, changes rows and compiles in one transaction, which a dry run rolls
//! back where it would commit. So an operation cannot forget about dry runs, as long as
//! it begins what it writes with [`App::write`], and tells others by the methods here.

use std::sync::Arc;

use super::App;
use crate::error::Result;
use crate::model::TokenHash;
use crate::store::Tx;

/// What becomes of what is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is kept, and told to whom it concerns.
    #[default]
    Real,
    /// It is done and rolled back. Nobody hears of it.
    DryRun,
}

impl App {
    /// The same control plane for a dry run, if it is to be one: each operation does all
    /// that it does, and then rolls it back. What it gives is what would be; what is
    /// looked up after it is what is. Nothing is published, told, revoked or noted.
    #[must_use]
    pub fn dry_run(&self, is_one: bool) -> Self {
        Self(Arc::clone(&self.0), if is_one { Mode::DryRun } else { self.1 })
    }

    /// Whether nothing that is done is kept.
    pub fn is_dry_run(&self) -> bool {
        self.1 == Mode::DryRun
    }

    /// A transaction that changes something, unless this is a dry run.
    pub(super) async fn write(&self) -> Result<Tx> {
        let tx = self.0.store.write().await?;
        Ok(if self.is_dry_run() { tx.tried() } else { tx })
    }

    /// Has what was committed published.
    pub(super) fn nudge(&self) {
        if !self.is_dry_run() {
            self.0.nudge.nudge();
        }
    }

    /// Ends the streams that were opened with this token.
    pub(super) fn revoke(&self, token: TokenHash) {
        if !self.is_dry_run() {
            self.0.access.revoke(token);
        }
    }
}
