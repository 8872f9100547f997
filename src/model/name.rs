//! Names that people choose.

use std::fmt;

use serde::{Deserialize, Serialize};

const LONGEST: usize = 100;

/// A name chosen by a person, safe in an Envoy resource name and as a `Host`.
///
/// 1 to 100 ASCII letters, digits, `-`, `_` and `.`, the first one a letter or
/// a digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty.
    #[error("must not be empty")]
    Empty,
    /// The name has more than 100 characters.
    #[error("must be at most {LONGEST} characters long, not {0}")]
    TooLong(usize),
    /// The name holds a character that a name cannot hold.
    #[error("may hold letters, digits, '-', '_' and '.' only, not {0:?}")]
    Character(char),
    /// The name starts with punctuation.
    #[error("must start with a letter or a digit, not {0:?}")]
    Start(char),
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        let first = name.chars().next().ok_or(NameError::Empty)?;
        if let Some(c) =
            name.chars().find(|c| !matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.'))
        {
            return Err(NameError::Character(c));
        }
        if name.len() > LONGEST {
            return Err(NameError::TooLong(name.len()));
        }
        if !first.is_ascii_alphanumeric() {
            return Err(NameError::Start(first));
        }
        Ok(Self(name))
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{NameError::*, *};

    #[test]
    fn names_are_parsed_at_the_edge() {
        let longest = "x".repeat(100);
        let too_long = "x".repeat(101);
        let table: &[(&str, Result<(), NameError>)] = &[
            ("api-2", Ok(())),
            ("Web_API.v1", Ok(())),
            (&longest, Ok(())),
            ("", Err(Empty)),
            (&too_long, Err(TooLong(101))),
            ("a b", Err(Character(' '))),
            ("a/b", Err(Character('/'))),
            ("a\u{e9}", Err(Character('\u{e9}'))),
            ("*", Err(Character('*'))), // would read as a wildcard subscription
            ("-a", Err(Start('-'))),
            (".a", Err(Start('.'))),
        ];
        for (input, want) in table {
            let got = Name::try_from((*input).to_owned()).map(drop);
            assert_eq!(&got, want, "input {input:?}");
        }
    }
}
