//! Identifiers: positive 32-bit integers, one type for each noun.
//!
//! Existing clients, node ids like `cluster-1` and resource names like
//! `cluster_1_service_2` depend on small integers (`docs/adr/0006-ids.md`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// An identifier that is not a positive 32-bit integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a positive 32-bit integer")]
pub struct IdError;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "i32", into = "i32")]
        pub struct $name(i32);

        impl TryFrom<i32> for $name {
            type Error = IdError;

            fn try_from(id: i32) -> Result<Self, IdError> {
                if id > 0 { Ok(Self(id)) } else { Err(IdError) }
            }
        }

        impl From<$name> for i32 {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// Names an API token.
    ApiTokenId,
    /// Names a certificate.
    CertificateId,
    /// Names an invitation.
    InvitationId,
    /// Names a listener.
    ListenerId,
    /// Names a mapping.
    MappingId,
    /// Names a node group; existing clients call it a cluster id.
    NodeGroupId,
    /// Names a node token.
    NodeTokenId,
    /// Names a proxy that registered.
    ProxyId,
    /// Names a route.
    RouteId,
    /// Names a service.
    ServiceId,
    /// Names a snapshot in the history of all groups.
    SnapshotId,
    /// Names a user.
    UserId,
}

/// How many changes a node group has seen.
///
/// Grows by one in the transaction of each change. It is ours alone: what goes
/// to an Envoy as a version is a hash of content, never this.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(from = "i64", into = "i64")]
pub struct Revision(i64);

impl Revision {
    /// The number that the xDS engine carries along.
    pub fn as_u64(self) -> u64 {
        self.0.unsigned_abs()
    }
}

impl From<i64> for Revision {
    fn from(revision: i64) -> Self {
        Self(revision.max(0))
    }
}

impl From<u64> for Revision {
    fn from(revision: u64) -> Self {
        Self(i64::try_from(revision).unwrap_or(i64::MAX))
    }
}

impl From<Revision> for i64 {
    fn from(revision: Revision) -> Self {
        revision.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_positive() {
        for (input, want) in [(1, true), (i32::MAX, true), (0, false), (-1, false)] {
            assert_eq!(ServiceId::try_from(input).is_ok(), want, "input {input}");
        }
    }
}
