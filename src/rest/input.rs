//! Reading fields of bodies into domain types.

use std::fmt::Display;

use serde::{Deserialize, Deserializer};

use crate::model::{At as _, Invalid};

/// Reads a field of which null says something else than its absence.
///
/// With `#[serde(default)]` beside it, a field that is left out is `None`.
pub(in crate::rest) fn present<'de, T, D>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(from).map(Some)
}

/// Parses the value of a field, if it is there.
pub(in crate::rest) fn parsed<T, U>(value: Option<T>, field: &str) -> Result<Option<U>, Invalid>
where
    U: TryFrom<T, Error: Display>,
{
    value.map(|value| U::try_from(value).at(field)).transpose()
}

/// The same for a field that null takes away; so does an empty text.
pub(in crate::rest) fn replaced<U>(
    value: Option<Option<String>>,
    field: &str,
) -> Result<Option<Option<U>>, Invalid>
where
    U: TryFrom<String, Error: Display>,
{
    value.map(|value| parsed(value.filter(|text| !text.is_empty()), field)).transpose()
}

/// A text of at most 1000 characters.
pub(in crate::rest) fn text(text: String, field: &str) -> Result<String, Invalid> {
    const LONGEST: usize = 1000;
    if text.chars().count() > LONGEST {
        let why = format!("must be at most {LONGEST} characters long");
        return Err(Invalid::new(field, why));
    }
    Ok(text)
}

/// Whether to delete for good.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::rest) struct DeleteQuery {
    /// For good; otherwise it is switched off, and keeps its name.
    #[serde(default, deserialize_with = "super::list::flag")]
    #[param(default = false)]
    pub(in crate::rest) permanent: bool,
}
