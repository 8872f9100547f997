//! Services.

use super::audit::Note;
use super::{App, Change, Done, Edit, check_revision};
use crate::auth::{Actor, Operation, Scope, ServiceSecret};
use crate::compile::names;
use crate::error::{Error, Result};
use crate::model::Labelled;
use crate::model::Revision;
use crate::model::{
    AuthKind, Invalid, NodeGroupId, SecretAuth, Service, ServiceChange, ServiceId, ServiceSpec,
};
use crate::model::{Listed, Page, Window};
use crate::store::KeptSecret;

/// A service to be made.
#[derive(Clone, Debug)]
pub struct NewService {
    /// In which group; in the default one if not said.
    pub group: Option<NodeGroupId>,
    /// What it is to be.
    pub spec: ServiceSpec,
}

/// A service that was just made or changed.
#[derive(Debug)]
pub struct Served {
    /// The service.
    pub service: Service,
    /// The secret that was made up for it, if one was; to be shown this once.
    pub secret: Option<ServiceSecret>,
}

/// What a service's cluster is called in Envoy.
pub fn envoy_cluster(service: &Service) -> String {
    names::cluster(service)
}

impl App {
    /// A group's services, as far as `actor` may look at them.
    pub async fn services(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        page: impl Into<Labelled>,
    ) -> Result<Vec<Service>> {
        let page = page.into();
        let tx = self.look(actor, Operation::ListServices, Scope::Everywhere).await?;
        if actor.sees_group(group) {
            return tx.services(group, page).await;
        }
        let mut services = tx.services_by_id(&actor.services_in(group).collect::<Vec<_>>()).await?;
        services.retain(|service| actor.sees_service(service));
        services.sort_by_key(|service| service.id);
        services.retain(|service| service.spec.labels.have(&page.labels));
        let page = page.page;
        services.retain(|service| i32::from(service.id) > page.after);
        services.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        Ok(services)
    }

    /// A window on the services of a group, or of all that the actor may see.
    pub async fn list_services(
        &self,
        actor: &Actor,
        group: Option<NodeGroupId>,
        window: Window,
    ) -> Result<Listed<Service>> {
        let tx = self.look(actor, Operation::ListServices, Scope::Everywhere).await?;
        let Some(known) = actor.known_groups() else {
            return tx.list_services(group, None, window).await;
        };
        let (whole, parts): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|group| actor.sees_group(*group));
        let single = actor.seen_services(&parts);
        tx.list_services(group, Some((&whole, &single)), window).await
    }

    /// One service.
    pub async fn service(&self, actor: &Actor, id: ServiceId) -> Result<Service> {
        let tx = self.0.store.read().await?;
        let service = tx.service(id).await?;
        if !actor.sees_service(&service) {
            return Err(Error::not_found("service", id));
        }
        actor.may(Operation::ReadService, &service)?;
        Ok(service)
    }

    /// Those of these services that there are and `actor` may see, in any order.
    pub async fn services_by_id(&self, actor: &Actor, ids: &[ServiceId]) -> Result<Vec<Service>> {
        let tx = self.look(actor, Operation::ListServices, Scope::Everywhere).await?;
        let mut services = tx.services_by_id(ids).await?;
        services.retain(|service| actor.sees_service(service));
        services.retain(|service| actor.may(Operation::ReadService, service).is_ok());
        Ok(services)
    }

    /// Creates a service and sets its group's proxies on the way to it.
    #[tracing::instrument(skip_all, fields(service.name = %new.spec.name))]
    pub async fn create_service(&self, actor: &Actor, new: NewService) -> Result<(Served, Change)> {
        let group = new.group.unwrap_or(self.default_group());
        let edit = self.begin(actor, Operation::CreateService, group).await?;
        let done = edit.create_service(new.spec).await?;
        edit.finish(done).await
    }

    /// Changes a service. `InUse` if it is to be inactive, and a route or a
    /// listener names it.
    #[tracing::instrument(skip_all, fields(service.id = %id))]
    pub async fn update_service(
        &self,
        actor: &Actor,
        id: ServiceId,
        change: ServiceChange,
    ) -> Result<(Served, Change)> {
        self.change_service(actor, Operation::UpdateService, id, change).await
    }

    /// Switches a service off: no proxy is told of it, and it keeps its name. `InUse` if
    /// a route or a listener names it. For whoever may delete it.
    #[tracing::instrument(skip_all, fields(service.id = %id))]
    pub async fn retire_service(&self, actor: &Actor, id: ServiceId) -> Result<Change> {
        let off = ServiceChange { is_active: Some(false), ..Default::default() };
        Ok(self.change_service(actor, Operation::DeleteService, id, off).await?.1)
    }

    async fn change_service(
        &self,
        actor: &Actor,
        operation: Operation,
        id: ServiceId,
        change: ServiceChange,
    ) -> Result<(Served, Change)> {
        let found = self.service(actor, id).await?; // its group never changes
        let edit = self.begin(actor, operation, &found).await?;
        let done = edit.update_service(id, change).await?;
        edit.finish(done).await
    }

    /// Gives a service a new secret of this kind; the old one is good no more.
    #[tracing::instrument(skip_all, fields(service.id = %id))]
    pub async fn rotate_service_secret(
        &self,
        actor: &Actor,
        id: ServiceId,
        kind: SecretAuth,
    ) -> Result<(Service, ServiceSecret)> {
        let found = self.service(actor, id).await?;
        let edit = self.begin(actor, Operation::RotateServiceSecret, &found).await?;
        let change = ServiceChange { auth: Some(kind.into()), ..Default::default() };
        let before = edit.tx.service(id).await?;
        let spec = before.spec.clone().changed(change);
        let service = edit.tx.update_service(id, &spec, edit.now).await?;
        edit.check_auth(&service).await?;
        let secret = edit.new_secret(&service, kind).await?;
        let edit = edit.noting(Note::changed(&before, &service));
        edit.seal(format!("rotate the secret of service {}", spec.name)).await?;
        Ok((service, secret))
    }

    /// Compiles the group of a service anew and publishes it, as if something had
    /// changed. An Envoy that has what comes out is not sent it again.
    #[tracing::instrument(skip_all, fields(service.id = %id))]
    pub async fn reload_service(&self, actor: &Actor, id: ServiceId) -> Result<Change> {
        let service = self.service(actor, id).await?;
        let edit = self.begin(actor, Operation::ReloadService, &service).await?;
        let edit = edit.noting(Note::of(&service));
        edit.seal(format!("reload service {}", service.spec.name)).await
    }

    /// Deletes a service. `InUse` while a route, a listener or a mapping names it.
    #[tracing::instrument(skip_all, fields(service.id = %id))]
    pub async fn delete_service(
        &self,
        actor: &Actor,
        id: ServiceId,
        if_revision: Option<Revision>,
    ) -> Result<Change> {
        let found = self.service(actor, id).await?;
        let edit = self.begin(actor, Operation::DeleteService, &found).await?;
        let done = edit.delete_service(id, if_revision).await?;
        Ok(edit.finish(done).await?.1)
    }
}

