//! For gRPC clients that need no proxy: `xds:///<host>`.
//!
//! Such a client asks for a listener that is called like the host, and routes
//! by the route configuration that it names: the default listener's, as an
//! Envoy would. Only hosts that some HTTP/2 service answers to have one, and
//! only who asks for it by name is given it.
//! See <https://github.com/grpc/proposal/blob/master/A27-xds-global-load-balancing.md>.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::listener::v3 as envoy_listener;
use envoy_types::util::pack_any;
use marchproxy_xds::{Resource, ResourceType};

use super::routes::Answers;
use super::{Checked, Sources, listeners, names};
use crate::model::{HttpVersion, Listener, Protocol};

/// Compiles the API listeners of the hosts on the default listener.
pub(super) fn compile(
    listener: &Listener,
    hosts: &BTreeMap<String, Answers<'_>>,
    checked: &Checked<'_>,
) -> Vec<Resource> {
    // Such clients talk ADS and nothing else.
    if !listener.is_default || *checked.sources != Sources::Aggregated {
        return vec![];
    }
    let speaks_http2 = |answers: &Answers<'_>| {
        let mut services = answers.services(checked).into_iter();
        services.any(|service| service.spec.protocol == Protocol::Http(HttpVersion::Http2))
    };
    // A real listener keeps its name, and a pattern is nobody's.
    let is_taken = |host: &str| checked.listeners.values().any(|l| names::listener(l) == host);
    let is_name = |host: &str| !host.contains('*') && !is_taken(host);
    let hosts = hosts.iter().filter(|(host, answers)| is_name(host) && speaks_http2(answers));
    hosts.map(|(host, _)| api_listener(host, listener)).collect()
}

fn api_listener(host: &str, listener: &Listener) -> Resource {
    let message = envoy_listener::Listener {
        name: host.to_owned(),
        api_listener: Some(envoy_listener::ApiListener {
            api_listener: Some(pack_any(listeners::http(listener, &Sources::Aggregated))),
        }),
        ..Default::default()
    };
    Resource::encode(ResourceType::Listener, host, &message)
        .requiring(ResourceType::Route, names::route_configuration(listener))
        .by_name_only()
}
