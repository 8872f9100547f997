//! The routes of one HTTP listener become one route configuration.
//!
//! Each host has a virtual host of its own, with all routes that name it in
//! the order that they are asked: by priority, then the narrower path, then
//! the one that looks at more, then by name. Last comes, on the default
//! listener, where a mapping leads, or else the service of that name. Ports in
//! `Host` are left aside.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3 as envoy_route;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use marchproxy_xds::{Resource, ResourceType};

use super::mappings::{self, Mapped};
use super::{Checked, CompileError, names, wire};
use crate::model::{
    Forward, HeaderMatch, HttpMethod, Listener, PathMatch, Redirect, RedirectCode, Retries,
    RetryOn, Route, RouteAction, Service, TextMatch, Timeout,
};

/// How long a request may stand still in Envoy, if it is not told otherwise.
const STREAM_IDLE: Duration = Duration::from_secs(5 * 60);

/// What answers to one host.
#[derive(Default)]
pub(super) struct Answers<'a> {
    routes: Vec<&'a Route>,
    mapped: Option<Mapped<'a>>,
    service: Option<&'a Service>,
}

/// Compiles the route configuration of one HTTP listener.
pub(super) fn compile(
    listener: &Listener,
    hosts: &BTreeMap<String, Answers<'_>>,
    checked: &Checked<'_>,
) -> Resource {
    let name = names::route_configuration(listener);
    let message = envoy_route::RouteConfiguration {
        name: name.clone(),
        virtual_hosts: hosts.iter().map(|(host, a)| virtual_host(host, a, checked)).collect(),
        ignore_port_in_host_matching: true,
        ..Default::default()
    };
    let mut resource = Resource::encode(ResourceType::Route, name, &message);
    for service in hosts.values().flat_map(|answers| answers.services(checked)) {
        resource = resource.requiring(ResourceType::Cluster, names::cluster(service));
    }
    resource
}

/// What answers to each host on an HTTP listener.
pub(super) fn by_host<'a>(
    listener: &Listener,
    checked: &Checked<'a>,
) -> Result<BTreeMap<String, Answers<'a>>, CompileError> {
    let mut hosts: BTreeMap<String, Answers<'a>> = BTreeMap::new();
    for route in &checked.routes {
        if route.spec.listener == listener.id {
            for host in &route.spec.hosts {
                hosts.entry(host.as_str().to_owned()).or_default().routes.push(route);
            }
        }
    }
    if listener.is_default {
        for (host, mapped) in mappings::by_host(checked) {
            hosts.entry(host).or_default().mapped = Some(mapped);
        }
        let http = |s: &&&Service| s.spec.speaks_http();
        for service in checked.services.values().filter(http) {
            let host = service.spec.name.as_str().to_ascii_lowercase();
            let answers = hosts.entry(host.clone()).or_default();
            if let Some(one) = answers.service.replace(service) {
                let (one, other) = (one.spec.name.to_string(), service.spec.name.to_string());
                return Err(CompileError::HostClash { one, other, host });
            }
        }
    }
    for answers in hosts.values_mut() {
        answers.routes.sort_by_key(|route| {
            let spec = &route.spec;
            let looks_at = usize::from(!spec.methods.is_empty()) + spec.headers.len();
            (
                Reverse(spec.priority),
                Reverse(spec.path.specificity()),
                Reverse(looks_at),
                &spec.name,
            )
        });
    }
    Ok(hosts)
}

impl<'a> Answers<'a> {
    /// The services that requests for the host may go to.
    pub(super) fn services(&self, checked: &Checked<'a>) -> Vec<&'a Service> {
        let routed = self.routes.iter().flat_map(|route| route.spec.services());
        routed
            .map(|id| checked.service(id))
            .chain(self.rest().map(|(_, service)| service))
            .collect()
    }

    /// Where goes what no route takes, and what that is called.
    fn rest(&self) -> Option<(String, &'a Service)> {
        let mapped = self.mapped.as_ref().map(|mapped| (mapped.name.clone(), mapped.service));
        let named = |service: &'a Service| (format!("service:{}", service.spec.name), service);
        mapped.or_else(|| self.service.map(named))
    }
}

fn virtual_host(
    host: &str,
    answers: &Answers<'_>,
    checked: &Checked<'_>,
) -> envoy_route::VirtualHost {
    let routes = answers.routes.iter().map(|route| routed(route, checked));
    envoy_route::VirtualHost {
        name: host.to_owned(),
        domains: vec![host.to_owned()],
        routes: routes.chain(answers.rest().map(|(name, to)| whole(name, to))).collect(),
        ..Default::default()
    }
}

/// A route of all requests to one service.
fn whole(name: String, service: &Service) -> envoy_route::Route {
    use envoy_route::route_action::ClusterSpecifier;
    use envoy_route::route_match::PathSpecifier;
    envoy_route::Route {
        name,
        r#match: Some(envoy_route::RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix("/".to_owned())),
            ..Default::default()
        }),
        action: Some(envoy_route::route::Action::Route(envoy_route::RouteAction {
            cluster_specifier: Some(ClusterSpecifier::Cluster(names::cluster(service))),
            timeout: Some(wire::duration(service.spec.timeouts.request)),
            hash_policy: hash_policy(&[service]),
            idle_timeout: longer_than_envoys(service.spec.timeouts.request).map(wire::duration),
            ..Default::default()
        })),
        ..Default::default()
    }
}

