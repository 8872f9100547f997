//! Certificates. No key is ever shown.

mod input;
mod object;

use async_graphql::{Context, ID, Object, Result, SimpleObject};

use self::input::{FetchCertificateInput, RenewCertificateInput};
pub(super) use self::input::{UpdateCertificateInput, UploadCertificateInput};
pub(super) use self::object::CertificateObject;
use super::change::{
    ChangeObject, ChangePayload, DeleteInput, DeletePayload, WaitForInput, changed, changed_or,
};
use super::global_id::{GlobalId as _, optional};
use super::labels::LabelInput;
use super::page::{Paged, Slice};
use super::parse::in_input;
use super::payload::payloads;
use super::{app_and_actor, in_mode};
use crate::model::{Certificate, CertificateId, NodeGroupId};

#[derive(Default)]
pub(super) struct CertificateQuery;

#[derive(Default)]
pub(super) struct CertificateMutation;

/// What became of a certificate.
#[derive(Default, SimpleObject)]
pub(super) struct CertificatePayload {
    /// As it is since; with `CONFLICT`, as somebody else has made it.
    certificate: Option<CertificateObject>,
    #[graphql(flatten)]
    change: ChangeObject,
}

payloads!(CertificatePayload.change.user_errors);

impl ChangePayload for CertificatePayload {
    type Of = Certificate;

    fn new(certificate: Certificate, change: ChangeObject) -> Self {
        Self { certificate: Some(CertificateObject(certificate)), change }
    }
}

#[Object]
impl CertificateQuery {
    /// A node group's certificates; the default group's if none is named.
    async fn certificates(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The node group; the default one if null.")] group: Option<ID>,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
        #[graphql(desc = "Only what has all of these labels.")] labels: Option<Vec<LabelInput>>,
    ) -> Result<Paged<CertificateObject>> {
        let (app, _) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        paged(ctx, group.unwrap_or(app.default_group()), first, after.as_deref(), labels).await
    }

    /// One certificate.
    async fn certificate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A global id.")] id: ID,
    ) -> Result<CertificateObject> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(CertificateObject(app.certificate(actor, CertificateId::parse(&id, "id")?).await?))
    }
}

/// A page of a group's certificates.
pub(super) async fn paged(
    ctx: &Context<'_>,
    group: NodeGroupId,
    first: i64,
    after: Option<&str>,
    labels: Option<Vec<LabelInput>>,
) -> Result<Paged<CertificateObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let slice = Slice::parse(first, after)?;
    let rows = app.certificates(actor, group, slice.labelled(labels)?).await?;
    Ok(slice.present(rows, |certificate| i32::from(certificate.id).into(), CertificateObject))
}

#[Object]
impl CertificateMutation {
    /// Takes in a certificate and its key. The key has to be the certificate's, and
    /// the certificate must not have expired.
    async fn upload_certificate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: UploadCertificateInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<CertificatePayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let uploaded = in_input(input.parse())?;
            in_input(app.create_certificate(actor, uploaded.into()).await)
        };
        changed(ctx, wait_for, done).await
    }

    /// Fetches a certificate and its key from Infisical or Vault. `SOURCE` if that has
    /// none, `UNAVAILABLE` if it does not answer.
    async fn fetch_certificate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: FetchCertificateInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<CertificatePayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let new = in_input(input.parse())?;
            in_input(app.create_certificate(actor, new).await)
        };
        changed(ctx, wait_for, done).await
    }

    /// Changes a certificate, or puts another one in the place of an uploaded one.
    /// Envoys take that over without closing a connection. `IN_USE` if it is to be
    /// inactive, and a listener proves itself with it.
    async fn update_certificate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: UpdateCertificateInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<CertificatePayload> {
        let id = input.id.clone();
        let current = async { Ok(CertificateQuery.certificate(ctx, id).await?.0) };
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let (id, change) = in_input(input.parse())?;
            in_input(app.update_certificate(actor, id, change).await)
        };
        changed_or(ctx, wait_for, done, current).await
    }

    /// Fetches a certificate anew from where it comes from. If that fails, the old one
    /// stays, and `renewalError` says why.
    async fn renew_certificate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: RenewCertificateInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<CertificatePayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let id = in_input(CertificateId::parse(&input.id, "id"))?;
            app.renew_certificate(actor, id).await
        };
        changed(ctx, wait_for, done).await
    }

    /// Deletes a certificate and its key. `IN_USE` while a listener proves itself with
    /// it.
    async fn delete_certificate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: DeleteInput,
        #[graphql(desc = "Has the answer wait for what proxies make of it.")] wait_for: Option<
            WaitForInput,
        >,
        #[graphql(default, desc = "Tries it, and keeps nothing.")] dry_run: bool,
    ) -> Result<DeletePayload> {
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let (id, seen) = in_input(input.parse())?;
            let change = in_input(app.delete_certificate(actor, id, Some(seen)).await)?;
            Ok((input.id, change))
        };
        changed(ctx, wait_for, done).await
    }
}
