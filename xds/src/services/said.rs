//! Requests that name just what the request before them named.
//!
//! State of the world: each answer repeats all names that the client wants, a thousand
//! of them for a thousand clusters. Reading those costs more than all the rest of an
//! answer, and next to always they are the same bytes. So the bytes are compared.

use std::ops::Range;

use bytes::Bytes;
use marchproxy_proto::DiscoveryRequest;
use prost::{DecodeError, Message as _};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::session::Request;

/// Lists below this size are read each time, in bytes.
const LONG: usize = 512;
/// How many types are remembered; no client has as many.
const MOST_TYPES: usize = 16;
/// The tags of fields that hold bytes: `resource_names` and `type_url`.
const NAMES: u8 = 3 << 3 | 2;
const TYPE_URL: u8 = 4 << 3 | 2;

/// The names that the last request of each type had, as hashes of bytes.
///
/// A client that finds two lists with the same hash fools nobody but itself.
#[derive(Default)]
pub(super) struct Said(Vec<(u64, u128)>);

/// Where things are in an encoded request.
#[derive(Debug, PartialEq, Eq)]
struct Outline {
    /// The names with their tags, all in one place.
    names: Range<usize>,
    type_url: Range<usize>,
}

impl Said {
    /// Reads a request, of one type if that is what the stream is about.
    pub(super) fn read(&mut self, message: Bytes, is_alone: bool) -> Result<Request, DecodeError> {
        // What is not plain is read as any other.
        let Some(Outline { names, type_url }) = outline(&message) else {
            self.0.clear();
            return DiscoveryRequest::decode(message).map(Request::Sotw);
        };
        let of_type = if is_alone { 0 } else { xxh3_64(&message[type_url]) };
        let known = self.0.iter().position(|(known, _)| *known == of_type);
        if names.len() < LONG {
            if let Some(known) = known {
                self.0.swap_remove(known);
            }
            return DiscoveryRequest::decode(message).map(Request::Sotw);
        }
        let said = xxh3_128(&message[names.clone()]);
        match known {
            Some(known) if self.0[known].1 == said => {
                let mut request = DiscoveryRequest::decode(message.slice(..names.start))?;
                request.merge(message.slice(names.end..))?;
                return Ok(Request::Again(request));
            }
            Some(known) => self.0[known].1 = said,
            None if self.0.len() < MOST_TYPES => self.0.push((of_type, said)),
            None => {}
        }
        DiscoveryRequest::decode(message).map(Request::Sotw)
    }
}

/// Where things are, if each field is of a kind that requests have, and the names
/// are in one place.
fn outline(message: &[u8]) -> Option<Outline> {
    let mut names: Option<Range<usize>> = None;
    let mut type_url = 0..0;
    let mut at = 0;
    while let Some(&tag) = message.get(at) {
        let (start, length) = (at, varint(message, at + 1)?);
        let end = length.end.checked_add(length.value)?;
        if end > message.len() {
            return None;
        }
        match (tag, &mut names) {
            (NAMES, None) => names = Some(start..end),
            (NAMES, Some(names)) if names.end == start => names.end = end,
            (TYPE_URL, _) => type_url = length.end..end,
            (NAMES | 0x80.., _) => return None,
            (tag, _) if tag & 7 != 2 => return None,
            _ => {}
        }
        at = end;
    }
    Some(Outline { names: names.unwrap_or_default(), type_url })
}

struct Length {
    value: usize,
    end: usize,
}

/// The number that begins there, if it is one that a request may be long.
fn varint(message: &[u8], at: usize) -> Option<Length> {
    let mut value = 0;
    for (place, &byte) in message.get(at..)?.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(Length { value, end: at + place + 1 });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ResourceType;

    fn request(resource_type: ResourceType, names: &[String], nonce: &str) -> DiscoveryRequest {
        DiscoveryRequest {
            version_info: "v".into(),
            node: Some(Bytes::from_static(b"\x0a\x01n")),
            resource_names: names.to_vec(),
            type_url: resource_type.type_url().into(),
            response_nonce: nonce.into(),
            ..DiscoveryRequest::default()
        }
    }

    fn many(first: usize) -> Vec<String> {
        (first..first + 100).map(|n| format!("service-{n:05}")).collect()
    }

    fn read(said: &mut Said, request: &DiscoveryRequest) -> Request {
        said.read(request.encode_to_vec().into(), false).expect("it is a request")
    }

    #[test]
    fn a_list_that_is_said_again_is_not_read_again() {
        let mut said = Said::default();
        let first = request(ResourceType::Endpoint, &many(0), "1");
        assert_eq!(read(&mut said, &first), Request::Sotw(first.clone()));
        let again = DiscoveryRequest { response_nonce: "2".into(), ..first.clone() };
        let without = DiscoveryRequest { resource_names: Vec::new(), ..again.clone() };
        assert_eq!(read(&mut said, &again), Request::Again(without));

        let other_type = request(ResourceType::Route, &many(0), "3");
        assert_eq!(read(&mut said, &other_type), Request::Sotw(other_type.clone()));
        assert!(matches!(read(&mut said, &again), Request::Again(_)), "each type has its own");
    }

    #[test]
    fn whatever_lies_between_is_not_forgotten() {
        let first = request(ResourceType::Endpoint, &many(0), "1");
        let others = [many(1), many(0)[..1].to_vec(), Vec::new()];
        for names in others {
            let mut said = Said::default();
            let other = request(ResourceType::Endpoint, &names, "2");
            for next in [&first, &other, &first] {
                assert_eq!(read(&mut said, next), Request::Sotw(next.clone()), "{}", names.len());
            }
        }
    }

    #[test]
    fn a_stream_of_one_type_may_leave_it_out() {
        let mut said = Said::default();
        let mut read = |request: &DiscoveryRequest| {
            said.read(request.encode_to_vec().into(), true).expect("it is a request")
        };
        let full = request(ResourceType::Endpoint, &many(0), "1");
        let short = DiscoveryRequest { type_url: String::new(), ..full.clone() };
        let other = request(ResourceType::Endpoint, &many(1), "2");
        assert!(matches!(read(&full), Request::Sotw(_)));
        assert!(matches!(read(&short), Request::Again(_)));
        assert!(matches!(read(&other), Request::Sotw(_)));
        assert!(matches!(read(&short), Request::Sotw(_)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_the_codec_reads_them(
            bytes in prop::collection::vec(prop_oneof![Just(NAMES), Just(TYPE_URL), 0..40_u8], 0..60),
        ) {
            let mut said = Said::default();
            let want = DiscoveryRequest::decode(&bytes[..]).map(Request::Sotw);
            prop_assert_eq!(said.read(bytes.into(), false), want);
        }
    }
}
