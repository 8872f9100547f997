//! Invitations: what somebody may become a user with, once.

use chrono::{DateTime, Utc};
use marchproxy_schema::invitation;
use sea_orm::{ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, Set};

use super::Tx;
use super::rows::Row;
use crate::error::{Error, Result};
use crate::model::{Invitation, InvitationId, InvitationSpec, Page, Role, TokenHash, UserId};

const KIND: &str = "invitation";

impl Tx {
    /// Invitations in the order of their ids, also those that have expired.
    pub async fn invitations(&self, page: Page) -> Result<Vec<Invitation>> {
        self.page(invitation::Entity::find(), invitation::Column::Id, page, parse).await
    }

    /// The invitation of this id, or `NotFound`.
    pub async fn invitation(&self, id: InvitationId) -> Result<Invitation> {
        let row = invitation::Entity::find_by_id(i32::from(id)).one(&self.0).await?;
        parse(row.ok_or_else(|| Error::not_found(KIND, id))?)
    }

    /// The invitation of this hash.
    pub async fn find_invitation(&self, hash: TokenHash) -> Result<Option<Invitation>> {
        let query = invitation::Entity::find()
            .filter(invitation::Column::Hash.eq(hash.as_bytes().to_vec()));
        query.one(&self.0).await?.map(parse).transpose()
    }

    /// Inserts an invitation.
    pub async fn insert_invitation(
        &self,
        by: UserId,
        spec: &InvitationSpec,
        hash: TokenHash,
        now: DateTime<Utc>,
    ) -> Result<Invitation> {
        let row = invitation::ActiveModel {
            hash: Set(hash.as_bytes().to_vec()),
            role: Set(spec.role.as_str().to_owned()),
            email: Set(spec.email.as_ref().map(ToString::to_string)),
            invited_by: Set(Some(by.into())),
            expires_at: Set(spec.expires_at),
            created_at: Set(now),
            ..Default::default()
        };
        parse(row.insert(&self.0).await?)
    }

    /// Deletes an invitation; whether it was still there.
    pub async fn delete_invitation(&self, id: InvitationId) -> Result<bool> {
        let deleted = invitation::Entity::delete_by_id(i32::from(id)).exec(&self.0).await?;
        Ok(deleted.rows_affected == 1)
    }
}

fn parse(row: invitation::Model) -> Result<Invitation> {
    let at = Row { table: "invitation", id: row.id };
    Ok(Invitation {
        id: at.parse("id", row.id)?,
        spec: InvitationSpec {
            role: Role::parse(&row.role).ok_or_else(|| at.broken("role", &row.role))?,
            email: row.email.map(|email| at.parse("email", email)).transpose()?,
            expires_at: row.expires_at,
        },
        invited_by: row.invited_by.map(|id| at.parse("invited_by", id)).transpose()?,
        created_at: row.created_at,
    })
}
