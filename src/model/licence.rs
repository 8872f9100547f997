//! What a licence allows.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde_json::Value;

/// How many proxies a node group may have without a licence.
const COMMUNITY_PROXIES: u64 = 3;

/// What the licence allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Licence {
    /// What it is called: `community` without one.
    pub tier: String,
    /// How many proxies a node group may have; any number if not said.
    pub most_proxies: Option<u64>,
    /// What it includes.
    pub features: Features,
    /// When it ends, if it does.
    pub valid_until: Option<DateTime<Utc>>,
}

/// What a licence includes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Features {
    /// Everything there is.
    All,
    /// What is named here.
    These(BTreeSet<String>),
}

/// What the licence server's answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The licence is good, and allows this.
    Valid(Licence),
    /// It is not, for this reason.
    Invalid(String),
}

/// An answer that is not one of a licence server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not that of a licence server")]
pub struct NotAnAnswer;

impl Licence {
    /// The feature that more than one node group needs.
    pub const MANY_GROUPS: &'static str = "multi_cluster";

    /// What it is called where there is none.
    pub const COMMUNITY: &'static str = "community";

    /// What is allowed without a licence.
    pub fn community() -> Self {
        Self {
            tier: Self::COMMUNITY.to_owned(),
            most_proxies: Some(COMMUNITY_PROXIES),
            features: Features::These(BTreeSet::new()),
            valid_until: None,
        }
    }

    /// What is allowed where no licence is asked for: everything.
    pub fn unlimited() -> Self {
        Self {
            tier: "enterprise".to_owned(),
            most_proxies: None,
            features: Features::All,
            valid_until: None,
        }
    }

    /// Whether this is what is allowed without a licence.
    pub fn is_community(&self) -> bool {
        self.tier == Self::COMMUNITY
    }

    /// Whether it includes `feature`.
    pub fn includes(&self, feature: &str) -> bool {
        match &self.features {
            Features::All => true,
            Features::These(features) => features.contains(feature),
        }
    }
}

impl Verdict {
    /// Reads what a licence server answered to `/api/v2/validate`, at `now`.
    ///
    /// There are two shapes of it: `features` are names, or objects that say
    /// whether they are `entitled`; the number of proxies is `max_proxies`, or
    /// `limits.max_servers`; the end is `valid_until`, or `expires_at`. Without a
    /// number there is no limit, without an end none. `valid` counts if it is there.
    pub fn read(answer: &Value, now: DateTime<Utc>) -> Result<Self, NotAnAnswer> {
        let answer = answer.as_object().ok_or(NotAnAnswer)?;
        let text = |key: &str| answer.get(key).and_then(Value::as_str);
        match answer.get("valid") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => {
                let reason = text("message").or(text("error")).unwrap_or("it is not valid");
                return Ok(Self::Invalid(reason.to_owned()));
            }
            Some(_) => return Err(NotAnAnswer),
            None if ["features", "tier", "max_proxies"].iter().any(|k| answer.contains_key(*k)) => {
            }
            None => return Err(NotAnAnswer),
        }
        let valid_until = match text("valid_until").or(text("expires_at")) {
            Some(end) => Some(time(end).ok_or(NotAnAnswer)?),
            None => None,
        };
        if valid_until.is_some_and(|end| end <= now) {
            return Ok(Self::Invalid("it has expired".to_owned()));
        }
        let features = match answer.get("features") {
            Some(Value::Array(features)) => features.iter().filter_map(feature).collect(),
            Some(Value::Null) | None => BTreeSet::new(),
            Some(_) => return Err(NotAnAnswer),
        };
        let limits = answer.get("limits");
        let most = answer
            .get("max_proxies")
            .or_else(|| limits.and_then(|l| l.get("max_proxies").or_else(|| l.get("max_servers"))))
            .and_then(Value::as_i64);
        Ok(Self::Valid(Licence {
            tier: text("tier").unwrap_or("enterprise").to_lowercase(),
            // A number below zero is how some say that there is no limit.
            most_proxies: most.and_then(|most| u64::try_from(most).ok()),
            features: if features.contains("all") {
                Features::All
            } else {
                Features::These(features)
            },
            valid_until,
        }))
    }
}

fn feature(value: &Value) -> Option<String> {
    let (name, entitled) = match value {
        Value::String(name) => (name.as_str(), true),
        Value::Object(feature) => (
            feature.get("name")?.as_str()?,
            feature.get("entitled").and_then(Value::as_bool).unwrap_or(true),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
    };
    entitled.then(|| name.to_owned())
}

/// A time with an offset, or without one in UTC, or the start of a day.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let with_offset = || DateTime::parse_from_rfc3339(text).ok().map(Into::into);
    let naive = || text.parse::<NaiveDateTime>().ok().map(|time| time.and_utc());
    let day = || Some(text.parse::<NaiveDate>().ok()?.and_time(Default::default()).and_utc());
    with_offset().or_else(naive).or_else(day)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> DateTime<Utc> {
        time("2026-11-25T12:00:00Z").unwrap()
    }

    fn valid(answer: &Value) -> Licence {
        match Verdict::read(answer, now()).unwrap() {
            Verdict::Valid(licence) => licence,
            Verdict::Invalid(reason) => panic!("{reason}"),
        }
    }

    #[test]
    fn both_shapes_of_an_answer_are_read() {
        let first = valid(&json!({
            "max_proxies": 10, "features": ["multi_cluster"], "valid_until": "2027-01-01T00:00:00",
        }));
        let second = valid(&json!({
            "valid": true, "tier": "Enterprise", "customer": "C", "license_version": "2.0",
            "expires_at": "2027-01-01T00:00:00Z",
            "features": [
                { "name": "multi_cluster", "entitled": true, "units": 0, "description": "" },
                { "name": "traffic_shaping", "entitled": false, "units": 0, "description": "" },
            ],
            "limits": { "max_servers": 10 }, "metadata": { "server_id": "s" },
        }));
        assert_eq!(first, second);
        assert!(first.includes(Licence::MANY_GROUPS) && !first.includes("traffic_shaping"));
        assert_eq!(first.most_proxies, Some(10));
    }

    #[test]
    fn what_is_not_said_is_not_limited() {
        let licence = valid(&json!({ "features": ["all"] }));
        assert_eq!(licence, Licence::unlimited());
        assert_eq!(valid(&json!({ "valid": true, "max_proxies": -1 })).most_proxies, None);
    }

    #[test]
    fn an_answer_that_says_no_is_heard() {
        let table = [
            (json!({ "valid": false }), "it is not valid"),
            (json!({ "valid": false, "message": "revoked" }), "revoked"),
            (json!({ "valid": true, "expires_at": "2026-11-25" }), "it has expired"),
        ];
        for (answer, reason) in table {
            let verdict = Verdict::read(&answer, now()).unwrap();
            assert_eq!(verdict, Verdict::Invalid(reason.to_owned()), "{answer}");
        }
    }

    #[test]
    fn anything_else_is_no_answer() {
        let others = [
            json!(null),
            json!([]),
            json!({}),
            json!({ "status": "ok" }),
            json!({ "valid": "yes" }),
            json!({ "valid": true, "features": "all" }),
            json!({ "valid": true, "valid_until": "soon" }),
        ];
        for answer in others {
            assert_eq!(Verdict::read(&answer, now()), Err(NotAnAnswer), "{answer}");
        }
    }
}
