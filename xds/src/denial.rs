//! Why a resource is not there, for who asks for it by name.

use std::sync::Arc;

use marchproxy_proto as proto;
use tonic::Code;

use crate::ResourceType;

/// Why a resource is not there.
///
/// A client that does not look at this takes it for one that is just not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The type that it would be of.
    pub resource_type: ResourceType,
    /// The name that clients ask for.
    pub name: Arc<str>,
    /// [`Code::NotFound`] or [`Code::PermissionDenied`], upon which a client may drop
    /// what it holds. Any other code means that this will pass, and to keep it.
    pub code: Code,
    /// Why, for people. Every client that asks for the name can read it.
    pub message: Arc<str>,
}

/// Why a name is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Why {
    pub(crate) code: i32,
    pub(crate) message: Arc<str>,
}

impl Why {
    /// As it stands in a response.
    pub(crate) fn told(&self, name: &str) -> proto::ResourceError {
        proto::ResourceError {
            resource_name: Some(proto::ResourceName { name: name.to_owned() }),
            error_detail: Some(proto::Status {
                code: self.code,
                message: self.message.to_string(),
            }),
        }
    }
}
