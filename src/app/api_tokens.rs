//! API tokens: what scripts sign in with, in the name of a user.

use super::App;
use super::audit::Note;
use crate::auth::{Actor, Operation, Scope, UserSecret, Via};
use crate::error::{Error, Result};
use crate::model::{ApiToken, ApiTokenId, ApiTokenSpec, Invalid, Page, UserId};

impl App {
    /// One's own API tokens, also those that have expired; or another user's, or
    /// everybody's, for administrators.
    pub async fn api_tokens(
        &self,
        actor: &Actor,
        user: Option<UserId>,
        page: Page,
    ) -> Result<Vec<ApiToken>> {
        let tx = self.look(actor, Operation::ListApiTokens, Scope::Everywhere).await?;
        if user != Some(actor.user) {
            actor.may_administer()?;
        }
        tx.api_tokens(user, page).await
    }

    /// Makes an API token for oneself, with no more than one's own rights.
    #[tracing::instrument(skip_all, fields(api_token.name = %spec.name))]
    pub async fn create_api_token(
        &self,
        actor: &Actor,
        spec: ApiTokenSpec,
    ) -> Result<(ApiToken, UserSecret)> {
        let act = self.act(actor, Operation::CreateApiToken).await?;
        if spec.expires_at.is_some_and(|end| end <= act.now) {
            return Err(Invalid::new("expiresAt", "must be in the future").into());
        }
        let most = actor.highest_role(spec.group);
        if spec.role > most {
            let why = format!("must be no more than your own: {}", most.as_str());
            return Err(Invalid::new("role", why).into());
        }
        if let Some(group) = spec.group {
            act.tx.node_group(group).await?;
        }
        let secret = UserSecret::api_token();
        let token = act.tx.insert_api_token(actor.user, &spec, secret.hash(), act.now).await?;
        act.done(format!("create API token {}", spec.name), Note::made(&token)).await?;
        Ok((token, secret))
    }

    /// Revokes an API token, for good: one's own, or any for administrators. Somebody who
    /// comes with an API token may revoke that one, and as an administrator any: one that
    /// may only look must not shut out the others.
    #[tracing::instrument(skip_all, fields(api_token.id = %id))]
    pub async fn revoke_api_token(&self, actor: &Actor, id: ApiTokenId) -> Result<()> {
        let act = self.act(actor, Operation::RevokeApiToken).await?;
        let token = act.tx.api_token(id).await?;
        if token.user != actor.user && actor.may_administer().is_err() {
            return Err(Error::not_found("API token", id));
        }
        match actor.via() {
            Via::ApiToken(with) if *with != id => actor.may_administer()?,
            Via::ApiToken(_) | Via::Session(_) | Via::OldToken => {}
        }
        act.tx.delete_api_token(id).await?;
        act.done(format!("revoke API token {}", token.spec.name), Note::gone(&token)).await?;
        self.look_again();
        Ok(())
    }
}
