//! Relay connections over keyset pages.

use async_graphql::OutputType;
use async_graphql::connection::{Connection, CursorType as _, Edge, OpaqueCursor};

use super::labels::{self, LabelInput};
use crate::error::Result;
use crate::model::{Invalid, Labelled, Page};

/// How long a page may be.
pub(super) const MOST: i64 = 200;
/// How long it is if nobody says.
pub(super) const USUAL: u64 = 50;

/// A list of `T`, a page at a time.
pub(super) type Paged<T> = Connection<OpaqueCursor<i64>, T>;

/// Which slice of a list a client asks for.
#[derive(Clone, Copy)]
pub(super) struct Slice {
    first: usize,
    after: Option<i64>,
}

impl Slice {
    /// Reads the arguments `first` and `after`.
    pub(super) fn parse(first: i64, after: Option<&str>) -> Result<Self, Invalid> {
        let count = usize::try_from(first).ok().filter(|_| (1..=MOST).contains(&first));
        let wrong = || Invalid::new("first", format!("must be 1 to {MOST}, not {first}"));
        let cursor = |text| {
            let cursor = OpaqueCursor::<i64>::decode_cursor(text);
            cursor.map_err(|_| Invalid::new("after", "is not a cursor of this list"))
        };
        Ok(Self {
            first: count.ok_or_else(wrong)?,
            after: after.map(cursor).transpose()?.map(|cursor| cursor.0),
        })
    }

    /// The rows to read; one more than asked for, to see whether there is one.
    pub(super) fn page(self) -> Page {
        let after = self.after.and_then(|after| i32::try_from(after).ok()).unwrap_or(0);
        Page { after, limit: self.limit() }
    }

    /// The rows to read of those that have all of these labels.
    pub(super) fn labelled(self, labels: Option<Vec<LabelInput>>) -> Result<Labelled, Invalid> {
        let labels = labels::parse(labels.unwrap_or_default())?;
        Ok(Labelled { page: self.page(), labels })
    }

    /// The key that the rows come after, if it is not the first page.
    pub(super) fn after(self) -> Option<i64> {
        self.after
    }

    /// How many rows are asked for.
    pub(super) fn first(self) -> usize {
        self.first
    }

    /// How many rows to read.
    pub(super) fn limit(self) -> u64 {
        self.first as u64 + 1
    }

    /// The part of a whole list that was asked for, one more if there is one, and the
    /// place of each. For lists that never change, in which a place is a good key.
    pub(super) fn part<T>(self, whole: Vec<T>) -> (Vec<T>, impl Iterator<Item = i64>) {
        let skipped = self.after.and_then(|after| usize::try_from(after).ok()).unwrap_or(0);
        let rows: Vec<T> = whole.into_iter().skip(skipped).take(self.first + 1).collect();
        (rows, self.after.unwrap_or(0).max(0).saturating_add(1)..)
    }

    /// Presents the rows that were read, each under its key.
    pub(super) fn present<R, T: OutputType>(
        self,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> i64,
        present: impl Fn(R) -> T,
    ) -> Paged<T> {
        let more = rows.len() > self.first;
        rows.truncate(self.first);
        let mut connection = Connection::new(self.after.is_some(), more);
        let edges = rows.into_iter().map(|row| Edge::new(OpaqueCursor(key(&row)), present(row)));
        connection.edges.extend(edges);
        connection
    }
}
