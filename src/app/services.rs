//! Services.

use super::{App, Change};
use crate::auth::Actor;
use crate::compile::names;
use crate::error::Result;
use crate::model::Page;
use crate::model::{NodeGroupId, Service, ServiceChange, ServiceId, ServiceSpec};

/// A service to be made.
#[derive(Clone, Debug)]
pub struct NewService {
    /// In which group; in the default one if not said.
    pub group: Option<NodeGroupId>,
    /// What it is to be.
    pub spec: ServiceSpec,
}

/// What a service's cluster is called in Envoy.
pub fn envoy_cluster(service: &Service) -> String {
    names::cluster(service)
}

impl App {
    /// A group's services.
    pub async fn services(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        page: Page,
    ) -> Result<Vec<Service>> {
        self.view(actor).await?.services(group, page).await
    }

    /// One service.
    pub async fn service(&self, actor: &Actor, id: ServiceId) -> Result<Service> {
        self.view(actor).await?.service(id).await
    }

    /// Those of these services that there are, in any order.
    pub async fn services_by_id(&self, actor: &Actor, ids: &[ServiceId]) -> Result<Vec<Service>> {
        self.view(actor).await?.services_by_id(ids).await
    }

    /// Creates a service and sets its group's proxies on the way to it.
    #[tracing::instrument(skip_all, fields(service.name = %new.spec.name))]
    pub async fn create_service(
        &self,
        actor: &Actor,
        new: NewService,
    ) -> Result<(Service, Change)> {
        let edit = self.edit(actor, new.group.unwrap_or(self.default_group())).await?;
        let spec = new.spec.check()?;
        let service = edit.tx.insert_service(edit.group, &spec, edit.now).await?;
        let change = edit.seal(format!("create service {}", spec.name)).await?;
        Ok((service, change))
    }

    /// Changes a service.
    #[tracing::instrument(skip_all, fields(service.id = %id))]
    pub async fn update_service(
        &self,
        actor: &Actor,
        id: ServiceId,
        change: ServiceChange,
    ) -> Result<(Service, Change)> {
        let group = self.service(actor, id).await?.group; // it never changes
        let edit = self.edit(actor, group).await?;
        let spec = edit.tx.service(id).await?.spec.changed(change).check()?;
        let service = edit.tx.update_service(id, &spec, edit.now).await?;
        let change = edit.seal(format!("update service {}", spec.name)).await?;
        Ok((service, change))
    }

    /// Deletes a service. `InUse` while a route or a listener names it.
    #[tracing::instrument(skip_all, fields(service.id = %id))]
    pub async fn delete_service(&self, actor: &Actor, id: ServiceId) -> Result<Change> {
        let group = self.service(actor, id).await?.group;
        let edit = self.edit(actor, group).await?;
        let service = edit.tx.service(id).await?;
        edit.tx.delete_service(&service).await?;
        edit.seal(format!("delete service {}", service.spec.name)).await
    }
}
