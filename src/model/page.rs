//! Pages of lists.

/// Which slice of a list to read: the rows after `after`, `limit` at most.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The id before the first row; 0 for the first page.
    pub after: i32,
    /// How many rows at most.
    pub limit: u64,
}

impl Page {
    /// Every row.
    pub const ALL: Self = Self { after: 0, limit: i64::MAX as u64 };
}

/// Which slice of a list to read, counted from its newest row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How many rows to leave out; at most `i64::MAX`.
    pub skip: u64,
    /// How many rows at most.
    pub limit: u64,
    /// Whether what is switched off is left out.
    pub active_only: bool,
}

/// A slice of a list, and how long the list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// How many there are in all.
    pub total: u64,
    /// Those in the window, the newest first.
    pub rows: Vec<T>,
}
