//! A mapping: which services may reach which, and how.
//!
//! MarchProxy's proxies take it as it stands. For Envoy it becomes routes: what
//! is asked for at a source's host goes to a destination.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Labels;
use super::Revision;
use super::service::set;
use super::service_auth::UnknownWord;
use super::{Invalid, MappingId, Name, NodeGroupId, Port, ServiceId, UserId};

const MOST: usize = 1000;

/// A mapping as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its identity.
    pub id: MappingId,
    /// The node group whose proxies know it; it never changes.
    pub group: NodeGroupId,
    /// Who made it, if that is known.
    pub created_by: Option<UserId>,
    /// What people configured.
    pub spec: MappingSpec,
    /// The group's revision at which it was last changed.
    pub revision: Revision,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What people configure of a mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingSpec {
    /// Unique within the group.
    pub name: Name,
    /// What it is for.
    pub description: String,
    /// Who may reach.
    pub sources: Services,
    /// Whom.
    pub destinations: Services,
    /// By which protocols; at least one.
    pub protocols: BTreeSet<MappingProtocol>,
    /// At which ports; any if none is said.
    pub ports: Vec<PortRange>,
    /// Whether who reaches must prove themselves to the proxy.
    pub auth_required: bool,
    /// What people have to say of it.
    pub comments: String,
    /// What people sort it by.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Whether it counts.
    pub is_active: bool,
}

/// Services of the mapping's group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Services {
    /// All that there are; for a source, whoever asks.
    All,
    /// These; at least one.
    These(BTreeSet<ServiceId>),
}

/// By what a mapping's destinations are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "their names say it")]
pub enum MappingProtocol {
    Tcp,
    Udp,
    Icmp,
    Http,
    Https,
}

/// Some ports in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(Port, Port)", into = "(Port, Port)")]
pub struct PortRange {
    first: Port,
    last: Port,
}

/// Why a text is no range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortRangeError {
    /// An end of it is no port.
    #[error("must be a port, or two with '-' between them; a port is 1 to 65535")]
    NotPorts,
    /// It ends before it starts.
    #[error("must start with the lower port")]
    Backwards,
}

/// What to change of a mapping; what is `None` stays.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "as in MappingSpec")]
pub struct MappingChange {
    /// The revision that it has to be at, if any: `Stale` if it is at another.
    pub if_revision: Option<Revision>,
    pub name: Option<Name>,
    pub description: Option<String>,
    pub sources: Option<Services>,
    pub destinations: Option<Services>,
    pub protocols: Option<BTreeSet<MappingProtocol>>,
    pub ports: Option<Vec<PortRange>>,
    pub auth_required: Option<bool>,
    pub comments: Option<String>,
    pub labels: Option<Labels>,
    pub is_active: Option<bool>,
}

// === impl MappingSpec ===

impl MappingSpec {
    /// Applies `change`; what comes out is checked by [`MappingSpec::check`].
    #[must_use]
    pub fn changed(mut self, change: MappingChange) -> Self {
        set(&mut self.name, change.name);
        set(&mut self.description, change.description);
        set(&mut self.sources, change.sources);
        set(&mut self.destinations, change.destinations);
        set(&mut self.protocols, change.protocols);
        set(&mut self.ports, change.ports);
        set(&mut self.auth_required, change.auth_required);
        set(&mut self.comments, change.comments);
        set(&mut self.labels, change.labels);
        set(&mut self.is_active, change.is_active);
        self
    }

    /// Checks what the fields must agree on, and hands the spec back with its
    /// ports in order, each once.
    pub fn check(mut self) -> Result<Self, Invalid> {
        for (field, services) in
            [("sourceServices", &self.sources), ("destServices", &self.destinations)]
        {
            match services.ids().len() {
                0 if *services != Services::All => {
                    return Err(Invalid::new(field, "must name a service, or be all"));
                }
                n if n > MOST => {
                    return Err(Invalid::new(field, format!("at most {MOST}, not {n}")));
                }
                _ => {}
            }
        }
        if self.protocols.is_empty() {
            return Err(Invalid::new("protocols", "must name a protocol"));
        }
        if self.ports.len() > MOST {
            let n = self.ports.len();
            return Err(Invalid::new("ports", format!("at most {MOST}, not {n}")));
        }
        self.ports.sort_unstable();
        self.ports.dedup();
        Ok(self)
    }

    /// Whether requests can be routed by it: HTTP comes over TCP.
    pub fn carries_http(&self) -> bool {
        self.protocols.iter().any(|protocol| match protocol {
            MappingProtocol::Tcp | MappingProtocol::Http | MappingProtocol::Https => true,
            MappingProtocol::Udp | MappingProtocol::Icmp => false,
        })
    }

