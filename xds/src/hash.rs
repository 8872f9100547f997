//! Versions: xxh3-128 over parts that cannot run into each other.

use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

/// Makes a version out of parts.
pub(crate) struct Hasher(Xxh3);

impl Hasher {
    /// Starts a hash. Hashes of different domains do not collide by accident.
    pub(crate) fn new(domain: &str) -> Self {
        Self(Xxh3::new()).with(domain)
    }

    /// Adds a part, with its length in front of it.
    pub(crate) fn with(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    /// The hash of all parts: 32 hexadecimal digits.
    pub(crate) fn finish(&self) -> Arc<str> {
        format!("{:032x}", self.0.digest128()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let one = Hasher::new("d").with("ab").with("c").finish();
        let two = Hasher::new("d").with("a").with("bc").finish();
        assert_ne!(one, two);
        assert_eq!(one, Hasher::new("d").with("ab").with("c").finish());
    }
}
