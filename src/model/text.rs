//! Texts that people write freely, of a bounded length.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A line of 1 to `MOST` characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Line<const MOST: usize>(String);

/// Why a text is no such line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It has none, or too many characters.
    #[error("must be 1 to {most} characters long, not {got}")]
    Length {
        /// How many it may have.
        most: usize,
        /// How many it has.
        got: usize,
    },
    /// It has a line break or the like in it.
    #[error("must not hold control characters")]
    Control,
}

impl<const MOST: usize> Line<MOST> {
    /// The line as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MOST: usize> TryFrom<String> for Line<MOST> {
    type Error = LineError;

    fn try_from(text: String) -> Result<Self, LineError> {
        let got = text.chars().count();
        if !(1..=MOST).contains(&got) {
            return Err(LineError::Length { most: MOST, got });
        }
        if text.chars().any(char::is_control) { Err(LineError::Control) } else { Ok(Self(text)) }
    }
}

impl<const MOST: usize> From<Line<MOST>> for String {
    fn from(line: Line<MOST>) -> Self {
        line.0
    }
}

impl<const MOST: usize> fmt::Display for Line<MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_length_and_no_breaks() {
        let length = |got| Err(LineError::Length { most: 4, got });
        let table: [(&str, Result<(), LineError>); 5] = [
            ("a b", Ok(())),
            ("éééé", Ok(())),
            ("", length(0)),
            ("abcde", length(5)),
            ("a\nb", Err(LineError::Control)),
        ];
        for (input, want) in table {
            assert_eq!(Line::<4>::try_from(input.to_owned()).map(drop), want, "input {input:?}");
        }
    }
}
