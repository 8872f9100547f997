//! Envoy's small change: durations, wrappers, addresses, config sources.

use std::net::IpAddr;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as envoy_core;
use envoy_types::pb::envoy::r#type::matcher::v3 as envoy_matcher;
use envoy_types::pb::google::protobuf;

use crate::model::{Host, Port};

pub(super) fn duration(duration: impl Into<Duration>) -> protobuf::Duration {
    let duration = duration.into();
    protobuf::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).expect("fewer than 10^9"),
    }
}

pub(super) fn uint32(value: u32) -> protobuf::UInt32Value {
    protobuf::UInt32Value { value }
}

pub(super) fn boolean(value: bool) -> protobuf::BoolValue {
    protobuf::BoolValue { value }
}

/// "From the stream that you are on."
pub(super) fn over_ads() -> envoy_core::ConfigSource {
    use envoy_core::config_source::ConfigSourceSpecifier;
    envoy_core::ConfigSource {
        resource_api_version: envoy_core::ApiVersion::V3.into(),
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(Default::default())),
        ..Default::default()
    }
}

pub(super) fn address(host: &Host, port: Port) -> envoy_core::Address {
    use envoy_core::socket_address::PortSpecifier;
    let socket = envoy_core::SocketAddress {
        address: host.to_string(),
        port_specifier: Some(PortSpecifier::PortValue(port.get().into())),
        ..Default::default()
    };
    envoy_core::Address { address: Some(envoy_core::address::Address::SocketAddress(socket)) }
}

/// A host as a URL or a `Host` header writes it (RFC 3986, section 3.2.2).
pub(super) fn url_host(host: &Host) -> String {
    match host {
        Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
        Host::Ip(IpAddr::V4(_)) | Host::Dns(_) => host.to_string(),
    }
}

pub(super) fn text(
    pattern: envoy_matcher::string_matcher::MatchPattern,
) -> envoy_matcher::StringMatcher {
    envoy_matcher::StringMatcher { match_pattern: Some(pattern), ignore_case: false }
}

pub(super) fn regex(pattern: &str) -> envoy_matcher::RegexMatcher {
    envoy_matcher::RegexMatcher { regex: pattern.to_owned(), ..Default::default() }
}
