//! Labels: what people sort things by.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Invalid, Page};

/// How many something may have.
const MOST: usize = 32;
/// How long a key or a value may be, in characters.
const LONGEST: usize = 63;

/// Up to 32 keys with a value each, such as `team=shop`.
///
/// A key is 1 to 63 ASCII letters, digits, `-`, `_`, `.` and `/`, the first and the last
/// one a letter or a digit; a value is like a key, or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Labels(BTreeMap<String, String>);

/// A page of a list, of what has all of these labels.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// Which page.
    pub page: Page,
    /// What it is to have; whatever it has, if this is empty.
    pub labels: Labels,
}

impl Labels {
    /// No label.
    pub const NONE: Self = Self(BTreeMap::new());

    /// Reads keys and values, each key once.
    pub fn read(labels: impl IntoIterator<Item = (String, String)>) -> Result<Self, Invalid> {
        let mut read = BTreeMap::new();
        for (i, (key, value)) in labels.into_iter().enumerate() {
            let wrong = |field, reason: String| Err(Invalid::new(field, reason).within(i));
            if key.is_empty() || !is_word(&key) {
                return wrong("key", RULE.to_owned());
            }
            if !is_word(&value) {
                return wrong("value", format!("{RULE}, or nothing"));
            }
            if read.insert(key.clone(), value).is_some() {
                return wrong("key", format!("{key} stands here twice"));
            }
            if read.len() > MOST {
                return wrong("key", format!("at most {MOST} labels"));
            }
        }
        Ok(Self(read))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether all of `wanted` are among these.
    pub fn have(&self, wanted: &Self) -> bool {
        wanted.0.iter().all(|(key, value)| self.0.get(key) == Some(value))
    }
}

const RULE: &str = "must be 1 to 63 letters, digits, '-', '_', '.' and '/', \
                    the first and the last one a letter or a digit";

fn is_word(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let ends = [text.chars().next(), text.chars().next_back()].into_iter().flatten();
    text.len() <= LONGEST
        && text.chars().all(good)
        && ends.into_iter().all(|c| c.is_ascii_alphanumeric())
}

/// As they stand in the database: `;key=value;key=value;`, by key, so that each can be
/// looked for.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_empty() {
            f.write_str(";")?;
        }
        self.0.iter().try_for_each(|(key, value)| write!(f, "{key}={value};"))
    }
}

impl TryFrom<String> for Labels {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let labels = text.split(';').filter(|label| !label.is_empty());
        let pair = |label: &str| {
            let (key, value) = label.split_once('=').unwrap_or((label, ""));
            (key.to_owned(), value.to_owned())
        };
        Self::read(labels.map(pair))
    }
}

impl TryFrom<BTreeMap<String, String>> for Labels {
    type Error = Invalid;

    fn try_from(labels: BTreeMap<String, String>) -> Result<Self, Invalid> {
        Self::read(labels)
    }
}

impl From<Labels> for BTreeMap<String, String> {
    fn from(labels: Labels) -> Self {
        labels.0
    }
}

impl From<Page> for Labelled {
    fn from(page: Page) -> Self {
        Self { page, labels: Labels::NONE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Result<Labels, Invalid> {
        Labels::read(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn they_are_written_and_read_back() {
        for (pairs, text) in
            [(&[][..], ""), (&[("team", "shop"), ("a.b/c-d_e", "")], ";a.b/c-d_e=;team=shop;")]
        {
            let read = labels(pairs).unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(Labels::try_from(text.to_owned()).unwrap(), read);
            let json = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str::<Labels>(&json).unwrap(), read);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = "x".repeat(64);
        let many: Vec<_> = (0..33).map(|i| (format!("k{i}"), String::new())).collect();
        assert!(Labels::read(many).is_err());
        for (pairs, field) in [
            (&[("", "a")][..], "key"),
            (&[("a b", "")], "key"),
            (&[("-a", "")], "key"),
            (&[("a.", "")], "key"),
            (&[(long.as_str(), "")], "key"),
            (&[("a", "é")], "value"),
            (&[("a", ";b=c")], "value"),
            (&[("a", "1"), ("a", "2")], "key"),
        ] {
            let error = labels(pairs).unwrap_err();
            assert_eq!(error.path().last().map(String::as_str), Some(field), "{pairs:?}");
        }
    }

    #[test]
    fn all_that_are_wanted_are_needed() {
        let have = labels(&[("a", "1"), ("b", "2")]).unwrap();
        for (wanted, want) in [
            (&[][..], true),
            (&[("a", "1")], true),
            (&[("a", "1"), ("b", "2")], true),
            (&[("a", "2")], false),
            (&[("a", "1"), ("c", "")], false),
        ] {
            assert_eq!(have.have(&labels(wanted).unwrap()), want, "{wanted:?}");
        }
    }
}
