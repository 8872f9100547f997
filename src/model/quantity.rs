//! Quantities with a range: durations and weights.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const DAY: i32 = 24 * 60 * 60 * 1000;
const HEAVIEST: i32 = 10_000;

/// A number outside the range of what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {least} to {most}{unit}, not {got}")]
pub struct QuantityError {
    least: i32,
    most: i32,
    unit: &'static str,
    got: i32,
}

/// A duration of 1 millisecond to one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Millis(i32);

/// How long something may take: a duration, or as long as it likes (0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub enum Timeout {
    /// No longer than this.
    After(Millis),
    /// As long as it takes; written as 0.
    Never,
}

/// A share of traffic, 0 to 10,000, relative to the other weights beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Weight(i32);

impl TryFrom<i32> for Millis {
    type Error = QuantityError;

    fn try_from(millis: i32) -> Result<Self, QuantityError> {
        in_range(millis, 1, DAY, " milliseconds").map(Self)
    }
}

impl From<Millis> for i32 {
    fn from(millis: Millis) -> Self {
        millis.0
    }
}

impl From<Millis> for Duration {
    fn from(millis: Millis) -> Self {
        Self::from_millis(millis.0.unsigned_abs().into())
    }
}

impl TryFrom<i32> for Timeout {
    type Error = QuantityError;

    fn try_from(millis: i32) -> Result<Self, QuantityError> {
        match in_range(millis, 0, DAY, " milliseconds")? {
            0 => Ok(Self::Never),
            millis => Ok(Self::After(Millis(millis))),
        }
    }
}

impl From<Timeout> for i32 {
    fn from(timeout: Timeout) -> Self {
        match timeout {
            Timeout::After(millis) => millis.0,
            Timeout::Never => 0,
        }
    }
}

impl From<Timeout> for Duration {
    /// Zero stands for no limit, as in Envoy.
    fn from(timeout: Timeout) -> Self {
        match timeout {
            Timeout::After(millis) => millis.into(),
            Timeout::Never => Self::ZERO,
        }
    }
}

impl Weight {
    /// The weight of what is not weighted otherwise.
    pub const ONE: Self = Self(1);

    /// The weight as Envoy counts it.
    pub fn get(self) -> u32 {
        self.0.unsigned_abs()
    }
}

impl TryFrom<i32> for Weight {
    type Error = QuantityError;

    fn try_from(weight: i32) -> Result<Self, QuantityError> {
        in_range(weight, 0, HEAVIEST, "").map(Self)
    }
}

impl From<Weight> for i32 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

fn in_range(got: i32, least: i32, most: i32, unit: &'static str) -> Result<i32, QuantityError> {
    if (least..=most).contains(&got) {
        Ok(got)
    } else {
        Err(QuantityError { least, most, unit, got })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_say_their_range() {
        let error = Millis::try_from(0).unwrap_err().to_string();
        assert_eq!(error, "must be 1 to 86400000 milliseconds, not 0");
        let error = Weight::try_from(-1).unwrap_err().to_string();
        assert_eq!(error, "must be 0 to 10000, not -1");
    }

    #[test]
    fn a_timeout_of_zero_never_ends() {
        assert_eq!(Timeout::try_from(0), Ok(Timeout::Never));
        assert_eq!(i32::from(Timeout::Never), 0);
        assert!(Timeout::try_from(86_400_001).is_err());
    }
}
