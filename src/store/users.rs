//! Users.

use chrono::{DateTime, Utc};
use marchproxy_schema::{backup_code, node_group, user};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DbErr, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Set, SqlErr, Unchanged,
};

use super::Tx;
use super::rows::Row;
use crate::error::{Error, Result};
use crate::model::{Page, PasswordHash, Role, SecondFactor, TokenHash, User, UserId, UserSpec};

const KIND: &str = "user";

impl Tx {
    /// Keeps other changes of accounts waiting until this transaction ends, so that
    /// what is counted stays so.
    pub async fn lock_accounts(&self) -> Result<()> {
        // A row that is always there. SQLite has one writer at a time as it is.
        let query = node_group::Entity::find().filter(node_group::Column::IsDefault.eq(true));
        query.lock_exclusive().one(&self.0).await?;
        Ok(())
    }

    /// The user of this id, or `NotFound`.
    pub async fn user(&self, id: UserId) -> Result<User> {
        self.find_user(id).await?.ok_or_else(|| Error::not_found(KIND, id))
    }

    /// The user of this id.
    pub async fn find_user(&self, id: UserId) -> Result<Option<User>> {
        user::Entity::find_by_id(i32::from(id)).one(&self.0).await?.map(parse).transpose()
    }

    /// Those of these users that there are, in any order.
    pub async fn users_by_id(&self, ids: &[UserId]) -> Result<Vec<User>> {
        let wanted = user::Entity::find()
            .filter(user::Column::Id.is_in(ids.iter().map(|id| i32::from(*id))));
        self.rows(wanted, parse).await
    }

    /// The user who signs in with this: a user name or an email address.
    pub async fn find_user_by_login(&self, login: &str) -> Result<Option<User>> {
        let by_name = user::Entity::find().filter(user::Column::Username.eq(login));
        if let Some(row) = by_name.one(&self.0).await? {
            return parse(row).map(Some);
        }
        let by_email = user::Entity::find().filter(user::Column::EmailKey.eq(login.to_lowercase()));
        by_email.one(&self.0).await?.map(parse).transpose()
    }

    /// Users in the order of their ids.
    pub async fn users(&self, only_active: bool, page: Page) -> Result<Vec<User>> {
        self.page(filtered(only_active), user::Column::Id, page, parse).await
    }

    /// Users, the newest first, `limit` after the first `skip`; and how many there are.
    pub async fn newest_users(
        &self,
        only_active: bool,
        skip: u64,
        limit: u64,
    ) -> Result<(u64, Vec<User>)> {
        let total = filtered(only_active).count(&self.0).await?;
        let query = filtered(only_active).order_by_desc(user::Column::Id).offset(skip).limit(limit);
        let users = query.all(&self.0).await?.into_iter().map(parse).collect::<Result<_>>()?;
        Ok((total, users))
    }

    /// How many users there are.
    pub async fn count_users(&self) -> Result<u64> {
        Ok(user::Entity::find().count(&self.0).await?)
    }

    /// How many active administrators there are.
    pub async fn count_active_admins(&self) -> Result<u64> {
        let query = filtered(true).filter(user::Column::Role.eq(Role::Admin.as_str()));
        Ok(query.count(&self.0).await?)
    }

    /// Inserts a user. `AlreadyExists` if there is one of that name or address.
    pub async fn insert_user(
        &self,
        spec: &UserSpec,
        password_hash: &PasswordHash,
        now: DateTime<Utc>,
    ) -> Result<User> {
        let row = user::ActiveModel {
            password_hash: Set(password_hash.expose().to_owned()),
            totp_enabled: Set(false),
            refuses_old_tokens: Set(false),
            created_at: Set(now),
            ..columns(spec, now)
        };
        parse(row.insert(&self.0).await.map_err(taken(spec))?)
    }

