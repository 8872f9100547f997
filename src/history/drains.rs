//! Which listeners close connections when they change.
//!
//! Envoy keeps a listener that is the same. Of one that differs in its filter chains
//! alone it keeps the socket and the chains that are still there, and drains the
//! connections of the others (`ListenerMessageUtil::filterChainOnlyChange` in Envoy's
//! `listener_impl.cc`). Any other difference makes another listener in its place, and
//! drains the old one with all its connections; so does removing it. What changes routes,
//! clusters or secrets changes no listener.
//! See <https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/lds>.

use envoy_types::pb::envoy::config::listener::v3 as envoy_listener;
use envoy_types::pb::google::protobuf::Any;
use marchproxy_xds::ResourceType;
use prost::Message as _;

use super::broken;
use crate::error::Result;
use crate::model::{ItemKind, KeptItem};

/// A listener that closes connections when it becomes another one, or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// What it is called.
    pub listener: String,
    /// Which connections, and why.
    pub cause: DrainCause,
}

/// Which connections of a listener are closed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainCause {
    /// All: it goes.
    Removed,
    /// All: another one takes its place.
    Replaced,
    /// Those of its filter chains that go, or become others.
    FilterChains,
}

/// Whether an Envoy that has `from` drains connections when it is given `to`, if that is
/// a listener of which it has some.
pub fn drain(from: Option<&KeptItem>, to: Option<&KeptItem>) -> Result<Option<Drain>> {
    let Some(before) = from.map(listener).transpose()?.flatten() else { return Ok(None) };
    let after = to.map(listener).transpose()?.flatten();
    let cause = match &after {
        None => Some(DrainCause::Removed),
        Some(after) if frame(&before) != frame(after) => Some(DrainCause::Replaced),
        Some(after) if chains(&before).all(|chain| chains(after).any(|other| chain == other)) => {
            None
        }
        Some(_) => Some(DrainCause::FilterChains),
    };
    Ok(cause.map(|cause| Drain { listener: before.name, cause }))
}

/// Reads a listener that accepts connections; an API listener, and anything else, is none.
fn listener(kept: &KeptItem) -> Result<Option<envoy_listener::Listener>> {
    if kept.item.kind != ItemKind::Resource(ResourceType::Listener.to_string()) {
        return Ok(None);
    }
    let read = Any::decode(kept.content.as_slice())
        .and_then(|any| envoy_listener::Listener::decode(any.value.as_slice()));
    let listener = read.map_err(|e| broken(&kept.item, &e))?;
    Ok(Some(listener).filter(|listener| listener.api_listener.is_none()))
}

/// A listener without its filter chains.
fn frame(listener: &envoy_listener::Listener) -> envoy_listener::Listener {
    envoy_listener::Listener {
        filter_chains: vec![],
        default_filter_chain: None,
        filter_chain_matcher: None,
        ..listener.clone()
    }
}

fn chains(
    listener: &envoy_listener::Listener,
) -> impl Iterator<Item = &envoy_listener::FilterChain> {
    listener.filter_chains.iter().chain(&listener.default_filter_chain)
}

#[cfg(test)]
mod tests {
    use marchproxy_xds::Resource;

    use super::*;
    use crate::model::Item;

    fn chain(name: &str) -> envoy_listener::FilterChain {
        envoy_listener::FilterChain { name: name.to_owned(), ..Default::default() }
    }

    fn kept(listener: &envoy_listener::Listener) -> KeptItem {
        let resource = Resource::encode(ResourceType::Listener, listener.name.as_str(), listener);
        let kind = ItemKind::Resource(ResourceType::Listener.to_string());
        let (name, hash) = (listener.name.clone(), resource.version().to_string());
        KeptItem { item: Item { kind, name, hash }, content: resource.body().to_vec() }
    }

    fn with(chains: &[&str]) -> envoy_listener::Listener {
        envoy_listener::Listener {
            name: "l".to_owned(),
            filter_chains: chains.iter().map(|name| chain(name)).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn connections_are_closed_by_what_envoy_does_not_keep() {
        let reads = envoy_listener::Listener { stat_prefix: "s".to_owned(), ..with(&["a"]) };
        let default =
            envoy_listener::Listener { default_filter_chain: Some(chain("d")), ..with(&["a"]) };
        let table = [
            (with(&["a"]), Some(with(&["a", "b"])), None),
            (with(&["a", "b"]), Some(with(&["b", "a"])), None),
            (with(&["a"]), Some(default.clone()), None),
            (with(&["a", "b"]), Some(with(&["a"])), Some(DrainCause::FilterChains)),
            (with(&["a"]), Some(with(&["b"])), Some(DrainCause::FilterChains)),
            (default, Some(with(&["a"])), Some(DrainCause::FilterChains)),
            (with(&["a"]), Some(reads), Some(DrainCause::Replaced)),
            (with(&["a"]), None, Some(DrainCause::Removed)),
        ];
        for (from, to, want) in table {
            let (before, after) = (kept(&from), to.as_ref().map(kept));
            let found = drain(Some(&before), after.as_ref()).unwrap();
            assert_eq!(found.map(|drain| drain.cause), want, "{from:?} {to:?}");
        }
    }

    #[test]
    fn what_accepts_no_connections_closes_none() {
        let api = envoy_listener::Listener {
            api_listener: Some(envoy_listener::ApiListener::default()),
            ..with(&[])
        };
        assert_eq!(drain(Some(&kept(&api)), None).unwrap(), None);
        assert_eq!(drain(None, Some(&kept(&with(&["a"])))).unwrap(), None);
        let mut cluster = kept(&with(&["a"]));
        cluster.item.kind = ItemKind::Resource("cluster".to_owned());
        assert_eq!(drain(Some(&cluster), None).unwrap(), None);
    }
}
