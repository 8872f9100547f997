//! Addresses: where traffic is sent to, and which hosts it is asked for.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// A TCP port, 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Port(u16);

/// A number that is no TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 65535, not {0}")]
pub struct PortError(i32);

/// Where an endpoint is: an IP address or a name to resolve.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Host {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A DNS name, in lower case; Envoy resolves it.
    Dns(String),
}

/// Which `Host` headers a route answers: `a.example.com`, `*.example.com`, `*`.
///
/// In lower case, without a port: Envoy compares hosts without case and is told
/// to leave the port aside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPattern(String);

/// Why a text is neither an IP address nor a DNS name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The name has more than 253 characters.
    #[error("must be at most 253 characters long, not {0}")]
    TooLong(usize),
    /// A part between dots is empty, longer than 63 characters, or starts or
    /// ends with a hyphen.
    #[error(
        "each part between dots must be 1 to 63 letters, digits, '-' or '_', \
         not starting or ending with '-'"
    )]
    Label,
    /// The text holds a character that no DNS name holds.
    #[error("must be an IP address or a DNS name; it may not hold {0:?}")]
    Character(char),
    /// The last part is a number, so this is a mistyped IP address.
    #[error("is neither an IP address nor a DNS name")]
    Numeric,
}

// === impl Port ===

impl Port {
    /// The port as a number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<i32> for Port {
    type Error = PortError;

    fn try_from(port: i32) -> Result<Self, PortError> {
        match u16::try_from(port) {
            Ok(port) if port > 0 => Ok(Self(port)),
            Ok(_) | Err(_) => Err(PortError(port)),
        }
    }
}

impl From<Port> for i32 {
    fn from(port: Port) -> Self {
        port.0.into()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl Host ===

impl TryFrom<String> for Host {
    type Error = HostError;

    fn try_from(host: String) -> Result<Self, HostError> {
        if let Ok(ip) = host.parse() {
            return Ok(Self::Ip(ip));
        }
        dns_name(&host).map(Self::Dns)
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.to_string()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Dns(name) => f.write_str(name),
        }
    }
}

/// Checks a DNS name (RFC 1123, and `_` as the field uses it); lower case.
fn dns_name(host: &str) -> Result<String, HostError> {
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.is_empty() {
        return Err(HostError::Empty);
    }
    if let Some(c) =
        name.chars().find(|c| !matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.'))
    {
        return Err(HostError::Character(c));
    }
    if name.len() > 253 {
        return Err(HostError::TooLong(name.len()));
    }
    let good = |label: &str| {
        (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    if !name.split('.').all(good) {
        return Err(HostError::Label);
    }
    if name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return Err(HostError::Numeric);
    }
    Ok(name.to_ascii_lowercase())
}

// === impl HostPattern ===

impl HostPattern {
    /// The pattern as Envoy's `domains` takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HostPattern {
    type Error = HostError;

    fn try_from(pattern: String) -> Result<Self, HostError> {
        if pattern == "*" {
            return Ok(Self(pattern));
        }
        if let Some(suffix) = pattern.strip_prefix("*.") {
            return Ok(Self(format!("*.{}", dns_name(suffix)?)));
        }
        // As a Host header writes it, and as it is kept.
        let bracketed = pattern.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(ip) = bracketed.and_then(|ip| ip.parse::<Ipv6Addr>().ok()) {
            return Ok(Self(format!("[{ip}]")));
        }
        Ok(Self(match Host::try_from(pattern)? {
            Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
            ip @ Host::Ip(IpAddr::V4(_)) => ip.to_string(),
            Host::Dns(name) => name,
        }))
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_1_to_65535() {
        for (input, want) in
            [(1, true), (65535, true), (0, false), (65536, false), (-1, false), (i32::MAX, false)]
        {
            assert_eq!(Port::try_from(input).is_ok(), want, "input {input}");
        }
    }

    #[test]
    fn a_host_is_an_ip_address_or_a_dns_name() {
        let label = "x".repeat(64);
        let long = ["x"; 130].join(".");
        let table: &[(&str, Result<&str, HostError>)] = &[
            ("10.0.0.1", Ok("10.0.0.1")),
            ("::1", Ok("::1")),
            ("API.Example.com", Ok("api.example.com")),
            ("api.example.com.", Ok("api.example.com")),
            ("localhost", Ok("localhost")),
            ("my_service", Ok("my_service")),
            ("", Err(HostError::Empty)),
            ("a..b", Err(HostError::Label)),
            ("-a.b", Err(HostError::Label)),
            (&label, Err(HostError::Label)),
            (&long, Err(HostError::TooLong(259))),
            ("a b", Err(HostError::Character(' '))),
            ("http://a", Err(HostError::Character(':'))),
            ("a:80", Err(HostError::Character(':'))),
            ("10.0.0.256", Err(HostError::Numeric)),
            ("10.0.1", Err(HostError::Numeric)),
        ];
        for (input, want) in table {
            let got = Host::try_from((*input).to_owned()).map(|host| host.to_string());
            assert_eq!(got, want.map(str::to_owned), "input {input:?}");
        }
    }

    #[test]
    fn a_host_pattern_may_start_with_one_wildcard() {
        let table: &[(&str, Result<&str, HostError>)] = &[
            ("*", Ok("*")),
            ("*.Example.com", Ok("*.example.com")),
            ("a.example.com", Ok("a.example.com")),
            ("::1", Ok("[::1]")),
            ("[::1]", Ok("[::1]")),
            ("[0:0::1]", Ok("[::1]")),
            ("[10.0.0.1]", Err(HostError::Character('['))),
            ("[::1", Err(HostError::Character('['))),
            ("*.", Err(HostError::Empty)),
            ("a.*", Err(HostError::Character('*'))),
            ("*.*.com", Err(HostError::Character('*'))),
            ("a.example.com:80", Err(HostError::Character(':'))),
        ];
        for (input, want) in table {
            let got = HostPattern::try_from((*input).to_owned()).map(String::from);
            assert_eq!(got, want.map(str::to_owned), "input {input:?}");
            if let Ok(kept) = got {
                // It is read again, as it is kept.
                assert_eq!(HostPattern::try_from(kept.clone()).map(String::from), Ok(kept));
            }
        }
    }
}
