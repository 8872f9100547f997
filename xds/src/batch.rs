//! What goes into one response, encoded once for all streams that are told the same.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use marchproxy_proto as proto;
use prost::Message as _;

use crate::interest::Interest;
use crate::shelf::Shelf;
use crate::{Protocol, Resource, ResourceType};

/// How a client is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tongue {
    pub(crate) protocol: Protocol,
    /// Whether it is told of times to live.
    pub(crate) with_ttl: bool,
}

/// What goes into one response. Immutable, and shared.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) resources: Vec<Resource>,
    /// The names that are gone, or never were.
    pub(crate) removed: Vec<Arc<str>>,
    /// The encoded response but for its nonce.
    body: Bytes,
}

/// What a client is told: a body that streams share, and a nonce of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The type that it is of.
    pub resource_type: ResourceType,
    /// The protocol that it is in.
    pub protocol: Protocol,
    /// Its name on the stream: eight hexadecimal digits.
    nonce: u32,
    body: Bytes,
}

/// How long a response should be at most, in bytes: gRPC clients take 4 MiB.
pub(crate) const LARGEST: usize = 3 << 20;

/// Field 5 of both kinds of response, eight bytes long.
const NONCE: [u8; 2] = [5 << 3 | 2, 8];
/// How long a frame is without the body: a gRPC prefix and the nonce.
const HEADER: usize = 5 + NONCE.len() + 8;

impl Batch {
    /// Encodes a response of this version: `shelf`'s, unless it is a list that differs.
    ///
    /// Of what is `removed` the client has had some version, of what is `never`
    /// it has not; why, is told to those whose `interest` is in the name.
    pub(crate) fn new(
        Tongue { protocol, with_ttl }: Tongue,
        shelf: &Shelf,
        interest: &Interest,
        resources: Vec<Resource>,
        mut removed: Vec<Arc<str>>,
        never: Vec<Arc<str>>,
        version: &str,
    ) -> Self {
        let version = version.to_owned();
        let type_url = shelf.resource_type().type_url().to_owned();
        // A request waits for the answer to the name that it asked for.
        let is_waited_for = shelf.resource_type() == ResourceType::VirtualHost;
        let nothings = if is_waited_for { never.len() } else { 0 };
        let mut resource_errors = Vec::new();
        if !is_waited_for {
            let absent = removed.iter().chain(&never);
            let absent = absent.filter(|name| interest.names().contains(name));
            let denials = absent.filter_map(|name| Some((name, shelf.denial(name)?)));
            resource_errors.extend(denials.map(|(name, denial)| denial.told(name)));
        }
        let encoded = resources.iter().map(|r| r.encoded(protocol, with_ttl).clone());
        let body = match protocol {
            Protocol::Sotw => proto::DiscoveryResponse {
                version_info: version,
                resources: encoded.collect(),
                type_url,
                nonce: String::new(),
                resource_errors,
            }
            .encode_to_vec(),
            Protocol::Delta => {
                let told = removed.iter().chain(&never[nothings..]).map(ToString::to_string);
                let told = told.filter(|_| shelf.resource_type().announces_absence());
                let told = told.collect();
                let nothing = never[..nothings].iter().map(|name| nothing(name));
                proto::DeltaDiscoveryResponse {
                    system_version_info: version,
                    resources: encoded.chain(nothing).collect(),
                    type_url,
                    nonce: String::new(),
                    removed_resources: told,
                    resource_errors,
                }
                .encode_to_vec()
            }
        };
        removed.extend(never);
        Self { resources, removed, body: body.into() }
    }

    /// Encodes a response that tells nothing new of `resources`, but that the client
    /// is to keep them: each with the version that it holds.
    ///
    /// Delta, that need not have the resource in it, but for virtual hosts: without
    /// one they are not there. State of the world, Envoy takes such a response for one
    /// that leaves it out.
    pub(crate) fn heartbeat(
        protocol: Protocol,
        shelf: &Shelf,
        resources: Vec<(Resource, Arc<str>)>,
    ) -> Self {
        let type_url = shelf.resource_type().type_url().to_owned();
        let has_body = shelf.resource_type() == ResourceType::VirtualHost;
        let body = match protocol {
            Protocol::Sotw => proto::DiscoveryResponse {
                version_info: shelf.version().to_string(),
                resources: resources
                    .iter()
                    .map(|(r, _)| r.encoded(protocol, true).clone())
                    .collect(),
                type_url,
                ..proto::DiscoveryResponse::default()
            }
            .encode_to_vec(),
            Protocol::Delta => proto::DeltaDiscoveryResponse {
                system_version_info: shelf.version().to_string(),
                resources: resources
                    .iter()
                    .map(|(resource, version)| match has_body {
                        true => resource.encoded(protocol, true).clone(),
                        false => beat(resource, version),
                    })
                    .collect(),
                type_url,
                ..proto::DeltaDiscoveryResponse::default()
            }
            .encode_to_vec(),
        };
        let resources = resources.into_iter().map(|(resource, _)| resource).collect();
        Self { resources, removed: Vec::new(), body: body.into() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.removed.is_empty()
    }

    /// How long the response is, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.body.len()
    }

