//! The licence.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};

use super::app_and_actor;
use super::scalars::Time;
use crate::licence::{LicenceStanding, LicenceStatus};
use crate::model::Features;

#[derive(Default)]
pub(super) struct LicenceQuery;

/// Why what is allowed is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "LicenceStanding")]
pub(super) enum LicenceStandingEnum {
    /// No licence is asked for: `RELEASE_MODE` is off.
    NotEnforced,
    /// There is no key: the community tier.
    NoKey,
    /// The licence server says that the key is good.
    Valid,
    /// It does not answer; what it said last counts until `graceUntil`.
    Grace,
    /// It says that the key is not good: the community tier.
    Invalid,
    /// It does not answer, and has said nothing that counts: the community tier.
    Unknown,
}

/// What the licence allows, and how that is known.
#[derive(SimpleObject)]
#[graphql(name = "Licence")]
pub(super) struct LicenceObject {
    /// What it is called: `community` without one.
    tier: String,
    /// Why what is allowed is allowed.
    standing: LicenceStandingEnum,
    /// What the licence server objects to, or how it is away.
    reason: Option<String>,
    /// How many proxies a node group may have; any number if null.
    most_proxies: Option<i32>,
    /// What it includes; everything if null.
    features: Option<Vec<String>>,
    /// When it ends, if it does.
    valid_until: Option<Time>,
    /// Until when what the licence server said last counts, while it is away.
    grace_until: Option<Time>,
    /// When the licence server was last asked.
    checked_at: Option<Time>,
}

#[Object]
impl LicenceQuery {
    /// How the licence stands.
    async fn licence(&self, ctx: &Context<'_>) -> Result<LicenceObject> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(app.licence(actor)?.into())
    }
}

impl From<LicenceStatus> for LicenceObject {
    fn from(LicenceStatus { licence, standing, checked_at }: LicenceStatus) -> Self {
        let (standing, reason, grace_until) = match standing {
            LicenceStanding::NotEnforced => (LicenceStandingEnum::NotEnforced, None, None),
            LicenceStanding::NoKey => (LicenceStandingEnum::NoKey, None, None),
            LicenceStanding::Valid => (LicenceStandingEnum::Valid, None, None),
            LicenceStanding::Grace(until) => (LicenceStandingEnum::Grace, None, Some(Time(until))),
            LicenceStanding::Invalid(why) => (LicenceStandingEnum::Invalid, Some(why), None),
            LicenceStanding::Unknown(why) => (LicenceStandingEnum::Unknown, Some(why), None),
        };
        Self {
            tier: licence.tier,
            standing,
            reason,
            most_proxies: licence.most_proxies.map(|most| i32::try_from(most).unwrap_or(i32::MAX)),
            features: match licence.features {
                Features::All => None,
                Features::These(features) => Some(features.into_iter().collect()),
            },
            valid_until: licence.valid_until.map(Time),
            grace_until,
            checked_at: checked_at.map(Time),
        }
    }
}
