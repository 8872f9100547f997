//! What of a request a route can look at.

use std::fmt;

use regex::RegexBuilder;
use serde::{Deserialize, Serialize};

use super::re2::{self, NotRe2};

const LONGEST: usize = 1024;

/// A request method that a route can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the methods of RFC 9110 and RFC 5789")]
pub enum HttpMethod {
    Delete,
    Get,
    Head,
    Options,
    Patch,
    Post,
    Put,
    Trace,
}

/// A header's name in lower case (RFC 9110, section 5.1); no pseudo header.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeaderName(String);

/// The beginning of a URL's path, or a whole one: starts with `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HttpPath(String);

/// A regular expression that must match a whole text.
///
/// Envoy uses RE2. What is accepted here compiles, and uses nothing that RE2
/// is known not to have; RE2 has the last word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// Why a text is no header name, path or regular expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text has more than 1024 characters.
    #[error("must be at most {LONGEST} characters long, not {0}")]
    TooLong(usize),
    /// The text holds a character that it cannot hold.
    #[error("may not hold {0:?}")]
    Character(char),
    /// A path does not start with a slash.
    #[error("must start with '/'")]
    Relative,
    /// The regular expression uses something that RE2 has not.
    #[error(transparent)]
    NotRe2(#[from] NotRe2),
    /// The regular expression does not compile; what is wrong with it.
    #[error("is not a regular expression: {0}")]
    Regex(String),
}

/// How a route looks at the path of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// The path starts with this.
    Prefix(HttpPath),
    /// The path is this.
    Exact(HttpPath),
    /// The whole path matches this.
    Regex(Pattern),
}

/// How a route looks at the value of a header.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextMatch {
    /// The header is there, whatever it says.
    Present,
    /// The value is this.
    Exact(String),
    /// The value starts with this.
    Prefix(String),
    /// The whole value matches this.
    Regex(Pattern),
}

/// The status of a redirect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedirectCode {
    /// 301; the client may change the method to GET.
    #[default]
    MovedPermanently,
    /// 302; the client may change the method to GET.
    Found,
    /// 303; the client changes the method to GET.
    SeeOther,
    /// 307; the client keeps the method.
    TemporaryRedirect,
    /// 308; the client keeps the method.
    PermanentRedirect,
}

impl HttpMethod {
    /// The method as a request line writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Trace => "TRACE",
        }
    }
}

impl PathMatch {
    /// How narrow the match is: exact before regular expression before prefix,
    /// and the longer before the shorter.
    pub fn specificity(&self) -> usize {
        match self {
            Self::Exact(path) => 2 * (LONGEST + 1) + path.0.len(),
            Self::Regex(pattern) => LONGEST + 1 + pattern.0.len(),
            Self::Prefix(path) => path.0.len(),
        }
    }
}

impl TryFrom<String> for HeaderName {
    type Error = PatternError;

    fn try_from(name: String) -> Result<Self, PatternError> {
        sized(&name)?;
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        match name.chars().find(|c| !token(*c)) {
            Some(c) => Err(PatternError::Character(c)),
            None => Ok(Self(name.to_ascii_lowercase())),
        }
    }
}

impl TryFrom<String> for HttpPath {
    type Error = PatternError;

    fn try_from(path: String) -> Result<Self, PatternError> {
        sized(&path)?;
        if !path.starts_with('/') {
            return Err(PatternError::Relative);
        }
        match path.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '?' | '#')) {
            Some(c) => Err(PatternError::Character(c)),
            None => Ok(Self(path)),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(pattern: String) -> Result<Self, PatternError> {
        sized(&pattern)?;
        re2::check(&pattern)?;
        match RegexBuilder::new(&pattern).size_limit(1 << 20).build() {
            Ok(_) => Ok(Self(pattern)),
            // The last line says what is wrong; those before it draw where.
            Err(e) => Err(PatternError::Regex(
                e.to_string().lines().last().unwrap_or_default().replace("error: ", ""),
            )),
        }
    }
}

impl Pattern {
    /// Checks what Envoy refuses besides. Patterns that were kept before this was known are
    /// read all the same: whoever changes their route is told.
    pub fn check(&self) -> Result<(), PatternError> {
        Ok(re2::check_more(&self.0)?)
    }
}

fn sized(text: &str) -> Result<(), PatternError> {
    match text.chars().count() {
        0 => Err(PatternError::Empty),
        1..=LONGEST => Ok(()),
        n => Err(PatternError::TooLong(n)),
    }
}

macro_rules! text {
    ($($name:ident),+) => {$(
        impl $name {
            /// The text as Envoy takes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

text!(HeaderName, HttpPath, Pattern);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_are_tokens_in_lower_case() {
        let table: &[(&str, Result<&str, PatternError>)] = &[
            ("X-Version", Ok("x-version")),
            ("", Err(PatternError::Empty)),
            (":authority", Err(PatternError::Character(':'))),
            ("a b", Err(PatternError::Character(' '))),
            ("a\n", Err(PatternError::Character('\n'))),
        ];
        for (input, want) in table {
            let got = HeaderName::try_from((*input).to_owned()).map(String::from);
            assert_eq!(got, want.clone().map(str::to_owned), "input {input:?}");
        }
    }

    #[test]
    fn paths_are_absolute_and_hold_no_query() {
        let long = format!("/{}", "x".repeat(1024));
        let table: &[(&str, Result<(), PatternError>)] = &[
            ("/", Ok(())),
            ("/a%20b", Ok(())),
            ("", Err(PatternError::Empty)),
            ("a", Err(PatternError::Relative)),
            ("/a?b", Err(PatternError::Character('?'))),
            ("/a b", Err(PatternError::Character(' '))),
            (&long, Err(PatternError::TooLong(1025))),
        ];
        for (input, want) in table {
            let got = HttpPath::try_from((*input).to_owned()).map(drop);
            assert_eq!(&got, want, "input {input:?}");
        }
    }

    #[test]
    fn a_pattern_that_does_not_compile_says_why() {
        assert!(Pattern::try_from("/v[0-9]+/.*".to_owned()).is_ok());
        let error = Pattern::try_from("(".to_owned()).unwrap_err().to_string();
        assert_eq!(error, "is not a regular expression: unclosed group");
        assert!(Pattern::try_from("(?=look)ahead".to_owned()).is_err(), "RE2 has none either");
    }
}
