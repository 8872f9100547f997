//! What can go wrong, for every edge alike.
//!
//! `Display` is what a client may read; it never includes its cause. The cause
//! goes to the log, once, at the edge that answers.

use std::error::Error as StdError;

use http::StatusCode;
use tonic::Code;

use crate::model::Invalid;

/// The result of an operation of this control plane.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A cause that only the log gets to see.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// Why an operation did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody signed in, or their token is no good (any more).
    #[error("sign in first: {0}")]
    Unauthenticated(&'static str),
    /// The user may not do this.
    #[error("your role does not allow this")]
    Forbidden,
    /// A node did not prove who it is.
    #[error("the node is not let in: {0}")]
    UnprovenNode(&'static str),
    /// A node proved who it is, and may not be what it says it is.
    #[error("the node is not let in: {0}")]
    ForbiddenNode(String),
    /// There is no such thing, or none that the user may see.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// Which noun.
        kind: &'static str,
        /// What it was asked for by.
        id: String,
    },
    /// Another one has that name already.
    #[error("there is a {kind} called {name} already")]
    AlreadyExists {
        /// Which noun.
        kind: &'static str,
        /// The name that is taken.
        name: String,
        /// Where in the input the name stands.
        path: Vec<String>,
    },
    /// Something else needs it.
    #[error("{kind} {name} is in use by {by}")]
    InUse {
        /// Which noun.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What needs it.
        by: String,
    },
    /// The input breaks a rule.
    #[error("{0}")]
    Invalid(Invalid),
    /// Our fault; the cause is for the log.
    #[error("internal error")]
    Internal(#[source] Cause),
}

/// How an error is told on each edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codes {
    /// In GraphQL's `extensions.code`.
    pub graphql: &'static str,
    /// As an HTTP status.
    pub http: StatusCode,
    /// As a gRPC status.
    pub grpc: Code,
}

impl Error {
    /// Wraps a cause that a client must not see.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(cause.into())
    }

    /// There is no `kind` called or numbered `id`.
    #[expect(clippy::needless_pass_by_value, reason = "ids are copied, and names given up")]
    pub fn not_found(kind: &'static str, id: impl ToString) -> Self {
        Self::NotFound { kind, id: id.to_string() }
    }

    /// Puts `outer` in front of the path to the field that is wrong.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        match self {
            Self::Invalid(invalid) => Self::Invalid(invalid.within(outer)),
            Self::AlreadyExists { kind, name, mut path } => {
                path.insert(0, outer.to_owned());
                Self::AlreadyExists { kind, name, path }
            }
            Self::Unauthenticated(_)
            | Self::Forbidden
            | Self::UnprovenNode(_)
            | Self::ForbiddenNode(_)
            | Self::NotFound { .. }
            | Self::InUse { .. }
            | Self::Internal(_) => self,
        }
    }

    /// The way to the field that is wrong, if it is one field.
    pub fn path(&self) -> &[String] {
        match self {
            Self::Invalid(invalid) => invalid.path(),
            Self::AlreadyExists { path, .. } => path,
            Self::Unauthenticated(_)
            | Self::Forbidden
            | Self::UnprovenNode(_)
            | Self::ForbiddenNode(_)
            | Self::NotFound { .. }
            | Self::InUse { .. }
            | Self::Internal(_) => &[],
        }
    }

    /// The one table of codes.
    pub fn codes(&self) -> Codes {
        let codes = |graphql, http, grpc| Codes { graphql, http, grpc };
        match self {
            Self::Unauthenticated(_) | Self::UnprovenNode(_) => {
                codes("UNAUTHENTICATED", StatusCode::UNAUTHORIZED, Code::Unauthenticated)
            }
            Self::Forbidden | Self::ForbiddenNode(_) => {
                codes("FORBIDDEN", StatusCode::FORBIDDEN, Code::PermissionDenied)
            }
            Self::NotFound { .. } => codes("NOT_FOUND", StatusCode::NOT_FOUND, Code::NotFound),
            Self::AlreadyExists { .. } => {
                codes("ALREADY_EXISTS", StatusCode::CONFLICT, Code::AlreadyExists)
            }
            Self::InUse { .. } => codes("IN_USE", StatusCode::CONFLICT, Code::FailedPrecondition),
            Self::Invalid(_) => codes("INVALID", StatusCode::BAD_REQUEST, Code::InvalidArgument),
            Self::Internal(_) => {
                codes("INTERNAL", StatusCode::INTERNAL_SERVER_ERROR, Code::Internal)
            }
        }
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_reads_holds_no_cause() {
        let error = Error::internal("UNIQUE constraint failed: user.username");
        assert_eq!(error.to_string(), "internal error");
        assert_eq!(error.source().unwrap().to_string(), "UNIQUE constraint failed: user.username");
        assert_eq!(error.codes().graphql, "INTERNAL");
    }
}
