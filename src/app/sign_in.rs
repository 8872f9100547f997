//! Signing in and out, and who a token stands for.

use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::jwk::JwkSet;
use rand::random;
use secrecy::SecretString;
use tokio::time::timeout;

use super::audit::{self, Note};
use super::{App, now};
use crate::auth::{
    Actor, Code, IssuedToken, Lifetimes, Operation, Origin, UserSecret, Verdict, Via,
};
use crate::error::{Error, Result};
use crate::metrics::{self, SignInOutcome};
use crate::model::{SecondFactor, Session, SessionId, User};
use crate::store::Tx;

const WRONG: Error = Error::Mistaken("incorrect username or password");
const WRONG_CODE: Error = Error::Mistaken("invalid 2FA code");
const ENDED: Error = Error::Unauthenticated("the session has ended");
const GONE: Error = Error::Unauthenticated("this user is gone");

/// How often it is written down that an API token is used.
const COALESCED: TimeDelta = TimeDelta::minutes(1);
/// How often whoever stays connected is looked at again.
const RECHECK: Duration = Duration::from_secs(30);
/// No user name and no email address is longer.
const LONGEST_LOGIN: usize = 254;

/// What somebody signs in with.
#[derive(Debug)]
pub struct Credentials {
    /// A user name or an email address.
    pub login: String,
    /// The password.
    pub password: SecretString,
    /// The second factor: six digits, or a backup code.
    pub code: Option<String>,
}

/// What came of a sign-in.
#[derive(Clone, Debug)]
pub enum SignIn {
    /// They are in.
    Done(Box<SignedIn>),
    /// The password is right; it takes a code as well.
    NeedsCode(Box<User>),
}

/// Somebody who has just signed in, or refreshed.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// What they prove it with from now on.
    pub access: IssuedToken,
    /// What they get the next access token with, once.
    pub refresh: IssuedToken,
}

/// Whom a token stands for, and until when.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// Who.
    pub actor: Actor,
    /// When the token ends; never if there is none.
    pub expires_at: Option<DateTime<Utc>>,
}

impl App {
    /// Signs a user in.
    ///
    /// What was wrong is not told: not even whether there is such a user. Only who
    /// has the password hears that they are deactivated, or that it takes a code.
    pub async fn sign_in(&self, credentials: Credentials, origin: Origin) -> Result<SignIn> {
        let login = credentials.login.clone();
        self.count_sign_in(&login, &origin).await.inspect_err(count)?;
        let signed_in = self.check_in(credentials, &origin).await;
        match &signed_in {
            Ok(SignIn::Done(_)) => self.forget_sign_ins(&login, &origin).await,
            Ok(SignIn::NeedsCode(_)) => {} // or one could guess codes for ever
            Err(error) => self.note_refusal(Operation::SignIn, &login, &origin, error).await,
        }
        match &signed_in {
            Ok(SignIn::Done(_)) => metrics::sign_in(SignInOutcome::Ok),
            Ok(SignIn::NeedsCode(_)) => metrics::sign_in(SignInOutcome::NeedsCode),
            Err(error) => count(error),
        }
        signed_in
    }

    async fn check_in(&self, credentials: Credentials, origin: &Origin) -> Result<SignIn> {
        let Credentials { login, password, code } = credentials;
        let found = match login.chars().count() {
            1..=LONGEST_LOGIN if !login.contains(char::is_control) => {
                self.0.store.read().await?.find_user_by_login(&login).await?
            }
            _ => None, // nobody is called so, and not every database reads on
        };
        let hash = found.as_ref().map(|user| user.password_hash.clone());
        let verdict = self.0.passwords.verify(password.clone(), hash).await?;
        let Some(found) = found.filter(|_| verdict != Verdict::Wrong) else { return Err(WRONG) };
        let newer_hash = match verdict {
            Verdict::RightButOld => Some(self.0.passwords.hash(password).await?),
            Verdict::Right | Verdict::Wrong => None,
        };

        if found.second_factor.is_on() && code.is_some() {
            self.count_code(found.id).await?;
        }

        let (tx, now) = (self.write().await?, now());
        // As they stand now: the password took its time.
        let user = tx.find_user(found.id).await?;
        let user = user.filter(|user| user.password_hash == found.password_hash).ok_or(WRONG)?;
        if !user.spec.is_active {
            return Err(Error::Deactivated);
        }
        if user.second_factor.is_on() {
            match code {
                None => return Ok(SignIn::NeedsCode(Box::new(user))),
                Some(code) if self.use_code(&tx, &user, &code, now).await? => {}
                Some(_) => return Err(WRONG_CODE),
            }
        }
        if let Some(hash) = newer_hash {
            tx.set_password(user.id, &hash).await?;
        }
        let (signed_in, session) = self.open_session(&tx, user, now).await?;
        let user = &signed_in.user;
        let assignments = tx.assignments(user.id).await?;
        let actor = Actor::new(user, assignments, Via::Session(session), origin.clone());
        let done = audit::by(&actor, Operation::SignIn, "sign in".to_owned(), Note::of(user));
        tx.insert_audit_entry(done, now).await?;
        tx.commit().await?;
        if user.second_factor.is_on() {
            self.forget_codes(user.id).await;
        }
        tracing::info!(user.name = %user.spec.username, "signed in");
        Ok(SignIn::Done(Box::new(signed_in)))
    }

