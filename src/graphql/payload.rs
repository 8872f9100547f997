//! What mutations answer: what they are for, or else why not.
//!
//! What a caller can mend (a field that breaks a rule, a name that is taken, a
//! revision that is old) is told in the payload's `userErrors`, if the caller asks for
//! them. From who does not ask it is not kept: it is an error of the answer then, as is
//! everything else that can go wrong. See docs/adr/0016-user-errors.md.

use async_graphql::{Context, Enum, Result, SimpleObject};
use futures_util::future::{BoxFuture, FutureExt as _};

use crate::error::Error;

/// What is wrong with what was asked for. There may come more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "UserErrorCode")]
pub(super) enum UserErrorCode {
    /// Another one has that name already.
    AlreadyExists,
    /// Things are not (any more) as the request takes them to be.
    Conflict,
    /// Something else needs it.
    InUse,
    /// The input breaks a rule.
    Invalid,
    /// The licence does not allow it.
    LicenceLimit,
    /// There are as many as there may be.
    Limit,
    /// There is no such thing, or none that you may see.
    NotFound,
    /// A rule is against it, however it is put.
    Refused,
    /// A store of secrets says no, or has nothing that helps.
    Source,
}

/// Why a mutation did nothing, if the caller can mend that.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "UserError")]
pub(super) struct UserErrorObject {
    /// For programs.
    pub(super) code: UserErrorCode,
    /// For people.
    message: String,
    /// The way to the argument that is wrong, if it is one: `["input", "port"]`.
    field: Option<Vec<String>>,
    /// With `CONFLICT`: what the thing is at now, if `ifRevision` was another.
    current_revision: Option<i64>,
}

/// What a mutation answers.
pub(super) trait Payload: Default {
    /// Why it did nothing.
    fn user_errors(&mut self) -> &mut Vec<UserErrorObject>;
}

macro_rules! payloads {
    ($($payload:ident.$($field:ident).+),+ $(,)?) => {
        $(impl $crate::graphql::payload::Payload for $payload {
            fn user_errors(&mut self) -> &mut Vec<$crate::graphql::payload::UserErrorObject> {
                &mut self.$($field).+
            }
        })+
    };
}
pub(super) use payloads;

impl UserErrorObject {
    /// The error as one that the caller can mend, if it is one.
    pub(super) fn of(error: &Error) -> Option<Self> {
        let code = match error {
            Error::AlreadyExists { .. } => UserErrorCode::AlreadyExists,
            Error::Conflict(_) | Error::Stale { .. } => UserErrorCode::Conflict,
            Error::InUse { .. } | Error::DefaultGroup => UserErrorCode::InUse,
            Error::Invalid(_) => UserErrorCode::Invalid,
            Error::LicenceLimit { .. } => UserErrorCode::LicenceLimit,
            Error::ProxyLimit(_) => UserErrorCode::Limit,
            Error::NotFound { .. } => UserErrorCode::NotFound,
            Error::Refused(_) => UserErrorCode::Refused,
            Error::Source(_) => UserErrorCode::Source,
            Error::InChange { path, error } => {
                return Self::of(error).map(|of| Self { field: Some(path.clone()), ..of });
            }
            Error::Unauthenticated(_)
            | Error::Mistaken(_)
            | Error::Forbidden
            | Error::UnprovenNode(_)
            | Error::ForbiddenNode(_)
            | Error::CodeRequired
            | Error::Deactivated
            | Error::TooMany { .. }
            | Error::CursorExpired
            | Error::Unavailable { .. }
            | Error::Internal(_) => return None,
        };
        let current_revision =
            if let Error::Stale { revision, .. } = error { Some((*revision).into()) } else { None };
        let field = Some(error.path().to_vec()).filter(|path| !path.is_empty());
        Some(Self { code, message: error.to_string(), field, current_revision })
    }
}

/// What a mutation answers, whatever came of it. Boxed: what mutations do is large.
pub(super) fn answer<'a, P: Payload + Send>(
    ctx: &'a Context<'_>,
    done: impl Future<Output = Result<P>> + Send + 'a,
) -> BoxFuture<'a, Result<P>> {
    answer_or(ctx, done, async { Ok(P::default()) })
}

/// As [`answer`]; what somebody else has changed since the caller looked is shown as it
/// is now, which `current` finds out.
pub(super) fn answer_or<'a, P: Payload + Send>(
    ctx: &'a Context<'_>,
    done: impl Future<Output = Result<P>> + Send + 'a,
    current: impl Future<Output = Result<P>> + Send + 'a,
) -> BoxFuture<'a, Result<P>> {
    let answer = async move {
        let error = match done.await {
            Ok(payload) => return Ok(payload),
            Err(error) => error,
        };
        if !ctx.look_ahead().field("userErrors").exists() {
            return Err(error);
        }
        let cause = error.source.as_ref().and_then(|cause| cause.downcast_ref::<Error>());
        let Some(user_error) = cause.and_then(UserErrorObject::of) else { return Err(error) };
        let mut payload = match user_error.current_revision {
            // It may be gone again by now.
            Some(_) => current.await.unwrap_or_default(),
            None => P::default(),
        };
        payload.user_errors().push(user_error);
        Ok(payload)
    };
    answer.boxed()
}
