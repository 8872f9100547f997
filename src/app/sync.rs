//! The truth per proxy: how each resource stands with it, by its own answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, TimeDelta, Utc};
use marchproxy_xds::{
    Clients, ResourceRefusal, ResourceReport, ResourceState, ResourceType, UNTOLD,
};

use super::App;
use crate::auth::{Actor, Operation};
use crate::compile::blame::Nouns;
use crate::error::Result;
use crate::model::{NodeGroupId, Page};
use crate::nodes::NodeStatus;

/// How one resource stands with one proxy.
#[derive(Clone, Debug)]
pub struct ResourceSync {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its name.
    pub name: Arc<str>,
    /// The version that the proxy holds or was last sent.
    pub version: Option<Arc<str>>,
    /// How it stands.
    pub state: ResourceState,
    /// When it came to that.
    pub since: Option<DateTime<Utc>>,
    /// When that version was sent, as far as that is remembered.
    pub sent_at: Option<DateTime<Utc>>,
    /// What the proxy refused of it, if it does at present.
    pub refusal: Option<ResourceRefusal>,
}

impl ResourceSync {
    /// How long the proxy took to accept or refuse it; none until it has.
    pub fn latency(&self) -> Option<TimeDelta> {
        match self.state {
            ResourceState::Acked | ResourceState::Nacked => {
                let latency = self.since? - self.sent_at?;
                (latency >= TimeDelta::zero()).then_some(latency)
            }
            ResourceState::Pending
            | ResourceState::Sent
            | ResourceState::Warming
            | ResourceState::Absent => None,
        }
    }
}

impl App {
    /// The streams of proxies, to be asked how they stand.
    pub fn clients(&self) -> Clients {
        self.0.clients.clone()
    }

    /// How each resource stands with a proxy that it asked for, by type and name. Nothing,
    /// if it is not connected to this instance.
    pub fn node_sync(&self, actor: &Actor, node: &NodeStatus) -> Result<Vec<ResourceSync>> {
        actor.may(Operation::ReadNode, node.group)?;
        let mut all: BTreeMap<(ResourceType, Arc<str>), ResourceSync> = BTreeMap::new();
        for report in self.0.clients.reports_of(node.id.into()) {
            for resource in report.resources {
                let sync = ResourceSync::from(resource);
                let place = (sync.resource_type, Arc::clone(&sync.name));
                // On several streams, what is left to do counts.
                if all.get(&place).is_none_or(|known| rank(known.state) < rank(sync.state)) {
                    all.insert(place, sync);
                }
            }
        }
        Ok(all.into_values().collect())
    }

    /// What of a group its resources are called by.
    pub async fn nouns(&self, actor: &Actor, group: NodeGroupId) -> Result<Nouns> {
        let tx = self.look(actor, Operation::ReadNode, group).await?;
        Ok(Nouns {
            listeners: tx.listeners(group, Page::ALL).await?,
            routes: tx.routes(group, Page::ALL).await?,
            certificates: tx.certificates(group, Page::ALL).await?,
        })
    }
}

/// How far a state is from being as it should.
pub fn rank(state: ResourceState) -> u8 {
    match state {
        ResourceState::Absent => 0,
        ResourceState::Acked => 1,
        ResourceState::Warming => 2,
        ResourceState::Sent => 3,
        ResourceState::Pending => 4,
        ResourceState::Nacked => 5,
    }
}

impl From<ResourceReport> for ResourceSync {
    fn from(report: ResourceReport) -> Self {
        let ResourceReport { resource_type, name, version, state, since, sent_at, refusal, .. } =
            report;
        let time = |at: SystemTime| DateTime::<Utc>::from(at);
        // What a proxy says of a secret may quote it.
        let refusal = refusal.map(|refusal| match resource_type {
            ResourceType::Secret => ResourceRefusal { message: UNTOLD.into(), ..refusal },
            ResourceType::Runtime
            | ResourceType::Cluster
            | ResourceType::Endpoint
            | ResourceType::Listener
            | ResourceType::Route
            | ResourceType::Extension
            | ResourceType::ScopedRoute
            | ResourceType::VirtualHost
            | ResourceType::Other(_) => refusal,
        });
        let (since, sent_at) = (since.map(time), sent_at.map(time));
        Self { resource_type, name, version, state, since, sent_at, refusal }
    }
}
