//! Replacing all that a group consists of, in one change.

use std::collections::HashMap;

use super::audit::Note;
use super::{App, By, Change, Edit, setup};
use crate::auth::Operation;
use crate::error::{Error, Result};
use crate::model::Labels;
use crate::model::{
    Backend, CertificateSource, CertificateSpec, DesiredState, Forward, HostPattern, Invalid,
    KeyPair, ListenerProtocol, Name, NodeGroup, NodeGroupId, PathMatch, RenewBefore, Revision,
    Route, RouteAction, RouteSpec, Service, ServiceId, ServiceSpec, SnapshotRecord, Timeout,
    Weight,
};

/// What a group is to consist of. Names are unique among their like.
#[derive(Clone, Debug)]
pub struct Content {
    /// Its services.
    pub services: Vec<ServiceSpec>,
    /// Its routes.
    pub routes: Vec<ContentRoute>,
    /// Certificates that it has, whatever others there are: a key that is gone does
    /// not come back.
    pub certificates: Vec<ContentCertificate>,
}

/// A certificate by its name.
#[derive(Clone, Debug)]
pub struct ContentCertificate {
    /// What it is called.
    pub name: Name,
    /// The certificate and its key.
    pub pair: KeyPair,
}

/// A route that names its service.
#[derive(Clone, Debug)]
pub struct ContentRoute {
    /// What it is called.
    pub name: Name,
    /// Which hosts it answers.
    pub hosts: Vec<HostPattern>,
    /// Which paths.
    pub path: PathMatch,
    /// Where requests go to: one of the services.
    pub service: Name,
    /// How long the response may take.
    pub timeout: Timeout,
    /// Whether a request may become a WebSocket.
    pub websocket: bool,
}

impl App {
    /// Makes `content` all that the proxies of a group are given: its services and
    /// routes, on the default listener; what else there was goes, but for certificates.
    ///
    /// What is called as before stays what it is, under its old id, so that the
    /// name of its Envoy cluster stays.
    #[tracing::instrument(skip_all, fields(node_group.id = %group))]
    pub async fn replace_content(
        &self,
        by: By<'_>,
        group: NodeGroupId,
        content: Content,
    ) -> Result<(SnapshotRecord, Change)> {
        let edit = self.begin_by(by, Operation::ReplaceContent, group).await?;
        let is = edit.tx.desired_state(group).await?;
        let mut wanted = DesiredState::empty(is.group.clone());
        let listener = is.listeners.iter().find(|listener| listener.is_default);
        let mut listener = match listener {
            Some(listener) => listener.clone(),
            None => {
                let spec = setup::default_listener();
                edit.tx.insert_listener(group, &spec, true, edit.now).await?
            }
        };
        listener.spec.protocol = ListenerProtocol::Http;
        for certificate in content.certificates {
            edit.certificate_called(&is, certificate).await?;
        }
        wanted.services = edit.services_called(&is, content.services).await?;
        let ids = wanted.services.iter().map(|service| (&service.spec.name, service.id)).collect();
        for (i, route) in content.routes.into_iter().enumerate() {
            let spec = route.spec(listener.id, &ids).map_err(|e| e.within(i).within("routes"))?;
            wanted.routes.push(edit.route_called(&is, spec).await?);
        }
        wanted.listeners = vec![listener];
        let is = edit.tx.desired_state(group).await?; // with what was inserted
        edit.tx.restore(&is, &wanted, edit.now).await?;
        let edit = edit.noting(Note::of(&wanted.group));
        edit.seal_if("replace the configuration".to_owned(), |_| Ok(())).await
    }

    /// The group that whoever uses the internal API names: by its id, its name, or
    /// the `node.id` of its Envoys.
    pub async fn named_group(&self, by: By<'_>, name: &str) -> Result<NodeGroup> {
        let unknown = || Error::not_found("node group", name);
        let tx = self.0.store.read().await?;
        let id = name.strip_prefix("cluster-").unwrap_or(name).parse::<i32>().ok();
        if let Some(id) = id.and_then(|id| NodeGroupId::try_from(id).ok())
            && let Some(group) = tx.find_node_group_by_id(id).await?
        {
            return if by.knows_group(group.id) { Ok(group) } else { Err(unknown()) };
        }
        let found = match Name::try_from(name.to_owned()) {
            Ok(name) => tx.find_node_group(&name).await?,
            Err(_) => None,
        };
        found.filter(|group| by.knows_group(group.id)).ok_or_else(unknown)
    }

