//! A stream of one type alone: what it brings needs others, which its client
//! asks for on streams that this one knows nothing of.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Request, Session};
use crate::lane::Lane;
use crate::{Event, Protocol, ResourceType, Snapshot};

/// What was last reported as needed from elsewhere.
pub(super) type Needs = BTreeSet<(ResourceType, Arc<str>)>;

impl Session {
    /// Starts a stream of a service that is not aggregated.
    ///
    /// It is settled whatever its client has asked for elsewhere, and says
    /// before, with [`Event::Needs`], what that has to be.
    pub fn alone(protocol: Protocol) -> Self {
        Self { needs: Some(Needs::new()), ..Self::new(protocol) }
    }

    /// What the delivered resources need from elsewhere, if that is news.
    pub(super) fn needs_anew(&mut self, snapshot: &Snapshot) -> Option<Event> {
        let before = self.needs.as_mut()?;
        let delivered =
            self.lanes.iter().flat_map(|lane| lane.delivered(snapshot.shelf(lane.resource_type())));
        let elsewhere =
            delivered.flat_map(|resource| resource.requires()).filter(|(required, name)| {
                let asked = |lane: &Lane| lane.resource_type() == *required && lane.covers(name);
                !self.lanes.iter().any(asked)
            });
        let now: Needs = elsewhere.cloned().collect();
        if *before == now {
            return None;
        }
        before.clone_from(&now);
        Some(Event::Needs { resources: now.into_iter().collect() })
    }
}

impl Request {
    /// What it asks for by name.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Sotw(request) | Self::Again(request) => &request.resource_names,
            Self::Delta(request) => &request.resource_names_subscribe,
        }
    }
}
