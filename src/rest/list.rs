//! What all lists have in common.

use std::fmt;

use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use crate::model::{At as _, Invalid, Window};

const LONGEST: i64 = 1000;

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::rest) struct ListQuery {
    /// How many to leave out, counted from the newest.
    #[serde(default)]
    #[param(minimum = 0, default = 0)]
    skip: i64,
    /// How many at most.
    #[serde(default = "hundred")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: i64,
    /// Whether to leave out what is switched off.
    #[serde(default = "yes", deserialize_with = "flag")]
    #[param(default = true)]
    active_only: bool,
}

impl ListQuery {
    /// The window that is meant.
    pub(in crate::rest) fn window(self) -> Result<Window, Invalid> {
        let skip = u64::try_from(self.skip);
        let limit = u64::try_from(self.limit).ok().filter(|_| (1..=LONGEST).contains(&self.limit));
        Ok(Window {
            skip: skip.map_err(|_| "must be 0 or more").at("skip")?,
            limit: limit.ok_or("must be 1 to 1000").at("limit")?,
            active_only: self.active_only,
        })
    }
}

/// The id in a parameter or field that may be left out.
pub(in crate::rest) fn optional_id<T>(id: Option<i32>, field: &str) -> Result<Option<T>, Invalid>
where
    T: TryFrom<i32, Error: fmt::Display>,
{
    id.map(|id| T::try_from(id).at(field)).transpose()
}

/// A yes or no in a query, in the spellings that existing clients send.
pub(in crate::rest) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    let text = String::deserialize(from)?;
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "y" | "on" | "t" => Ok(true),
        "false" | "0" | "no" | "n" | "off" | "f" => Ok(false),
        _ => Err(serde::de::Error::custom("must be true or false")),
    }
}

fn yes() -> bool {
    true
}

fn hundred() -> i64 {
    100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_bounds() {
        let window = |query: &str| {
            let list: ListQuery = serde_urlencoded::from_str(query).map_err(|e| e.to_string())?;
            list.window().map_err(|e| e.to_string())
        };
        let all = Window { skip: 0, limit: 100, active_only: true };
        let table = [
            ("", Ok(all)),
            ("skip=7&limit=1000", Ok(Window { skip: 7, limit: 1000, ..all })),
            ("active_only=False", Ok(Window { active_only: false, ..all })),
            ("active_only=1", Ok(all)),
            ("active_only=maybe", Err("must be true or false")),
            ("skip=-1", Err("skip: must be 0 or more")),
            ("limit=0", Err("limit: must be 1 to 1000")),
            ("limit=1001", Err("limit: must be 1 to 1000")),
        ];
        for (query, want) in table {
            assert_eq!(window(query), want.map_err(str::to_owned), "{query}");
        }
    }
}
