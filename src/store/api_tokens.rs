//! API tokens: what scripts sign in with.

use chrono::{DateTime, Utc};
use marchproxy_schema::api_token;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, Set, Unchanged,
};

use super::rows::Row;
use super::{Tx, name_taken};
use crate::error::{Error, Result};
use crate::model::{ApiToken, ApiTokenId, ApiTokenSpec, Page, Role, TokenHash, UserId};

const KIND: &str = "API token";

impl Tx {
    /// The token of this id, or `NotFound`.
    pub async fn api_token(&self, id: ApiTokenId) -> Result<ApiToken> {
        let row = api_token::Entity::find_by_id(i32::from(id)).one(&self.0).await?;
        parse(row.ok_or_else(|| Error::not_found(KIND, id))?)
    }

    /// The token of this hash.
    pub async fn find_api_token(&self, hash: TokenHash) -> Result<Option<ApiToken>> {
        let query =
            api_token::Entity::find().filter(api_token::Column::Hash.eq(hash.as_bytes().to_vec()));
        query.one(&self.0).await?.map(parse).transpose()
    }

    /// A user's tokens, or everybody's, in the order of their ids.
    pub async fn api_tokens(&self, user: Option<UserId>, page: Page) -> Result<Vec<ApiToken>> {
        let mut wanted = api_token::Entity::find();
        if let Some(user) = user {
            wanted = wanted.filter(api_token::Column::UserId.eq(i32::from(user)));
        }
        self.page(wanted, api_token::Column::Id, page, parse).await
    }

    /// Inserts a token. `AlreadyExists` if its user has one of that name.
    pub async fn insert_api_token(
        &self,
        user: UserId,
        spec: &ApiTokenSpec,
        hash: TokenHash,
        now: DateTime<Utc>,
    ) -> Result<ApiToken> {
        let row = api_token::ActiveModel {
            user_id: Set(user.into()),
            name: Set(spec.name.to_string()),
            role: Set(spec.role.as_str().to_owned()),
            node_group_id: Set(spec.group.map(i32::from)),
            hash: Set(hash.as_bytes().to_vec()),
            expires_at: Set(spec.expires_at),
            last_used_at: Set(None),
            created_at: Set(now),
            ..Default::default()
        };
        parse(row.insert(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// Takes note that a token was used.
    pub async fn set_api_token_used(&self, id: ApiTokenId, now: DateTime<Utc>) -> Result<()> {
        let row = api_token::ActiveModel {
            id: Unchanged(id.into()),
            last_used_at: Set(Some(now)),
            ..Default::default()
        };
        row.update(&self.0).await?;
        Ok(())
    }

    /// Deletes a token.
    pub async fn delete_api_token(&self, id: ApiTokenId) -> Result<()> {
        api_token::Entity::delete_by_id(i32::from(id)).exec(&self.0).await?;
        Ok(())
    }
}

fn parse(row: api_token::Model) -> Result<ApiToken> {
    let at = Row { table: "api_token", id: row.id };
    Ok(ApiToken {
        id: at.parse("id", row.id)?,
        user: at.parse("user_id", row.user_id)?,
        spec: ApiTokenSpec {
            name: at.parse("name", row.name)?,
            role: Role::parse(&row.role).ok_or_else(|| at.broken("role", &row.role))?,
            group: row.node_group_id.map(|id| at.parse("node_group_id", id)).transpose()?,
            expires_at: row.expires_at,
        },
        last_used_at: row.last_used_at,
        created_at: row.created_at,
    })
}
