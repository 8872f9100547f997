//! From what proxies speak of back to what people configured.
//!
//! [`names`] says what a resource is called; this reads such a name
//! back, and looks in a proxy's words for the part that it complains about.

use std::sync::Arc;

use marchproxy_xds::ResourceType;

use super::names;
use crate::model::{Certificate, Listener, NodeGroupId, PathMatch, Route, ServiceId, TextMatch};

/// What a group has whose names are not in the names of its resources.
#[derive(Clone, Debug, Default)]
pub struct Nouns {
    /// Its listeners.
    pub listeners: Vec<Listener>,
    /// Its routes.
    pub routes: Vec<Route>,
    /// Its certificates.
    pub certificates: Vec<Certificate>,
}

/// What people configured that a resource comes of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The settings of this group.
    NodeGroup(NodeGroupId),
    /// A service; it may be gone by now.
    Service(ServiceId),
    /// A listener.
    Listener(Listener),
    /// A route.
    Route(Route),
    /// A certificate.
    Certificate(Box<Certificate>),
}

/// A resource that a proxy complains about, and what is behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Culprit {
    /// What the resource is called.
    pub resource: Arc<str>,
    /// What it comes of; none if that is gone, or cannot be told.
    pub owner: Option<Owner>,
    /// The input field that is wrong, as a path; none if the words do not tell.
    pub field: Option<String>,
}

/// What a resource of `group` comes of.
pub fn owner(
    group: NodeGroupId,
    nouns: &Nouns,
    resource_type: ResourceType,
    name: &str,
) -> Option<Owner> {
    let listener = |is_it: &dyn Fn(&Listener) -> bool| {
        nouns.listeners.iter().find(|listener| is_it(listener)).cloned().map(Owner::Listener)
    };
    match resource_type {
        ResourceType::Runtime => (name == names::RUNTIME_LAYER).then_some(Owner::NodeGroup(group)),
        ResourceType::Cluster | ResourceType::Endpoint => {
            names::service_of_cluster(group, name).map(Owner::Service)
        }
        ResourceType::Secret => {
            let of_service = names::service_of_authority(group, name).map(Owner::Service);
            of_service.or_else(|| {
                let found = nouns.certificates.iter().find(|c| names::certificate(c) == name);
                found.cloned().map(|found| Owner::Certificate(Box::new(found)))
            })
        }
        ResourceType::Listener => listener(&|listener| names::listener(listener) == name),
        ResourceType::Route => listener(&|listener| names::route_configuration(listener) == name),
        ResourceType::Extension
        | ResourceType::ScopedRoute
        | ResourceType::VirtualHost
        | ResourceType::Other(_) => None,
    }
}

/// What is behind the resources that a proxy complains about in these words.
pub fn culprits(
    group: NodeGroupId,
    nouns: &Nouns,
    resource_type: ResourceType,
    resources: &[Arc<str>],
    words: &str,
) -> Vec<Culprit> {
    let mut culprits = vec![];
    for resource in resources {
        let owner = owner(group, nouns, resource_type, resource);
        let culprit = |owner, field| Culprit { resource: Arc::clone(resource), owner, field };
        if let (ResourceType::Route, Some(Owner::Listener(listener))) = (resource_type, &owner) {
            let routes = nouns.routes.iter().filter(|route| route.spec.listener == listener.id);
            let blamed = routes.filter_map(|route| {
                Some(culprit(
                    Some(Owner::Route(route.clone())),
                    Some(field_of_route(route, words)?),
                ))
            });
            let before = culprits.len();
            culprits.extend(blamed);
            if culprits.len() > before {
                continue;
            }
        }
        let field = owner.as_ref().and_then(|owner| field_of(owner, resource_type, words));
        culprits.push(culprit(owner, field.map(ToOwned::to_owned)));
    }
    culprits
}

/// Words that stand for a field, in lower case. The first that is found counts.
type Telling = [(&'static str, &'static str)];

