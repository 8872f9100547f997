//! Snapshots: everything that a set of clients should hold, immutable.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::denial::{Denial, Why};
use crate::hash::Hasher;
use crate::shelf::Shelf;
use crate::{Resource, ResourceType};

/// A consistent set of resources. Immutable; share it in an `Arc`.
#[derive(Clone)]
pub struct Snapshot {
    revision: u64,
    /// By type, in push order: each of [`ResourceType::ALL`], then the others.
    shelves: Vec<Arc<Shelf>>,
    /// Stands for each type that has no shelf.
    nothing: Arc<Shelf>,
    digest: Arc<str>,
}

/// Why resources do not make a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Two resources of one type share a name.
    #[error("there is more than one {resource_type} named {name:?}")]
    Duplicate {
        /// The type of both.
        resource_type: ResourceType,
        /// The name of both.
        name: Arc<str>,
    },
    /// A resource has no name.
    #[error("a {resource_type} has no name")]
    EmptyName {
        /// Its type.
        resource_type: ResourceType,
    },
    /// A resource needs another one that is not there.
    #[error("{required_by} needs the {resource_type} {name:?}, which is not there")]
    Missing {
        /// The type of the resource that is not there.
        resource_type: ResourceType,
        /// The name of the resource that is not there.
        name: Arc<str>,
        /// Who needs it: type and name, for people.
        required_by: String,
    },
}

impl Snapshot {
    /// Makes a snapshot of `resources`, unless they contradict each other.
    ///
    /// The order of `resources` never matters. `revision` is the application's
    /// own growing number; it is in events, but never on the wire.
    pub fn new(
        revision: u64,
        resources: impl IntoIterator<Item = Resource>,
    ) -> Result<Self, SnapshotError> {
        let empty = ResourceType::ALL.map(|resource_type| (resource_type, Vec::new()));
        let mut by_type: BTreeMap<ResourceType, Vec<Resource>> = empty.into();
        for resource in resources {
            by_type.entry(resource.resource_type()).or_default().push(resource);
        }
        let mut shelves = Vec::with_capacity(by_type.len());
        for (resource_type, mut resources) in by_type {
            resources.sort_by(|a, b| a.name().cmp(b.name()));
            check_names(&resources)?;
            shelves.push(Arc::new(Shelf::new(resource_type, resources, revision)));
        }
        let digest = digest(&shelves);
        let nothing = Arc::new(Shelf::new(ResourceType::NONE, Vec::new(), 0));
        let snapshot = Self { revision, shelves, nothing, digest };
        snapshot.check_requirements()?;
        Ok(snapshot)
    }

    /// Says why names are not there that clients ask for, each once: the last word on a
    /// name counts, and of a name that is there it says nothing.
    ///
    /// Who asks for such a name, by that name, is told. Part of the version of the type.
    /// To be called before [`Self::sharing`].
    #[must_use]
    pub fn denying(mut self, denials: impl IntoIterator<Item = Denial>) -> Self {
        let mut by_type: BTreeMap<ResourceType, BTreeMap<Arc<str>, Why>> = BTreeMap::new();
        for Denial { resource_type, name, code, message } in denials {
            let why = Why { code: code.into(), message };
            by_type.entry(resource_type).or_default().insert(name, why);
        }
        for (resource_type, denials) in by_type {
            let found = self.shelves.binary_search_by_key(&resource_type, |s| s.resource_type());
            let place = found.unwrap_or_else(|place| {
                let empty = Shelf::new(resource_type, Vec::new(), self.revision);
                self.shelves.insert(place, Arc::new(empty));
                place
            });
            let mut new = self.shelves[place].copied();
            new.deny(denials);
            self.shelves[place] = Arc::new(new);
        }
        self.digest = digest(&self.shelves);
        self
    }

    /// The same snapshot, made of what `previous` has wherever they agree.
    ///
    /// Saves memory, and tells what has been as it is for how long. Streams that go
    /// from one snapshot to the next need not even look at types that are shared.
    #[must_use]
    pub fn sharing(mut self, previous: &Self) -> Self {
        for shelf in &mut self.shelves {
            let before = previous.shelf(shelf.resource_type());
            if shelf.equals(before) {
                *shelf = Arc::clone(before);
            } else if let Some(new) = Arc::get_mut(shelf) {
                new.share(before);
            }
        }
        self
    }

