//! What nodes prove themselves with: keys of groups, and node tokens.
//!
//! They are no part of what nodes are given, so no revision grows. Whoever has one
//! reads all of its group, secrets too: only administrators make them. To revoke
//! one is urgent at times, so operators may.

use chrono::{DateTime, Utc};

use super::audit::{Act, Note};
use super::{App, now};
use crate::auth::{Actor, NodeSecret, Operation, SecretKind};
use crate::error::{Error, Result};
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
        let tx = self.look(actor, Operation::ListNodeTokens, group).await?;
        tx.node_tokens(group, page).await
    }

    /// Since when a group has its key, if it has one.
    pub async fn find_node_group_key(
        &self,
        actor: &Actor,
        group: NodeGroupId,
    ) -> Result<Option<DateTime<Utc>>> {
        let tx = self.look(actor, Operation::ListNodeTokens, group).await?;
        tx.find_node_group_key(group).await
    }

    /// Gives a group a new key. The old one is good no more, and streams that
    /// were opened with it end.
    #[tracing::instrument(skip_all, fields(node_group.id = %id))]
    pub async fn rotate_node_group_key(
        &self,
        actor: &Actor,
        id: NodeGroupId,
    ) -> Result<(NodeGroup, NodeSecret)> {
        let act = self.act(actor, Operation::RotateNodeGroupKey).await?;
        act.tx.lock_node_group(id).await?; // of two at once, one comes after the other
        let group = act.tx.node_group(id).await?;
        let secret = NodeSecret::make(SecretKind::GroupKey);
        let old = act.tx.replace_node_group_key(id, secret.hash(), act.now).await?;
        let summary = format!("give node group {} a new key", group.spec.name);
        act.done(summary, Note::of(&group)).await?;
        if let Some(old) = old {
            self.revoke(old);
        }
        Ok((group, secret))
    }

    /// Creates a node token.
    #[tracing::instrument(skip_all, fields(node_token.name = %new.spec.name))]
    pub async fn create_node_token(
        &self,
        actor: &Actor,
        new: NewNodeToken,
    ) -> Result<(NodeToken, NodeSecret)> {
        let act = self.act(actor, Operation::CreateNodeToken).await?;
        if new.spec.expires_at.is_some_and(|end| end <= act.now) {
            return Err(Invalid::new("expiresAt", "must be in the future").into());
        }
        let group = act.tx.node_group(new.group.unwrap_or(self.default_group())).await?.id;
        let secret = NodeSecret::make(SecretKind::NodeToken);
        let token = act.tx.insert_node_token(group, &new.spec, secret.hash(), act.now).await?;
        act.done(format!("create node token {}", token.spec.name), Note::made(&token)).await?;
        Ok((token, secret))
    }

    /// Revokes a node token, for good. Streams that were opened with it end.
    #[tracing::instrument(skip_all, fields(node_token.id = %id))]
    pub async fn revoke_node_token(&self, actor: &Actor, id: NodeTokenId) -> Result<()> {
        let operation = Operation::RevokeNodeToken;
        let tx = self.write().await?;
        let (token, hash) = tx.delete_node_token(id).await?;
        if !actor.sees_group(token.group) {
            return Err(Error::not_found("node token", id));
        }
        actor.may(operation, token.group)?;
        let act = Act { tx, actor, operation, now: now() };
        act.done(format!("revoke node token {}", token.spec.name), Note::gone(&token)).await?;
        self.revoke(hash);
        Ok(())
    }
}