const OF_SERVICES: &Telling = &[
    ("connecttimeout", "timeouts.connectMs"),
    ("connect_timeout", "timeouts.connectMs"),
    ("lbpolicy", "loadBalancing"),
    ("ring_hash", "loadBalancing"),
    ("maglev", "loadBalancing"),
    ("healthcheck", "healthCheck"),
    ("health_check", "healthCheck"),
    ("health check", "healthCheck"),
    ("certificate", "tls"),
    ("transport_socket", "tls"),
    ("tls", "tls"),
    ("load_assignment", "endpoints"),
    ("endpoint", "endpoints"),
    ("address", "endpoints"),
];

const OF_LISTENERS: &Telling = &[
    ("assign requested address", "address"),
    ("address already in use", "port"),
    ("permission denied", "port"),
    ("malformed ip address", "address"),
    ("private key", "certificate"),
    ("certificate", "certificate"),
    ("tls", "certificate"),
];

fn field_of(owner: &Owner, resource_type: ResourceType, words: &str) -> Option<&'static str> {
    let words = words.to_ascii_lowercase();
    let told = |telling: &Telling| {
        let found = telling.iter().find(|(words_of, _)| words.contains(words_of));
        found.map(|(_, field)| *field)
    };
    match owner {
        Owner::NodeGroup(_) => Some("runtime"),
        Owner::Service(_) if resource_type == ResourceType::Secret => Some("tls.caPem"),
        Owner::Service(_) if resource_type == ResourceType::Endpoint => Some("endpoints"),
        Owner::Service(_) => told(OF_SERVICES),
        Owner::Listener(_) if resource_type == ResourceType::Listener => told(OF_LISTENERS),
        Owner::Listener(_) | Owner::Route(_) | Owner::Certificate(_) => None,
    }
}