fn routed(route: &Route, checked: &Checked<'_>) -> envoy_route::Route {
    use envoy_route::route::Action;
    let action = match &route.spec.action {
        RouteAction::Forward(forward) => Action::Route(forwarded(forward, checked)),
        RouteAction::Redirect(redirect) => Action::Redirect(redirected(redirect)),
    };
    envoy_route::Route {
        name: route.spec.name.to_string(),
        r#match: Some(matched(route)),
        action: Some(action),
        ..Default::default()
    }
}

fn matched(route: &Route) -> envoy_route::RouteMatch {
    use envoy_route::route_match::PathSpecifier;
    let path = match &route.spec.path {
        PathMatch::Prefix(path) => PathSpecifier::Prefix(path.to_string()),
        PathMatch::Exact(path) => PathSpecifier::Path(path.to_string()),
        PathMatch::Regex(pattern) => PathSpecifier::SafeRegex(wire::regex(pattern.as_str())),
    };
    let headers = method_header(&route.spec.methods)
        .into_iter()
        .chain(route.spec.headers.iter().map(header))
        .collect();
    envoy_route::RouteMatch { path_specifier: Some(path), headers, ..Default::default() }
}

fn method_header(methods: &[HttpMethod]) -> Option<envoy_route::HeaderMatcher> {
    let mut methods: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    let pattern = match methods.as_slice() {
        [] => return None,
        [one] => MatchPattern::Exact((*one).to_owned()),
        several => MatchPattern::SafeRegex(wire::regex(&several.join("|"))),
    };
    Some(header_matcher(":method", pattern))
}

fn header(header: &HeaderMatch) -> envoy_route::HeaderMatcher {
    use envoy_route::header_matcher::HeaderMatchSpecifier;
    let name = header.name.as_str();
    match &header.value {
        TextMatch::Present => envoy_route::HeaderMatcher {
            name: name.to_owned(),
            header_match_specifier: Some(HeaderMatchSpecifier::PresentMatch(true)),
            ..Default::default()
        },
        TextMatch::Exact(value) => header_matcher(name, MatchPattern::Exact(value.clone())),
        TextMatch::Prefix(value) => header_matcher(name, MatchPattern::Prefix(value.clone())),
        TextMatch::Regex(pattern) => {
            header_matcher(name, MatchPattern::SafeRegex(wire::regex(pattern.as_str())))
        }
    }
}

fn header_matcher(name: &str, pattern: MatchPattern) -> envoy_route::HeaderMatcher {
    use envoy_route::header_matcher::HeaderMatchSpecifier;
    envoy_route::HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(wire::text(pattern))),
        ..Default::default()
    }
}

fn forwarded(forward: &Forward, checked: &Checked<'_>) -> envoy_route::RouteAction {
    use envoy_route::route_action::{HostRewriteSpecifier, UpgradeConfig};
    let upgrade = UpgradeConfig { upgrade_type: "websocket".to_owned(), ..Default::default() };
    let backends = forward.backends.iter();
    let services: Vec<&Service> = backends.map(|b| checked.service(b.service)).collect();
    envoy_route::RouteAction {
        hash_policy: hash_policy(&services),
        idle_timeout: idle_timeout(forward, &services).map(wire::duration),
        cluster_specifier: Some(destination(forward, checked)),
        timeout: Some(wire::duration(timeout(forward, &services))),
        retry_policy: forward.retries.as_ref().map(retry_policy),
        prefix_rewrite: forward
            .prefix_rewrite
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        host_rewrite_specifier: forward
            .host_rewrite
            .as_ref()
            .map(|host| HostRewriteSpecifier::HostRewriteLiteral(wire::url_host(host))),
        upgrade_configs: if forward.websocket { vec![upgrade] } else { vec![] },
        ..Default::default()
    }
}

