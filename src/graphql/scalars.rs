//! Scalars.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{DateTime, SecondsFormat, Utc};

/// An RFC 3339 time stamp, always UTC, with milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Time(pub(super) DateTime<Utc>);

#[Scalar(name = "DateTime", specified_by_url = "https://scalars.graphql.org/andimarek/date-time")]
impl ScalarType for Time {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => match DateTime::parse_from_rfc3339(text) {
                Ok(time) => Ok(Self(time.to_utc())),
                Err(e) => Err(InputValueError::custom(e)),
            },
            Value::Null
            | Value::Number(_)
            | Value::Boolean(_)
            | Value::Binary(_)
            | Value::Enum(_)
            | Value::List(_)
            | Value::Object(_) => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// Reads a number of an input.
///
/// Inputs take 64 bits, so that a number which does not fit is refused by the
/// name of its field, and not by async-graphql, which does not tell it.
pub(super) fn number<T: TryFrom<i32, Error: ToString>>(number: i64) -> Result<T, String> {
    let number = i32::try_from(number).map_err(|_| format!("{number} is out of range"))?;
    number.try_into().map_err(|e: T::Error| e.to_string())
}

/// A count as GraphQL's `Int`, which has 32 bits; larger ones stop there.
pub(super) fn int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
