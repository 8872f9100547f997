//! Node groups.

use super::{App, Change, Edit, now, setup};
use crate::auth::Actor;
use crate::error::{Error, Result};
use crate::model::Page;
use crate::model::{Name, NodeGroup, NodeGroupChange, NodeGroupId, NodeGroupSpec};

const KIND: &str = "node group";

impl App {
    /// The groups.
    pub async fn node_groups(&self, actor: &Actor, page: Page) -> Result<Vec<NodeGroup>> {
        self.view(actor).await?.node_groups(page).await
    }

    /// One group.
    pub async fn node_group(&self, actor: &Actor, id: NodeGroupId) -> Result<NodeGroup> {
        self.view(actor).await?.node_group(id).await
    }

    /// The group of this name.
    pub async fn find_node_group(&self, actor: &Actor, name: &Name) -> Result<Option<NodeGroup>> {
        self.view(actor).await?.find_node_group(name).await
    }

    /// Creates a group with a default listener.
    #[tracing::instrument(skip_all, fields(node_group.name = %spec.name))]
    pub async fn create_node_group(
        &self,
        actor: &Actor,
        spec: NodeGroupSpec,
    ) -> Result<(NodeGroup, Change)> {
        actor.may_administer()?;
        let (tx, now) = (self.0.store.write().await?, now());
        let group = tx.insert_node_group(&spec, false, now).await?.id;
        let revision = tx.bump_revision(group).await?;
        tx.insert_listener(group, &setup::default_listener(), true, now).await?;
        let group = tx.node_group(group).await?;
        let edit = Edit { app: self, tx, actor, group: group.id, revision, now };
        let change = edit.seal(format!("create node group {}", spec.name)).await?;
        Ok((group, change))
    }

    /// Changes a group.
    #[tracing::instrument(skip_all, fields(node_group.id = %id))]
    pub async fn update_node_group(
        &self,
        actor: &Actor,
        id: NodeGroupId,
        change: NodeGroupChange,
    ) -> Result<(NodeGroup, Change)> {
        let edit = self.edit(actor, id).await?;
        let spec = edit.tx.node_group(id).await?.spec.changed(change);
        let group = edit.tx.update_node_group(id, &spec, edit.now).await?;
        let change = edit.seal(format!("update node group {}", spec.name)).await?;
        Ok((group, change))
    }

    /// Deletes a group. `InUse` while anything but its default listener stands
    /// in it; the default group stays.
    ///
    /// Its proxies, if any are connected, come back as the default group's.
    #[tracing::instrument(skip_all, fields(node_group.id = %id))]
    pub async fn delete_node_group(&self, actor: &Actor, id: NodeGroupId) -> Result<()> {
        actor.may_administer()?;
        let tx = self.0.store.write().await?;
        let group = tx.node_group(id).await?;
        if group.is_default {
            let name = group.spec.name.to_string();
            let by = "proxies that name no group".to_owned();
            return Err(Error::InUse { kind: KIND, name, by });
        }
        tx.delete_node_group(&group).await?;
        tx.commit().await?;
        self.0.nudge.nudge();
        tracing::info!(node_group.id = %id, user.name = %actor.username, "deleted a node group");
        Ok(())
    }
}