    /// Opens a session for a user, and takes note of their sign-in.
    pub(super) async fn open_session(
        &self,
        tx: &Tx,
        user: User,
        now: DateTime<Utc>,
    ) -> Result<(SignedIn, SessionId)> {
        let id = new_session_id();
        let access = self.0.tokens.issue_access(user.id, &id, now)?;
        let (refresh, hash) = self.0.tokens.issue_refresh(user.id, &id, now)?;
        let session = Session {
            id: id.clone(),
            user: user.id,
            refresh: hash,
            expires_at: refresh.expires_at,
            revoked_at: None,
            created_at: now,
        };
        tx.insert_session(&session).await?;
        tx.set_last_login(user.id, now).await?;
        let user = User { last_login_at: Some(now), ..user };
        Ok((SignedIn { user, access, refresh }, id))
    }

    /// Uses up a code of a user's second factor; whether it was good.
    pub(super) async fn use_code(
        &self,
        tx: &Tx,
        user: &User,
        code: &str,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let SecondFactor::On { secret, .. } = &user.second_factor else { return Ok(false) };
        match Code::read(code) {
            Some(Code::Totp(digits)) => {
                let secret = self.open_totp(user.id, secret)?;
                match secret.step_of(&digits, now)? {
                    Some(step) => tx.use_totp_step(user.id, step).await,
                    None => Ok(false),
                }
            }
            Some(Code::Backup(code)) => {
                let hash = self.0.sealer.hash_backup_code(user.id, &code);
                tx.use_backup_code(user.id, hash).await
            }
            None => Ok(false),
        }
    }

    /// Gives new tokens for a refresh token, which is good no more.
    ///
    /// One that was used before has been copied: nobody knows whether by who comes
    /// now or by who came then, so the session ends for both.
    pub async fn refresh(&self, token: &str, origin: Origin) -> Result<SignedIn> {
        let refreshed = self.rotate(token).await;
        if let Err(error) = &refreshed {
            self.note_refusal(Operation::Refresh, "", &origin, error).await;
        }
        refreshed
    }

    async fn rotate(&self, token: &str) -> Result<SignedIn> {
        let (verified, old) = self.0.tokens.verify_refresh(token)?;
        let id = verified.session.ok_or(ENDED)?;
        let (tx, now) = (self.write().await?, now());
        let session = tx.find_session(&id).await?;
        let session = session.filter(|session| session.user == verified.user).ok_or(ENDED)?;
        let user = tx.find_user(session.user).await?.ok_or(GONE)?;
        if !user.spec.is_active {
            return Err(Error::Deactivated);
        }
        if !session.is_open(now) {
            return Err(ENDED);
        }
        let access = self.0.tokens.issue_access(user.id, &id, now)?;
        let (refresh, new) = self.0.tokens.issue_refresh(user.id, &id, now)?;
        if !tx.rotate_session(&id, old, new, refresh.expires_at).await? {
            tx.revoke_session(&id, now).await?;
            tx.commit().await?;
            self.look_again();
            return Err(Error::Unauthenticated("this refresh token was used before"));
        }
        tx.commit().await?;
        Ok(SignedIn { user, access, refresh })
    }

    /// Signs somebody out: the tokens of their session are good no more.
    ///
    /// A token from before there were sessions takes all such tokens of its user
    /// along. An API token cannot sign out: it is revoked.
    pub async fn sign_out(&self, actor: &Actor) -> Result<()> {
        let act = self.act(actor, Operation::SignOut).await?;
        match actor.via() {
            Via::Session(id) => act.tx.revoke_session(id, act.now).await?,
            Via::OldToken => act.tx.refuse_old_tokens(actor.user).await?,
            Via::ApiToken(_) => {
                return Err(Error::Refused("an API token is revoked, not signed out"));
            }
        }
        act.done("sign out".to_owned(), Note::default()).await?;
        self.look_again();
        Ok(())
    }

