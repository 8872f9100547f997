//! What a client brings from an earlier stream.
//!
//! A fleet that has lost its server comes back at once, and with much the same. So that
//! its streams share what they are told, what a client holds is noted as the shelf of
//! now and what is otherwise: often nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Known, Lane};
use crate::ResourceType;
use crate::shelf::Shelf;

/// Names and versions, as the client says them.
type Held = BTreeMap<String, String>;

impl Lane {
    /// Takes over what the client holds, as it stands to `shelf`.
    pub(super) fn bring(&mut self, held: &Held, shelf: &Arc<Shelf>) {
        if self.resource_type == ResourceType::Endpoint && !self.interest.is_wildcard() {
            // Envoy may hold a cluster that waits for endpoints which it has already, so
            // all are sent: then it does not matter which of them it has.
            let gone = held.iter().filter(|(name, _)| shelf.find(name).is_none());
            self.odd = gone.filter_map(|(name, version)| self.noted(name, version)).collect();
            return;
        }
        let otherwise = self.otherwise(held, shelf);
        if otherwise.len() > held.len() {
            return self.list(held);
        }
        self.odd = otherwise;
        self.base = Some(Arc::clone(shelf));
    }

    /// Takes over what the client holds, name by name.
    pub(super) fn list(&mut self, held: &Held) {
        let known = held.iter().filter_map(|(name, version)| self.noted(name, version));
        self.odd = known.collect();
        if self.resource_type == ResourceType::Endpoint {
            let names = self.interest.names().iter();
            self.forced = names.filter(|name| held.contains_key(&***name)).cloned().collect();
        }
    }

    /// That the client holds this version, if it still asks for it.
    fn noted(&self, name: &str, version: &str) -> Option<(Arc<str>, Known)> {
        let shared = self.interest.names().get(name).cloned();
        let name = shared.or_else(|| self.interest.covers(name).then(|| name.into()))?;
        Some((name, Known::Version(version.into())))
    }

    /// What the client holds, or does not, otherwise than `shelf` has it.
    fn otherwise(&self, held: &Held, shelf: &Shelf) -> BTreeMap<Arc<str>, Known> {
        let mut otherwise = BTreeMap::new();
        for resource in shelf.pick(&self.interest) {
            let (name, version) = (resource.name(), resource.version());
            let known = match held.get(&**name).filter(|_| self.interest.covers(name)) {
                Some(held) if **held == **version => continue,
                Some(held) => Known::Version(held.as_str().into()),
                None => Known::Unknown,
            };
            otherwise.insert(name.clone(), known);
        }
        let gone = held.iter().filter(|(name, _)| shelf.find(name).is_none());
        otherwise.extend(gone.filter_map(|(name, version)| self.noted(name, version)));
        for name in self.interest.names().iter().filter(|name| shelf.find(name).is_none()) {
            otherwise.entry(name.clone()).or_insert(Known::Unknown);
        }
        otherwise
    }
}
