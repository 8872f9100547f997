//! What is wrong with an input, and where in it.

use std::fmt;

/// One thing that is wrong with an input, at one place in it.
///
/// The path leads from the input to the field (`input`, `endpoints`, `0`,
/// `port`); the reason is fit to be read by the client that sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    path: Vec<String>,
    reason: String,
}

impl Invalid {
    /// Says that the field called `field` is wrong because of `reason`.
    pub fn new(field: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self { path: vec![field.to_string()], reason: reason.to_string() }
    }

    /// Puts `outer` in front of the path: the field that this one stands in.
    #[must_use]
    pub fn within(mut self, outer: impl fmt::Display) -> Self {
        self.path.insert(0, outer.to_string());
        self
    }

    /// The way from the input to the field.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// What is wrong, without the place.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.join("."), self.reason)
    }
}

impl std::error::Error for Invalid {}

/// Tells a failed parse which field it failed in.
pub trait At<T> {
    /// Names the field whose value could not be parsed.
    fn at(self, field: impl fmt::Display) -> Result<T, Invalid>;
}

impl<T, E: fmt::Display> At<T> for Result<T, E> {
    fn at(self, field: impl fmt::Display) -> Result<T, Invalid> {
        self.map_err(|reason| Invalid::new(field, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_grows_from_the_inside_out() {
        let inner = Invalid::new("port", "must be 1 to 65535, not 0");
        let whole = inner.within(0).within("endpoints").within("input");
        assert_eq!(whole.to_string(), "input.endpoints.0.port: must be 1 to 65535, not 0");
        assert_eq!(whole.path().len(), 4);
    }
}
