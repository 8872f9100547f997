//! `google.protobuf.Duration` and `Timestamp`.

/// A span of time; both fields have the same sign.
#[derive(Clone, Copy, PartialEq, Eq, ::prost::Message)]
pub struct Duration {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds beyond them, below 1,000,000,000.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// A point in time.
#[derive(Clone, Copy, PartialEq, Eq, ::prost::Message)]
pub struct Timestamp {
    /// Whole seconds since 1970 in UTC; negative before.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds after them, from 0 to 999,999,999.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl From<std::time::Duration> for Duration {
    /// Spans of more than 292 billion years become that.
    fn from(span: std::time::Duration) -> Self {
        let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        Self { seconds, nanos: nanos(span) }
    }
}

impl From<Duration> for std::time::Duration {
    /// Negative spans become zero.
    fn from(span: Duration) -> Self {
        match (u64::try_from(span.seconds), u32::try_from(span.nanos)) {
            (Ok(seconds), Ok(nanos)) => {
                Self::from_secs(seconds).saturating_add(Self::from_nanos(nanos.into()))
            }
            (Err(_), _) | (_, Err(_)) => Self::ZERO,
        }
    }
}

impl From<std::time::SystemTime> for Timestamp {
    fn from(time: std::time::SystemTime) -> Self {
        match time.duration_since(std::time::SystemTime::UNIX_EPOCH) {
            Ok(after) => {
                let Duration { seconds, nanos } = after.into();
                Self { seconds, nanos }
            }
            Err(before) => {
                let Duration { seconds, nanos } = before.duration().into();
                match nanos {
                    0 => Self { seconds: -seconds, nanos },
                    _ => Self { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
                }
            }
        }
    }
}

fn nanos(span: std::time::Duration) -> i32 {
    i32::try_from(span.subsec_nanos()).expect("it is below 1,000,000,000")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration as Span, SystemTime};

    use super::*;

    #[test]
    fn a_span_is_the_same_there_and_back() {
        for span in [Span::ZERO, Span::from_millis(1500), Span::from_secs(1 << 40)] {
            assert_eq!(Span::from(Duration::from(span)), span);
        }
        assert_eq!(Duration::from(Span::MAX).seconds, i64::MAX);
    }

    #[test]
    fn a_span_that_is_negative_is_none() {
        for (seconds, nanos) in [(-1, 0), (0, -1), (-1, -1), (1, -1)] {
            assert_eq!(Span::from(Duration { seconds, nanos }), Span::ZERO);
        }
        let most = Duration { seconds: i64::MAX, nanos: i32::MAX };
        assert!(Span::from(most) > Span::from_secs(1 << 62));
    }

    #[test]
    fn a_time_before_1970_has_its_nanoseconds_after_the_second() {
        let epoch = SystemTime::UNIX_EPOCH;
        let table = [
            (epoch, (0, 0)),
            (epoch + Span::from_millis(1500), (1, 500_000_000)),
            (epoch - Span::from_secs(2), (-2, 0)),
            (epoch - Span::from_millis(500), (-1, 500_000_000)),
            (epoch - Span::from_millis(1500), (-2, 500_000_000)),
        ];
        for (time, (seconds, nanos)) in table {
            assert_eq!(Timestamp::from(time), Timestamp { seconds, nanos });
        }
    }
}
