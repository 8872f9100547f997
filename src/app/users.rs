//! Users: who there is, and what they may do.

use super::audit::Note;
use super::{App, now};
use crate::auth::{Actor, Operation, Scope, Verdict, Via};
use crate::error::{Error, Result};
use crate::model::{
    NewPassword, Page, PasswordHash, SecondFactor, User, UserChange, UserId, UserSpec,
};
use crate::store::Tx;
use secrecy::SecretString;

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// What is said of them.
    pub spec: UserSpec,
    /// What they sign in with.
    pub password: NewPassword,
}

/// How a user is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// They stay, and cannot sign in.
    Deactivate,
    /// They are gone, with their tokens and assignments.
    ForGood,
}

impl App {
    /// Oneself.
    pub async fn me(&self, actor: &Actor) -> Result<User> {
        self.look(actor, Operation::Me, Scope::Everywhere).await?.user(actor.user).await
    }

    /// The users in the order of their ids.
    pub async fn users(&self, actor: &Actor, only_active: bool, page: Page) -> Result<Vec<User>> {
        let tx = self.look(actor, Operation::ListUsers, Scope::Everywhere).await?;
        tx.users(only_active, page).await
    }

    /// The users, the newest first, `limit` after the first `skip`; and how many there
    /// are.
    pub async fn newest_users(
        &self,
        actor: &Actor,
        only_active: bool,
        skip: u64,
        limit: u64,
    ) -> Result<(u64, Vec<User>)> {
        let tx = self.look(actor, Operation::ListUsers, Scope::Everywhere).await?;
        tx.newest_users(only_active, skip, limit).await
    }

    /// One user.
    pub async fn user(&self, actor: &Actor, id: UserId) -> Result<User> {
        self.look(actor, Operation::ReadUser, Scope::Everywhere).await?.user(id).await
    }

    /// Those of these users that there are and `actor` may see, in any order: oneself, and
    /// others if one may read any.
    pub async fn users_by_id(&self, actor: &Actor, ids: &[UserId]) -> Result<Vec<User>> {
        let may = |id: &UserId| {
            let operation = if *id == actor.user { Operation::Me } else { Operation::ReadUser };
            actor.may(operation, Scope::Everywhere).is_ok()
        };
        let ids: Vec<_> = ids.iter().copied().filter(may).collect();
        self.0.store.read().await?.users_by_id(&ids).await
    }

    /// Makes a user.
    #[tracing::instrument(skip_all, fields(user.name = %new.spec.username))]
    pub async fn create_user(&self, actor: &Actor, new: NewUser) -> Result<User> {
        actor.may(Operation::CreateUser, Scope::Everywhere)?;
        let hash = self.0.passwords.hash(new.password.into_secret()).await?;
        let act = self.act(actor, Operation::CreateUser).await?;
        act.tx.lock_accounts().await?;
        check_logins(&act.tx, &new.spec, None).await?;
        let user = act.tx.insert_user(&new.spec, &hash, act.now).await?;
        act.done(format!("create user {}", new.spec.username), Note::made(&user)).await?;
        Ok(user)
    }

    /// Changes a user. The last active administrator stays one; nobody deactivates
    /// themselves. Who is deactivated is signed out everywhere.
    #[tracing::instrument(skip_all, fields(user.id = %id))]
    pub async fn update_user(&self, actor: &Actor, id: UserId, change: UserChange) -> Result<User> {
        let act = self.act(actor, Operation::UpdateUser).await?;
        act.tx.lock_accounts().await?;
        let before = act.tx.user(id).await?;
        let spec = before.spec.clone().changed(change);
        if id == actor.user && !spec.is_active {
            return Err(Error::Refused("cannot deactivate yourself"));
        }
        if before.spec.is_active_admin() && !spec.is_active_admin() {
            check_admins(&act.tx).await?;
        }
        check_logins(&act.tx, &spec, Some(id)).await?;
        if !spec.is_active {
            end_sessions(&act.tx, id, None).await?;
        }
        let user = act.tx.update_user(id, &spec, act.now).await?;
        let note = Note::changed(&before, &user);
        act.done(format!("update user {}", spec.username), note).await?;
        self.look_again();
        Ok(user)
    }

    /// Deactivates a user, or deletes them for good; not oneself, and not the last
    /// active administrator.
    #[tracing::instrument(skip_all, fields(user.id = %id))]
    pub async fn delete_user(&self, actor: &Actor, id: UserId, removal: Removal) -> Result<()> {
        let act = self.act(actor, Operation::DeleteUser).await?;
        act.tx.lock_accounts().await?;
        let before = act.tx.user(id).await?;
        if id == actor.user {
            return Err(Error::Refused("cannot delete yourself"));
        }
        if before.spec.is_active_admin() {
            check_admins(&act.tx).await?;
        }
        let name = before.spec.username.clone();
        match removal {
            Removal::Deactivate => {
                end_sessions(&act.tx, id, None).await?;
                let spec = UserSpec { is_active: false, ..before.spec.clone() };
                let user = act.tx.update_user(id, &spec, act.now).await?;
                act.done(format!("deactivate user {name}"), Note::changed(&before, &user)).await?;
            }
            Removal::ForGood => {
                act.tx.delete_user(id).await?;
                act.done(format!("delete user {name}"), Note::gone(&before)).await?;
            }
        }
        self.look_again();
        Ok(())
    }

