//! Finding things by a part of their names.

use super::App;
use crate::auth::{Actor, Operation, Scope};
use crate::error::Result;
use crate::model::{
    CertificateId, Invalid, ListenerId, MappingId, NodeGroupId, ProxyId, RouteId, ServiceId,
};
use crate::nodes::NodeId;
use crate::store::{Named, Within};

/// How many may be asked for at once.
const MOST: i64 = 100;
/// How long what is looked for may be, in characters.
const LONGEST: usize = 128;

/// Something that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A node group.
    NodeGroup(NodeGroupId),
    /// A service.
    Service(ServiceId),
    /// A route.
    Route(RouteId),
    /// A listener.
    Listener(ListenerId),
    /// A mapping.
    Mapping(MappingId),
    /// A certificate.
    Certificate(CertificateId),
    /// A proxy that registered over REST.
    Proxy(ProxyId),
    /// A proxy that talks xDS.
    Node(NodeId),
}

impl App {
    /// The things that `actor` may see with `text` in their names, in whatever case: `first`
    /// of them, kind by kind, the shortest names of each first.
    pub async fn search(&self, actor: &Actor, text: &str, first: i64) -> Result<Vec<Found>> {
        actor.may(Operation::ListByName, Scope::Everywhere)?;
        let text = text.trim();
        if text.is_empty() || text.chars().count() > LONGEST {
            return Err(
                Invalid::new("query", format!("must have 1 to {LONGEST} characters")).into()
            );
        }
        if !(1..=MOST).contains(&first) {
            return Err(Invalid::new("first", format!("must be 1 to {MOST}, not {first}")).into());
        }
        let most = usize::try_from(first).unwrap_or_default();
        let tx = self.0.store.read().await?;
        let mut found = vec![];
        for named in Named::ALL {
            let left = u64::try_from(most - found.len()).unwrap_or_default();
            if left == 0 {
                return Ok(found);
            }
            let ids = tx.search(named, text, &within(actor, named), left).await?;
            found.extend(ids.into_iter().filter_map(|id| of(named, id)));
        }
        let lower = text.to_lowercase();
        let mut nodes = self.0.nodes.list(None);
        nodes.retain(|node| {
            actor.sees_group(node.group) && node.name.to_lowercase().contains(&lower)
        });
        nodes.sort_by_key(|node| (node.name.len(), node.name.clone(), node.id));
        found.extend(nodes.iter().map(|node| Found::Node(node.id)));
        found.truncate(most);
        Ok(found)
    }
}

/// Where `actor` may find such things.
fn within(actor: &Actor, named: Named) -> Within {
    let Some(known) = actor.known_groups() else { return Within::default() };
    match named {
        Named::NodeGroup => Within { groups: Some(known), services: vec![] },
        Named::Service => {
            Within { services: actor.seen_services(&known), groups: actor.seen_groups() }
        }
        Named::Route | Named::Listener | Named::Mapping | Named::Certificate | Named::Proxy => {
            Within { groups: actor.seen_groups(), services: vec![] }
        }
    }
}

fn of(named: Named, id: i32) -> Option<Found> {
    Some(match named {
        Named::NodeGroup => Found::NodeGroup(id.try_into().ok()?),
        Named::Service => Found::Service(id.try_into().ok()?),
        Named::Route => Found::Route(id.try_into().ok()?),
        Named::Listener => Found::Listener(id.try_into().ok()?),
        Named::Mapping => Found::Mapping(id.try_into().ok()?),
        Named::Certificate => Found::Certificate(id.try_into().ok()?),
        Named::Proxy => Found::Proxy(id.try_into().ok()?),
    })
}
