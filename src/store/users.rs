//! Users.

use chrono::{DateTime, Utc};
use marchproxy_schema::user;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, Set,
};

use super::rows::Row;
use super::{Tx, name_taken};
use crate::error::Result;
use crate::model::{PasswordHash, Role, User, UserId, Username};

impl Tx {
    /// The user of this id.
    pub async fn find_user(&self, id: UserId) -> Result<Option<User>> {
        user::Entity::find_by_id(i32::from(id)).one(&self.0).await?.map(parse).transpose()
    }

    /// The user of this name.
    pub async fn find_user_by_name(&self, username: &Username) -> Result<Option<User>> {
        let query = user::Entity::find().filter(user::Column::Username.eq(username.as_str()));
        query.one(&self.0).await?.map(parse).transpose()
    }

    /// How many users there are.
    pub async fn count_users(&self) -> Result<u64> {
        Ok(user::Entity::find().count(&self.0).await?)
    }

    /// Inserts a user. `AlreadyExists` if there is one of that name.
    pub async fn insert_user(
        &self,
        username: &Username,
        password_hash: &PasswordHash,
        role: Role,
        now: DateTime<Utc>,
    ) -> Result<User> {
        let row = user::ActiveModel {
            username: Set(username.to_string()),
            password_hash: Set(password_hash.expose().to_owned()),
            role: Set(role.as_str().to_owned()),
            created_at: Set(now),
            ..Default::default()
        };
        parse(row.insert(&self.0).await.map_err(name_taken("user", username.as_str()))?)
    }
}

fn parse(row: user::Model) -> Result<User> {
    let at = Row { table: "user", id: row.id };
    Ok(User {
        id: at.parse("id", row.id)?,
        username: at.parse("username", row.username)?,
        password_hash: PasswordHash::new(row.password_hash),
        role: Role::parse(&row.role).ok_or_else(|| at.broken("role", &row.role))?,
        created_at: row.created_at,
    })
}
