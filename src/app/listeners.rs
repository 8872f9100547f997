//! Listeners.

use std::net::IpAddr;

use super::audit::Note;
use super::{App, Change, Done, Edit, check_revision};
use crate::auth::{Actor, Operation};
use crate::error::{Error, Result};
use crate::model::Labelled;
use crate::model::Revision;
use crate::model::{
    Invalid, Listener, ListenerChange, ListenerId, ListenerProtocol, ListenerSpec, NodeGroupId,
    Protocol,
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
        page: impl Into<Labelled>,
    ) -> Result<Vec<Listener>> {
        let tx = self.look(actor, Operation::ListListeners, group).await?;
        tx.listeners(group, page).await
    }

    /// One listener.
    pub async fn listener(&self, actor: &Actor, id: ListenerId) -> Result<Listener> {
        let tx = self.0.store.read().await?;
        let listener = tx.listener(id).await?;
        if !actor.sees_group(listener.group) {
            return Err(Error::not_found("listener", id));
        }
        actor.may(Operation::ReadListener, listener.group)?;
        Ok(listener)
    }

    /// Those of these listeners that there are and `actor` may see, in any order.
    pub async fn listeners_by_id(
        &self,
        actor: &Actor,
        ids: &[ListenerId],
    ) -> Result<Vec<Listener>> {
        let mut listeners = self.0.store.read().await?.listeners_by_id(ids).await?;
        listeners.retain(|listener| actor.sees_group(listener.group));
        listeners.retain(|listener| actor.may(Operation::ReadListener, listener.group).is_ok());
        Ok(listeners)
    }

    /// Creates a listener.
    #[tracing::instrument(skip_all, fields(listener.name = %new.spec.name))]
    pub async fn create_listener(
        &self,
        actor: &Actor,
        new: NewListener,
    ) -> Result<(Listener, Change)> {
        let group = new.group.unwrap_or(self.default_group());
        let edit = self.begin(actor, Operation::CreateListener, group).await?;
        let done = edit.create_listener(new.spec).await?;
        edit.finish(done).await
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
        let edit = self.begin(actor, Operation::UpdateListener, group).await?;
        let done = edit.update_listener(id, change).await?;
        edit.finish(done).await
    }

    /// Deletes a listener. `InUse` while a route is on it.
    #[tracing::instrument(skip_all, fields(listener.id = %id))]
    pub async fn delete_listener(
        &self,
        actor: &Actor,
        id: ListenerId,
        if_revision: Option<Revision>,
    ) -> Result<Change> {
        let group = self.listener(actor, id).await?.group;
        let edit = self.begin(actor, Operation::DeleteListener, group).await?;
        let done = edit.delete_listener(id, if_revision).await?;
        Ok(edit.finish(done).await?.1)
    }
}

impl Edit<'_> {
    /// Makes a listener.
    pub(super) async fn create_listener(&self, spec: ListenerSpec) -> Result<Done<Listener>> {
        self.check_listener(&spec).await?;
        check_address(&spec)?;
        let listener = self.tx.insert_listener(self.group, &spec, false, self.now).await?;
        let (note, cause) = (Note::made(&listener), format!("create listener {}", spec.name));
        Ok(Done { made: listener, note, cause })
    }

    /// Changes a listener of the group.
    pub(super) async fn update_listener(
        &self,
        id: ListenerId,
        change: ListenerChange,
    ) -> Result<Done<Listener>> {
        let before = self.tx.listener(id).await?;
        self.check_group(before.group, "listener", id)?;
        check_revision("listener", &before.spec.name, before.revision, change.if_revision)?;
        let spec = before.spec.clone().changed(change);
        self.check_listener(&spec).await?;
        check_address(&spec)?;
        let listener = self.tx.update_listener(id, &spec, self.now).await?;
        let note = Note::changed(&before, &listener);
        Ok(Done { made: listener, note, cause: format!("update listener {}", spec.name) })
    }

    /// Deletes a listener of the group.
    pub(super) async fn delete_listener(
        &self,
        id: ListenerId,
        if_revision: Option<Revision>,
    ) -> Result<Done<()>> {
        let listener = self.tx.listener(id).await?;
        self.check_group(listener.group, "listener", id)?;
        check_revision("listener", &listener.spec.name, listener.revision, if_revision)?;
        self.tx.delete_listener(&listener).await?;
        let cause = format!("delete listener {}", listener.spec.name);
        Ok(Done { made: (), note: Note::gone(&listener), cause })
    }

    /// Checks that the service which a TCP listener names is there for it.
    async fn check_listener(&self, spec: &ListenerSpec) -> Result<()> {
        self.check_certificate(spec).await?;
        if let ListenerProtocol::Tcp(service) = spec.protocol {
            let services = self.tx.services_by_id(&[service]).await?;
            let service = services.first().filter(|service| service.group == self.group);
            let why = match service.map(|service| &service.spec) {
                None => "there is no such service in this group",
                Some(spec) if !spec.is_active => "is not active",
                Some(spec) if spec.protocol == Protocol::Udp => "is a UDP service",
                Some(_) => return Ok(()),
            };
            return Err(Invalid::new("tcpService", why))?;
        }
        Ok(())
    }

    /// Checks that the certificate which a listener names is there for it.
    async fn check_certificate(&self, spec: &ListenerSpec) -> Result<()> {
        let Some(id) = spec.certificate else { return Ok(()) };
        let certificates = self.tx.certificates_by_id(&[id]).await?;
        let certificate = certificates.first().filter(|known| known.group == self.group);
        let why = match certificate.map(|certificate| &certificate.spec) {
            None => "there is no such certificate in this group",
            Some(spec) if !spec.is_active => "is not active",
            Some(_) => return Ok(()),
        };
        Err(Invalid::new("certificate", why).into())
    }
}

/// Refuses an address that no Envoy can bind.
fn check_address(spec: &ListenerSpec) -> Result<(), Invalid> {
    let why = match spec.address {
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => "must be written as an IPv4 address",
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            "must be no link-local address: nothing says of which interface"
        }
        IpAddr::V4(_) | IpAddr::V6(_) => return Ok(()),
    };
    Err(Invalid::new("address", why))
}