    /// The application's own growing number.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The version of all resources of a type: a hash of names and versions.
    pub fn version(&self, resource_type: ResourceType) -> &Arc<str> {
        self.shelf(resource_type).version()
    }

    /// The hash of the whole content, whatever the revision.
    pub fn digest(&self) -> &Arc<str> {
        &self.digest
    }

    /// The resource of that type and name, or alias.
    pub fn find(&self, resource_type: ResourceType, name: &str) -> Option<&Resource> {
        self.shelf(resource_type).find(name)
    }

    /// The resources of a type, sorted by name.
    pub fn resources(&self, resource_type: ResourceType) -> impl Iterator<Item = &Resource> {
        self.shelf(resource_type).iter()
    }

    /// How many resources of a type there are.
    pub fn count(&self, resource_type: ResourceType) -> usize {
        self.shelf(resource_type).len()
    }

    /// The types that there are resources of, in push order.
    pub fn types(&self) -> impl Iterator<Item = ResourceType> {
        let shelves = self.shelves.iter().filter(|shelf| shelf.len() > 0);
        shelves.map(|shelf| shelf.resource_type())
    }

    pub(crate) fn shelf(&self, resource_type: ResourceType) -> &Arc<Shelf> {
        let search = || self.shelves.binary_search_by_key(&resource_type, |s| s.resource_type());
        let place = resource_type.place().or_else(|| search().ok());
        place.and_then(|place| self.shelves.get(place)).unwrap_or(&self.nothing)
    }

    fn check_requirements(&self) -> Result<(), SnapshotError> {
        for resource in self.shelves.iter().flat_map(|shelf| shelf.iter()) {
            for (resource_type, name) in resource.requires() {
                if self.find(*resource_type, name).is_none() {
                    return Err(SnapshotError::Missing {
                        resource_type: *resource_type,
                        name: name.clone(),
                        required_by: format!("{} {:?}", resource.resource_type(), resource.name()),
                    });
                }
            }
        }
        Ok(())
    }
}

/// A hash over all that clients can be told.
fn digest(shelves: &[Arc<Shelf>]) -> Arc<str> {
    let full = shelves.iter().filter(|shelf| !shelf.is_bare());
    let hash = full.fold(Hasher::new("snapshot"), |hasher, shelf| {
        hasher.with(shelf.resource_type().type_url()).with(&**shelf.version())
    });
    hash.finish()
}

/// Checks the names of one type's resources, which are sorted.
fn check_names(resources: &[Resource]) -> Result<(), SnapshotError> {
    if let Some(first) = resources.first()
        && first.name().is_empty()
    {
        return Err(SnapshotError::EmptyName { resource_type: first.resource_type() });
    }
    match resources.windows(2).find(|pair| pair[0].name() == pair[1].name()) {
        Some(pair) => Err(SnapshotError::Duplicate {
            resource_type: pair[0].resource_type(),
            name: pair[0].name().clone(),
        }),
        None => Ok(()),
    }
}

