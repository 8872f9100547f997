//! Mappings.

use super::audit::Note;
use super::{App, Change, Done, Edit, check_revision};
use crate::auth::{Actor, Operation, Scope};
use crate::error::{Error, Result};
use crate::model::Labelled;
use crate::model::Revision;
use crate::model::{Invalid, Mapping, MappingChange, MappingId, MappingSpec, NodeGroupId};
use crate::model::{Listed, Window};

/// A mapping to be made.
#[derive(Clone, Debug)]
pub struct NewMapping {
    /// In which group; in the default one if not said.
    pub group: Option<NodeGroupId>,
    /// What it is to be.
    pub spec: MappingSpec,
}

impl App {
    /// A group's mappings.
    pub async fn mappings(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        page: impl Into<Labelled>,
    ) -> Result<Vec<Mapping>> {
        let tx = self.look(actor, Operation::ReadMapping, group).await?;
        tx.mappings(group, page).await
    }

    /// A window on the mappings of a group, or of all that `actor` may look at.
    pub async fn list_mappings(
        &self,
        actor: &Actor,
        group: Option<NodeGroupId>,
        window: Window,
    ) -> Result<Listed<Mapping>> {
        let tx = self.look(actor, Operation::ListMappings, Scope::Everywhere).await?;
        tx.list_mappings(group, actor.seen_groups().as_deref(), window).await
    }

    /// One mapping.
    pub async fn mapping(&self, actor: &Actor, id: MappingId) -> Result<Mapping> {
        let mapping = self.0.store.read().await?.mapping(id).await?;
        if !actor.sees_group(mapping.group) {
            return Err(Error::not_found("mapping", id));
        }
        actor.may(Operation::ReadMapping, mapping.group)?;
        Ok(mapping)
    }

    /// Those of these mappings that there are and `actor` may see, in any order.
    pub async fn mappings_by_id(&self, actor: &Actor, ids: &[MappingId]) -> Result<Vec<Mapping>> {
        let mut mappings = self.0.store.read().await?.mappings_by_id(ids).await?;
        mappings.retain(|mapping| actor.sees_group(mapping.group));
        mappings.retain(|mapping| actor.may(Operation::ReadMapping, mapping.group).is_ok());
        Ok(mappings)
    }

    /// Creates a mapping.
    #[tracing::instrument(skip_all, fields(mapping.name = %new.spec.name))]
    pub async fn create_mapping(
        &self,
        actor: &Actor,
        new: NewMapping,
    ) -> Result<(Mapping, Change)> {
        let group = new.group.unwrap_or(self.default_group());
        let edit = self.begin(actor, Operation::CreateMapping, group).await?;
        let done = edit.create_mapping(new.spec).await?;
        edit.finish(done).await
    }

    /// Changes a mapping.
    #[tracing::instrument(skip_all, fields(mapping.id = %id))]
    pub async fn update_mapping(
        &self,
        actor: &Actor,
        id: MappingId,
        change: MappingChange,
    ) -> Result<(Mapping, Change)> {
        let group = self.mapping(actor, id).await?.group; // it never changes
        let edit = self.begin(actor, Operation::UpdateMapping, group).await?;
        let done = edit.update_mapping(id, change).await?;
        edit.finish(done).await
    }

    /// Deletes a mapping.
    #[tracing::instrument(skip_all, fields(mapping.id = %id))]
    pub async fn delete_mapping(
        &self,
        actor: &Actor,
        id: MappingId,
        if_revision: Option<Revision>,
    ) -> Result<Change> {
        let group = self.mapping(actor, id).await?.group;
        let edit = self.begin(actor, Operation::DeleteMapping, group).await?;
        let done = edit.delete_mapping(id, if_revision).await?;
        Ok(edit.finish(done).await?.1)
    }
}

impl Edit<'_> {
    /// Makes a mapping.
    pub(super) async fn create_mapping(&self, spec: MappingSpec) -> Result<Done<Mapping>> {
        let spec = self.check_mapping(spec).await?;
        let mapping = self.tx.insert_mapping(self.group, &spec, self.user(), self.now).await?;
        let (note, cause) = (Note::made(&mapping), format!("create mapping {}", spec.name));
        Ok(Done { made: mapping, note, cause })
    }

    /// Changes a mapping of the group.
    pub(super) async fn update_mapping(
        &self,
        id: MappingId,
        change: MappingChange,
    ) -> Result<Done<Mapping>> {
        let before = self.tx.mapping(id).await?;
        self.check_group(before.group, "mapping", id)?;
        check_revision("mapping", &before.spec.name, before.revision, change.if_revision)?;
        let spec = before.spec.clone().changed(change);
        let spec = self.check_mapping(spec).await?;
        let mapping = self.tx.update_mapping(id, &spec, self.now).await?;
        let note = Note::changed(&before, &mapping);
        Ok(Done { made: mapping, note, cause: format!("update mapping {}", spec.name) })
    }

    /// Deletes a mapping of the group.
    pub(super) async fn delete_mapping(
        &self,
        id: MappingId,
        if_revision: Option<Revision>,
    ) -> Result<Done<()>> {
        let mapping = self.tx.mapping(id).await?;
        self.check_group(mapping.group, "mapping", id)?;
        check_revision("mapping", &mapping.spec.name, mapping.revision, if_revision)?;
        self.tx.delete_mapping(&mapping).await?;
        let cause = format!("delete mapping {}", mapping.spec.name);
        Ok(Done { made: (), note: Note::gone(&mapping), cause })
    }

    /// Checks a mapping, and that the services which it names are there for it.
    async fn check_mapping(&self, spec: MappingSpec) -> Result<MappingSpec> {
        let spec = spec.check()?;
        for (field, services) in
            [("sourceServices", &spec.sources), ("destServices", &spec.destinations)]
        {
            let ids: Vec<_> = services.ids().iter().copied().collect();
            let known = self.tx.services_by_id(&ids).await?;
            let is_here = |id| known.iter().any(|s| s.id == id && s.group == self.group);
            if let Some(id) = ids.into_iter().find(|id| !is_here(*id)) {
                let why = format!("there is no service {id} in this group");
                return Err(Invalid::new(field, why).into());
            }
        }
        Ok(spec)
    }
}
