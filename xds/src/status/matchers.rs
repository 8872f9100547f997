//! Which clients a request is about: `envoy.type.matcher.v3.NodeMatcher`.

use marchproxy_proto::client_status as proto;
use tonic::Status;

/// Fits a client that one of them fits; none at all fits every client.
#[derive(Debug)]
pub(super) struct Matchers<'a>(Vec<Matcher<'a>>);

#[derive(Debug)]
struct Matcher<'a> {
    pattern: Pattern<'a>,
    ignore_case: bool,
}

#[derive(Debug)]
enum Pattern<'a> {
    Any,
    Exact(&'a str),
    Prefix(&'a str),
    Suffix(&'a str),
    Contains(&'a str),
}

impl<'a> Matchers<'a> {
    /// Reads the matchers of a request.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` with the place of what is wrong or not supported: matchers
    /// of metadata, regular expressions and extensions are not.
    pub(super) fn read(matchers: &'a [proto::NodeMatcher]) -> Result<Self, Status> {
        let read = matchers.iter().enumerate().map(|(i, matcher)| {
            Matcher::read(matcher).map_err(|(field, wrong)| {
                Status::invalid_argument(format!("node_matchers[{i}].{field}: {wrong}"))
            })
        });
        read.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn fit(&self, node_id: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|matcher| matcher.fits(node_id))
    }
}

impl<'a> Matcher<'a> {
    fn read(matcher: &'a proto::NodeMatcher) -> Result<Self, (&'static str, &'static str)> {
        use proto::StringPattern;

        if !matcher.node_metadatas.is_empty() {
            return Err(("node_metadatas", "clients cannot be told apart by metadata"));
        }
        let Some(node_id) = &matcher.node_id else {
            return Ok(Self { pattern: Pattern::Any, ignore_case: false });
        };
        let (field, text, pattern) = match &node_id.match_pattern {
            Some(StringPattern::Exact(text)) => {
                let ignore_case = node_id.ignore_case;
                return Ok(Self { pattern: Pattern::Exact(text), ignore_case });
            }
            Some(StringPattern::Prefix(text)) => ("node_id.prefix", text, Pattern::Prefix(text)),
            Some(StringPattern::Suffix(text)) => ("node_id.suffix", text, Pattern::Suffix(text)),
            Some(StringPattern::Contains(text)) => {
                ("node_id.contains", text, Pattern::Contains(text))
            }
            Some(StringPattern::SafeRegex(_)) => {
                return Err(("node_id.safe_regex", "regular expressions are not supported"));
            }
            Some(StringPattern::Custom(_)) => {
                return Err(("node_id.custom", "extensions are not supported"));
            }
            None => return Err(("node_id", "a pattern must be there")),
        };
        if text.is_empty() {
            return Err((field, "it must not be empty"));
        }
        Ok(Self { pattern, ignore_case: node_id.ignore_case })
    }

    /// Without case, only ASCII letters are the same in both; so it is in Envoy.
    fn fits(&self, node_id: &str) -> bool {
        let compare: fn(&[u8], &[u8]) -> bool =
            if self.ignore_case { <[u8]>::eq_ignore_ascii_case } else { <[u8]>::eq };
        let id = node_id.as_bytes();
        match self.pattern {
            Pattern::Any => true,
            Pattern::Exact(text) => compare(id, text.as_bytes()),
            Pattern::Prefix(text) => {
                id.get(..text.len()).is_some_and(|start| compare(start, text.as_bytes()))
            }
            Pattern::Suffix(text) => {
                let start = id.len().checked_sub(text.len());
                start.is_some_and(|start| compare(&id[start..], text.as_bytes()))
            }
            Pattern::Contains(text) => {
                id.windows(text.len()).any(|part| compare(part, text.as_bytes()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::{NodeMatcher, StringMatcher, StringPattern};
    use tonic::Code;

    use super::*;

    fn by_id(pattern: StringPattern, ignore_case: bool) -> NodeMatcher {
        let node_id = StringMatcher { match_pattern: Some(pattern), ignore_case };
        NodeMatcher { node_id: Some(node_id), node_metadatas: Vec::new() }
    }

    fn fit(matchers: &[NodeMatcher], node_id: &str) -> bool {
        Matchers::read(matchers).expect("they can be read").fit(node_id)
    }

    #[test]
    fn an_id_is_compared_as_the_pattern_says() {
        let exact = |text: &str| StringPattern::Exact(text.into());
        let prefix = |text: &str| StringPattern::Prefix(text.into());
        let suffix = |text: &str| StringPattern::Suffix(text.into());
        let contains = |text: &str| StringPattern::Contains(text.into());
        let table = [
            (exact("edge-1"), false, true),
            (exact("edge-"), false, false),
            (exact("Edge-1"), false, false),
            (exact("EDGE-1"), true, true),
            (exact(""), false, false),
            (prefix("edge"), false, true),
            (prefix("dge"), false, false),
            (prefix("EDGE"), true, true),
            (prefix("edge-12"), false, false),
            (suffix("-1"), false, true),
            (suffix("edge"), false, false),
            (suffix("E-1"), true, true),
            (suffix("an edge-1"), false, false),
            (contains("dge"), false, true),
            (contains("DGE"), false, false),
            (contains("DGE"), true, true),
            (contains("edge-1"), false, true),
            (contains("edge-12"), false, false),
        ];
        for (pattern, ignore_case, want) in table {
            let matcher = by_id(pattern.clone(), ignore_case);
            assert_eq!(fit(&[matcher], "edge-1"), want, "{pattern:?} {ignore_case}");
        }
    }

    #[test]
    fn one_that_fits_is_enough_and_none_fits_all() {
        let a = by_id(StringPattern::Exact("a".into()), false);
        let b = by_id(StringPattern::Exact("b".into()), false);
        let any = NodeMatcher::default();
        assert!(fit(&[], "c"));
        assert!(fit(&[a.clone(), b.clone()], "b"));
        assert!(!fit(&[a.clone(), b], "c"));
        assert!(fit(&[a, any], "c"));
    }

    #[test]
    fn what_is_wrong_or_not_supported_is_named() {
        let without = NodeMatcher { node_id: Some(StringMatcher::default()), ..Default::default() };
        let by_metadata =
            NodeMatcher { node_metadatas: vec![Default::default()], ..Default::default() };
        let table = [
            (by_id(StringPattern::SafeRegex(Default::default()), false), "node_id.safe_regex"),
            (by_id(StringPattern::Custom(Default::default()), false), "node_id.custom"),
            (by_id(StringPattern::Prefix(String::new()), false), "node_id.prefix"),
            (by_id(StringPattern::Suffix(String::new()), false), "node_id.suffix"),
            (by_id(StringPattern::Contains(String::new()), false), "node_id.contains"),
            (without, "node_id"),
            (by_metadata, "node_metadatas"),
        ];
        for (matcher, field) in table {
            let matchers = [NodeMatcher::default(), matcher];
            let error = Matchers::read(&matchers).expect_err(field);
            assert_eq!(error.code(), Code::InvalidArgument);
            let start = format!("node_matchers[1].{field}: ");
            assert!(error.message().starts_with(&start), "{error}");
        }
    }
}