/// Revision, digest and counts: a snapshot is too large to print.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Snapshot");
        out.field("revision", &self.revision).field("digest", &self.digest);
        for resource_type in self.types() {
            out.field(&resource_type.to_string(), &self.count(resource_type));
        }
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    fn resources() -> Vec<Resource> {
        vec![
            testing::resource(ResourceType::Cluster, "a", "1")
                .requiring(ResourceType::Endpoint, "a"),
            testing::resource(ResourceType::Cluster, "b", "1"),
            testing::resource(ResourceType::Endpoint, "a", "1"),
            testing::resource(ResourceType::Listener, "l", "1"),
        ]
    }

    proptest! {
        #[test]
        fn the_order_of_resources_never_matters(
            shuffled in Just(resources()).prop_shuffle(),
        ) {
            let one = Snapshot::new(1, resources()).expect("consistent");
            let two = Snapshot::new(2, shuffled).expect("consistent");
            prop_assert_eq!(one.digest(), two.digest());
            for resource_type in ResourceType::ALL {
                prop_assert_eq!(one.version(resource_type), two.version(resource_type));
                prop_assert!(two.resources(resource_type).is_sorted_by_key(Resource::name));
            }
        }
    }

    #[test]
    fn a_change_changes_the_version_of_its_type_and_no_other() {
        let one = Snapshot::new(1, resources()).expect("consistent");
        let mut changed = resources();
        changed[1] = testing::resource(ResourceType::Cluster, "b", "2");
        let two = Snapshot::new(1, changed).expect("consistent");
        assert_ne!(one.digest(), two.digest());
        for resource_type in ResourceType::ALL {
            let same = one.version(resource_type) == two.version(resource_type);
            assert_eq!(same, resource_type != ResourceType::Cluster, "{resource_type}");
        }
    }

    #[test]
    fn what_did_not_change_is_shared_with_the_snapshot_before() {
        let one = Snapshot::new(1, resources()).expect("consistent");
        let mut changed = resources();
        changed[1] = testing::resource(ResourceType::Cluster, "b", "2");
        let two = Snapshot::new(2, changed).expect("consistent");
        let digest = two.digest().clone();
        let two = two.sharing(&one);
        assert_eq!(two.digest(), &digest);
        let shelf = |snapshot: &Snapshot, resource_type| Arc::clone(snapshot.shelf(resource_type));
        let [before, after] = [&one, &two].map(|s| shelf(s, ResourceType::Endpoint));
        assert!(Arc::ptr_eq(&before, &after));
        let [before, after] = [&one, &two].map(|s| shelf(s, ResourceType::Cluster));
        assert!(!Arc::ptr_eq(&before, &after));
        assert_eq!(["a", "b"].map(|name| after.since(name)), [Some(1), Some(2)]);
        let same = |name| before.find(name).zip(after.find(name)).map(|(one, two)| one.is(two));
        assert_eq!(["a", "b"].map(same), [Some(true), Some(false)]);
    }

    #[test]
    fn any_other_type_has_its_place() {
        let other = ResourceType::register("type.googleapis.com/x.Other");
        let mut all = resources();
        let without = Snapshot::new(1, all.clone()).expect("consistent");
        all.push(testing::resource(other, "o", "1"));
        let with = Snapshot::new(1, all).expect("consistent");
        assert!(with.find(other, "o").is_some() && without.find(other, "o").is_none());
        assert_ne!(with.digest(), without.digest());
        assert_eq!(with.types().last(), Some(other));
    }

    #[test]
    fn resources_are_found_by_type_and_name() {
        let snapshot = Snapshot::new(7, resources()).expect("consistent");
        assert_eq!(snapshot.revision(), 7);
        assert_eq!(snapshot.count(ResourceType::Cluster), 2);
        assert!(snapshot.find(ResourceType::Cluster, "b").is_some());
        assert!(snapshot.find(ResourceType::Endpoint, "b").is_none());
    }

    #[test]
    fn c52_a_route_to_a_cluster_that_is_not_there_makes_no_snapshot() {
        let route = || testing::route("r", "1").requiring(ResourceType::Cluster, "a");
        let missing = Snapshot::new(1, [route()]).map(drop);
        let message = missing.expect_err("the cluster is missing").to_string();
        assert_eq!(message, r#"route "r" needs the cluster "a", which is not there"#);
        let cluster = testing::resource(ResourceType::Cluster, "a", "1");
        assert!(Snapshot::new(1, [route(), cluster]).is_ok());
        let other = testing::resource(ResourceType::Endpoint, "a", "1");
        assert!(Snapshot::new(1, [route(), other]).is_err(), "of another type");
    }

    #[test]
    fn contradictions_are_refused() {
        let new = |resources| Snapshot::new(1, resources).map(drop);
        let cluster = |name: &str| testing::resource(ResourceType::Cluster, name, "");
        assert_eq!(
            new(vec![cluster("a"), cluster("b"), cluster("a")]),
            Err(SnapshotError::Duplicate {
                resource_type: ResourceType::Cluster,
                name: "a".into()
            })
        );
        assert_eq!(
            new(vec![cluster("a"), cluster("")]),
            Err(SnapshotError::EmptyName { resource_type: ResourceType::Cluster })
        );
        let missing = new(vec![cluster("a").requiring(ResourceType::Endpoint, "e")]);
        let message = missing.expect_err("the endpoints are missing").to_string();
        assert_eq!(message, r#"cluster "a" needs the endpoint "e", which is not there"#);
    }
}
