//! The streams of one node, and what it comes to for the node.
//!
//! An Envoy with ADS has one stream; one without has one for each subscription,
//! such as one for the endpoints of each cluster. So nothing here looks at all
//! streams when something happens on one: what is asked of all is counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use marchproxy_xds::{DiscoveryService, Event, ResourceType};

use super::status::{Cause, NodeStatus, Refusal, Settled};
use crate::model::Revision;

/// Names a stream among those of all nodes.
pub(super) type StreamId = u64;

/// What a stream is about, as its client introduced it.
#[derive(Clone, Debug)]
pub struct StreamInfo {
    service: DiscoveryService,
    names: BTreeSet<Arc<str>>,
}

/// The open streams of one node.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: HashMap<StreamId, Stream>,
    /// How many have come how far; to nothing, those that have not settled yet.
    settled: Tally<Option<Revision>>,
    /// How many hold something of a type that is refused.
    held: Tally<ResourceType>,
    /// How many ask for what by name.
    asked: Tally<(ResourceType, Arc<str>)>,
    /// How many there are of a type, and how many have accepted which version.
    of_type: Tally<ResourceType>,
    acked: Tally<(ResourceType, Arc<str>)>,
    refusals: BTreeMap<(ResourceType, StreamId), Arc<Refusal>>,
}

#[derive(Debug)]
struct Stream {
    info: StreamInfo,
    settled: Option<Revision>,
    held: Vec<ResourceType>,
    /// What has to be asked for on other streams.
    needs: Vec<(ResourceType, Arc<str>)>,
    /// The last version of each type that was accepted.
    acked: BTreeMap<ResourceType, Arc<str>>,
}

/// How many there are of each.
#[derive(Debug)]
struct Tally<K>(BTreeMap<K, usize>);

impl StreamInfo {
    /// A stream of this service that asks for these names first.
    pub fn new(service: DiscoveryService, names: &[String]) -> Self {
        Self { service, names: names.iter().map(|name| name.as_str().into()).collect() }
    }

    /// Whether it is about all types.
    pub(super) fn is_aggregated(&self) -> bool {
        self.service == DiscoveryService::Aggregated
    }

    /// The type that it is about, if it is about one.
    fn alone(&self) -> Option<ResourceType> {
        match self.service {
            DiscoveryService::Aggregated => None,
            DiscoveryService::Of(resource_type) => Some(resource_type),
        }
    }

    fn asked(&self) -> impl Iterator<Item = (ResourceType, Arc<str>)> {
        let of_type = self.alone();
        of_type.into_iter().flat_map(|t| self.names.iter().map(move |name| (t, name.clone())))
    }
}

impl<K: Ord> Tally<K> {
    fn add(&mut self, key: K) {
        *self.0.entry(key).or_default() += 1;
    }

    fn remove(&mut self, key: &K) {
        if let Some(count) = self.0.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(key);
            }
        }
    }

    fn count(&self, key: &K) -> usize {
        self.0.get(key).copied().unwrap_or_default()
    }
}

