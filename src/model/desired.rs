//! Everything that one group's snapshot is made of.

use super::{Certificate, Listener, Mapping, NodeGroup, Route, Service};

/// What people configured for one node group, read in one transaction.
///
/// In any order: compiling it gives the same bytes whatever the order.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredState {
    /// The group itself, at its revision.
    pub group: NodeGroup,
    /// Where traffic goes to.
    pub services: Vec<Service>,
    /// Which requests go where.
    pub routes: Vec<Route>,
    /// Where proxies accept traffic.
    pub listeners: Vec<Listener>,
    /// Which services may reach which.
    pub mappings: Vec<Mapping>,
    /// What listeners prove themselves with.
    pub certificates: Vec<Certificate>,
}

impl DesiredState {
    /// That of a group that has nothing.
    pub fn empty(group: NodeGroup) -> Self {
        Self {
            group,
            services: vec![],
            routes: vec![],
            listeners: vec![],
            mappings: vec![],
            certificates: vec![],
        }
    }
}
