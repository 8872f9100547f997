//! Second factors: from the offer to the first code, and away again.

use secrecy::SecretString;

use super::App;
use super::audit::Note;
use super::users::end_sessions;
use crate::auth::{Actor, Operation, Scope, TotpSecret, backup_codes};
use crate::error::{Error, Result};
use crate::model::{Sealed, SecondFactor, User, UserId};

/// What somebody needs to set their app up; to be shown this once.
#[derive(Clone, Debug)]
pub struct SecondFactorOffer {
    /// The secret in base 32.
    pub secret: SecretString,
    /// The secret as an `otpauth://` address, for a QR code.
    pub uri: SecretString,
    /// Codes that each stand in for the app once.
    pub backup_codes: Vec<SecretString>,
}

impl App {
    /// Makes up a secret for one's app. It takes effect with the first code.
    #[tracing::instrument(skip_all, fields(user.id = %actor.user))]
    pub async fn offer_second_factor(&self, actor: &Actor) -> Result<SecondFactorOffer> {
        let act = self.act(actor, Operation::OfferSecondFactor).await?;
        let user = act.tx.user(actor.user).await?;
        if user.second_factor.is_on() {
            return Err(Error::Refused("2FA is already enabled"));
        }
        let secret = TotpSecret::make();
        let sealed = self.0.sealer.seal(secret.expose(), &place(user.id))?;
        act.tx.set_second_factor(user.id, &SecondFactor::Offered(sealed)).await?;
        let codes = backup_codes();
        let hash = |code| self.0.sealer.hash_backup_code(user.id, code);
        let hashes: Vec<_> = codes.iter().map(hash).collect();
        act.tx.replace_backup_codes(user.id, &hashes).await?;
        let (uri, secret) = (secret.uri(&user)?, secret.base32());
        act.done("set up a second factor".to_owned(), Note::of(&user)).await?;
        Ok(SecondFactorOffer { secret, uri, backup_codes: codes })
    }

    /// Turns the second factor on, with a code that shows that the app has the secret.
    /// All other sessions end.
    #[tracing::instrument(skip_all, fields(user.id = %actor.user))]
    pub async fn verify_second_factor(&self, actor: &Actor, code: &str) -> Result<User> {
        actor.may(Operation::VerifySecondFactor, Scope::Everywhere)?;
        self.count_code(actor.user).await?;
        let act = self.act(actor, Operation::VerifySecondFactor).await?;
        let before = act.tx.user(actor.user).await?;
        let secret = match &before.second_factor {
            SecondFactor::Off => return Err(Error::Refused("2FA setup not initiated")),
            SecondFactor::On { .. } => return Err(Error::Refused("2FA is already enabled")),
            SecondFactor::Offered(secret) => secret.clone(),
        };
        let step = self.open_totp(before.id, &secret)?.step_of(code, act.now)?;
        let step = step.ok_or(Error::Mistaken("invalid 2FA code"))?;
        let factor = SecondFactor::On { secret, last_step: Some(step) };
        act.tx.set_second_factor(before.id, &factor).await?;
        end_sessions(&act.tx, before.id, Some(actor)).await?;
        let user = act.tx.user(before.id).await?;
        let note = Note::changed(&before, &user);
        act.done("turn the second factor on".to_owned(), note).await?;
        self.forget_codes(actor.user).await;
        self.look_again();
        Ok(user)
    }

    /// Turns the second factor off, with one more code. All other sessions end.
    #[tracing::instrument(skip_all, fields(user.id = %actor.user))]
    pub async fn disable_second_factor(&self, actor: &Actor, code: &str) -> Result<User> {
        actor.may(Operation::DisableSecondFactor, Scope::Everywhere)?;
        self.count_code(actor.user).await?;
        let act = self.act(actor, Operation::DisableSecondFactor).await?;
        let before = act.tx.user(actor.user).await?;
        if !before.second_factor.is_on() {
            return Err(Error::Refused("2FA is not enabled"));
        }
        if !self.use_code(&act.tx, &before, code, act.now).await? {
            return Err(Error::Mistaken("invalid 2FA code"));
        }
        act.tx.set_second_factor(before.id, &SecondFactor::Off).await?;
        act.tx.replace_backup_codes(before.id, &[]).await?;
        end_sessions(&act.tx, before.id, Some(actor)).await?;
        let user = act.tx.user(before.id).await?;
        let note = Note::changed(&before, &user);
        act.done("turn the second factor off".to_owned(), note).await?;
        self.forget_codes(actor.user).await;
        self.look_again();
        Ok(user)
    }

    pub(super) fn open_totp(&self, user: UserId, sealed: &Sealed) -> Result<TotpSecret> {
        Ok(TotpSecret::new(self.0.sealer.open(sealed, &place(user))?))
    }
}

/// What a user's secret is sealed for.
pub(super) fn place(user: UserId) -> String {
    format!("user.totp_secret:{user}")
}
