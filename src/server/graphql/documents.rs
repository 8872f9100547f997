//! Which documents are executed: any, or only those that are known beforehand.
//!
//! Source: the appendix on persisted documents of the GraphQL-over-HTTP specification:
//! a client sends `documentId` in place of `query`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use axum::http::StatusCode;

use super::request::Refusal;

/// The longest text of a document, in bytes.
const LONGEST: usize = 100 << 10;

/// The documents that are executed.
#[derive(Clone)]
pub struct Documents {
    known: Arc<HashMap<String, String>>,
    only_known: bool,
}

impl Documents {
    /// Any.
    pub fn any() -> Self {
        Self { known: Arc::default(), only_known: false }
    }

    /// Those of a JSON object from ids to texts, and with `only` no others.
    pub fn known(json: &str, only: bool) -> Result<Self, serde_json::Error> {
        Ok(Self { known: Arc::new(serde_json::from_str(json)?), only_known: only })
    }

    /// The text of what is asked for, by itself or by its id.
    pub(super) fn resolve(
        &self,
        query: Option<String>,
        id: Option<&str>,
    ) -> Result<String, Refusal> {
        let refuse = |message| Err(Refusal { status: StatusCode::BAD_REQUEST, message });
        match (query, id) {
            (_, Some(id)) => match self.known.get(id) {
                Some(text) => Ok(text.clone()),
                None => refuse("there is no document of this `documentId`"),
            },
            (None, None) => refuse("`query` is missing"),
            (Some(_), None) if self.only_known => {
                refuse("only known documents are executed: send `documentId`")
            }
            (Some(query), None) if query.len() > LONGEST => {
                refuse("`query` has more than 102400 bytes")
            }
            (Some(query), None) => Ok(query),
        }
    }
}

impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents")
            .field("known", &self.known.len())
            .field("only_known", &self.only_known)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_known_documents_only_those_are_executed() {
        let documents = |only| Documents::known(r#"{"sha256:ab": "{ me { id } }"}"#, only).unwrap();
        for (only, query, id, good) in [
            (true, None, Some("sha256:ab"), true),
            (true, None, Some("sha256:cd"), false),
            (true, Some("{ viewer { id } }"), None, false),
            (false, Some("{ viewer { id } }"), None, true),
            (false, None, Some("sha256:ab"), true),
            (false, None, None, false),
        ] {
            let resolved = documents(only).resolve(query.map(str::to_owned), id);
            assert_eq!(resolved.is_ok(), good, "{only} {query:?} {id:?}");
        }
    }
}
