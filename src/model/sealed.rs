//! Secrets as the database keeps them.

use std::fmt;

/// A secret that is sealed: of no use without `SECRET_KEY`. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Takes what a sealer made, or a column holds.
    pub fn new(sealed: Vec<u8>) -> Self {
        Self(sealed)
    }

    /// The bytes, for the database and to be opened.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}
