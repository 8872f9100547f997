//! The types of resources: their names on the wire, and what the protocol asks of each.

use std::collections::BTreeSet;
use std::fmt;

use parking_lot::RwLock;

/// What a resource is.
///
/// Declared in push (make-before-break) order: what others refer to goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    /// A layer of runtime values (RTDS).
    Runtime,
    /// A certificate, key or validation context (SDS).
    Secret,
    /// An upstream cluster (CDS).
    Cluster,
    /// The endpoints of one cluster (EDS).
    Endpoint,
    /// The configuration of one filter (ECDS).
    Extension,
    /// A listener (LDS).
    Listener,
    /// Which route configuration a request is for (SRDS).
    ScopedRoute,
    /// A route configuration (RDS).
    Route,
    /// A virtual host of a route configuration (VHDS).
    VirtualHost,
    /// Any other type: served on an aggregated stream, by names or by `*`.
    Other(OtherType),
}

/// A type of resource of which this crate knows nothing but the name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OtherType(&'static str);

/// The other types that were registered: few, and for good.
static OTHERS: RwLock<BTreeSet<&'static str>> = RwLock::new(BTreeSet::new());

impl ResourceType {
    /// Every type that has a service of its own, in push order.
    pub const ALL: [Self; 9] = [
        Self::Runtime,
        Self::Secret,
        Self::Cluster,
        Self::Endpoint,
        Self::Extension,
        Self::Listener,
        Self::ScopedRoute,
        Self::Route,
        Self::VirtualHost,
    ];

    /// Its place in [`Self::ALL`].
    pub(crate) const fn place(self) -> Option<usize> {
        match self {
            Self::Runtime => Some(0),
            Self::Secret => Some(1),
            Self::Cluster => Some(2),
            Self::Endpoint => Some(3),
            Self::Extension => Some(4),
            Self::Listener => Some(5),
            Self::ScopedRoute => Some(6),
            Self::Route => Some(7),
            Self::VirtualHost => Some(8),
            Self::Other(_) => None,
        }
    }

    /// Stands in for a type that is not there. No client can ask for it.
    pub(crate) const NONE: Self = Self::Other(OtherType(""));

    /// The name of this type on the wire.
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Runtime => "type.googleapis.com/envoy.service.runtime.v3.Runtime",
            Self::Secret => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoint => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Extension => "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::ScopedRoute => {
                "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration"
            }
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            Self::VirtualHost => "type.googleapis.com/envoy.config.route.v3.VirtualHost",
            Self::Other(other) => other.0,
        }
    }

    /// The type with this name on the wire, if it is one of ours or registered.
    pub fn from_type_url(type_url: &str) -> Option<Self> {
        let known = Self::ALL.into_iter().find(|known| known.type_url() == type_url);
        known.or_else(|| {
            let others = OTHERS.read();
            others.get(type_url).map(|&other| Self::Other(OtherType(other)))
        })
    }

    /// The type with this name on the wire; registers one that is not known yet.
    ///
    /// Registered types are never forgotten, so the names must not come from
    /// clients. A client that asked for the type before is served from the next
    /// snapshot on.
    pub fn register(type_url: &str) -> Self {
        if let Some(known) = Self::from_type_url(type_url) {
            return known;
        }
        let mut others = OTHERS.write();
        let other = others.get(type_url).copied().unwrap_or_else(|| {
            let other: &'static str = Box::leak(type_url.into());
            others.insert(other);
            other
        });
        Self::Other(OtherType(other))
    }

    /// Whether a state-of-the-world response of this type is complete.
    ///
    /// A client removes what a complete response leaves out. These are also the
    /// types of which a request without names means all.
    pub const fn is_full_state(self) -> bool {
        match self {
            Self::Cluster | Self::Listener | Self::ScopedRoute => true,
            Self::Runtime
            | Self::Secret
            | Self::Endpoint
            | Self::Extension
            | Self::Route
            | Self::VirtualHost
            | Self::Other(_) => false,
        }
    }

    /// Whether a delta client is told that a resource of this type is not there.
    ///
    /// Routes, secrets and filters go with the listener or cluster that uses them.
    /// While that one drains it still needs them, so nobody is told.
    pub(crate) const fn announces_absence(self) -> bool {
        match self {
            Self::Runtime
            | Self::Cluster
            | Self::Endpoint
            | Self::Listener
            | Self::ScopedRoute
            | Self::VirtualHost
            | Self::Other(_) => true,
            Self::Secret | Self::Extension | Self::Route => false,
        }
    }

    /// Whether resources of this type send requests to clusters.
    pub(crate) const fn uses_clusters(self) -> bool {
        match self {
            Self::Listener | Self::Route | Self::VirtualHost => true,
            Self::Runtime
            | Self::Secret
            | Self::Cluster
            | Self::Endpoint
            | Self::Extension
            | Self::ScopedRoute
            | Self::Other(_) => false,
        }
    }

    /// Whether resources of this type stay until nothing that uses them is in flight.
    pub(crate) const fn departs_late(self) -> bool {
        match self {
            Self::Cluster | Self::Endpoint => true,
            Self::Runtime
            | Self::Secret
            | Self::Extension
            | Self::Listener
            | Self::ScopedRoute
            | Self::Route
            | Self::VirtualHost
            | Self::Other(_) => false,
        }
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Runtime => "runtime",
            Self::Secret => "secret",
            Self::Cluster => "cluster",
            Self::Endpoint => "endpoint",
            Self::Extension => "extension",
            Self::Listener => "listener",
            Self::ScopedRoute => "scoped route",
            Self::Route => "route",
            Self::VirtualHost => "virtual host",
            Self::Other(other) => other.0,
        })
    }
}

impl fmt::Debug for OtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_declared_in_push_order() {
        assert!(ResourceType::ALL.is_sorted());
        assert_eq!(ResourceType::ALL.map(ResourceType::place), std::array::from_fn(Some));
        assert!(ResourceType::Cluster < ResourceType::Endpoint);
        assert!(ResourceType::Endpoint < ResourceType::Listener);
        assert!(ResourceType::Listener < ResourceType::Route);
    }

    #[test]
    fn type_urls_lead_back_to_their_types() {
        for resource_type in ResourceType::ALL {
            assert_eq!(ResourceType::from_type_url(resource_type.type_url()), Some(resource_type));
        }
        assert_eq!(ResourceType::from_type_url("type.googleapis.com/x.Y"), None);
    }

    #[test]
    fn any_type_can_be_registered_and_is_then_known() {
        let type_url = "type.googleapis.com/x.Registered";
        let registered = ResourceType::register(type_url);
        assert_eq!(registered.type_url(), type_url);
        assert_eq!(ResourceType::register(type_url), registered);
        assert_eq!(ResourceType::from_type_url(type_url), Some(registered));
        let cluster = ResourceType::Cluster;
        assert_eq!(ResourceType::register(cluster.type_url()), cluster);
    }
}
