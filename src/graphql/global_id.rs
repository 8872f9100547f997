//! Global ids: opaque to clients, unique over all types.

use async_graphql::ID;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;

use crate::model::{
    ApiTokenId, At as _, CertificateId, Invalid, InvitationId, ListenerId, MappingId, NodeGroupId,
    NodeTokenId, ProxyId, RouteId, ServiceId, SnapshotId, UserId,
};
use crate::nodes::NodeId;

/// An identifier that has a global form: `base64url("v1:<type>:<number>")`.
pub(super) trait GlobalId: Sized {
    /// The GraphQL type that it names.
    const TYPE: &'static str;

    fn to_number(&self) -> String;
    fn from_number(number: &str) -> Option<Self>;

    /// The id as clients get it.
    fn global(&self) -> ID {
        ID(BASE64.encode(format!("v1:{}:{}", Self::TYPE, self.to_number())))
    }

    /// Reads an id that a client sent in `field`.
    fn parse(id: &ID, field: &str) -> Result<Self, Invalid> {
        let text = BASE64.decode(id.as_bytes()).ok().and_then(|b| String::from_utf8(b).ok());
        let number = text
            .as_deref()
            .and_then(|text| text.strip_prefix("v1:"))
            .and_then(|text| text.strip_prefix(Self::TYPE))
            .and_then(|text| text.strip_prefix(':'));
        number
            .and_then(Self::from_number)
            .ok_or_else(|| match id.strip_prefix("changes.") {
                Some(_) => format!("there is no {} that {} has made before", Self::TYPE, **id),
                None => format!("is not the id of a {}", Self::TYPE),
            })
            .at(field)
    }
}

/// Which type an id names that a client sent in `field`.
pub(super) fn type_of(id: &ID, field: &str) -> Result<String, Invalid> {
    let text = BASE64.decode(id.as_bytes()).ok().and_then(|b| String::from_utf8(b).ok());
    let parts = text.as_deref().and_then(|text| text.strip_prefix("v1:")?.split_once(':'));
    let (of, _) = parts.ok_or_else(|| Invalid::new(field, "is not a global id"))?;
    Ok(of.to_owned())
}

/// Reads an id that a client may have sent in `field`.
pub(super) fn optional<T: GlobalId>(id: Option<&ID>, field: &str) -> Result<Option<T>, Invalid> {
    id.map(|id| T::parse(id, field)).transpose()
}

macro_rules! global_ids {
    ($($id:ident: $name:literal),+ $(,)?) => {$(
        impl GlobalId for $id {
            const TYPE: &'static str = $name;

            fn to_number(&self) -> String {
                self.to_string()
            }

            fn from_number(number: &str) -> Option<Self> {
                number.parse::<i32>().ok()?.try_into().ok()
            }
        }
    )+};
}

global_ids! {
    ApiTokenId: "ApiToken",
    CertificateId: "Certificate",
    InvitationId: "Invitation",
    ListenerId: "Listener",
    MappingId: "Mapping",
    NodeGroupId: "NodeGroup",
    NodeTokenId: "NodeToken",
    ProxyId: "Proxy",
    RouteId: "Route",
    ServiceId: "Service",
    SnapshotId: "Snapshot",
    UserId: "User",
}

impl GlobalId for NodeId {
    const TYPE: &'static str = "XdsNode";

    fn to_number(&self) -> String {
        self.to_string()
    }

    fn from_number(number: &str) -> Option<Self> {
        number.parse::<u64>().ok().map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_type() {
        let id = ServiceId::try_from(7).unwrap().global();
        assert_eq!(ServiceId::parse(&id, "id").map(i32::from), Ok(7));
        let error = RouteId::parse(&id, "id").unwrap_err().to_string();
        assert_eq!(error, "id: is not the id of a Route");
        for bad in ["", "7", "djE6U2VydmljZTow", "\u{e9}"] {
            assert!(ServiceId::parse(&ID::from(bad), "id").is_err(), "id {bad:?}");
        }
    }
}
