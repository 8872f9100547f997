//! Helpers for reading rows: what stands in the database is parsed like any
//! other input, and a row that breaks a rule is our fault.

use sea_orm::JsonValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// A row that does not hold what its type says.
#[derive(Debug, thiserror::Error)]
#[error("{table}.{column} of row {id} is broken: {reason}")]
struct BrokenRow {
    table: &'static str,
    column: &'static str,
    id: i32,
    reason: String,
}

/// Which row is being read, for the log if it is broken.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) table: &'static str,
    pub(super) id: i32,
}

impl Row {
    /// Parses one column.
    pub(super) fn parse<T, U: TryFrom<T>>(self, column: &'static str, value: T) -> Result<U>
    where
        U::Error: ToString,
    {
        U::try_from(value).map_err(|reason| self.broken(column, reason))
    }

    /// Parses one column that may hold nothing.
    pub(super) fn optional<T, U: TryFrom<T>>(
        self,
        column: &'static str,
        value: Option<T>,
    ) -> Result<Option<U>>
    where
        U::Error: ToString,
    {
        value.map(|value| self.parse(column, value)).transpose()
    }

    /// Parses one JSON column.
    pub(super) fn json<T: DeserializeOwned>(
        self,
        column: &'static str,
        value: JsonValue,
    ) -> Result<T> {
        serde_json::from_value(value).map_err(|reason| self.broken(column, reason))
    }

    /// Says that a column is broken.
    #[expect(clippy::needless_pass_by_value, reason = "an error, passed on by map_err")]
    pub(super) fn broken(self, column: &'static str, reason: impl ToString) -> Error {
        let Self { table, id } = self;
        Error::internal(BrokenRow { table, column, id, reason: reason.to_string() })
    }
}

/// As [`to_json`], of what proxies say. PostgreSQL takes no NUL in a text, and what one proxy
/// says must not keep what others say from being written: U+FFFD stands in its place.
pub(super) fn said_to_json(value: &impl Serialize) -> JsonValue {
    without_nul(to_json(value))
}

fn without_nul(value: JsonValue) -> JsonValue {
    let clean = |text: String| {
        if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
    };
    match value {
        JsonValue::String(text) => JsonValue::String(clean(text)),
        JsonValue::Array(items) => items.into_iter().map(without_nul).collect(),
        JsonValue::Object(fields) => {
            let fields = fields.into_iter();
            fields.map(|(name, value)| (clean(name), without_nul(value))).collect()
        }
        other @ (JsonValue::Null | JsonValue::Bool(_) | JsonValue::Number(_)) => other,
    }
}

/// Writes a domain type as a JSON column.
pub(super) fn to_json(value: &impl Serialize) -> JsonValue {
    serde_json::to_value(value).expect("domain types have text keys and finite numbers")
}