    /// Changes one's own password, for which one has to know it. All other sessions
    /// end.
    #[tracing::instrument(skip_all, fields(user.id = %actor.user))]
    pub async fn change_password(
        &self,
        actor: &Actor,
        current: SecretString,
        new: NewPassword,
    ) -> Result<()> {
        const WRONG: Error = Error::Mistaken("current password is incorrect");
        actor.may(Operation::ChangePassword, Scope::Everywhere)?;
        self.count_password(actor.user).await?;
        let known = self.0.store.read().await?.user(actor.user).await?.password_hash;
        let verdict = self.0.passwords.verify(current, Some(known.clone())).await?;
        if verdict == Verdict::Wrong {
            let origin = actor.origin();
            let name = actor.username.as_str();
            self.note_refusal(Operation::ChangePassword, name, origin, &WRONG).await;
            return Err(WRONG);
        }
        self.forget_passwords(actor.user).await;
        let hash = self.0.passwords.hash(new.into_secret()).await?;
        let act = self.act(actor, Operation::ChangePassword).await?;
        let user = act.tx.user(actor.user).await?;
        if user.password_hash != known {
            return Err(WRONG); // somebody was quicker
        }
        set_password(&act.tx, user.id, &hash, Some(actor)).await?;
        act.done("change own password".to_owned(), Note::of(&user)).await?;
        self.look_again();
        Ok(())
    }

    /// Gives a user another password. They are signed out everywhere.
    #[tracing::instrument(skip_all, fields(user.id = %id))]
    pub async fn reset_password(
        &self,
        actor: &Actor,
        id: UserId,
        new: NewPassword,
    ) -> Result<User> {
        actor.may(Operation::ResetPassword, Scope::Everywhere)?;
        let hash = self.0.passwords.hash(new.into_secret()).await?;
        let act = self.act(actor, Operation::ResetPassword).await?;
        let user = act.tx.user(id).await?;
        set_password(&act.tx, id, &hash, (id == actor.user).then_some(actor)).await?;
        let summary = format!("reset the password of user {}", user.spec.username);
        act.done(summary, Note::of(&user)).await?;
        self.look_again();
        Ok(user)
    }

    /// Takes a user's second factor away, for when they have lost it.
    #[tracing::instrument(skip_all, fields(user.id = %id))]
    pub async fn reset_second_factor(&self, actor: &Actor, id: UserId) -> Result<User> {
        let act = self.act(actor, Operation::ResetSecondFactor).await?;
        let before = act.tx.user(id).await?;
        act.tx.set_second_factor(id, &SecondFactor::Off).await?;
        act.tx.replace_backup_codes(id, &[]).await?;
        end_sessions(&act.tx, id, (id == actor.user).then_some(actor)).await?;
        let user = act.tx.user(id).await?;
        let summary = format!("take away the second factor of user {}", user.spec.username);
        act.done(summary, Note::changed(&before, &user)).await?;
        self.look_again();
        Ok(user)
    }
}

async fn set_password(
    tx: &Tx,
    id: UserId,
    hash: &PasswordHash,
    spared: Option<&Actor>,
) -> Result<()> {
    tx.set_password(id, hash).await?;
    end_sessions(tx, id, spared).await
}

/// Signs a user out everywhere but where `spared` is signed in.
pub(super) async fn end_sessions(tx: &Tx, id: UserId, spared: Option<&Actor>) -> Result<()> {
    let session = match spared.map(Actor::via) {
        Some(Via::Session(session)) => Some(session),
        Some(Via::OldToken | Via::ApiToken(_)) | None => None,
    };
    tx.revoke_sessions(id, session, now()).await?;
    tx.refuse_old_tokens(id).await
}

/// Refuses to take away the last active administrator. `lock_accounts` comes before.
async fn check_admins(tx: &Tx) -> Result<()> {
    match tx.count_active_admins().await? {
        0 | 1 => Err(Error::Refused("this is the last active administrator")),
        _ => Ok(()),
    }
}

/// Refuses a name that is somebody's address, and the other way round: either is
/// signed in with.
pub(super) async fn check_logins(tx: &Tx, spec: &UserSpec, id: Option<UserId>) -> Result<()> {
    let logins = [
        ("username", Some(spec.username.as_str())),
        ("email", spec.email.as_ref().map(|email| email.as_str())),
    ];
    for (field, login) in logins {
        let Some(login) = login else { continue };
        let other = tx.find_user_by_login(login).await?;
        if other.is_some_and(|other| Some(other.id) != id) {
            let (name, path) = (login.to_owned(), vec![field.to_owned()]);
            return Err(Error::AlreadyExists { kind: "user", name, path });
        }
    }
    Ok(())
}