/// The field of a route that stands in a proxy's words.
fn field_of_route(route: &Route, words: &str) -> Option<String> {
    let quotes = |pattern: &str| {
        let quoted = [format!("'{pattern}'"), format!("\"{pattern}\"")];
        quoted.iter().any(|quoted| words.contains(quoted.as_str()))
            // What is longer cannot be there by chance.
            || pattern.len() > 3 && words.contains(pattern)
    };
    if let PathMatch::Regex(pattern) = &route.spec.path
        && quotes(pattern.as_str())
    {
        return Some("path.regex".to_owned());
    }
    let mut headers = route.spec.headers.iter().enumerate();
    let header = headers.find(|(_, header)| match &header.value {
        TextMatch::Regex(pattern) => quotes(pattern.as_str()),
        TextMatch::Present | TextMatch::Exact(_) | TextMatch::Prefix(_) => false,
    });
    if let Some((i, _)) = header {
        return Some(format!("headers.{i}.regex"));
    }
    if words.to_ascii_lowercase().contains("domain") {
        let mut hosts = route.spec.hosts.iter().enumerate();
        let host = hosts.find(|(_, host)| words.contains(host.as_str()));
        return host.map(|(i, _)| format!("hosts.{i}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::tests::given;
    use crate::model::DesiredState;

    /// A group that has something of each type.
    fn of_everything() -> DesiredState {
        let mut state = given::serving([
            given::service(1, "api", &["10.0.0.1:80"]),
            given::tcp_service(2, "db", "10.0.0.2:5432"),
        ]);
        state.certificates.push(given::certificate(1, "front"));
        let mut secure = given::listener(7, "secure", 8443);
        secure.spec.certificate = Some(given::number(1));
        state.listeners.extend([secure, given::tcp_listener(8, "tcp", 5432, 2)]);
        state.routes.push(given::route(1, "r", given::prefix("/"), given::to_api()));
        state
    }

    fn group() -> NodeGroupId {
        1.try_into().unwrap()
    }

    #[test]
    fn every_name_that_is_compiled_is_read_back() {
        let state = of_everything();
        let snapshot = crate::compile::compile(&state).unwrap();
        let nouns = Nouns {
            listeners: state.listeners.clone(),
            routes: state.routes.clone(),
            certificates: state.certificates.clone(),
        };
        let mut seen = 0;
        for resource_type in snapshot.types() {
            for resource in snapshot.resources(resource_type) {
                let name = resource.name();
                let found = owner(state.group.id, &nouns, resource_type, name);
                // The API listeners of proxyless clients are called by the host.
                let is_api = resource_type == ResourceType::Listener && found.is_none();
                assert!(found.is_some() || is_api, "{resource_type} {name}");
                seen += usize::from(found.is_some());
            }
        }
        assert!(seen >= 5, "only {seen}");
    }

    #[test]
    fn a_cluster_names_its_service_and_nothing_else_does() {
        let table = [
            ("cluster_1_service_7", Some(7)),
            ("cluster_2_service_7", None),
            ("cluster_1_service_0", None),
            ("cluster_1_service_07", None),
            ("cluster_1_service_7_ca", None),
            ("xds_cluster", None),
        ];
        for (name, want) in table {
            let found = owner(group(), &Nouns::default(), ResourceType::Cluster, name);
            let want = want.map(|id: i32| Owner::Service(id.try_into().unwrap()));
            assert_eq!(found, want, "{name}");
        }
        let authority =
            owner(group(), &Nouns::default(), ResourceType::Secret, "cluster_1_service_7_ca");
        assert_eq!(authority, Some(Owner::Service(7.try_into().unwrap())));
    }

    #[test]
    fn words_about_routes_lead_to_the_route() {
        let mut state = of_everything();
        let path = PathMatch::Regex(given::text("/a{1,900}"));
        state.routes.push(given::route(2, "regex", path, given::to_api()));
        let nouns =
            Nouns { listeners: state.listeners, routes: state.routes, certificates: vec![] };
        let name: Arc<str> = "marchproxy_routes".into();
        let blame = |words| {
            let resources = [Arc::clone(&name)];
            culprits(group(), &nouns, ResourceType::Route, &resources, words)
        };
        let told = blame("regex '/a{1,900}' RE2 program size of 901 > max program size of 100");
        assert_eq!(told.len(), 1, "{told:?}");
        let Some(Owner::Route(route)) = &told[0].owner else { panic!("{told:?}") };
        assert_eq!(
            (route.spec.name.as_str(), told[0].field.as_deref()),
            ("regex", Some("path.regex"))
        );
        let told = blame("Duplicate entry of domain a.example");
        let fields: Vec<_> = told.iter().map(|culprit| culprit.field.as_deref()).collect();
        assert_eq!(fields, [Some("hosts.0"); 2], "both name it");
        let told = blame("something else");
        assert!(matches!(
            &told[..],
            [Culprit { owner: Some(Owner::Listener(_)), field: None, .. }]
        ));
    }

    #[test]
    fn a_proxys_words_name_the_field() {
        let service = Owner::Service(1.try_into().unwrap());
        let listener = Owner::Listener(of_everything().listeners[0].clone());
        let table = [
            (
                &service,
                ResourceType::Cluster,
                "ClusterValidationError.ConnectTimeout: x",
                Some("timeouts.connectMs"),
            ),
            (&service, ResourceType::Secret, "not shown", Some("tls.caPem")),
            (&service, ResourceType::Cluster, "no idea", None),
            (
                &listener,
                ResourceType::Listener,
                "cannot bind '127.0.0.1:1': Address already in use",
                Some("port"),
            ),
            (
                &listener,
                ResourceType::Listener,
                "cannot bind '10.9.9.9:80': Cannot assign requested address",
                Some("address"),
            ),
            (&listener, ResourceType::Route, "Address already in use", None),
        ];
        for (owner, resource_type, words, want) in table {
            assert_eq!(field_of(owner, resource_type, words), want, "{words}");
        }
    }
}
