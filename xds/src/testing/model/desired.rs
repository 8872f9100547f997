//! What should be out, in a few numbers.

use std::fmt;

use super::{C, L, NAMES, TTL};
use crate::Resource;
use crate::testing::{cluster, endpoint, listener, resource, route};

/// What should be out: for each name a number that stands for content, 0 for none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Desired {
    /// Clusters with their endpoints; below 5, either may change without the other.
    pub clusters: [u8; NAMES.len()],
    /// Routes; the three lowest bits say which clusters they need, if there.
    pub routes: [u8; NAMES.len()],
    /// Listeners; each needs the route of its name, if there.
    pub listeners: [u8; NAMES.len()],
}

impl Desired {
    /// The same content for all names of all types.
    pub fn all(content: u8) -> Self {
        let each = [content; NAMES.len()];
        Self { clusters: each, routes: each, listeners: each }
    }

    pub(super) fn resources(self) -> Vec<Resource> {
        let mut resources = Vec::new();
        for (index, name) in NAMES.into_iter().enumerate() {
            let content = self.clusters[index];
            if content > 0 {
                let (of_cluster, of_endpoint) =
                    if content < 5 { (content / 3, content % 2) } else { (content, content) };
                resources.push(cluster(name, &of_cluster.to_string()));
                resources.push(endpoint(name, &of_endpoint.to_string()));
            }
            let needed: Vec<_> = (0..NAMES.len())
                .filter(|&bit| self.routes[index] >> bit & 1 > 0 && self.clusters[bit] > 0)
                .map(|bit| NAMES[bit])
                .collect();
            if self.routes[index] > 0 {
                let content = format!("{}:{}", self.routes[index], needed.join(","));
                let route = route(name, &content);
                resources.push(needed.iter().fold(route, |r, name| r.requiring(C, *name)));
            }
            if self.listeners[index] > 0 {
                let content = self.listeners[index].to_string();
                resources.push(if self.routes[index] > 0 {
                    listener(name, name, &content)
                } else {
                    resource(L, name, &content)
                });
            }
        }
        let has_ttl = |resource: &Resource| **resource.name() == *NAMES[0];
        let with_ttl = |r: Resource| if has_ttl(&r) { r.with_ttl(TTL) } else { r };
        resources.into_iter().map(with_ttl).collect()
    }
}

/// In one line: a failing test shows many.
impl fmt::Debug for Desired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clusters, routes, listeners } = self;
        write!(f, "c{clusters:?} r{routes:?} l{listeners:?}")
    }
}