    /// Inserts a user who was there before, under their old id.
    pub async fn insert_user_again(&self, user: &User) -> Result<User> {
        let User { id, spec, password_hash, second_factor, last_login_at, .. } = user;
        let row = user::ActiveModel {
            id: Set((*id).into()),
            password_hash: Set(password_hash.expose().to_owned()),
            totp_enabled: Set(false),
            refuses_old_tokens: Set(user.refuses_old_tokens),
            last_login_at: Set(*last_login_at),
            created_at: Set(user.created_at),
            ..columns(spec, user.updated_at)
        };
        row.insert(&self.0).await.map_err(taken(spec))?;
        self.set_second_factor(*id, second_factor).await?;
        self.user(*id).await
    }

    /// Writes what people said of a user.
    pub async fn update_user(
        &self,
        id: UserId,
        spec: &UserSpec,
        now: DateTime<Utc>,
    ) -> Result<User> {
        let row = user::ActiveModel { id: Unchanged(id.into()), ..columns(spec, now) };
        parse(row.update(&self.0).await.map_err(taken(spec))?)
    }

    /// Gives a user another password, or the same one another hash.
    pub async fn set_password(&self, id: UserId, hash: &PasswordHash) -> Result<()> {
        let hash = Set(hash.expose().to_owned());
        let row = user::ActiveModel {
            id: Unchanged(id.into()),
            password_hash: hash,
            ..Default::default()
        };
        row.update(&self.0).await?;
        Ok(())
    }

    /// Takes note of a sign-in.
    pub async fn set_last_login(&self, id: UserId, now: DateTime<Utc>) -> Result<()> {
        let row = user::ActiveModel {
            id: Unchanged(id.into()),
            last_login_at: Set(Some(now)),
            ..Default::default()
        };
        row.update(&self.0).await?;
        Ok(())
    }

    /// Refuses a user's tokens that belong to no session, from now on.
    pub async fn refuse_old_tokens(&self, id: UserId) -> Result<()> {
        let row = user::ActiveModel {
            id: Unchanged(id.into()),
            refuses_old_tokens: Set(true),
            ..Default::default()
        };
        row.update(&self.0).await?;
        Ok(())
    }

    /// Writes how far a user's second factor is.
    pub async fn set_second_factor(&self, id: UserId, factor: &SecondFactor) -> Result<()> {
        let (secret, enabled, last_step) = match factor {
            SecondFactor::Off => (None, false, None),
            SecondFactor::Offered(secret) => (Some(secret), false, None),
            SecondFactor::On { secret, last_step } => (Some(secret), true, *last_step),
        };
        let row = user::ActiveModel {
            id: Unchanged(id.into()),
            totp_secret: Set(secret.map(|secret| secret.as_bytes().to_vec())),
            totp_enabled: Set(enabled),
            totp_last_step: Set(last_step),
            ..Default::default()
        };
        row.update(&self.0).await?;
        Ok(())
    }

    /// Uses up a time step of a user's codes, and those before it; whether it was
    /// still to be used.
    pub async fn use_totp_step(&self, id: UserId, step: i64) -> Result<bool> {
        let fresh = user::Column::TotpLastStep.is_null().or(user::Column::TotpLastStep.lt(step));
        let updated = user::Entity::update_many()
            .col_expr(user::Column::TotpLastStep, Expr::value(step))
            .filter(user::Column::Id.eq(i32::from(id)))
            .filter(fresh)
            .exec(&self.0)
            .await?;
        Ok(updated.rows_affected == 1)
    }

    /// Gives a user these backup codes, and takes away those they had.
    pub async fn replace_backup_codes(&self, id: UserId, hashes: &[TokenHash]) -> Result<()> {
        backup_code::Entity::delete_many()
            .filter(backup_code::Column::UserId.eq(i32::from(id)))
            .exec(&self.0)
            .await?;
        for hash in hashes {
            let row = backup_code::ActiveModel {
                user_id: Set(id.into()),
                hash: Set(hash.as_bytes().to_vec()),
                ..Default::default()
            };
            row.insert(&self.0).await?;
        }
        Ok(())
    }

