//! What can go wrong, for every edge alike.
//!
//! `Display` is what a client may read; it never includes its cause. The cause
//! goes to the log, once, at the edge that answers.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tonic::Code;

use crate::model::{Invalid, Revision};

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
    /// A password or a code is wrong; it says which.
    #[error("{0}")]
    Mistaken(&'static str),
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
    /// A rule of ours is against it, whoever asks and however it is put.
    #[error("{0}")]
    Refused(&'static str),
    /// The password is right, and it takes a second factor as well.
    #[error("a 2FA code is needed as well")]
    CodeRequired,
    /// The licence does not allow so many.
    #[error("the {tier} licence allows one node group")]
    LicenceLimit {
        /// What the licence is called.
        tier: String,
    },
    /// The user has been deactivated.
    #[error("user account is deactivated")]
    Deactivated,
    /// It is asked for too often.
    #[error("too many requests: try again in {} s", retry_after.as_secs().max(1))]
    TooMany {
        /// When to try again.
        retry_after: Duration,
    },
    /// Things are not (any more) as the request takes them to be.
    #[error("{0}")]
    Conflict(String),
    /// It was changed by somebody else since the caller looked.
    #[error("{kind} {name} has changed since: it is at revision {}", i64::from(*revision))]
    Stale {
        /// Which noun.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What it is at now.
        revision: Revision,
        /// Where in the input the revision stands.
        path: Vec<String>,
    },
    /// The default node group is to go, which is for those that name none.
    #[error("the default node group stays: proxies that name no group belong to it")]
    DefaultGroup,
    /// A group has as many registered proxies as it may have.
    #[error("{0}")]
    ProxyLimit(String),
    /// Events are asked for that are not kept (any more).
    #[error("what came after this cursor is not kept: look how things stand, and go on from there")]
    CursorExpired,
    /// The input breaks a rule.
    #[error("{0}")]
    Invalid(Invalid),
    /// One of several changes that were asked for at once is refused.
    #[error("{error}")]
    InChange {
        /// Where in the input it stands.
        path: Vec<String>,
        /// Why.
        error: Box<Self>,
    },
    /// A store of secrets says no, or has nothing that helps.
    #[error("{0}")]
    Source(String),
    /// What this needs is away, or does not answer in time. It may work later.
    #[error("{what} is not available now; try again later")]
    Unavailable {
        /// What is away.
        what: &'static str,
        /// How that showed; for the log.
        #[source]
        cause: Cause,
    },
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

    /// The error of one operation, for one of several who waited for it.
    pub fn shared(error: Arc<Self>) -> Self {
        if let Self::Unavailable { what, .. } = &*error {
            return Self::unavailable(what, error);
        }
        if matches!(*error, Self::Forbidden) { Self::Forbidden } else { Self::internal(error) }
    }

    /// Says that `what` is away; the cause is for the log.
    pub fn unavailable(what: &'static str, cause: impl Into<Cause>) -> Self {
        Self::Unavailable { what, cause: cause.into() }
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
            Self::Stale { kind, name, revision, mut path } => {
                path.insert(0, outer.to_owned());
                Self::Stale { kind, name, revision, path }
            }
            Self::InChange { mut path, error } => {
                path.insert(0, outer.to_owned());
                Self::InChange { path, error }
            }
            Self::Unauthenticated(_)
            | Self::Mistaken(_)
            | Self::Forbidden
            | Self::UnprovenNode(_)
            | Self::ForbiddenNode(_)
            | Self::NotFound { .. }
            | Self::InUse { .. }
            | Self::Unavailable { .. }
            | Self::Refused(_)
            | Self::CodeRequired
            | Self::LicenceLimit { .. }
            | Self::Deactivated
            | Self::TooMany { .. }
            | Self::Conflict(_)
            | Self::DefaultGroup
            | Self::ProxyLimit(_)
            | Self::CursorExpired
            | Self::Source(_)
            | Self::Internal(_) => self,
        }
    }

    /// The way to the field that is wrong, if it is one field.
    pub fn path(&self) -> &[String] {
        match self {
            Self::Invalid(invalid) => invalid.path(),
            Self::AlreadyExists { path, .. }
            | Self::Stale { path, .. }
            | Self::InChange { path, .. } => path,
            Self::Unauthenticated(_)
            | Self::Mistaken(_)
            | Self::Forbidden
            | Self::UnprovenNode(_)
            | Self::ForbiddenNode(_)
            | Self::NotFound { .. }
            | Self::InUse { .. }
            | Self::Unavailable { .. }
            | Self::Refused(_)
            | Self::CodeRequired
            | Self::LicenceLimit { .. }
            | Self::Deactivated
            | Self::TooMany { .. }
            | Self::Conflict(_)
            | Self::DefaultGroup
            | Self::ProxyLimit(_)
            | Self::CursorExpired
            | Self::Source(_)
            | Self::Internal(_) => &[],
        }
    }

    /// Whether whoever asked can mend it, by asking for something else: then it is told
    /// as a part of the answer.
    pub fn can_be_mended(&self) -> bool {
        match self {
            Self::AlreadyExists { .. }
            | Self::Conflict(_)
            | Self::Stale { .. }
            | Self::InUse { .. }
            | Self::DefaultGroup
            | Self::Invalid(_)
            | Self::InChange { .. }
            | Self::LicenceLimit { .. }
            | Self::ProxyLimit(_)
            | Self::NotFound { .. }
            | Self::Refused(_)
            | Self::Source(_) => true,
            Self::Unauthenticated(_)
            | Self::Mistaken(_)
            | Self::Forbidden
            | Self::UnprovenNode(_)
            | Self::ForbiddenNode(_)
            | Self::CodeRequired
            | Self::Deactivated
            | Self::TooMany { .. }
            | Self::CursorExpired
            | Self::Unavailable { .. }
            | Self::Internal(_) => false,
        }
    }

    /// Says in which of several changes it went wrong, if it can be mended there; `change`
    /// is the way to it.
    #[must_use]
    pub fn in_change(self, change: &[&str]) -> Self {
        if !self.can_be_mended() {
            return self;
        }
        if self.path().is_empty() {
            let path = change.iter().map(|part| (*part).to_owned()).collect();
            return Self::InChange { path, error: Box::new(self) };
        }
        change.iter().rev().fold(self, |error, part| error.within(part))
    }

    /// The one table of codes.
    pub fn codes(&self) -> Codes {
        let codes = |graphql, http, grpc| Codes { graphql, http, grpc };
        match self {
            Self::Unauthenticated(_) | Self::Mistaken(_) | Self::UnprovenNode(_) => {
                codes("UNAUTHENTICATED", StatusCode::UNAUTHORIZED, Code::Unauthenticated)
            }
            Self::Forbidden | Self::ForbiddenNode(_) => {
                codes("FORBIDDEN", StatusCode::FORBIDDEN, Code::PermissionDenied)
            }
            Self::NotFound { .. } => codes("NOT_FOUND", StatusCode::NOT_FOUND, Code::NotFound),
            Self::AlreadyExists { .. } => {
                codes("ALREADY_EXISTS", StatusCode::CONFLICT, Code::AlreadyExists)
            }
            Self::InUse { .. } | Self::DefaultGroup => {
                codes("IN_USE", StatusCode::CONFLICT, Code::FailedPrecondition)
            }
            Self::CodeRequired => {
                codes("CODE_REQUIRED", StatusCode::UNAUTHORIZED, Code::Unauthenticated)
            }
            Self::Refused(_) => codes("REFUSED", StatusCode::BAD_REQUEST, Code::FailedPrecondition),
            Self::LicenceLimit { .. } => {
                codes("LICENCE_LIMIT", StatusCode::PAYMENT_REQUIRED, Code::ResourceExhausted)
            }
            Self::Deactivated => codes("FORBIDDEN", StatusCode::FORBIDDEN, Code::PermissionDenied),
            Self::TooMany { .. } => {
                codes("TOO_MANY", StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted)
            }
            Self::Conflict(_) | Self::Stale { .. } => {
                codes("CONFLICT", StatusCode::CONFLICT, Code::Aborted)
            }
            Self::ProxyLimit(_) => {
                codes("LIMIT", StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted)
            }
            Self::CursorExpired => codes("CURSOR_EXPIRED", StatusCode::GONE, Code::OutOfRange),
            Self::InChange { error, .. } => error.codes(),
            Self::Invalid(_) => codes("INVALID", StatusCode::BAD_REQUEST, Code::InvalidArgument),
            Self::Source(_) => codes("SOURCE", StatusCode::BAD_GATEWAY, Code::FailedPrecondition),
            Self::Unavailable { .. } => {
                codes("UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable)
            }
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