    /// Whom a token stands for, as of now: an access token, or an API token.
    pub async fn authenticate(&self, token: &str, origin: Origin) -> Result<Authenticated> {
        if UserSecret::is_api_token(token) {
            return self.authenticate_api_token(token, origin).await;
        }
        let verified = self.0.tokens.verify_access(token)?;
        let via = verified.session.map_or(Via::OldToken, Via::Session);
        let tx = self.0.store.read().await?;
        let user = tx.find_user(verified.user).await?.ok_or(GONE)?;
        let actor = signed_in(&tx, &user, via, origin).await?;
        Ok(Authenticated { actor, expires_at: Some(verified.expires_at) })
    }

    async fn authenticate_api_token(&self, text: &str, origin: Origin) -> Result<Authenticated> {
        let now = now();
        let hash = UserSecret::presented(text.to_owned().into()).hash();
        let tx = self.0.store.read().await?;
        let token = tx.find_api_token(hash).await?;
        let token = token.ok_or(Error::Unauthenticated("the token is unknown, or was revoked"))?;
        if token.has_expired(now) {
            return Err(Error::Unauthenticated("the token has expired"));
        }
        let user = tx.find_user(token.user).await?.ok_or(GONE)?;
        let actor = signed_in(&tx, &user, Via::ApiToken(token.id), origin).await?.limited(&token);
        drop(tx);
        if token.last_used_at.is_none_or(|at| now - at >= COALESCED) {
            let noted = async {
                let tx = self.write().await?;
                tx.set_api_token_used(token.id, now).await?;
                tx.commit().await
            };
            if let Err(e) = noted.await {
                let error = &e as &dyn std::error::Error;
                tracing::warn!(error, api_token.id = %token.id, "cannot note that it was used");
            }
        }
        Ok(Authenticated { actor, expires_at: token.spec.expires_at })
    }

    /// Waits until what `actor` signed in with is good no more, or they may do
    /// something else than before.
    pub fn signed_out(&self, actor: &Actor) -> impl Future<Output = ()> + Send + use<> {
        let (app, actor) = (self.clone(), actor.clone());
        let mut changes = self.0.accounts.subscribe();
        async move {
            loop {
                // Another process may have done it: that is not told here.
                timeout(RECHECK, changes.changed()).await.ok();
                match app.again(&actor).await {
                    Ok(now) if now.has_rights_of(&actor) => {}
                    Err(Error::Internal(_)) => {} // it cannot be known: look again later
                    Ok(_) | Err(_) => return,
                }
            }
        }
    }

    /// An actor as of now.
    async fn again(&self, actor: &Actor) -> Result<Actor> {
        let tx = self.0.store.read().await?;
        let user = tx.find_user(actor.user).await?.ok_or(GONE)?;
        let again = signed_in(&tx, &user, actor.via().clone(), actor.origin().clone()).await?;
        match actor.via() {
            Via::Session(_) | Via::OldToken => Ok(again),
            Via::ApiToken(id) => Ok(again.limited(&tx.api_token(*id).await?)),
        }
    }

    /// Tells whoever stays connected to look whether they still may.
    pub(super) fn look_again(&self) {
        if !self.is_dry_run() {
            self.0.accounts.send_replace(());
        }
    }

    /// The public keys that access tokens can be verified with (RFC 7517).
    pub fn jwks(&self) -> &JwkSet {
        self.0.tokens.jwks()
    }

    /// How long tokens are good for.
    pub fn token_lifetimes(&self) -> Lifetimes {
        self.0.tokens.lifetimes()
    }
}

/// A user who comes back with a token, if what they signed in to is still good.
async fn signed_in(tx: &Tx, user: &User, via: Via, origin: Origin) -> Result<Actor> {
    if !user.spec.is_active {
        return Err(Error::Deactivated);
    }
    let is_good = match &via {
        Via::Session(id) => {
            let session = tx.find_session(id).await?;
            session.is_some_and(|session| session.user == user.id && session.is_open(now()))
        }
        Via::OldToken => !user.refuses_old_tokens,
        Via::ApiToken(_) => true, // whoever found it has looked
    };
    if !is_good {
        return Err(ENDED);
    }
    Ok(Actor::new(user, tx.assignments(user.id).await?, via, origin))
}

/// Counts a sign-in that was refused.
fn count(error: &Error) {
    let limited = matches!(error, Error::TooMany { .. });
    metrics::sign_in(if limited { SignInOutcome::Limited } else { SignInOutcome::Failed });
}

fn new_session_id() -> SessionId {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
    let bits: [u8; 16] = random();
    BASE64.encode(bits).try_into().expect("16 bytes are 22 characters")
}
