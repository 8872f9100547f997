//! Times as clients read them.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// A time: RFC 3339, in UTC with `Z`, to the microsecond.
///
/// Always with six decimals, so that texts sort as times do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-22T22:27:52.003729Z")]
pub(in crate::rest) struct Time(DateTime<Utc>);

impl From<DateTime<Utc>> for Time {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_to_the_microsecond() {
        let shown = |text: &str| {
            let time: DateTime<Utc> = text.parse().unwrap();
            serde_json::to_string(&Time::from(time)).unwrap()
        };
        assert_eq!(shown("2026-11-22T22:27:52.003729Z"), r#""2026-11-22T22:27:52.003729Z""#);
        assert_eq!(shown("2026-11-22T23:27:52+01:00"), r#""2026-11-22T22:27:52.000000Z""#);
    }
}
