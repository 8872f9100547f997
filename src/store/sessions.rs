//! Sessions: one for each sign-in.

use chrono::{DateTime, Utc};
use marchproxy_schema::session;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, Set};

use super::Tx;
use super::rows::Row;
use crate::error::Result;
use crate::model::{Session, SessionId, TokenHash, UserId};

impl Tx {
    /// The session of this id.
    pub async fn find_session(&self, id: &SessionId) -> Result<Option<Session>> {
        let query = session::Entity::find_by_id(id.to_string());
        query.one(&self.0).await?.map(parse).transpose()
    }

    /// Opens a session, and forgets those of its user that have ended.
    pub async fn insert_session(&self, new: &Session) -> Result<()> {
        session::Entity::delete_many()
            .filter(session::Column::UserId.eq(i32::from(new.user)))
            .filter(session::Column::ExpiresAt.lte(new.created_at))
            .exec(&self.0)
            .await?;
        let row = session::ActiveModel {
            id: Set(new.id.to_string()),
            user_id: Set(new.user.into()),
            refresh_hash: Set(new.refresh.as_bytes().to_vec()),
            expires_at: Set(new.expires_at),
            revoked_at: Set(None),
            created_at: Set(new.created_at),
        };
        row.insert(&self.0).await?;
        Ok(())
    }

    /// Gives an open session another refresh token in the place of `old`; whether
    /// `old` was the one that was good.
    pub async fn rotate_session(
        &self,
        id: &SessionId,
        old: TokenHash,
        new: TokenHash,
        expires_at: DateTime<Utc>,
    ) -> Result<bool> {
        let updated = session::Entity::update_many()
            .col_expr(session::Column::RefreshHash, Expr::value(new.as_bytes().to_vec()))
            .col_expr(session::Column::ExpiresAt, Expr::value(expires_at))
            .filter(session::Column::Id.eq(id.as_str()))
            .filter(session::Column::RefreshHash.eq(old.as_bytes().to_vec()))
            .filter(session::Column::RevokedAt.is_null())
            .exec(&self.0)
            .await?;
        Ok(updated.rows_affected == 1)
    }

    /// Revokes a session.
    pub async fn revoke_session(&self, id: &SessionId, now: DateTime<Utc>) -> Result<()> {
        session::Entity::update_many()
            .col_expr(session::Column::RevokedAt, Expr::value(now))
            .filter(session::Column::Id.eq(id.as_str()))
            .filter(session::Column::RevokedAt.is_null())
            .exec(&self.0)
            .await?;
        Ok(())
    }

    /// Revokes all sessions of a user but `spared`.
    pub async fn revoke_sessions(
        &self,
        user: UserId,
        spared: Option<&SessionId>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let mut query = session::Entity::update_many()
            .col_expr(session::Column::RevokedAt, Expr::value(now))
            .filter(session::Column::UserId.eq(i32::from(user)))
            .filter(session::Column::RevokedAt.is_null());
        if let Some(spared) = spared {
            query = query.filter(session::Column::Id.ne(spared.as_str()));
        }
        query.exec(&self.0).await?;
        Ok(())
    }
}

fn parse(row: session::Model) -> Result<Session> {
    let at = Row { table: "session", id: row.user_id };
    Ok(Session {
        id: at.parse("id", row.id)?,
        user: at.parse("user_id", row.user_id)?,
        refresh: at.parse("refresh_hash", row.refresh_hash)?,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
        created_at: row.created_at,
    })
}
