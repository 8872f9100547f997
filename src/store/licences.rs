//! What the licence server last said yes to.

use chrono::{DateTime, Utc};
use marchproxy_schema::licence;
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait as _, JsonValue, Set};

use super::Tx;
use crate::error::Result;
use crate::model::TokenHash;

impl Tx {
    /// The last good answer about the key of this hash, and when it was given.
    pub async fn find_licence(&self, key: TokenHash) -> Result<Option<(JsonValue, DateTime<Utc>)>> {
        let row = licence::Entity::find_by_id(key.as_bytes().to_vec()).one(&self.0).await?;
        Ok(row.map(|row| (row.answer, row.answered_at)))
    }

    /// Keeps a good answer about the key of this hash, in the place of the last.
    pub async fn put_licence(
        &self,
        key: TokenHash,
        answer: JsonValue,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let row = licence::ActiveModel {
            key_hash: Set(key.as_bytes().to_vec()),
            answer: Set(answer),
            answered_at: Set(now),
        };
        let replace = OnConflict::column(licence::Column::KeyHash)
            .update_columns([licence::Column::Answer, licence::Column::AnsweredAt])
            .to_owned();
        licence::Entity::insert(row).on_conflict(replace).exec_without_returning(&self.0).await?;
        Ok(())
    }
}
