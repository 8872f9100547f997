//! Certificates. No key is ever shown.

mod input;
mod output;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::input::{CertificatePatch, NewCertificate};
use self::output::{BatchOut, CertificateDetail, CertificateOut, RenewedOut};
use crate::app::{App, CertificateQuery};
use crate::error::Error;
use crate::model::{CertificateId, Invalid, NodeGroupId, Window};
use crate::rest::error::{Detail, Result};
use crate::rest::extract::{Json, Path, Query, Signed};
use crate::rest::list::{flag, optional_id};

const LONGEST_LIST: i64 = 1000;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_certificates, create_certificate))
        .routes(routes!(list_expiring_certificates))
        .routes(routes!(batch_renew_certificates))
        .routes(routes!(
            get_certificate,
            replace_certificate,
            update_certificate,
            delete_certificate
        ))
        .routes(routes!(renew_certificate))
}

/// Which certificates.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CertificateList {
    /// How many to leave out, counted from the newest.
    #[serde(default)]
    #[param(minimum = 0, default = 0)]
    skip: i64,
    /// How many at most.
    #[serde(default = "hundred")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: i64,
    /// Whether those that are switched off are shown, too.
    #[serde(default, deserialize_with = "flag")]
    #[param(default = false)]
    include_expired: bool,
    /// Those from there only: `upload`, `infisical` or `vault`.
    #[serde(default)]
    source_type: Option<String>,
    /// Those of this cluster only.
    #[serde(default)]
    #[param(minimum = 1)]
    cluster_id: Option<i32>,
}

/// Those that end soon.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExpiringQuery {
    /// Within so many days.
    #[serde(default = "thirty")]
    #[param(minimum = 1, maximum = 365, default = 30)]
    days: i64,
}

impl ExpiringQuery {
    fn days(&self) -> Result<i64, Invalid> {
        if (1..=365).contains(&self.days) {
            Ok(self.days)
        } else {
            Err(Invalid::new("days", format!("must be 1 to 365, not {}", self.days)))
        }
    }
}

impl CertificateList {
    fn parse(self) -> Result<(CertificateQuery, Window), Invalid> {
        let skip = u64::try_from(self.skip);
        let limit = u64::try_from(self.limit).ok();
        let limit = limit.filter(|_| (1..=LONGEST_LIST).contains(&self.limit));
        let window = Window {
            skip: skip.map_err(|_| Invalid::new("skip", "must be 0 or more"))?,
            limit: limit.ok_or_else(|| Invalid::new("limit", "must be 1 to 1000"))?,
            active_only: !self.include_expired,
        };
        let group: Option<NodeGroupId> = optional_id(self.cluster_id, "cluster_id")?;
        let source_type = self.source_type.as_deref().map(input::source_type).transpose()?;
        Ok((CertificateQuery { group, source_type, within_days: None }, window))
    }
}

/// Lists certificates
///
/// The newest first.
#[utoipa::path(
    get,
    path = "/api/v1/certificates",
    tag = "certificates",
    params(CertificateList),
    responses((status = 200, description = "The certificates.", body = Vec<CertificateOut>))
)]
async fn list_certificates(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(list): Query<CertificateList>,
) -> Result<Json<Vec<CertificateOut>>> {
    let (query, window) = list.parse()?;
    let certificates = app.list_certificates(&actor, query, window).await?;
    Ok(Json(certificates.into_iter().map(Into::into).collect()))
}

/// Takes in a certificate, or fetches one
///
/// Uploaded with its key, which has to be its own, or fetched from Infisical or
/// Vault. The key is kept sealed, and never shown.
#[utoipa::path(
    post,
    path = "/api/v1/certificates",
    tag = "certificates",
    request_body = NewCertificate,
    responses(
        (status = 201, description = "The certificate.", body = CertificateOut),
        (status = 400, description = "It is no good, or its name is taken.", body = Detail),
        (status = 404, description = "There is no such cluster.", body = Detail),
        (status = 502, description = "Infisical or Vault has none there.", body = Detail)
    )
)]
async fn create_certificate(
    State(app): State<App>,
    Signed(actor): Signed,
    Json(input): Json<NewCertificate>,
) -> Result<(StatusCode, Json<CertificateOut>)> {
    let (certificate, _) = app.create_certificate(&actor, input.parse()?).await?;
    Ok((StatusCode::CREATED, Json(certificate.into())))
}

/// Lists certificates that end soon
///
/// Those that have ended, too; the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/certificates/expiring/list",
    tag = "certificates",
    params(ExpiringQuery),
    responses((status = 200, description = "The certificates.", body = Vec<CertificateOut>))
)]
async fn list_expiring_certificates(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(query): Query<ExpiringQuery>,
) -> Result<Json<Vec<CertificateOut>>> {
    let within_days = Some(query.days()?);
    let query = CertificateQuery { within_days, ..Default::default() };
    let window = Window { skip: 0, limit: LONGEST_LIST.unsigned_abs(), active_only: true };
    let certificates = app.list_certificates(&actor, query, window).await?;
    Ok(Json(certificates.into_iter().map(Into::into).collect()))
}

