//! Snapshots: everything that a set of clients should hold, immutable.

use std::fmt;
use std::sync::Arc;

use crate::hash::Hasher;
use crate::{Resource, ResourceType};

/// A consistent set of resources. Immutable; share it in an `Arc`.
#[derive(Clone)]
pub struct Snapshot {
    revision: u64,
    /// One per type, in the order of [`ResourceType::ALL`].
    shelves: [Shelf; ResourceType::ALL.len()],
    digest: Arc<str>,
}

/// The resources of one type.
#[derive(Clone)]
struct Shelf {
    /// Sorted by name.
    resources: Vec<Resource>,
    version: Arc<str>,
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
        let mut by_type: [Vec<Resource>; ResourceType::ALL.len()] = Default::default();
        for resource in resources {
            by_type[resource.resource_type() as usize].push(resource);
        }
        for resources in &mut by_type {
            resources.sort_by(|a, b| a.name().cmp(b.name()));
            check_names(resources)?;
        }
        let mut types = ResourceType::ALL.into_iter();
        let shelves = by_type.map(|resources| {
            let resource_type = types.next().expect("there are as many types as shelves");
            Shelf::new(resource_type, resources)
        });
        let digest = shelves
            .iter()
            .fold(Hasher::new("snapshot"), |hasher, shelf| hasher.with(&*shelf.version))
            .finish();
        let snapshot = Self { revision, shelves, digest };
        snapshot.check_requirements()?;
        Ok(snapshot)
    }

    /// The application's own growing number.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The version of all resources of a type: a hash of names and versions.
    pub fn version(&self, resource_type: ResourceType) -> &Arc<str> {
        &self.shelf(resource_type).version
    }

    /// The hash of the whole content, whatever the revision.
    pub fn digest(&self) -> &Arc<str> {
        &self.digest
    }

    /// The resource of that type and name.
    pub fn find(&self, resource_type: ResourceType, name: &str) -> Option<&Resource> {
        let resources = &self.shelf(resource_type).resources;
        let found = resources.binary_search_by(|resource| (**resource.name()).cmp(name)).ok()?;
        resources.get(found)
    }

    /// The resources of a type, sorted by name.
    pub fn resources(&self, resource_type: ResourceType) -> impl Iterator<Item = &Resource> {
        self.shelf(resource_type).resources.iter()
    }

    /// How many resources of a type there are.
    pub fn count(&self, resource_type: ResourceType) -> usize {
        self.shelf(resource_type).resources.len()
    }

    fn shelf(&self, resource_type: ResourceType) -> &Shelf {
        &self.shelves[resource_type as usize]
    }

    fn check_requirements(&self) -> Result<(), SnapshotError> {
        for resource in self.shelves.iter().flat_map(|shelf| &shelf.resources) {
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

impl Shelf {
    fn new(resource_type: ResourceType, resources: Vec<Resource>) -> Self {
        let version = resources
            .iter()
            .fold(Hasher::new(resource_type.type_url()), |hasher, resource| {
                hasher.with(&**resource.name()).with(&**resource.version())
            })
            .finish();
        Self { resources, version }
    }
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
        for resource_type in ResourceType::ALL {
            if self.count(resource_type) > 0 {
                out.field(&resource_type.to_string(), &self.count(resource_type));
            }
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
    fn resources_are_found_by_type_and_name() {
        let snapshot = Snapshot::new(7, resources()).expect("consistent");
        assert_eq!(snapshot.revision(), 7);
        assert_eq!(snapshot.count(ResourceType::Cluster), 2);
        assert!(snapshot.find(ResourceType::Cluster, "b").is_some());
        assert!(snapshot.find(ResourceType::Endpoint, "b").is_none());
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
