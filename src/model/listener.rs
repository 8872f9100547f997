//! A listener: where proxies accept traffic.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Labels;
use super::Revision;
use super::service::set;
use super::{CertificateId, ListenerId, Name, NodeGroupId, Port, ServiceId};

/// A listener as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its identity.
    pub id: ListenerId,
    /// The node group whose proxies open it; it never changes.
    pub group: NodeGroupId,
    /// Whether it is the group's first: HTTP services answer on it by name.
    pub is_default: bool,
    /// What people configured.
    pub spec: ListenerSpec,
    /// The group's revision at which it was last changed.
    pub revision: Revision,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What people configure of a listener. History keeps it, so nothing secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerSpec {
    /// Unique within the group; Envoy shows it.
    pub name: Name,
    /// The address that proxies bind.
    pub address: IpAddr,
    /// The port that they bind.
    pub port: Port,
    /// What is done with a connection.
    pub protocol: ListenerProtocol,
    /// What it proves itself with, if connections to it are encrypted (TLS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateId>,
    /// What people sort it by.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// What a listener does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenerProtocol {
    /// Reads requests and routes each by its host and path.
    Http,
    /// Hands the bytes on to one service.
    Tcp(ServiceId),
}

/// What to change of a listener; what is `None` stays.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "as in ListenerSpec")]
pub struct ListenerChange {
    /// The revision that it has to be at, if any: `Stale` if it is at another.
    pub if_revision: Option<Revision>,
    pub name: Option<Name>,
    pub address: Option<IpAddr>,
    pub port: Option<Port>,
    pub protocol: Option<ListenerProtocol>,
    pub certificate: Option<Option<CertificateId>>,
    pub labels: Option<Labels>,
}

impl ListenerSpec {
    /// What a group's default listener is called; dashboards refer to it.
    pub const DEFAULT_NAME: &'static str = "marchproxy_listener";
    /// The port of a group's default listener.
    pub const DEFAULT_PORT: i32 = 10_000;

    /// Applies `change`.
    #[must_use]
    pub fn changed(mut self, change: ListenerChange) -> Self {
        set(&mut self.name, change.name);
        set(&mut self.address, change.address);
        set(&mut self.port, change.port);
        set(&mut self.protocol, change.protocol);
        set(&mut self.certificate, change.certificate);
        set(&mut self.labels, change.labels);
        self
    }

    /// Whether both would bind the same address on one machine.
    pub fn clashes_with(&self, other: &Self) -> bool {
        // `::` takes no IPv4 connections in Envoy, unless it is told to.
        let one_family = self.address.is_ipv4() == other.address.is_ipv4();
        let overlap = self.address == other.address
            || self.address.is_unspecified()
            || other.address.is_unspecified();
        self.port == other.port && one_family && overlap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_takes_the_port_everywhere() {
        let at = |address: &str, port: i32| ListenerSpec {
            labels: Labels::NONE,
            name: "l".to_owned().try_into().unwrap(),
            address: address.parse().unwrap(),
            port: port.try_into().unwrap(),
            protocol: ListenerProtocol::Http,
            certificate: None,
        };
        let table = [
            (at("0.0.0.0", 80), at("127.0.0.1", 80), true),
            (at("127.0.0.2", 80), at("127.0.0.1", 80), false),
            (at("127.0.0.1", 80), at("127.0.0.1", 80), true),
            (at("0.0.0.0", 80), at("0.0.0.0", 81), false),
            (at("0.0.0.0", 80), at("::", 80), false),
            (at("::1", 80), at("::", 80), true),
        ];
        for (a, b, want) in table {
            assert_eq!(a.clashes_with(&b), want, "{a:?} {b:?}");
            assert_eq!(b.clashes_with(&a), want, "{b:?} {a:?}");
        }
    }
}
