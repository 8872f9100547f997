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
