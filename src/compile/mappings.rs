//! What mappings lead to: requests for the host of a source go to a destination.
//!
//! Envoy knows who asks by nothing but the host that is asked for, so a mapping is
//! a route for each of its sources: all that is asked of the source's host goes to
//! the destination. A host is answered by one service. Where more than one mapping
//! or destination would answer, the first in the order of their ids does.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checked, CompileError, names, wire};
use crate::model::{DesiredState, Mapping, Service, ServiceId, Services};

/// What any host is called that nothing else answers to.
const ANY: &str = "*";

/// Where requests for a host go by a mapping.
pub(super) struct Mapped<'a> {
    /// What the route is called.
    pub(super) name: String,
    /// The destination.
    pub(super) service: &'a Service,
}

/// Checks that every service that is named is there, active or not.
pub(super) fn check(state: &DesiredState) -> Result<(), CompileError> {
    let known: BTreeSet<ServiceId> = state.services.iter().map(|service| service.id).collect();
    for mapping in &state.mappings {
        for services in [&mapping.spec.sources, &mapping.spec.destinations] {
            if !services.ids().is_subset(&known) {
                let what = format!("mapping {}", mapping.spec.name);
                return Err(CompileError::Dangling { what, kind: "service" });
            }
        }
    }
    Ok(())
}

/// Where the mappings lead, host by host.
pub(super) fn by_host<'a>(checked: &Checked<'a>) -> BTreeMap<String, Mapped<'a>> {
    let mut hosts = BTreeMap::new();
    for mapping in checked.mappings.values().filter(|mapping| mapping.spec.carries_http()) {
        let destinations = services(&mapping.spec.destinations, checked);
        let Some(first) = destinations.into_iter().find(|s| s.spec.speaks_http()) else { continue };
        for (host, source) in sources(mapping, checked) {
            let name = names::mapped_route(mapping, source, first);
            hosts.entry(host).or_insert(Mapped { name, service: first });
        }
    }
    hosts
}

/// The hosts of a mapping's sources.
fn sources<'a>(mapping: &Mapping, checked: &Checked<'a>) -> Vec<(String, Option<&'a Service>)> {
    if mapping.spec.sources == Services::All {
        return vec![(ANY.to_owned(), None)];
    }
    let sources = services(&mapping.spec.sources, checked).into_iter();
    let host = |s: &'a Service| Some((wire::url_host(&s.spec.endpoints.first()?.host), Some(s)));
    sources.filter_map(host).collect()
}

/// Those of the services that are active, in the order of their ids.
fn services<'a>(services: &Services, checked: &Checked<'a>) -> Vec<&'a Service> {
    match services {
        Services::All => checked.services.values().copied().collect(),
        Services::These(ids) => {
            ids.iter().filter_map(|id| checked.services.get(id).copied()).collect()
        }
    }
}
