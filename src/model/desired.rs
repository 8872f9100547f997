//! Everything that one group's snapshot is made of.

use super::{Listener, NodeGroup, Route, Service};

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
}
