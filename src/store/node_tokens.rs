//! What nodes prove themselves with: keys of groups, and node tokens.

use chrono::{DateTime, Utc};
use marchproxy_schema::{node_group_key, node_token};
use sea_orm::{ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, Set};

use super::rows::Row;
use super::{Tx, name_taken};
use crate::error::{Error, Result};
use crate::model::{BoundNode, Name, NodeGroupId, NodeToken, NodeTokenId, NodeTokenSpec};
use crate::model::{Page, TokenHash};

const KIND: &str = "node token";

impl Tx {
    /// The group whose key has this hash.
    pub async fn find_node_group_of_key(&self, hash: TokenHash) -> Result<Option<NodeGroupId>> {
        let query = node_group_key::Entity::find()
            .filter(node_group_key::Column::Hash.eq(hash.as_bytes().to_vec()));
        let row = query.one(&self.0).await?;
        row.map(|row| key_row(&row).parse("node_group_id", row.node_group_id)).transpose()
    }

    /// Since when a group has its key, if it has one.
    pub async fn find_node_group_key(&self, group: NodeGroupId) -> Result<Option<DateTime<Utc>>> {
        let row = node_group_key::Entity::find_by_id(i32::from(group)).one(&self.0).await?;
        Ok(row.map(|row| row.created_at))
    }

    /// Gives a group a key; returns the hash of the one that it had.
    pub async fn replace_node_group_key(
        &self,
        group: NodeGroupId,
        hash: TokenHash,
        now: DateTime<Utc>,
    ) -> Result<Option<TokenHash>> {
        let old = node_group_key::Entity::find_by_id(i32::from(group)).one(&self.0).await?;
        let row = node_group_key::ActiveModel {
            node_group_id: Set(group.into()),
            hash: Set(hash.as_bytes().to_vec()),
            created_at: Set(now),
        };
        match old {
            Some(old) => {
                row.update(&self.0).await?;
                Ok(Some(key_row(&old).parse("hash", old.hash)?))
            }
            None => {
                row.insert(&self.0).await?;
                Ok(None)
            }
        }
    }

    /// The node token of this hash.
    pub async fn find_node_token(&self, hash: TokenHash) -> Result<Option<NodeToken>> {
        let query = node_token::Entity::find()
            .filter(node_token::Column::Hash.eq(hash.as_bytes().to_vec()));
        query.one(&self.0).await?.map(parse).transpose()
    }

    /// A group's node tokens in the order of their ids, also those that ended.
    pub async fn node_tokens(&self, group: NodeGroupId, page: Page) -> Result<Vec<NodeToken>> {
        let wanted =
            node_token::Entity::find().filter(node_token::Column::NodeGroupId.eq(i32::from(group)));
        self.page(wanted, node_token::Column::Id, page, parse).await
    }

    /// Inserts a node token. `AlreadyExists` if its group has one of that name.
    pub async fn insert_node_token(
        &self,
        group: NodeGroupId,
        spec: &NodeTokenSpec,
        hash: TokenHash,
        now: DateTime<Utc>,
    ) -> Result<NodeToken> {
        let row = node_token::ActiveModel {
            node_group_id: Set(group.into()),
            name: Set(spec.name.to_string()),
            node_id: Set(spec.node.as_ref().map(|node| node.as_str().to_owned())),
            hash: Set(hash.as_bytes().to_vec()),
            expires_at: Set(spec.expires_at),
            created_at: Set(now),
            ..Default::default()
        };
        parse(row.insert(&self.0).await.map_err(name_taken(KIND, spec.name.as_str()))?)
    }

    /// Deletes a node token, or `NotFound`; returns what it was, and its hash.
    pub async fn delete_node_token(&self, id: NodeTokenId) -> Result<(NodeToken, TokenHash)> {
        let row = node_token::Entity::find_by_id(i32::from(id)).one(&self.0).await?;
        let row = row.ok_or_else(|| Error::not_found(KIND, id))?;
        let hash = Row { table: "node_token", id: row.id }.parse("hash", row.hash.clone())?;
        node_token::Entity::delete_by_id(i32::from(id)).exec(&self.0).await?;
        Ok((parse(row)?, hash))
    }
}

fn key_row(row: &node_group_key::Model) -> Row {
    Row { table: "node_group_key", id: row.node_group_id }
}

fn parse(row: node_token::Model) -> Result<NodeToken> {
    let at = Row { table: "node_token", id: row.id };
    let name: Name = at.parse("name", row.name)?;
    let node: Option<BoundNode> = row.node_id.map(|id| at.parse("node_id", id)).transpose()?;
    Ok(NodeToken {
        id: at.parse("id", row.id)?,
        group: at.parse("node_group_id", row.node_group_id)?,
        spec: NodeTokenSpec { name, node, expires_at: row.expires_at },
        created_at: row.created_at,
    })
}
