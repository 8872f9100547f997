//! The resources of one type in one snapshot, and what is sent to bring a client here.
//!
//! Streams that come from the same shelf and ask for the same things are told the
//! same: what that is gets found out and encoded once, by the first of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::batch::Batch;
use crate::hash::Hasher;
use crate::interest::Interest;
use crate::names::Names;
use crate::{Protocol, Resource, ResourceType};

/// How many ways to one shelf are remembered.
const MOST_WAYS: usize = 32;

/// The resources of one type. Immutable.
pub(crate) struct Shelf {
    /// Unlike that of any other shelf in this process.
    id: u64,
    resource_type: ResourceType,
    /// Sorted by name.
    slots: Vec<Slot>,
    version: Arc<str>,
    /// The place of each resource with another name, by that name.
    aliases: HashMap<Arc<str>, usize>,
    /// What the resources require, by type.
    required: Vec<(ResourceType, Names)>,
    ways: Mutex<Ways>,
}

/// A resource, and how long it has been like that.
#[derive(Clone)]
struct Slot {
    resource: Resource,
    since: u64,
}

/// What differs between two shelves.
#[derive(Debug, Default)]
pub(crate) struct Diff {
    /// What is new or changed, sorted by name.
    pub(crate) changed: Vec<Resource>,
    /// The names that are gone, sorted.
    pub(crate) gone: Vec<Arc<str>>,
}

/// What was found out about ways to a shelf; the oldest is forgotten first.
#[derive(Default)]
struct Ways {
    diffs: Vec<(u64, Arc<Diff>)>,
    batches: Vec<(Way, Arc<Batch>)>,
}

/// How a client gets to a shelf.
#[derive(Clone, PartialEq, Eq)]
struct Way {
    protocol: Protocol,
    /// The shelf that it comes from, or 0.
    from: u64,
    interest: Interest,
}