impl Edit<'_> {
    /// Makes a service.
    pub(super) async fn create_service(&self, spec: ServiceSpec) -> Result<Done<Served>> {
        let spec = spec.check()?;
        let service = self.tx.insert_service(self.group, &spec, self.user(), self.now).await?;
        self.check_auth(&service).await?;
        let secret = self.secret_as_needed(&service).await?;
        let note = Note::made(&service);
        let cause = format!("create service {}", spec.name);
        Ok(Done { made: Served { service, secret }, note, cause })
    }

    /// Changes a service of the group.
    pub(super) async fn update_service(
        &self,
        id: ServiceId,
        change: ServiceChange,
    ) -> Result<Done<Served>> {
        let before = self.tx.service(id).await?;
        self.check_group(before.group, "service", id)?;
        check_revision("service", &before.spec.name, before.revision, change.if_revision)?;
        let spec = before.spec.clone().changed(change).check()?;
        if before.spec.is_active && !spec.is_active {
            self.tx.check_unused(&before).await?;
        }
        let service = self.tx.update_service(id, &spec, self.now).await?;
        self.check_auth(&service).await?;
        let secret = self.secret_as_needed(&service).await?;
        let note = Note::changed(&before, &service);
        let cause = format!("update service {}", spec.name);
        Ok(Done { made: Served { service, secret }, note, cause })
    }

    /// Deletes a service of the group.
    pub(super) async fn delete_service(
        &self,
        id: ServiceId,
        if_revision: Option<Revision>,
    ) -> Result<Done<()>> {
        let service = self.tx.service(id).await?;
        self.check_group(service.group, "service", id)?;
        check_revision("service", &service.spec.name, service.revision, if_revision)?;
        self.tx.delete_service(&service).await?;
        let cause = format!("delete service {}", service.spec.name);
        Ok(Done { made: (), note: Note::gone(&service), cause })
    }

    /// Checks that the services of the group are of one mind about what their
    /// clients prove themselves with: a proxy looks for tokens, or for JWTs.
    async fn check_auth(&self, service: &Service) -> Result<()> {
        let asks = |s: &Service| s.spec.is_active && s.spec.auth.kind != AuthKind::None;
        if !asks(service) {
            return Ok(());
        }
        let kind = service.spec.auth.kind;
        let others = self.tx.services(self.group, Page::ALL).await?;
        match others.iter().find(|other| asks(other) && other.spec.auth.kind != kind) {
            None => Ok(()),
            Some(other) => {
                let (name, theirs) = (&other.spec.name, other.spec.auth.kind.as_str());
                let why = format!(
                    "base64 and jwt cannot be mixed in one group of proxies: \
                     service {name} has {theirs}"
                );
                Err(Invalid::new("authType", why).into())
            }
        }
    }

    /// Makes a secret if the service needs one that it has not; takes away one
    /// that it does not need.
    async fn secret_as_needed(&self, service: &Service) -> Result<Option<ServiceSecret>> {
        let kept = self.tx.find_service_secret(service.id).await?.map(|kept| kept.kind);
        match service.spec.auth.kind.secret() {
            needed if needed == kept => Ok(None),
            Some(kind) => self.new_secret(service, kind).await.map(Some),
            None => {
                self.tx.delete_service_secret(service.id).await?;
                Ok(None)
            }
        }
    }

    async fn new_secret(&self, service: &Service, kind: SecretAuth) -> Result<ServiceSecret> {
        let secret = ServiceSecret::make(kind);
        let sealed = secret.sealed(&self.app.0.sealer, service.id)?;
        let kept = KeptSecret { service: service.id, kind, sealed };
        self.tx.replace_service_secret(&kept, self.now).await?;
        Ok(secret)
    }
}