/// Renews all certificates that end soon
///
/// What cannot be renewed is told of each. What was not come to in 9 seconds is
/// skipped.
#[utoipa::path(
    post,
    path = "/api/v1/certificates/batch-renew",
    tag = "certificates",
    params(ExpiringQuery),
    responses((status = 200, description = "What became of each.", body = BatchOut))
)]
async fn batch_renew_certificates(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(query): Query<ExpiringQuery>,
) -> Result<Json<BatchOut>> {
    let items = app.batch_renew_certificates(&actor, query.days()?).await?;
    Ok(Json(BatchOut::new(items)))
}

/// Shows one certificate
#[utoipa::path(
    get,
    path = "/api/v1/certificates/{certificate_id}",
    tag = "certificates",
    params(("certificate_id" = i32, Path, description = "Which certificate.", minimum = 1)),
    responses(
        (status = 200, description = "The certificate.", body = CertificateDetail),
        (status = 404, description = "There is none that the user may see.", body = Detail)
    )
)]
async fn get_certificate(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<CertificateId>,
) -> Result<Json<CertificateDetail>> {
    Ok(Json(app.certificate(&actor, id).await?.into()))
}

/// Changes a certificate
///
/// What is left out stays.
#[utoipa::path(
    put,
    path = "/api/v1/certificates/{certificate_id}",
    tag = "certificates",
    params(("certificate_id" = i32, Path, description = "Which certificate.", minimum = 1)),
    request_body = CertificatePatch,
    responses(
        (status = 200, description = "The certificate.", body = CertificateOut),
        (status = 400, description = "What is to be in its place is no good.", body = Detail),
        (status = 404, description = "There is none.", body = Detail),
        (status = 409, description = "A listener needs it.", body = Detail)
    )
)]
async fn replace_certificate(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<CertificateId>,
    Json(input): Json<CertificatePatch>,
) -> Result<Json<CertificateOut>> {
    let (certificate, _) = app.update_certificate(&actor, id, input.parse()?).await?;
    Ok(Json(certificate.into()))
}

/// Changes a certificate, as PUT does
#[utoipa::path(
    patch,
    path = "/api/v1/certificates/{certificate_id}",
    tag = "certificates",
    params(("certificate_id" = i32, Path, description = "Which certificate.", minimum = 1)),
    request_body = CertificatePatch,
    responses(
        (status = 200, description = "The certificate.", body = CertificateOut),
        (status = 400, description = "What is to be in its place is no good.", body = Detail),
        (status = 404, description = "There is none.", body = Detail),
        (status = 409, description = "A listener needs it.", body = Detail)
    )
)]
async fn update_certificate(
    app: State<App>,
    signed: Signed,
    id: Path<CertificateId>,
    input: Json<CertificatePatch>,
) -> Result<Json<CertificateOut>> {
    replace_certificate(app, signed, id, input).await
}

/// Deletes a certificate
///
/// And its key, for good.
#[utoipa::path(
    delete,
    path = "/api/v1/certificates/{certificate_id}",
    tag = "certificates",
    params(("certificate_id" = i32, Path, description = "Which certificate.", minimum = 1)),
    responses(
        (status = 204, description = "It is done."),
        (status = 404, description = "There is none.", body = Detail),
        (status = 409, description = "A listener needs it.", body = Detail)
    )
)]
async fn delete_certificate(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<CertificateId>,
) -> Result<StatusCode> {
    app.delete_certificate(&actor, id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Fetches a certificate anew
///
/// If that does not succeed, the answer says so, and the old one stays.
#[utoipa::path(
    post,
    path = "/api/v1/certificates/{certificate_id}/renew",
    tag = "certificates",
    params(("certificate_id" = i32, Path, description = "Which certificate.", minimum = 1)),
    responses(
        (status = 200, description = "Whether it is renewed.", body = RenewedOut),
        (status = 404, description = "There is none.", body = Detail)
    )
)]
async fn renew_certificate(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<CertificateId>,
) -> Result<Json<RenewedOut>> {
    match app.renew_certificate(&actor, id).await {
        Ok((certificate, _)) => Ok(Json(RenewedOut::renewed(&certificate))),
        Err(
            error @ (Error::Source(_)
            | Error::Unavailable { .. }
            | Error::Refused(_)
            | Error::Conflict(_)),
        ) => {
            let certificate = app.certificate(&actor, id).await?;
            Ok(Json(RenewedOut::failed(&certificate, &error)))
        }
        Err(error) => Err(error.into()),
    }
}

fn hundred() -> i64 {
    100
}

fn thirty() -> i64 {
    30
}
