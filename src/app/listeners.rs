//! Listeners.

use super::{App, Change, Edit};
use crate::auth::Actor;
use crate::error::Result;
use crate::model::Page;
use crate::model::{
    Invalid, Listener, ListenerChange, ListenerId, ListenerProtocol, ListenerSpec, NodeGroupId,
};

/// A listener to be made.
#[derive(Clone, Debug)]
pub struct NewListener {
    /// In which group; in the default one if not said.
    pub group: Option<NodeGroupId>,
    /// What it is to be.
    pub spec: ListenerSpec,
}

impl App {
    /// A group's listeners.
    pub async fn listeners(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        page: Page,
    ) -> Result<Vec<Listener>> {
        self.view(actor).await?.listeners(group, page).await
    }

    /// One listener.
    pub async fn listener(&self, actor: &Actor, id: ListenerId) -> Result<Listener> {
        self.view(actor).await?.listener(id).await
    }

    /// Those of these listeners that there are, in any order.
    pub async fn listeners_by_id(
        &self,
        actor: &Actor,
        ids: &[ListenerId],
    ) -> Result<Vec<Listener>> {
        self.view(actor).await?.listeners_by_id(ids).await
    }

    /// Creates a listener.
    #[tracing::instrument(skip_all, fields(listener.name = %new.spec.name))]
    pub async fn create_listener(
        &self,
        actor: &Actor,
        new: NewListener,
    ) -> Result<(Listener, Change)> {
        let edit = self.edit(actor, new.group.unwrap_or(self.default_group())).await?;
        edit.check_listener(&new.spec).await?;
        let listener = edit.tx.insert_listener(edit.group, &new.spec, false, edit.now).await?;
        let change = edit.seal(format!("create listener {}", new.spec.name)).await?;
        Ok((listener, change))
    }

    /// Changes a listener.
    #[tracing::instrument(skip_all, fields(listener.id = %id))]
    pub async fn update_listener(
        &self,
        actor: &Actor,
        id: ListenerId,
        change: ListenerChange,
    ) -> Result<(Listener, Change)> {
        let group = self.listener(actor, id).await?.group; // it never changes
        let edit = self.edit(actor, group).await?;
        let spec = edit.tx.listener(id).await?.spec.changed(change);
        edit.check_listener(&spec).await?;
        let listener = edit.tx.update_listener(id, &spec, edit.now).await?;
        let change = edit.seal(format!("update listener {}", spec.name)).await?;
        Ok((listener, change))
    }

    /// Deletes a listener. `InUse` while a route is on it.
    #[tracing::instrument(skip_all, fields(listener.id = %id))]
    pub async fn delete_listener(&self, actor: &Actor, id: ListenerId) -> Result<Change> {
        let group = self.listener(actor, id).await?.group;
        let edit = self.edit(actor, group).await?;
        let listener = edit.tx.listener(id).await?;
        edit.tx.delete_listener(&listener).await?;
        edit.seal(format!("delete listener {}", listener.spec.name)).await
    }
}

impl Edit<'_> {
    /// Checks that the service which a TCP listener names is there for it.
    async fn check_listener(&self, spec: &ListenerSpec) -> Result<()> {
        if let ListenerProtocol::Tcp(service) = spec.protocol {
            let services = self.tx.services_by_id(&[service]).await?;
            if !services.iter().any(|service| service.group == self.group) {
                let why = "there is no such service in this group";
                return Err(Invalid::new("tcpService", why))?;
            }
        }
        Ok(())
    }
}