impl<K: Ord> Default for Tally<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether one of them is about all types.
    pub(super) fn has_aggregated(&self) -> bool {
        self.open.values().any(|stream| stream.info.is_aggregated())
    }

    pub(super) fn open(&mut self, id: StreamId, info: StreamInfo) {
        self.settled.add(None);
        info.asked().for_each(|name| self.asked.add(name));
        info.alone().into_iter().for_each(|resource_type| self.of_type.add(resource_type));
        let stream = Stream {
            info,
            settled: None,
            held: Vec::new(),
            needs: Vec::new(),
            acked: BTreeMap::new(),
        };
        self.open.insert(id, stream);
    }

    /// Closes one of several streams, and notes in `status` what it comes to.
    pub(super) fn close(
        &mut self,
        id: StreamId,
        status: &mut NodeStatus,
        now: DateTime<Utc>,
    ) -> Option<Cause> {
        let stream = self.open.remove(&id)?;
        self.settled.remove(&stream.settled);
        stream.held.iter().for_each(|resource_type| self.held.remove(resource_type));
        stream.info.asked().for_each(|name| self.asked.remove(&name));
        stream.acked.into_iter().for_each(|acked| self.acked.remove(&acked));
        self.refusals.retain(|(_, of_stream), _| *of_stream != id);
        self.note_refused(status);
        let acked = stream.info.alone().and_then(|resource_type| {
            self.of_type.remove(&resource_type);
            let of_type = (resource_type, "".into())..;
            let mut versions =
                self.acked.0.range(of_type).take_while(|(k, _)| k.0 == resource_type);
            let version = versions.next()?.0.1.clone();
            self.note_acked(resource_type, version, status, now)
        });
        self.note_settled(status).or(acked)
    }

    /// Notes in `status` what happened on a stream, and says what that was for
    /// the node: a version is accepted once all streams of its type have it, a
    /// revision settled once all streams are.
    pub(super) fn observe(
        &mut self,
        id: StreamId,
        event: Event,
        status: &mut NodeStatus,
        now: DateTime<Utc>,
    ) -> Option<Cause> {
        let stream = self.open.get_mut(&id)?;
        match event {
            Event::Sent { resource_type, version, .. } => {
                let status = status.types.entry(resource_type).or_default();
                status.sent_version = Some(version);
                status.sent_at = Some(now);
                None
            }
            Event::Acked { resource_type, version, .. } => {
                if let Some(before) = stream.acked.insert(resource_type, version.clone()) {
                    self.acked.remove(&(resource_type, before));
                }
                self.acked.add((resource_type, version.clone()));
                self.note_acked(resource_type, version, status, now)
            }
            Event::Nacked {
                resource_type,
                version,
                revision,
                code,
                message,
                resources,
                culprits,
                searching,
            } => {
                let place = (resource_type, id);
                let before = self.refusals.get(&place).filter(|before| before.version == version);
                let named = before.map_or(&[][..], |before| &before.culprits);
                let more = culprits.iter().filter(|culprit| !named.contains(culprit));
                let culprits = named.iter().chain(more).cloned().collect();
                let refusal = Arc::new(Refusal {
                    resource_type,
                    version,
                    revision: revision.into(),
                    code,
                    message,
                    resources,
                    culprits,
                    at: now,
                });
                status.last_refusal = Some(Arc::clone(&refusal));
                if !searching {
                    self.refusals.insert(place, refusal); // else it is not known yet what of it
                }
                status.types.entry(resource_type).or_default();
                self.note_refused(status);
                Some(Cause::Nacked(resource_type))
            }
            Event::Overdue { .. } | Event::Withheld { .. } => None,
            Event::Needs { resources } => {
                stream.needs = resources;
                None
            }
            Event::Settled { revision, held } => {
                self.settled.remove(&stream.settled);
                stream.settled = Some(revision.into());
                self.settled.add(stream.settled);
                stream.held.iter().for_each(|resource_type| self.held.remove(resource_type));
                held.iter().for_each(|resource_type| self.held.add(*resource_type));
                self.refusals
                    .retain(|(of_type, of_stream), _| *of_stream != id || held.contains(of_type));
                stream.held = held;
                self.note_refused(status);
                self.note_settled(status)
            }
        }
    }

    fn note_acked(
        &self,
        resource_type: ResourceType,
        version: Arc<str>,
        status: &mut NodeStatus,
        now: DateTime<Utc>,
    ) -> Option<Cause> {
        let acked = (resource_type, version);
        if self.acked.count(&acked) < self.of_type.count(&resource_type) {
            return None;
        }
        let status = status.types.entry(resource_type).or_default();
        let is_known = status.acked_version.as_ref() == Some(&acked.1);
        status.acked_version = Some(acked.1);
        status.acked_at = Some(now);
        // That a stream more has what all have is not worth telling.
        (!is_known || self.open.len() == 1).then_some(Cause::Acked(resource_type))
    }

    /// What is refused of each type: of the latest revision, and last.
    fn note_refused(&self, status: &mut NodeStatus) {
        for (&resource_type, status) in &mut status.types {
            let of_type = (resource_type, StreamId::MIN)..=(resource_type, StreamId::MAX);
            let refusals = self.refusals.range(of_type).map(|(_, refusal)| refusal);
            status.refused = refusals.max_by_key(|r| (r.revision, r.at)).cloned();
        }
    }

    fn note_settled(&self, status: &mut NodeStatus) -> Option<Cause> {
        let revision = (*self.settled.0.keys().next()?)?;
        let settled = Settled { revision, held: self.held.0.keys().copied().collect() };
        let is_older = status.settled.as_ref().is_some_and(|s| s.revision > revision);
        if is_older || status.settled.as_ref() == Some(&settled) || !self.is_complete() {
            return None;
        }
        status.settled = Some(settled);
        Some(Cause::Settled)
    }

    /// Whether what the streams need of each other is asked for.
    fn is_complete(&self) -> bool {
        let needs = self.open.values().flat_map(|stream| &stream.needs);
        needs
            .filter(|(required, _)| is_asked_for_by_name(*required))
            .all(|name| self.asked.count(name) > 0)
    }
}

/// Whether a client names resources of this type on a stream for each; clusters
/// and listeners it gets all, or asks for when it needs them.
fn is_asked_for_by_name(resource_type: ResourceType) -> bool {
    match resource_type {
        ResourceType::Secret | ResourceType::Endpoint | ResourceType::Route => true,
        ResourceType::Runtime
        | ResourceType::Cluster
        | ResourceType::Listener
        | ResourceType::Extension
        | ResourceType::ScopedRoute
        | ResourceType::VirtualHost
        | ResourceType::Other(_) => false,
    }
}
