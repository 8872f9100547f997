//! Reading inputs: helpers that say where in the input something is wrong.

use std::fmt::Display;

use async_graphql::MaybeUndefined;

use crate::error::Error;
use crate::model::{At as _, Invalid};

const LONGEST_TEXT: usize = 1000;

/// Says of an error's path that it starts in the argument `input`.
pub(super) fn in_input<T>(result: Result<T, impl Into<Error>>) -> Result<T, Error> {
    result.map_err(|error| error.into().within("input"))
}

/// Reads a number of an input.
///
/// Inputs take 64 bits, so that a number which does not fit is refused by the
/// name of its field, and not by async-graphql, which does not tell it.
pub(super) fn number<T: TryFrom<i32, Error: ToString>>(number: i64) -> Result<T, String> {
    let number = i32::try_from(number).map_err(|_| format!("{number} is out of range"))?;
    number.try_into().map_err(|e: T::Error| e.to_string())
}

/// Reads what people say of something.
pub(super) fn text(text: String, field: &str) -> Result<String, Invalid> {
    if text.chars().count() > LONGEST_TEXT {
        let why = format!("must be at most {LONGEST_TEXT} characters long");
        return Err(Invalid::new(field, why));
    }
    Ok(text)
}

/// Left out stays, null takes away, a value replaces.
pub(super) fn replaced<T, U>(
    value: MaybeUndefined<T>,
    parse: impl FnOnce(T) -> Result<U, Invalid>,
) -> Result<Option<Option<U>>, Invalid> {
    match value {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Null => Ok(Some(None)),
        MaybeUndefined::Value(value) => parse(value).map(|value| Some(Some(value))),
    }
}

/// Parses each item of the list in `field`.
pub(super) fn list<T, U>(
    items: Vec<T>,
    field: &str,
    parse: impl Fn(T) -> Result<U, Invalid>,
) -> Result<Vec<U>, Invalid> {
    let parse = |(i, item)| parse(item).map_err(|e: Invalid| e.within(i).within(field));
    items.into_iter().enumerate().map(parse).collect()
}

/// Parses each text of the list in `field`. It has no name but its number.
pub(super) fn texts<T>(texts: Vec<String>, field: &str) -> Result<Vec<T>, Invalid>
where
    T: TryFrom<String, Error: Display>,
{
    let parse = |(i, text)| T::try_from(text).at(i).map_err(|e| e.within(field));
    texts.into_iter().enumerate().map(parse).collect()
}