impl Shelf {
    /// Makes a shelf of `resources`, which are of this type and sorted by name.
    pub(crate) fn new(
        resource_type: ResourceType,
        resources: Vec<Resource>,
        revision: u64,
    ) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let slots = resources.into_iter().map(|resource| Slot { resource, since: revision });
        let slots: Vec<Slot> = slots.collect();
        let resources = || slots.iter().map(|slot| &slot.resource);
        let version = resources()
            .fold(Hasher::new(resource_type.type_url()), |hasher, resource| {
                hasher.with(&**resource.name()).with(&**resource.version())
            })
            .finish();
        let mut aliases = HashMap::new();
        for (place, resource) in resources().enumerate() {
            aliases.extend(resource.aliases().iter().map(|alias| (alias.clone(), place)));
        }
        let mut required: HashMap<ResourceType, Vec<Arc<str>>> = HashMap::new();
        for (resource_type, name) in resources().flat_map(|resource| resource.requires()) {
            required.entry(*resource_type).or_default().push(name.clone());
        }
        let required = required.into_iter().map(|(of, names)| (of, Names::new(names))).collect();
        Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            resource_type,
            slots,
            version,
            aliases,
            required,
            ways: Mutex::default(),
        }
    }

    /// Takes what `previous` has already in place of what equals it.
    pub(crate) fn share(&mut self, previous: &Self) {
        let mut before = previous.slots.iter().peekable();
        for slot in &mut self.slots {
            while before.next_if(|old| old.resource.name() < slot.resource.name()).is_some() {}
            if let Some(old) = before.peek()
                && old.resource.is_same_as(&slot.resource)
            {
                *slot = (*old).clone();
            }
        }
    }

    /// Whether it holds the very same as `other`.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        let pairs = self.slots.iter().zip(&other.slots);
        self.version == other.version
            && self.slots.len() == other.slots.len()
            && pairs.into_iter().all(|(one, other)| one.resource.is_same_as(&other.resource))
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn resource_type(&self) -> ResourceType {
        self.resource_type
    }

    /// A hash over the names and versions of all resources.
    pub(crate) fn version(&self) -> &Arc<str> {
        &self.version
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// All resources, sorted by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.slots.iter().map(|slot| &slot.resource)
    }

    /// The resource with this name or alias.
    pub(crate) fn find(&self, name: &str) -> Option<&Resource> {
        self.place(name).map(|place| &self.slots[place].resource)
    }

    /// The version of the resource with this name or alias.
    pub(crate) fn version_of(&self, name: &str) -> Option<&Arc<str>> {
        self.find(name).map(Resource::version)
    }

    /// The revision that brought the resource of this name as it is.
    pub(crate) fn since(&self, name: &str) -> Option<u64> {
        self.place(name).map(|place| self.slots[place].since)
    }

    fn place(&self, name: &str) -> Option<usize> {
        let found = self.slots.binary_search_by(|slot| (**slot.resource.name()).cmp(name));
        found.ok().or_else(|| self.aliases.get(name).copied())
    }

    /// What the resources require, by type.
    pub(crate) fn required(&self) -> &[(ResourceType, Names)] {
        &self.required
    }

    /// Whether a resource requires that one.
    pub(crate) fn requires(&self, resource_type: ResourceType, name: &str) -> bool {
        self.required.iter().any(|(of, names)| *of == resource_type && names.contains(name))
    }

    /// What there is here of what is asked for, sorted by name.
    pub(crate) fn pick<'a>(
        &'a self,
        interest: &'a Interest,
    ) -> Box<dyn Iterator<Item = &'a Resource> + 'a> {
        if interest.is_wildcard() || !self.aliases.is_empty() {
            return Box::new(self.iter().filter(|resource| interest.covers_resource(resource)));
        }
        Box::new(interest.names().iter().filter_map(|name| self.find(name)))
    }

    /// What differs from `from`; everything, if there is none.
    pub(crate) fn diff(&self, from: Option<&Self>) -> Arc<Diff> {
        let id = from.map_or(0, Self::id);
        let mut ways = self.ways.lock();
        if let Some((_, diff)) = ways.diffs.iter().find(|(known, _)| *known == id) {
            return Arc::clone(diff);
        }
        let diff = Arc::new(self.differ(from));
        remember(&mut ways.diffs, (id, Arc::clone(&diff)));
        diff
    }

    fn differ(&self, from: Option<&Self>) -> Diff {
        let mut diff = Diff::default();
        let mut before = from.map_or(&[][..], |from| &from.slots).iter().peekable();
        for Slot { resource, .. } in &self.slots {
            while let Some(old) = before.next_if(|old| old.resource.name() < resource.name()) {
                diff.gone.push(old.resource.name().clone());
            }
            let old = before.next_if(|old| old.resource.name() == resource.name());
            let is_same = old.is_some_and(|old| {
                old.resource.is(resource) || old.resource.version() == resource.version()
            });
            if !is_same {
                diff.changed.push(resource.clone());
            }
        }
        diff.gone.extend(before.map(|old| old.resource.name().clone()));
        diff
    }

    /// What a client with this interest is told that holds just what it asks for
    /// of `from`, or nothing; in a list that is complete, or in part.
    pub(crate) fn batch(
        &self,
        protocol: Protocol,
        from: Option<&Self>,
        interest: &Interest,
        is_complete: bool,
    ) -> Arc<Batch> {
        let from = from.filter(|_| !is_complete);
        let diff = from.map(|from| self.diff(Some(from)));
        let id = from.map_or(0, Self::id);
        let way = Way { protocol, from: id, interest: interest.clone() };
        let mut ways = self.ways.lock();
        if let Some((_, batch)) = ways.batches.iter().find(|(known, _)| *known == way) {
            return Arc::clone(batch);
        }
        let resources = match &diff {
            Some(diff) => {
                let changed = diff.changed.iter();
                changed.filter(|resource| interest.covers_resource(resource)).cloned().collect()
            }
            None => self.pick(interest).cloned().collect(),
        };
        let announces = protocol == Protocol::Delta && self.resource_type.announces_absence();
        let (mut removed, mut never) = (Vec::new(), Vec::new());
        match &diff {
            _ if !announces => {}
            Some(diff) => {
                let asked = |name: &&Arc<str>| {
                    let before = from.and_then(|from| from.find(name));
                    before.is_some_and(|before| interest.covers_resource(before))
                };
                removed.extend(diff.gone.iter().filter(asked).cloned());
            }
            None => {
                let names = interest.names().iter();
                never.extend(names.filter(|name| self.find(name).is_none()).cloned());
            }
        }
        let batch = Arc::new(Batch::new(protocol, self, resources, removed, never, &[]));
        remember(&mut ways.batches, (way, Arc::clone(&batch)));
        batch
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf")
            .field("resource_type", &self.resource_type)
            .field("version", &self.version)
            .field("resources", &self.slots.len())
            .finish_non_exhaustive()
    }
}

fn remember<T>(known: &mut Vec<T>, new: T) {
    if known.len() == MOST_WAYS {
        known.remove(0);
    }
    known.push(new);
}
