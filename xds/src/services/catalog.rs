//! Which services and methods there are, and what they are about.

use tonic::Status;

use crate::ResourceType;

/// A gRPC service that resources are discovered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiscoveryService {
    /// All types on one stream (ADS).
    Aggregated,
    /// One type alone, such as `ClusterDiscoveryService` for clusters (CDS).
    Of(ResourceType),
}

/// A method of a [`DiscoveryService`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// A stream, state of the world.
    Stream(DiscoveryService),
    /// An incremental stream.
    Delta(DiscoveryService),
    /// One request and one answer, state of the world. Never of all types.
    Fetch(ResourceType),
}

impl DiscoveryService {
    /// Every service.
    pub const ALL: [Self; 10] = [
        Self::Aggregated,
        Self::Of(ResourceType::Runtime),
        Self::Of(ResourceType::Secret),
        Self::Of(ResourceType::Cluster),
        Self::Of(ResourceType::Endpoint),
        Self::Of(ResourceType::Extension),
        Self::Of(ResourceType::Listener),
        Self::Of(ResourceType::ScopedRoute),
        Self::Of(ResourceType::Route),
        Self::Of(ResourceType::VirtualHost),
    ];

    /// The full name, as paths begin with it.
    ///
    /// Types without a service of their own are served by the aggregated one.
    pub const fn name(self) -> &'static str {
        let Self::Of(resource_type) = self else {
            return "envoy.service.discovery.v3.AggregatedDiscoveryService";
        };
        match resource_type {
            ResourceType::Runtime => "envoy.service.runtime.v3.RuntimeDiscoveryService",
            ResourceType::Secret => "envoy.service.secret.v3.SecretDiscoveryService",
            ResourceType::Cluster => "envoy.service.cluster.v3.ClusterDiscoveryService",
            ResourceType::Endpoint => "envoy.service.endpoint.v3.EndpointDiscoveryService",
            ResourceType::Extension => "envoy.service.extension.v3.ExtensionConfigDiscoveryService",
            ResourceType::Listener => "envoy.service.listener.v3.ListenerDiscoveryService",
            ResourceType::ScopedRoute => "envoy.service.route.v3.ScopedRoutesDiscoveryService",
            ResourceType::Route => "envoy.service.route.v3.RouteDiscoveryService",
            ResourceType::VirtualHost => "envoy.service.route.v3.VirtualHostDiscoveryService",
            ResourceType::Other(_) => Self::Aggregated.name(),
        }
    }

    /// What the names of its methods end with.
    pub(crate) const fn noun(self) -> &'static str {
        let Self::Of(resource_type) = self else { return "AggregatedResources" };
        match resource_type {
            ResourceType::Runtime => "Runtime",
            ResourceType::Secret => "Secrets",
            ResourceType::Cluster => "Clusters",
            ResourceType::Endpoint => "Endpoints",
            ResourceType::Extension => "ExtensionConfigs",
            ResourceType::Listener => "Listeners",
            ResourceType::ScopedRoute => "ScopedRoutes",
            ResourceType::Route => "Routes",
            ResourceType::VirtualHost => "VirtualHosts",
            ResourceType::Other(_) => Self::Aggregated.noun(),
        }
    }

    /// Whether there are streams of the world's state, and fetches. Virtual hosts
    /// come in delta alone.
    pub const fn has_sotw(self) -> bool {
        !matches!(self, Self::Of(ResourceType::VirtualHost))
    }

    /// Fills in the type of a request, or refuses one that is not about it.
    pub(super) fn settle_type(self, type_url: &mut String) -> Result<(), Status> {
        let Self::Of(resource_type) = self else { return Ok(()) };
        if type_url.is_empty() {
            resource_type.type_url().clone_into(type_url);
        }
        if type_url == resource_type.type_url() {
            return Ok(());
        }
        let name = self.name();
        Err(Status::invalid_argument(format!("{name} has no resources of type {type_url}")))
    }
}

impl Method {
    /// The service that it is a method of.
    pub(super) fn service(self) -> DiscoveryService {
        match self {
            Self::Stream(service) | Self::Delta(service) => service,
            Self::Fetch(resource_type) => DiscoveryService::Of(resource_type),
        }
    }

