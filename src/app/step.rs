//! One thing that is done within an [`Edit`]: alone, or as one of several.

use super::audit::Note;
use super::{Change, Edit};
use crate::error::{Error, Result};
use crate::model::{NodeGroupId, UserId};

/// What was done within an [`Edit`].
pub(super) struct Done<T> {
    /// What came of it.
    pub(super) made: T,
    /// What it was done to, for the audit log.
    pub(super) note: Note,
    /// What was done, for people.
    pub(super) cause: String,
}

impl<T> Done<T> {
    /// The same, with what `map` makes of what came of it.
    pub(super) fn map<U>(self, map: impl FnOnce(T) -> U) -> Done<U> {
        Done { made: map(self.made), note: self.note, cause: self.cause }
    }
}

impl Edit<'_> {
    /// Ends with what was done, as [`Edit::seal`].
    pub(super) async fn finish<T>(self, done: Done<T>) -> Result<(T, Change)> {
        let Done { made, note, cause } = done;
        let change = self.noting(note).seal(cause).await?;
        Ok((made, change))
    }

    /// `NotFound` for what is in another group: that one is not locked.
    pub(super) fn check_group(
        &self,
        group: NodeGroupId,
        kind: &'static str,
        id: impl ToString,
    ) -> Result<()> {
        if group == self.group { Ok(()) } else { Err(Error::not_found(kind, id)) }
    }

    /// Who does it, if it is a user.
    pub(super) fn user(&self) -> Option<UserId> {
        self.by.user().map(|actor| actor.user)
    }
}
