//! A snapshot as those need it that do not use ADS.
//!
//! Its resources name other sources, so their bytes differ. It is compiled when
//! the first stream wants it, once, and shared; who uses ADS pays nothing.

use std::collections::HashMap;
use std::sync::Arc;

use marchproxy_xds::Snapshot;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use crate::compile::{Sources, compile_for};
use crate::error::{Error, Result};
use crate::model::{DesiredState, Invalid, Name};

/// How many names the cluster of this control plane may go by at once: each
/// means a snapshot more for each group.
const MOST_NAMES: usize = 16;

/// What one revision of a group comes to for each kind of source.
#[derive(Debug)]
pub(super) struct Variants {
    state: Arc<DesiredState>,
    compiled: Mutex<HashMap<Sources, Arc<OnceCell<Arc<Snapshot>>>>>,
}

/// The names that the cluster of this control plane goes by at present, each
/// with how many streams use it.
#[derive(Clone, Debug, Default)]
pub(super) struct ClusterNames(Arc<Mutex<HashMap<Name, usize>>>);

/// One stream's use of a name; over when dropped.
#[derive(Debug)]
pub(super) struct Claim {
    names: ClusterNames,
    name: Name,
}

impl Variants {
    pub(super) fn new(state: Arc<DesiredState>) -> Self {
        Self { state, compiled: Mutex::default() }
    }

    /// The snapshot for `sources`, compiled now if nobody has asked before.
    pub(super) async fn get(&self, sources: &Sources) -> Result<Arc<Snapshot>> {
        let cell = Arc::clone(self.compiled.lock().entry(sources.clone()).or_default());
        let compiled = cell.get_or_try_init(|| async {
            let (state, sources) = (Arc::clone(&self.state), sources.clone());
            let compiled = spawn_blocking(move || compile_for(&state, &sources)).await;
            // It did compile for ADS, so this is our fault.
            let snapshot = compiled.map_err(Error::internal)?.map_err(Error::internal)?;
            Ok::<_, Error>(Arc::new(snapshot))
        });
        compiled.await.cloned()
    }
}

impl ClusterNames {
    /// Takes note of one more stream that uses the name in `sources`, if any.
    pub(super) fn claim(&self, sources: &Sources) -> Result<Option<Claim>> {
        let Sources::Separate { cluster, .. } = sources else { return Ok(None) };
        let mut names = self.0.lock();
        if !names.contains_key(cluster) && names.len() >= MOST_NAMES {
            let reason = format!("is one more name than the {MOST_NAMES} that are in use already");
            return Err(Error::Invalid(Invalid::new("node.metadata.xds_cluster", reason)));
        }
        *names.entry(cluster.clone()).or_default() += 1;
        Ok(Some(Claim { names: self.clone(), name: cluster.clone() }))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut names = self.names.0.lock();
        if let Some(uses) = names.get_mut(&self.name) {
            *uses -= 1;
            if *uses == 0 {
                names.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use marchproxy_xds::{Protocol, ResourceType};

    use super::super::tests::state;
    use super::*;

    fn separate(cluster: &str) -> Sources {
        let cluster = cluster.to_owned().try_into().unwrap();
        Sources::Separate { cluster, protocol: Protocol::Sotw }
    }

    #[tokio::test]
    async fn a_variant_is_compiled_once_and_shared() {
        let variants = Variants::new(Arc::new(state(1, 7)));
        let sources = separate("xds");
        let (one, two) = tokio::join!(variants.get(&sources), variants.get(&sources));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(Arc::ptr_eq(&one, &two));
        assert_eq!((one.revision(), one.count(ResourceType::Runtime)), (7, 1));
        assert!(!Arc::ptr_eq(&one, &variants.get(&separate("other")).await.unwrap()));
    }

    #[test]
    fn a_name_too_many_is_refused_until_another_is_given_up() {
        let names = ClusterNames::default();
        let name = |n: usize| separate(&format!("c{n}"));
        let mut claims: Vec<_> = (0..MOST_NAMES).map(|n| names.claim(&name(n)).unwrap()).collect();
        claims.push(names.claim(&name(0)).unwrap());
        let refused = names.claim(&name(MOST_NAMES)).unwrap_err().to_string();
        assert!(refused.contains("16"), "{refused}");
        assert!(names.claim(&Sources::Aggregated).unwrap().is_none());
        claims.remove(1);
        assert!(names.claim(&name(MOST_NAMES)).is_ok());
    }
}
