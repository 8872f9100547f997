//! Bytes of any kind, read as requests of either protocol.
//!
//! The first byte says which protocol; then come messages, each after two bytes: the
//! type that it is given if it has none of ours (or a snapshot instead), and its
//! length. A session must take or refuse all of it, and never say more than there is.

#![no_main]

use std::collections::BTreeSet;
use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use marchproxy_proto as proto;
use marchproxy_xds::testing::{Received, cluster, endpoint, listener, resource, route, snapshot};
use marchproxy_xds::{Output, Protocol, Request, Resource, ResourceType, Session};
use prost::Message;

/// In place of a message: another snapshot.
const PUBLISH: u8 = 0xf0;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, mut data)) = data.split_first() else { return };
    let protocol = if kind & 1 == 0 { Protocol::Sotw } else { Protocol::Delta };
    let mut session = Session::new(protocol);
    let mut asked = BTreeSet::new();
    if kind & 2 == 0 {
        check(session.on_snapshot(snapshot(0, resources(0)), SystemTime::UNIX_EPOCH), &asked);
    }
    while let [what, length, rest @ ..] = data {
        let (message, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        data = rest;
        if *what >= PUBLISH {
            check(
                session.on_snapshot(snapshot(1, resources(what & 3)), SystemTime::UNIX_EPOCH),
                &asked,
            );
            continue;
        }
        // What gRPC cannot decode never gets here.
        let Some(request) = read(protocol, *what, message, &mut asked) else { continue };
        match session.on_request(request, SystemTime::UNIX_EPOCH) {
            Ok(outputs) => check(outputs, &asked),
            Err(_) => return, // the stream ends
        }
    }
    assert!(session.unknown_types().count() <= 64);
});

fn read(
    protocol: Protocol,
    what: u8,
    message: &[u8],
    asked: &mut BTreeSet<String>,
) -> Option<Request> {
    let types = ResourceType::ALL;
    let is_known = |type_url: &str| ResourceType::from_type_url(type_url).is_some();
    let otherwise = types[usize::from(what) % types.len()].type_url();
    Some(match protocol {
        Protocol::Sotw => {
            let mut request = proto::DiscoveryRequest::decode(message).ok()?;
            if what & 0x80 == 0 && !is_known(&request.type_url) {
                request.type_url = otherwise.to_owned();
            }
            asked.extend(request.resource_names.iter().cloned());
            Request::Sotw(request)
        }
        Protocol::Delta => {
            let mut request = proto::DeltaDiscoveryRequest::decode(message).ok()?;
            if what & 0x80 == 0 && !is_known(&request.type_url) {
                request.type_url = otherwise.to_owned();
            }
            asked.extend(request.resource_names_subscribe.iter().cloned());
            asked.extend(request.resource_names_unsubscribe.iter().cloned());
            asked.extend(request.initial_resource_versions.keys().cloned());
            Request::Delta(request)
        }
    })
}

/// A few resources of every type, under names that are easy to guess.
fn resources(content: u8) -> Vec<Resource> {
    let content = &content.to_string();
    let mut all = vec![
        cluster("a", content),
        endpoint("a", "1"),
        resource(ResourceType::Cluster, "b", content),
        listener("a", "a", content),
        route("a", content).requiring(ResourceType::Cluster, "a"),
        resource(ResourceType::Secret, "a", content),
        resource(ResourceType::Runtime, "a", content),
    ];
    if content == "1" {
        all.retain(|r| !matches!(r.resource_type(), ResourceType::Route | ResourceType::Listener));
    }
    if content == "2" {
        all.clear();
    }
    all
}

/// At most two responses of a type at once, each with at most what there is.
fn check(outputs: Vec<Output>, asked: &BTreeSet<String>) {
    assert!(outputs.len() <= 8 * ResourceType::ALL.len(), "{outputs:?}");
    for output in outputs {
        let Output::Send(response) = output else { continue };
        let received = Received::read(&response);
        let (resources, removed) = (received.resources.len(), received.removed);
        assert!(resources <= 4);
        // The names of the snapshots are a and b.
        let is_heard_of = |name: &String| asked.contains(name) || name == "a" || name == "b";
        assert!(removed.iter().all(is_heard_of), "{removed:?}");
        assert_eq!(removed.iter().collect::<BTreeSet<_>>().len(), removed.len());
    }
}
