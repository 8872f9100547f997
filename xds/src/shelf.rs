//! The resources of one type in one snapshot, and what is sent to bring a client here.
//!
//! Streams that come from the same shelf and ask for the same things are told the
//! same: what that is gets found out and encoded once, by the first of them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::batch::{Batch, LARGEST, Tongue};
use crate::denial::Why;
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
    /// The places of what has a time to live.
    mortals: Vec<usize>,
    /// Why names are not there.
    denials: BTreeMap<Arc<str>, Why>,
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
    tongue: Tongue,
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
        let version = version(resource_type, resources());
        let mut aliases = HashMap::new();
        for (place, resource) in resources().enumerate() {
            aliases.extend(resource.aliases().iter().map(|alias| (alias.clone(), place)));
        }
        let mortals = resources().enumerate().filter(|(_, resource)| resource.ttl().is_some());
        let mortals = mortals.map(|(place, _)| place).collect();
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
            mortals,
            denials: BTreeMap::new(),
            ways: Mutex::default(),
        }
    }

    /// A shelf of the same resources, of which nobody has been told yet.
    pub(crate) fn copied(&self) -> Self {
        let mut new = Self::new(self.resource_type, self.iter().cloned().collect(), 0);
        new.slots.clone_from(&self.slots);
        new
    }

    /// Says why names are not there; of a name that is there it says nothing.
    pub(crate) fn deny(&mut self, mut denials: BTreeMap<Arc<str>, Why>) {
        denials.retain(|name, _| self.find(name).is_none());
        self.denials = denials;
        self.version = self.version_of_list(self.iter());
    }

    /// The version of a list that has these resources, sorted by name, in place of the
    /// shelf's, and tells the same reasons.
    pub(crate) fn version_of_list<'a>(
        &self,
        resources: impl Iterator<Item = &'a Resource>,
    ) -> Arc<str> {
        let version = version(self.resource_type, resources);
        if self.denials.is_empty() {
            return version;
        }
        let hasher = Hasher::new("denials").with(&*version);
        let with = |hasher: Hasher, (name, why): (&Arc<str>, &Why)| {
            hasher.with(&**name).with(why.code.to_le_bytes()).with(&*why.message)
        };
        self.denials.iter().fold(hasher, with).finish()
    }

    /// Why a name is not there, if that is known.
    pub(crate) fn denial(&self, name: &str) -> Option<&Why> {
        self.denials.get(name)
    }

    /// Whether there is nothing to be told.
    pub(crate) fn is_bare(&self) -> bool {
        self.slots.is_empty() && self.denials.is_empty()
    }

    /// The names asked for that are not there for another reason than in `from`.
    pub(crate) fn denied<'a>(
        &'a self,
        from: Option<&'a Self>,
        interest: &'a Interest,
    ) -> impl Iterator<Item = &'a Arc<str>> {
        let asked = self.denials.iter().filter(|(name, _)| interest.names().contains(name));
        let before = move |name: &Arc<str>| from.and_then(|from| from.denial(name));
        asked.filter(move |(name, why)| before(name) != Some(*why)).map(|(name, _)| name)
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

    /// Those with a time to live, sorted by name.
    pub(crate) fn mortals(&self) -> impl Iterator<Item = &Resource> {
        self.mortals.iter().map(|&place| &self.slots[place].resource)
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
        tongue: Tongue,
        from: Option<&Self>,
        interest: &Interest,
        is_complete: bool,
    ) -> Arc<Batch> {
        let from = from.filter(|_| !is_complete);
        let diff = from.map(|from| self.diff(Some(from)));
        let id = from.map_or(0, Self::id);
        let tongue = Tongue { with_ttl: tongue.with_ttl && !self.mortals.is_empty(), ..tongue };
        let way = Way { tongue, from: id, interest: interest.clone() };
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
        let announces =
            tongue.protocol == Protocol::Delta && self.resource_type.announces_absence();
        let (mut removed, mut never) = (Vec::new(), Vec::new());
        match &diff {
            _ if !announces => never.extend(self.denied(from, interest).cloned()),
            Some(diff) => {
                let asked = |name: &&Arc<str>| {
                    let before = from.and_then(|from| from.find(name));
                    before.is_some_and(|before| interest.covers_resource(before))
                };
                removed.extend(diff.gone.iter().filter(asked).cloned());
                let denied = self.denied(from, interest);
                never.extend(denied.filter(|name| !removed.contains(name)).cloned());
            }
            None => {
                let names = interest.names().iter();
                never.extend(names.filter(|name| self.find(name).is_none()).cloned());
            }
        }
        let version = &self.version;
        let batch = Batch::new(tongue, self, interest, resources, removed, never, version);
        let batch = Arc::new(batch);
        if is_complete && batch.size() > LARGEST {
            // Once for all streams that are sent it.
            tracing::warn!(
                resource.type = %self.resource_type,
                resources = batch.resources.len(),
                bytes = batch.size(),
                "a full list cannot be split, and many gRPC clients take no more than 4 MiB",
            );
        }
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

/// The version of these resources, which are sorted by name.
pub(crate) fn version<'a>(
    resource_type: ResourceType,
    resources: impl Iterator<Item = &'a Resource>,
) -> Arc<str> {
    let hasher = Hasher::new(resource_type.type_url());
    let with = |hasher: Hasher, resource: &Resource| {
        hasher.with(&**resource.name()).with(&**resource.version())
    };
    resources.fold(hasher, with).finish()
}

fn remember<T>(known: &mut Vec<T>, new: T) {
    if known.len() == MOST_WAYS {
        known.remove(0);
    }
    known.push(new);
}