    /// What it says, by name: the version, or that there is none.
    pub(crate) fn content(&self) -> impl Iterator<Item = (&Arc<str>, Option<&Arc<str>>)> {
        let there = self.resources.iter();
        let there = there.map(|resource| (resource.name(), Some(resource.version())));
        there.chain(self.removed.iter().map(|name| (name, None)))
    }

    pub(crate) fn respond(
        &self,
        resource_type: ResourceType,
        protocol: Protocol,
        nonce: u32,
    ) -> Response {
        Response { resource_type, protocol, nonce, body: self.body.clone() }
    }
}

/// Tells that no virtual host answers to a name, so that requests need not wait:
/// <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/vhds>.
fn nothing(name: &str) -> Bytes {
    let resource = proto::Resource {
        name: name.to_owned(),
        aliases: vec![name.to_owned()],
        ..proto::Resource::default()
    };
    resource.encode_to_vec().into()
}

/// Tells that a client is to keep what it holds of a resource.
fn beat(resource: &Resource, version: &str) -> Bytes {
    let beat = proto::Resource {
        name: resource.name().to_string(),
        version: version.to_owned(),
        ttl: resource.ttl().map(Into::into),
        ..proto::Resource::default()
    };
    beat.encode_to_vec().into()
}

impl Response {
    /// Its name on the stream.
    pub fn nonce(&self) -> String {
        format!("{:08x}", self.nonce)
    }

    /// How long the message is, in bytes.
    pub(crate) fn len(&self) -> usize {
        HEADER - 5 + self.body.len()
    }

    /// The encoded message.
    pub fn message(&self) -> Bytes {
        let mut message = BytesMut::with_capacity(NONCE.len() + 8 + self.body.len());
        self.put_nonce(&mut message);
        message.put_slice(&self.body);
        message.freeze()
    }

    /// The gRPC frame in two parts: what is this stream's own, and what is shared.
    ///
    /// A short message comes in one part: copying it costs less than a second part.
    pub(crate) fn frame(&self) -> (Bytes, Bytes) {
        const SHORT: usize = 2048;
        let length = self.len();
        let is_short = self.body.len() <= SHORT;
        let copied = if is_short { self.body.len() } else { 0 };
        let mut frame = BytesMut::with_capacity(HEADER + copied);
        frame.put_u8(0); // not compressed
        // Longer ones than 4 GB cannot be said in gRPC; a limit is far below.
        frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        self.put_nonce(&mut frame);
        if is_short {
            frame.put_slice(&self.body);
            return (frame.freeze(), Bytes::new());
        }
        (frame.freeze(), self.body.clone())
    }

    fn put_nonce(&self, out: &mut BytesMut) {
        out.put_slice(&NONCE);
        for shift in (0..8).rev() {
            let digit = (self.nonce >> (4 * shift)) & 0xf;
            out.put_u8(b"0123456789abcdef"[digit as usize]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::cluster;

    #[test]
    fn a_frame_is_the_message_behind_its_length() {
        for content in ["short".to_owned(), "long".repeat(1000)] {
            let shelf = Shelf::new(ResourceType::Cluster, vec![cluster("a", &content)], 1);
            for protocol in [Protocol::Sotw, Protocol::Delta] {
                let batch = Batch::new(
                    Tongue { protocol, with_ttl: false },
                    &shelf,
                    &Interest::default(),
                    shelf.iter().cloned().collect(),
                    vec![],
                    vec![],
                    shelf.version(),
                );
                let response = batch.respond(ResourceType::Cluster, protocol, 0xab);
                let (own, shared) = response.frame();
                let frame = [&own[..], &shared[..]].concat();
                let message = response.message();
                assert_eq!(
                    frame[..5],
                    [&[0][..], &u32::try_from(message.len()).expect("short").to_be_bytes()]
                        .concat()
                );
                assert_eq!(frame[5..], message);
                let (nonce, version) = match protocol {
                    Protocol::Sotw => {
                        let response = proto::DiscoveryResponse::decode(message).expect("sound");
                        (response.nonce, response.version_info)
                    }
                    Protocol::Delta => {
                        let response =
                            proto::DeltaDiscoveryResponse::decode(message).expect("sound");
                        (response.nonce, response.system_version_info)
                    }
                };
                assert_eq!(nonce, "000000ab");
                assert_eq!(version.as_str(), &**shelf.version());
            }
        }
    }
}