    /// Uses up a backup code; whether the user had it.
    pub async fn use_backup_code(&self, id: UserId, hash: TokenHash) -> Result<bool> {
        let deleted = backup_code::Entity::delete_many()
            .filter(backup_code::Column::UserId.eq(i32::from(id)))
            .filter(backup_code::Column::Hash.eq(hash.as_bytes().to_vec()))
            .exec(&self.0)
            .await?;
        Ok(deleted.rows_affected == 1)
    }

    /// Deletes a user for good, with all that is theirs alone.
    pub async fn delete_user(&self, id: UserId) -> Result<()> {
        user::Entity::delete_by_id(i32::from(id)).exec(&self.0).await?;
        Ok(())
    }
}

fn filtered(only_active: bool) -> sea_orm::Select<user::Entity> {
    let query = user::Entity::find();
    if only_active { query.filter(user::Column::IsActive.eq(true)) } else { query }
}

fn columns(spec: &UserSpec, now: DateTime<Utc>) -> user::ActiveModel {
    let text = |name: &crate::model::PersonName| name.as_str().to_owned();
    user::ActiveModel {
        username: Set(spec.username.to_string()),
        email: Set(spec.email.as_ref().map(ToString::to_string)),
        email_key: Set(spec.email.as_ref().map(crate::model::Email::key)),
        first_name: Set(spec.first_name.as_ref().map(text)),
        last_name: Set(spec.last_name.as_ref().map(text)),
        role: Set(spec.role.as_str().to_owned()),
        is_active: Set(spec.is_active),
        is_verified: Set(spec.is_verified),
        updated_at: Set(Some(now)),
        ..Default::default()
    }
}

/// What an insert or update says of a name that is taken, or an address.
fn taken(spec: &UserSpec) -> impl FnOnce(DbErr) -> Error + use<> {
    let (name, email) = (spec.username.to_string(), spec.email.as_ref().map(ToString::to_string));
    move |e| match (e.sql_err(), email) {
        (Some(SqlErr::UniqueConstraintViolation(which)), Some(email))
            if which.contains("email_key") =>
        {
            Error::AlreadyExists { kind: KIND, name: email, path: vec!["email".to_owned()] }
        }
        (Some(SqlErr::UniqueConstraintViolation(_)), _) => {
            Error::AlreadyExists { kind: KIND, name, path: vec!["username".to_owned()] }
        }
        (Some(_) | None, _) => e.into(),
    }
}

fn parse(row: user::Model) -> Result<User> {
    let at = Row { table: "user", id: row.id };
    let secret = row.totp_secret.map(crate::model::Sealed::new);
    let second_factor = match (secret, row.totp_enabled) {
        (None, false) => SecondFactor::Off,
        (Some(secret), false) => SecondFactor::Offered(secret),
        (Some(secret), true) => SecondFactor::On { secret, last_step: row.totp_last_step },
        (None, true) => return Err(at.broken("totp_secret", "is null, and codes are asked for")),
    };
    Ok(User {
        id: at.parse("id", row.id)?,
        spec: UserSpec {
            username: at.parse("username", row.username)?,
            email: row.email.map(|email| at.parse("email", email)).transpose()?,
            first_name: row.first_name.map(|name| at.parse("first_name", name)).transpose()?,
            last_name: row.last_name.map(|name| at.parse("last_name", name)).transpose()?,
            role: Role::parse(&row.role).ok_or_else(|| at.broken("role", &row.role))?,
            is_active: row.is_active,
            is_verified: row.is_verified,
        },
        password_hash: PasswordHash::new(row.password_hash),
        second_factor,
        refuses_old_tokens: row.refuses_old_tokens,
        last_login_at: row.last_login_at,
        created_at: row.created_at,
        updated_at: row.updated_at.unwrap_or(row.created_at),
    })
}