/// What an endpoint is chosen by, where that is hashed: the client's address.
fn hash_policy(services: &[&Service]) -> Vec<envoy_route::route_action::HashPolicy> {
    use envoy_route::route_action::hash_policy::{ConnectionProperties, PolicySpecifier};
    let by_client = PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip: true });
    let policy = envoy_route::route_action::HashPolicy {
        policy_specifier: Some(by_client),
        ..Default::default()
    };
    let hashed = services.iter().any(|service| service.spec.load_balancing.is_by_client());
    if hashed { vec![policy] } else { vec![] }
}

fn destination(
    forward: &Forward,
    checked: &Checked<'_>,
) -> envoy_route::route_action::ClusterSpecifier {
    use envoy_route::route_action::ClusterSpecifier;
    use envoy_route::weighted_cluster::ClusterWeight;
    if let [only] = forward.backends.as_slice() {
        return ClusterSpecifier::Cluster(names::cluster(checked.service(only.service)));
    }
    let clusters = forward.backends.iter().map(|backend| ClusterWeight {
        name: names::cluster(checked.service(backend.service)),
        weight: Some(wire::uint32(backend.weight.get())),
        ..Default::default()
    });
    ClusterSpecifier::WeightedClusters(envoy_route::WeightedCluster {
        clusters: clusters.collect(),
        ..Default::default()
    })
}

/// The route's own limit, or the longest of its services'.
fn timeout(forward: &Forward, services: &[&Service]) -> Timeout {
    forward.timeout.unwrap_or_else(|| longest(services.iter().map(|s| s.spec.timeouts.request)))
}

/// How long a request may stand still, where Envoy's five minutes are less
/// than the request or the WebSocket is to have.
fn idle_timeout(forward: &Forward, services: &[&Service]) -> Option<Timeout> {
    if forward.websocket {
        return Some(longest(services.iter().map(|s| s.spec.timeouts.idle)));
    }
    longer_than_envoys(timeout(forward, services))
}

/// The limit, if Envoy's own on a request that stands still would come first.
fn longer_than_envoys(limit: Timeout) -> Option<Timeout> {
    match limit {
        Timeout::After(millis) => (Duration::from(millis) > STREAM_IDLE).then_some(limit),
        Timeout::Never => Some(limit),
    }
}

fn longest(limits: impl Iterator<Item = Timeout>) -> Timeout {
    let longer = |a: Timeout, b: Timeout| match (a, b) {
        (Timeout::After(a), Timeout::After(b)) => Timeout::After(a.max(b)),
        (Timeout::Never, _) | (_, Timeout::Never) => Timeout::Never,
    };
    limits.reduce(longer).unwrap_or(Timeout::Never)
}

fn retry_policy(retries: &Retries) -> envoy_route::RetryPolicy {
    let on = retries.on.iter().map(|on| match on {
        RetryOn::ServerError => "5xx",
        RetryOn::GatewayError => "gateway-error",
        RetryOn::ConnectFailure => "connect-failure",
        RetryOn::Reset => "reset",
        RetryOn::RefusedStream => "refused-stream",
        RetryOn::Retriable4xx => "retriable-4xx",
    });
    envoy_route::RetryPolicy {
        retry_on: on.collect::<Vec<_>>().join(","),
        num_retries: Some(wire::uint32(retries.attempts.get())),
        per_try_timeout: retries.per_try_timeout.map(wire::duration),
        ..Default::default()
    }
}

fn redirected(redirect: &Redirect) -> envoy_route::RedirectAction {
    use envoy_route::redirect_action::{
        PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
    };
    let code = match redirect.code {
        RedirectCode::MovedPermanently => RedirectResponseCode::MovedPermanently,
        RedirectCode::Found => RedirectResponseCode::Found,
        RedirectCode::SeeOther => RedirectResponseCode::SeeOther,
        RedirectCode::TemporaryRedirect => RedirectResponseCode::TemporaryRedirect,
        RedirectCode::PermanentRedirect => RedirectResponseCode::PermanentRedirect,
    };
    envoy_route::RedirectAction {
        host_redirect: redirect.host.as_ref().map(wire::url_host).unwrap_or_default(),
        port_redirect: redirect.port.map_or(0, |port| port.get().into()),
        response_code: code.into(),
        strip_query: false,
        scheme_rewrite_specifier: redirect
            .https
            .then_some(SchemeRewriteSpecifier::HttpsRedirect(true)),
        path_rewrite_specifier: redirect
            .path
            .as_ref()
            .map(|path| PathRewriteSpecifier::PathRedirect(path.to_string())),
    }
}
