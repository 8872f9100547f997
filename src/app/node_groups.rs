//! Node groups.

use super::audit::Note;
use super::{App, By, Change, Edit, check_revision, now, setup};
use crate::auth::{Actor, NodeSecret, Operation, Scope, SecretKind};
use crate::error::{Error, Result};
use crate::model::{Listed, Page, Window};
use crate::model::{Name, NodeGroup, NodeGroupChange, NodeGroupId, NodeGroupSpec, Revision};

const KIND: &str = "node group";

/// A group, and how many proxies are registered in it and not offline.
#[derive(Clone, Debug)]
pub struct CountedGroup {
    /// The group.
    pub group: NodeGroup,
    /// How many.
    pub proxies: u64,
}

impl App {
    /// The groups that `actor` may know of.
    pub async fn node_groups(&self, actor: &Actor, page: Page) -> Result<Vec<NodeGroup>> {
        let tx = self.look(actor, Operation::ListNodeGroups, Scope::Everywhere).await?;
        match actor.known_groups() {
            None => tx.node_groups(page).await,
            Some(known) => tx.node_groups_among(&known, page).await,
        }
    }

    /// One group.
    pub async fn node_group(&self, actor: &Actor, id: NodeGroupId) -> Result<NodeGroup> {
        let tx = self.look(actor, Operation::ReadNodeGroup, id).await?;
        if actor.knows_group(id) {
            tx.node_group(id).await
        } else {
            Err(Error::not_found(KIND, id))
        }
    }

    /// `Forbidden` or `NotFound` unless `actor` may see this group.
    pub fn may_read_node_group(&self, actor: &Actor, id: NodeGroupId) -> Result<()> {
        actor.may(Operation::ReadNodeGroup, id)?;
        if actor.knows_group(id) { Ok(()) } else { Err(Error::not_found(KIND, id)) }
    }

    /// Those of these groups that there are and `actor` may see, in any order.
    pub async fn node_groups_by_id(
        &self,
        actor: &Actor,
        ids: &[NodeGroupId],
    ) -> Result<Vec<NodeGroup>> {
        let mut groups = self.0.store.read().await?.node_groups_by_id(ids).await?;
        groups.retain(|group| self.may_read_node_group(actor, group.id).is_ok());
        Ok(groups)
    }

    /// A window on the groups that `actor` may know of.
    pub async fn list_node_groups(
        &self,
        actor: &Actor,
        window: Window,
    ) -> Result<Listed<CountedGroup>> {
        let tx = self.look(actor, Operation::ListNodeGroups, Scope::Everywhere).await?;
        let known = actor.known_groups();
        let Listed { total, rows } = tx.list_node_groups(known.as_deref(), window).await?;
        let ids: Vec<_> = rows.iter().map(|group| group.id).collect();
        let counts = tx.proxy_counts(&ids).await?;
        let counted = |group: NodeGroup| {
            let proxies = counts.get(&group.id).copied().unwrap_or_default();
            CountedGroup { group, proxies }
        };
        Ok(Listed { total, rows: rows.into_iter().map(counted).collect() })
    }

    /// One group, and how many proxies it has.
    pub async fn counted_node_group(&self, actor: &Actor, id: NodeGroupId) -> Result<CountedGroup> {
        let group = self.node_group(actor, id).await?;
        let proxies = self.0.store.read().await?.count_proxies(id).await?;
        Ok(CountedGroup { group, proxies })
    }

    /// The group of this name.
    pub async fn find_node_group(&self, actor: &Actor, name: &Name) -> Result<Option<NodeGroup>> {
        let tx = self.look(actor, Operation::ReadNodeGroup, Scope::Everywhere).await?;
        let group = tx.find_node_group(name).await?;
        Ok(group.filter(|group| actor.knows_group(group.id)))
    }

    /// Creates a group with a default listener.
    pub async fn create_node_group(
        &self,
        actor: &Actor,
        spec: NodeGroupSpec,
    ) -> Result<(NodeGroup, Change)> {
        self.new_node_group(actor, spec, None).await
    }

    /// Creates a group with a default listener, and with a key.
    pub async fn create_node_group_with_key(
        &self,
        actor: &Actor,
        spec: NodeGroupSpec,
    ) -> Result<(NodeGroup, NodeSecret)> {
        let key = NodeSecret::make(SecretKind::GroupKey);
        let (group, _) = self.new_node_group(actor, spec, Some(&key)).await?;
        Ok((group, key))
    }

    #[tracing::instrument(skip_all, fields(node_group.name = %spec.name))]
    async fn new_node_group(
        &self,
        actor: &Actor,
        spec: NodeGroupSpec,
        key: Option<&NodeSecret>,
    ) -> Result<(NodeGroup, Change)> {
        actor.may(Operation::CreateNodeGroup, Scope::Everywhere)?;
        let (tx, now) = (self.write().await?, now());
        self.may_add_group(&tx).await?;
        let group = tx.insert_node_group(&spec, false, Some(actor.user), now).await?.id;
        let revision = tx.bump_revision(group).await?;
        tx.insert_listener(group, &setup::default_listener(), true, now).await?;
        if let Some(key) = key {
            tx.replace_node_group_key(group, key.hash(), now).await?;
        }
        let group = tx.node_group(group).await?;
        let edit = Edit {
            app: self,
            tx,
            by: By::User(actor),
            operation: Operation::CreateNodeGroup,
            group: group.id,
            revision,
            note: Note::made(&group),
            now,
        };
        let change = edit.seal(format!("create node group {}", spec.name)).await?;
        Ok((group, change))
    }

    /// Changes a group. The default one stays active.
    ///
    /// The Envoys of a group that is made inactive are told to serve nothing. Who
    /// does that must be one who may delete it.
    #[tracing::instrument(skip_all, fields(node_group.id = %id))]
    pub async fn update_node_group(
        &self,
        actor: &Actor,
        id: NodeGroupId,
        change: NodeGroupChange,
    ) -> Result<(NodeGroup, Change)> {
        if change.is_active.is_some() {
            actor.may(Operation::DeleteNodeGroup, id)?;
        }
        let edit = self.begin(actor, Operation::UpdateNodeGroup, id).await?;
        let before = edit.tx.node_group(id).await?;
        check_revision(KIND, &before.spec.name, before.settings_revision, change.if_revision)?;
        if before.is_default && change.is_active == Some(false) {
            return Err(Error::DefaultGroup);
        }
        let spec = before.spec.clone().changed(change);
        let group = edit.tx.update_node_group(id, &spec, edit.now).await?;
        let edit = edit.noting(Note::changed(&before, &group));
        let change = edit.seal(format!("update node group {}", spec.name)).await?;
        Ok((group, change))
    }

    /// Deletes a group. `InUse` while anything but its default listener and
    /// proxies that are offline stands in it; the default group stays.
    ///
    /// Its Envoys, if any are connected, come back as the default group's.
    #[tracing::instrument(skip_all, fields(node_group.id = %id))]
    pub async fn delete_node_group(
        &self,
        actor: &Actor,
        id: NodeGroupId,
        if_revision: Option<Revision>,
    ) -> Result<()> {
        let act = self.act(actor, Operation::DeleteNodeGroup).await?;
        let group = act.tx.node_group(id).await?;
        check_revision(KIND, &group.spec.name, group.revision, if_revision)?;
        if group.is_default {
            return Err(Error::DefaultGroup);
        }
        act.tx.delete_node_group(&group).await?;
        act.done(format!("delete node group {}", group.spec.name), Note::gone(&group)).await?;
        self.nudge();
        Ok(())
    }
}