    /// Whether it names this service.
    pub fn names(&self, service: ServiceId) -> bool {
        let mut both = [&self.sources, &self.destinations].into_iter();
        both.any(|services| services.ids().contains(&service))
    }
}

// === impl Services ===

static NONE: BTreeSet<ServiceId> = BTreeSet::new();

impl Services {
    /// Those that are named.
    pub fn ids(&self) -> &BTreeSet<ServiceId> {
        match self {
            Self::All => &NONE,
            Self::These(ids) => ids,
        }
    }
}

// === impl MappingProtocol ===

impl MappingProtocol {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl TryFrom<String> for MappingProtocol {
    type Error = UnknownWord;

    fn try_from(word: String) -> Result<Self, UnknownWord> {
        let all = [Self::Tcp, Self::Udp, Self::Icmp, Self::Http, Self::Https];
        let known = all.into_iter().find(|protocol| protocol.as_str() == word);
        known.ok_or(UnknownWord("tcp, udp, icmp, http or https"))
    }
}

// === impl PortRange ===

impl PortRange {
    /// The lowest of them.
    pub fn first(self) -> Port {
        self.first
    }

    /// The highest of them.
    pub fn last(self) -> Port {
        self.last
    }
}

impl TryFrom<(Port, Port)> for PortRange {
    type Error = PortRangeError;

    fn try_from((first, last): (Port, Port)) -> Result<Self, PortRangeError> {
        if first <= last { Ok(Self { first, last }) } else { Err(PortRangeError::Backwards) }
    }
}

impl From<PortRange> for (Port, Port) {
    fn from(range: PortRange) -> Self {
        (range.first, range.last)
    }
}

impl TryFrom<String> for PortRange {
    type Error = PortRangeError;

    /// Reads `80` or `80-90`.
    fn try_from(text: String) -> Result<Self, PortRangeError> {
        let port = |text: &str| {
            let number = text.trim().parse::<i32>().map_err(|_| PortRangeError::NotPorts)?;
            Port::try_from(number).map_err(|_| PortRangeError::NotPorts)
        };
        match text.split_once('-') {
            None => port(&text).map(|port| Self { first: port, last: port }),
            Some((first, last)) => (port(first)?, port(last)?).try_into(),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        if first == last { first.fmt(f) } else { write!(f, "{first}-{last}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> MappingSpec {
        MappingSpec {
            labels: Labels::NONE,
            name: "m".to_owned().try_into().unwrap(),
            description: String::new(),
            sources: Services::All,
            destinations: Services::These([1.try_into().unwrap()].into()),
            protocols: [MappingProtocol::Tcp].into(),
            ports: vec![],
            auth_required: true,
            comments: String::new(),
            is_active: true,
        }
    }

    #[test]
    fn port_ranges_are_parsed_at_the_edge() {
        let table: [(&str, Result<&str, PortRangeError>); 9] = [
            ("80", Ok("80")),
            ("80-90", Ok("80-90")),
            (" 80 - 90 ", Ok("80-90")),
            ("80-80", Ok("80")),
            ("90-80", Err(PortRangeError::Backwards)),
            ("0", Err(PortRangeError::NotPorts)),
            ("80-70000", Err(PortRangeError::NotPorts)),
            ("-", Err(PortRangeError::NotPorts)),
            ("http", Err(PortRangeError::NotPorts)),
        ];
        for (input, want) in table {
            let got = PortRange::try_from(input.to_owned()).map(|range| range.to_string());
            assert_eq!(got, want.map(str::to_owned), "input {input:?}");
        }
    }

    #[test]
    fn a_spec_names_the_field_that_is_wrong() {
        let none = || Services::These(BTreeSet::new());
        let table = [
            (MappingSpec { sources: none(), ..spec() }, "sourceServices"),
            (MappingSpec { destinations: none(), ..spec() }, "destServices"),
            (MappingSpec { protocols: [].into(), ..spec() }, "protocols"),
        ];
        for (spec, field) in table {
            assert_eq!(spec.check().unwrap_err().path(), [field]);
        }
    }

    #[test]
    fn ports_are_kept_in_order_each_once() {
        let range = |text: &str| PortRange::try_from(text.to_owned()).unwrap();
        let ports = vec![range("443"), range("80-90"), range("443"), range("80")];
        let checked = MappingSpec { ports, ..spec() }.check().unwrap();
        assert_eq!(checked.ports, [range("80"), range("80-90"), range("443")]);
    }

    #[test]
    fn http_comes_over_tcp() {
        let by = |protocols: &[MappingProtocol]| MappingSpec {
            protocols: protocols.iter().copied().collect(),
            ..spec()
        };
        assert!(by(&[MappingProtocol::Udp, MappingProtocol::Tcp]).carries_http());
        assert!(!by(&[MappingProtocol::Udp, MappingProtocol::Icmp]).carries_http());
    }
}
