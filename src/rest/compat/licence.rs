//! The licence, which clients spell *license*.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::licence::{LicenceStanding, LicenceStatus};
use crate::model::Features;
use crate::rest::error::Result;
use crate::rest::extract::{Json, Signed};
use crate::rest::time::Time;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(license_status))
}

/// How the licence stands.
#[derive(Serialize, ToSchema)]
struct LicenseStatus {
    /// What it is called: `community` without one.
    #[schema(example = "enterprise")]
    tier: String,
    /// Whether what a licence allows is allowed.
    valid: bool,
    /// Whether a licence is asked for at all.
    release_mode: bool,
    /// How many proxies a cluster may have; any number if null.
    max_proxies: Option<u64>,
    /// What it includes: `all`, or the names of features.
    #[schema(example = json!(["all"]))]
    features: Vec<String>,
    /// When it ends, if it does.
    valid_until: Option<Time>,
    /// Until when what the licence server said last counts, while it is away.
    grace_until: Option<Time>,
    /// When the licence server was last asked.
    checked_at: Option<Time>,
}

/// Shows how the licence stands
#[utoipa::path(
    get,
    path = "/api/v1/license",
    tag = "license",
    responses((status = 200, description = "How it stands.", body = LicenseStatus))
)]
async fn license_status(
    State(app): State<App>,
    Signed(actor): Signed,
) -> Result<Json<LicenseStatus>> {
    Ok(Json(app.licence(&actor)?.into()))
}

impl From<LicenceStatus> for LicenseStatus {
    fn from(LicenceStatus { licence, standing, checked_at }: LicenceStatus) -> Self {
        Self {
            valid: !licence.is_community(),
            tier: licence.tier,
            release_mode: standing != LicenceStanding::NotEnforced,
            max_proxies: licence.most_proxies,
            features: match licence.features {
                Features::All => vec!["all".to_owned()],
                Features::These(features) => features.into_iter().collect(),
            },
            valid_until: licence.valid_until.map(Into::into),
            grace_until: match standing {
                LicenceStanding::Grace(until) => Some(until.into()),
                LicenceStanding::NotEnforced
                | LicenceStanding::NoKey
                | LicenceStanding::Valid
                | LicenceStanding::Invalid(_)
                | LicenceStanding::Unknown(_) => None,
            },
            checked_at: checked_at.map(Into::into),
        }
    }
}