    /// The method with this path, if there is one.
    pub(super) fn find(path: &str) -> Option<Self> {
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        let service = DiscoveryService::ALL.into_iter().find(|known| known.name() == service)?;
        match (method.strip_suffix(service.noun())?, service) {
            ("Delta", _) => Some(Self::Delta(service)),
            ("Stream", _) if service.has_sotw() => Some(Self::Stream(service)),
            ("Fetch", DiscoveryService::Of(resource_type)) if service.has_sotw() => {
                Some(Self::Fetch(resource_type))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::service as envoy;

    use super::*;

    #[test]
    fn the_services_are_named_as_envoy_names_them() {
        use envoy::cluster::v3::cluster_discovery_service_server as cds;
        use envoy::discovery::v3::aggregated_discovery_service_server as ads;
        use envoy::endpoint::v3::endpoint_discovery_service_server as eds;
        use envoy::extension::v3::extension_config_discovery_service_server as ecds;
        use envoy::listener::v3::listener_discovery_service_server as lds;
        use envoy::route::v3::route_discovery_service_server as rds;
        use envoy::route::v3::scoped_routes_discovery_service_server as srds;
        use envoy::route::v3::virtual_host_discovery_service_server as vhds;
        use envoy::runtime::v3::runtime_discovery_service_server as rtds;
        use envoy::secret::v3::secret_discovery_service_server as sds;

        let names = DiscoveryService::ALL.map(DiscoveryService::name);
        let envoys = [
            ads::SERVICE_NAME,
            rtds::SERVICE_NAME,
            sds::SERVICE_NAME,
            cds::SERVICE_NAME,
            eds::SERVICE_NAME,
            ecds::SERVICE_NAME,
            lds::SERVICE_NAME,
            srds::SERVICE_NAME,
            rds::SERVICE_NAME,
            vhds::SERVICE_NAME,
        ];
        assert_eq!(names, envoys);
    }

    #[test]
    fn each_type_has_one_service() {
        let alone = DiscoveryService::ALL.into_iter().skip(1);
        assert!(alone.eq(ResourceType::ALL.map(DiscoveryService::Of)));
    }

    #[test]
    fn methods_are_found_by_path() {
        let ads = "/envoy.service.discovery.v3.AggregatedDiscoveryService";
        let eds = "/envoy.service.endpoint.v3.EndpointDiscoveryService";
        let of_endpoints = DiscoveryService::Of(ResourceType::Endpoint);
        let table = [
            (
                format!("{ads}/StreamAggregatedResources"),
                Some(Method::Stream(DiscoveryService::Aggregated)),
            ),
            (
                format!("{ads}/DeltaAggregatedResources"),
                Some(Method::Delta(DiscoveryService::Aggregated)),
            ),
            (format!("{ads}/FetchAggregatedResources"), None),
            (format!("{ads}/StreamEndpoints"), None),
            (format!("{eds}/StreamEndpoints"), Some(Method::Stream(of_endpoints))),
            (format!("{eds}/DeltaEndpoints"), Some(Method::Delta(of_endpoints))),
            (format!("{eds}/FetchEndpoints"), Some(Method::Fetch(ResourceType::Endpoint))),
            (format!("{eds}/Endpoints"), None),
            (format!("{eds}/StreamEndpoints/"), None),
            (eds.to_owned(), None),
            ("/x/StreamEndpoints".to_owned(), None),
            (String::new(), None),
        ];
        for (path, method) in table {
            assert_eq!(Method::find(&path), method, "{path}");
        }
    }

    #[test]
    fn a_type_is_filled_in_or_checked() {
        let cluster = ResourceType::Cluster.type_url();
        let route = ResourceType::Route.type_url();
        let settled = |service: DiscoveryService, type_url: &str| {
            let mut type_url = type_url.to_owned();
            service.settle_type(&mut type_url).map(|()| type_url).map_err(|status| status.code())
        };
        let cds = DiscoveryService::Of(ResourceType::Cluster);
        assert_eq!(settled(cds, ""), Ok(cluster.to_owned()));
        assert_eq!(settled(cds, cluster), Ok(cluster.to_owned()));
        assert_eq!(settled(cds, route), Err(tonic::Code::InvalidArgument));
        assert_eq!(settled(cds, "x"), Err(tonic::Code::InvalidArgument));
        // The session answers for these.
        assert_eq!(settled(DiscoveryService::Aggregated, ""), Ok(String::new()));
        assert_eq!(settled(DiscoveryService::Aggregated, "x"), Ok("x".to_owned()));
    }
}
