//! Becoming a user: the first one, or by invitation.

use secrecy::SecretString;

use super::audit::{self, Note};
use super::users::check_logins;
use super::{App, SignedIn, events, now};
use crate::auth::{Actor, Operation, Origin, Scope, UserSecret, Via};
use crate::error::{Error, Result};
use crate::model::{
    Email, Invalid, Invitation, InvitationId, InvitationSpec, NewPassword, Page, PersonName, Role,
    UserSpec, Username,
};
use crate::store::Tx;

/// Somebody who wants to become a user.
#[derive(Debug)]
pub struct Registration {
    /// What they want to sign in with.
    pub username: Username,
    /// Their address, if they say.
    pub email: Option<Email>,
    /// As they are called, if they say.
    pub first_name: Option<PersonName>,
    /// As their family is called, if they say.
    pub last_name: Option<PersonName>,
    /// Their password.
    pub password: NewPassword,
    /// The token of an invitation, if they have one.
    pub invitation: Option<SecretString>,
}

impl App {
    /// Makes somebody a user, and signs them in. The first one becomes an
    /// administrator; everybody else needs an invitation, or is `Forbidden`.
    pub async fn register(&self, new: Registration, origin: Origin) -> Result<SignedIn> {
        let name = new.username.to_string();
        let registered = self.try_register(new, &origin).await;
        if let Err(error) = &registered {
            self.note_refusal(Operation::Register, &name, &origin, error).await;
        }
        registered
    }

    async fn try_register(&self, new: Registration, origin: &Origin) -> Result<SignedIn> {
        // Before the password is hashed, which is dear.
        let invitation = new.invitation.map(UserSecret::presented);
        let tx = self.0.store.read().await?;
        invited(&tx, invitation.as_ref()).await?;
        drop(tx);
        let hash = self.0.passwords.hash(new.password.into_secret()).await?;

        let (tx, now) = (self.write().await?, now());
        tx.lock_accounts().await?; // of two first ones, one is the first
        let invitation = invited(&tx, invitation.as_ref()).await?;
        let role = invitation.as_ref().map_or(Role::Admin, |invitation| invitation.spec.role);
        let invited_email = invitation.as_ref().and_then(|i| i.spec.email.clone());
        let spec = UserSpec {
            username: new.username,
            // Whoever has the invitation got it at that address.
            is_verified: invitation.is_none() || invited_email.is_some(),
            email: invited_email.or(new.email),
            first_name: new.first_name,
            last_name: new.last_name,
            role,
            is_active: true,
        };
        check_logins(&tx, &spec, None).await?;
        if let Some(invitation) = &invitation
            && !tx.delete_invitation(invitation.id).await?
        {
            return Err(Error::Forbidden);
        }
        let user = tx.insert_user(&spec, &hash, now).await?;
        let (signed_in, session) = self.open_session(&tx, user, now).await?;
        let user = &signed_in.user;
        let actor = Actor::new(user, Default::default(), Via::Session(session), origin.clone());
        let summary = match invitation {
            None => "register as the first user".to_owned(),
            Some(invitation) => format!("register by invitation {}", invitation.id),
        };
        let note = Note::made(user);
        let about = note.about();
        let done = audit::by(&actor, Operation::Register, summary, note);
        events::tell_change(&tx, &done, about, now);
        tx.insert_audit_entry(done, now).await?;
        tx.commit().await?;
        tracing::info!(user.name = %user.spec.username, role = role.as_str(), "a user registered");
        Ok(signed_in)
    }

    /// The invitations that nobody has used, also those that have expired.
    pub async fn invitations(&self, actor: &Actor, page: Page) -> Result<Vec<Invitation>> {
        let tx = self.look(actor, Operation::ListInvitations, Scope::Everywhere).await?;
        tx.invitations(page).await
    }

    /// Invites somebody. Whoever has the token may become a user with it, once.
    pub async fn create_invitation(
        &self,
        actor: &Actor,
        spec: InvitationSpec,
    ) -> Result<(Invitation, UserSecret)> {
        let act = self.act(actor, Operation::CreateInvitation).await?;
        if spec.expires_at <= act.now {
            return Err(Invalid::new("expiresAt", "must be in the future").into());
        }
        let secret = UserSecret::invitation();
        let hash = secret.hash();
        let invitation = act.tx.insert_invitation(actor.user, &spec, hash, act.now).await?;
        act.done(format!("invite a {}", spec.role.as_str()), Note::made(&invitation)).await?;
        Ok((invitation, secret))
    }

    /// Takes an invitation back.
    pub async fn revoke_invitation(&self, actor: &Actor, id: InvitationId) -> Result<()> {
        let act = self.act(actor, Operation::RevokeInvitation).await?;
        let invitation = act.tx.invitation(id).await?;
        act.tx.delete_invitation(id).await?;
        act.done(format!("revoke invitation {id}"), Note::gone(&invitation)).await
    }
}

/// By which invitation somebody may become a user; by none if they are the first.
async fn invited(tx: &Tx, token: Option<&UserSecret>) -> Result<Option<Invitation>> {
    if tx.count_users().await? == 0 {
        return Ok(None);
    }
    let token = token.ok_or(Error::Forbidden)?;
    let invitation = tx.find_invitation(token.hash()).await?;
    let invitation = invitation.filter(|invitation| invitation.spec.expires_at > now());
    invitation.ok_or(Error::Forbidden).map(Some)
}
