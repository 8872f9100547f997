//! Floor 1, pure: what history keeps of a snapshot, and what it is read back to.
//!
//! Two things are kept of each revision: what people had configured, noun by
//! noun, and the resources that were compiled of it. The first is what a
//! rollback restores; the second is what is shown and compared. Nothing secret
//! is in either: nouns refer to secrets and do not hold them, and of a resource
//! the secret parts are left out.

mod drains;
mod secrets;
mod shown;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};
use marchproxy_xds::Snapshot;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::{
    DesiredState, Item, ItemKind, KeptItem, Listener, ListenerSpec, Mapping, MappingSpec,
    NodeGroup, NodeGroupSpec, Noun, Revision, Route, RouteSpec, Service, ServiceSpec, hex,
};

pub use drains::{Drain, DrainCause, drain};
pub use shown::{ItemChange, changes, json, unified_diff};

/// What is kept of one noun. Not when it was changed last: that alone is no change.
#[derive(Serialize, Deserialize)]
struct Kept<S> {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_default: bool,
    created_at: DateTime<Utc>,
    spec: S,
}

/// A kept thing that cannot be read back.
#[derive(Debug, thiserror::Error)]
#[error("what history keeps of {kind} {name} is broken: {reason}")]
struct Broken {
    kind: ItemKind,
    name: String,
    reason: String,
}

/// Everything that history keeps of a revision: of what `snapshot` was compiled
/// of, and of the snapshot itself.
pub fn items(state: &DesiredState, snapshot: &Snapshot) -> Vec<KeptItem> {
    let group = &state.group;
    let mut items = vec![desired(
        Noun::NodeGroup,
        group.id.into(),
        &Kept { is_default: group.is_default, created_at: group.created_at, spec: &group.spec },
    )];
    items.extend(state.services.iter().map(|Service { id, spec, created_at, .. }| {
        let kept = Kept { is_default: false, created_at: *created_at, spec };
        desired(Noun::Service, (*id).into(), &kept)
    }));
    items.extend(state.listeners.iter().map(
        |Listener { id, spec, created_at, is_default, .. }| {
            let kept = Kept { is_default: *is_default, created_at: *created_at, spec };
            desired(Noun::Listener, (*id).into(), &kept)
        },
    ));
    items.extend(state.routes.iter().map(|Route { id, spec, created_at, .. }| {
        let kept = Kept { is_default: false, created_at: *created_at, spec };
        desired(Noun::Route, (*id).into(), &kept)
    }));
    items.extend(state.mappings.iter().map(|Mapping { id, spec, created_at, .. }| {
        let kept = Kept { is_default: false, created_at: *created_at, spec };
        desired(Noun::Mapping, (*id).into(), &kept)
    }));
    for resource_type in snapshot.types() {
        items.extend(snapshot.resources(resource_type).map(|resource| KeptItem {
            item: Item {
                kind: ItemKind::Resource(resource_type.to_string()),
                name: resource.name().to_string(),
                hash: resource.version().to_string(),
            },
            content: secrets::without(resource),
        }));
    }
    items
}

fn desired(noun: Noun, id: i32, kept: &impl Serialize) -> KeptItem {
    let content = serde_json::to_vec(kept).expect("domain types have text keys");
    let kind = ItemKind::Desired(noun);
    // The kind is a part of it: a listener and a route could look the same.
    let hashed = digest(&SHA256, &[kind.to_string().as_bytes(), b"\0", &content].concat());
    let hash = hex(hashed.as_ref());
    KeptItem { item: Item { kind, name: id.to_string(), hash }, content }
}

/// Reads back what people had configured for `group`; resources are passed over.
///
/// The group's name stays what it is now: it says which proxies belong to the
/// group, not what they are given. `NotFound` if nothing of it was kept.
pub fn restored(group: NodeGroup, items: &[KeptItem]) -> Result<DesiredState> {
    let (mut state, mut spec) = (DesiredState::empty(group), None);
    let owner = state.group.id;
    let revision = Revision::default(); // what is written back has the new one
    for KeptItem { item, content } in items {
        let ItemKind::Desired(noun) = item.kind else { continue };
        match noun {
            Noun::NodeGroup => {
                spec = Some(parse::<NodeGroupSpec>(item, content)?.spec);
            }
            Noun::Service => {
                let Kept { created_at, spec, .. } = parse::<ServiceSpec>(item, content)?;
                let id = id(item)?;
                let updated_at = created_at;
                let created_by = None; // of one that is there it is not asked
                let service = Service {
                    id,
                    group: owner,
                    created_by,
                    spec,
                    revision,
                    created_at,
                    updated_at,
                };
                state.services.push(service);
            }
            Noun::Listener => {
                let Kept { is_default, created_at, spec } = parse::<ListenerSpec>(item, content)?;
                let id = id(item)?;
                let updated_at = created_at;
                let listener = Listener {
                    id,
                    group: owner,
                    is_default,
                    spec,
                    revision,
                    created_at,
                    updated_at,
                };
                state.listeners.push(listener);
            }
            Noun::Route => {
                let Kept { created_at, spec, .. } = parse::<RouteSpec>(item, content)?;
                let id = id(item)?;
                let updated_at = created_at;
                let route = Route { id, group: owner, spec, revision, created_at, updated_at };
                state.routes.push(route);
            }
            Noun::Mapping => {
                let Kept { created_at, spec, .. } = parse::<MappingSpec>(item, content)?;
                let id = id(item)?;
                let (created_by, updated_at) = (None, created_at);
                let mapping = Mapping {
                    id,
                    group: owner,
                    created_by,
                    spec,
                    revision,
                    created_at,
                    updated_at,
                };
                state.mappings.push(mapping);
            }
        }
    }
    // Each revision has its group's settings, so without them there is nothing.
    let spec = spec.ok_or_else(|| Error::not_found("desired state", "of this snapshot"))?;
    state.group.spec = NodeGroupSpec { name: state.group.spec.name, ..spec };
    Ok(state)
}

fn parse<S: DeserializeOwned>(item: &Item, content: &[u8]) -> Result<Kept<S>> {
    serde_json::from_slice(content).map_err(|reason| broken(item, &reason))
}

fn id<T: TryFrom<i32, Error: ToString>>(item: &Item) -> Result<T> {
    let id: i32 = item.name.parse().map_err(|reason| broken(item, &reason))?;
    id.try_into().map_err(|reason: T::Error| broken(item, &reason))
}

fn broken(item: &Item, reason: &impl ToString) -> Error {
    let Item { kind, name, .. } = item.clone();
    Error::internal(Broken { kind, name, reason: reason.to_string() })
}

#[cfg(test)]
mod tests;