    /// A group's revision, and whether it can be rolled back to `wanted`.
    pub async fn revision(
        &self,
        by: By<'_>,
        group: NodeGroupId,
        wanted: Revision,
    ) -> Result<(Revision, bool)> {
        by.may(Operation::ReadSnapshot, group.into())?;
        let tx = self.0.store.read().await?;
        let current = tx.node_group(group).await?.revision;
        Ok((current, tx.find_snapshot_at(group, wanted).await?.is_some()))
    }
}

impl Edit<'_> {
    /// The services that are to be, those that are new inserted.
    async fn services_called(
        &self,
        is: &DesiredState,
        specs: Vec<ServiceSpec>,
    ) -> Result<Vec<Service>> {
        let known: HashMap<_, _> = is.services.iter().map(|s| (&s.spec.name, s)).collect();
        let mut services = Vec::with_capacity(specs.len());
        for (i, spec) in specs.into_iter().enumerate() {
            let spec = spec.check().map_err(|e| e.within(i).within("services"))?;
            services.push(match known.get(&spec.name) {
                Some(known) => {
                    // What cannot be said there stays.
                    let ServiceSpec { collection, auth, metadata, .. } = known.spec.clone();
                    let spec = ServiceSpec { collection, auth, metadata, ..spec };
                    Service { spec, ..(*known).clone() }
                }
                None => self.tx.insert_service(self.group, &spec, None, self.now).await?,
            });
        }
        Ok(services)
    }

    /// Puts a certificate in the place of the one that is called so, or inserts it.
    async fn certificate_called(
        &self,
        is: &DesiredState,
        ContentCertificate { name, pair }: ContentCertificate,
    ) -> Result<()> {
        let known = is.certificates.iter().find(|known| known.spec.name == name);
        let spec = CertificateSpec {
            labels: Labels::NONE,
            name,
            description: String::new(),
            source: CertificateSource::Upload,
            auto_renew: false,
            renew_before: RenewBefore::default(),
            is_active: true,
        };
        let Some(known) = known else {
            self.new_certificate(&spec, &pair, None).await?;
            return Ok(());
        };
        let CertificateSpec { description, renew_before, auto_renew, .. } = known.spec.clone();
        let spec = CertificateSpec { description, renew_before, auto_renew, ..spec };
        if known.spec != spec {
            self.tx.update_certificate(known.id, &spec, self.now).await?;
        }
        if known.chain != pair.chain {
            self.keep_pair(known.id, &pair, true).await?;
        }
        Ok(())
    }

    /// The route that is to be, inserted if it is new.
    async fn route_called(&self, is: &DesiredState, spec: RouteSpec) -> Result<Route> {
        match is.routes.iter().find(|known| known.spec.name == spec.name) {
            Some(known) => Ok(Route { spec, ..known.clone() }),
            None => self.tx.insert_route(self.group, &spec, self.now).await,
        }
    }
}

impl ContentRoute {
    fn spec(
        self,
        listener: crate::model::ListenerId,
        services: &HashMap<&Name, ServiceId>,
    ) -> Result<RouteSpec, Invalid> {
        let missing = || Invalid::new("cluster_name", "is none of the services");
        let service = *services.get(&self.service).ok_or_else(missing)?;
        let forward = Forward {
            backends: vec![Backend { service, weight: Weight::ONE }],
            timeout: Some(self.timeout),
            websocket: self.websocket,
            ..Default::default()
        };
        let spec = RouteSpec {
            labels: Labels::NONE,
            name: self.name,
            listener,
            hosts: self.hosts,
            path: self.path,
            methods: vec![],
            headers: vec![],
            priority: 0,
            action: RouteAction::Forward(forward),
        };
        spec.check()
    }
}
