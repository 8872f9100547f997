//! What nodes prove themselves with: keys of groups, and node tokens.
//!
//! They are no part of what nodes are given, so no revision grows. Whoever has one
//! reads all of its group, secrets too: only administrators make them. To revoke
//! one is urgent at times, so operators may.

use chrono::{DateTime, Utc};

use super::{App, now};
use crate::auth::{Actor, NodeSecret, SecretKind};
use crate::error::Result;
use crate::model::Page;
use crate::model::{Invalid, NodeGroup, NodeGroupId, NodeToken, NodeTokenId, NodeTokenSpec};

/// A node token to be made.
#[derive(Clone, Debug)]
pub struct NewNodeToken {
    /// Of which group; of the default one if not said.
    pub group: Option<NodeGroupId>,
    /// What it is to be.
    pub spec: NodeTokenSpec,
}

impl App {
    /// A group's node tokens, also those that have expired.
    pub async fn node_tokens(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        page: Page,
    ) -> Result<Vec<NodeToken>> {
        self.view(actor).await?.node_tokens(group, page).await
    }

    /// Since when a group has its key, if it has one.
    pub async fn find_node_group_key(
        &self,
        actor: &Actor,
        group: NodeGroupId,
    ) -> Result<Option<DateTime<Utc>>> {
        self.view(actor).await?.find_node_group_key(group).await
    }

    /// Gives a group a new key. The old one is good no more, and streams that
    /// were opened with it end.
    #[tracing::instrument(skip_all, fields(node_group.id = %id))]
    pub async fn rotate_node_group_key(
        &self,
        actor: &Actor,
        id: NodeGroupId,
    ) -> Result<(NodeGroup, NodeSecret)> {
        actor.may_administer()?;
        let tx = self.0.store.write().await?;
        let group = tx.node_group(id).await?;
        let secret = NodeSecret::make(SecretKind::GroupKey);
        let old = tx.replace_node_group_key(id, secret.hash(), now()).await?;
        tx.commit().await?;
        if let Some(old) = old {
            self.0.access.revoke(old);
        }
        tracing::info!(user.name = %actor.username, "gave a node group a new key");
        Ok((group, secret))
    }

    /// Creates a node token.
    #[tracing::instrument(skip_all, fields(node_token.name = %new.spec.name))]
    pub async fn create_node_token(
        &self,
        actor: &Actor,
        new: NewNodeToken,
    ) -> Result<(NodeToken, NodeSecret)> {
        actor.may_administer()?;
        let now = now();
        if new.spec.expires_at.is_some_and(|end| end <= now) {
            return Err(Invalid::new("expiresAt", "must be in the future").into());
        }
        let tx = self.0.store.write().await?;
        let group = tx.node_group(new.group.unwrap_or(self.default_group())).await?.id;
        let secret = NodeSecret::make(SecretKind::NodeToken);
        let token = tx.insert_node_token(group, &new.spec, secret.hash(), now).await?;
        tx.commit().await?;
        tracing::info!(
            node_group.id = %group, node_token.id = %token.id, user.name = %actor.username,
            "created a node token"
        );
        Ok((token, secret))
    }

    /// Revokes a node token, for good. Streams that were opened with it end.
    #[tracing::instrument(skip_all, fields(node_token.id = %id))]
    pub async fn revoke_node_token(&self, actor: &Actor, id: NodeTokenId) -> Result<()> {
        actor.may_edit()?;
        let tx = self.0.store.write().await?;
        let (token, hash) = tx.delete_node_token(id).await?;
        tx.commit().await?;
        self.0.access.revoke(hash);
        tracing::info!(
            node_group.id = %token.group, node_token.name = %token.spec.name,
            user.name = %actor.username, "revoked a node token"
        );
        Ok(())
    }
}
