//! Certificates. No key is ever shown.

use async_graphql::{Context, Enum, ID, InputObject, Object, OneofObject, Result, SimpleObject};
use chrono::Utc;

use super::change::{ChangeObject, DeleteInput, DeletePayload, WaitForInput};
use super::global_id::{GlobalId as _, optional};
use super::labels::{self, LabelInput, LabelObject};
use super::loaders;
use super::node_groups::{NodeGroupObject, text};
use super::page::{Paged, Slice};
use super::parse::{in_input, number};
use super::payload::{answer, answer_or, payloads};
use super::scalars::{Time, int};
use super::{app_and_actor, in_mode};
use crate::app::{NewCertificate, UploadedCertificate};
use crate::model::Labelled;
use crate::model::{
    At as _, Certificate, CertificateChange, CertificateId, CertificateSource, CertificateSpec,
    InfisicalPlace, Invalid, KeyPair, NodeGroupId, RenewBefore, VaultPlace,
};

#[derive(Default)]
pub(super) struct CertificateQuery;

#[derive(Default)]
pub(super) struct CertificateMutation;

/// Where a certificate comes from.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "CertificateSourceType")]
pub(super) enum SourceTypeEnum {
    /// Somebody uploaded it.
    Upload,
    /// A folder of Infisical.
    Infisical,
    /// Vault.
    Vault,
}

/// A certificate and its key.
#[derive(InputObject)]
pub(super) struct UploadCertificateInput {
    /// The node group; the default one if not said.
    group: Option<ID>,
    /// Unique in its group; Envoys ask for it by this name.
    name: String,
    /// What people say of it.
    #[graphql(default)]
    description: String,
    /// PEM: the certificate, and maybe those that lead from it to an authority.
    cert_data: String,
    /// PEM: those that lead from it to an authority, if they do not stand in `certData`.
    ca_chain: Option<String>,
    /// PEM: its private key. It is kept sealed, and never shown.
    key_data: String,
    /// What to sort it by; up to 32 labels.
    #[graphql(default)]
    labels: Vec<LabelInput>,
}

/// A certificate to be fetched.
#[derive(InputObject)]
pub(super) struct FetchCertificateInput {
    /// The node group; the default one if not said.
    group: Option<ID>,
    /// Unique in its group; Envoys ask for it by this name.
    name: String,
    /// What people say of it.
    #[graphql(default)]
    description: String,
    /// Where it and its key are.
    from: CertificatePlaceInput,
    /// Whether it is fetched anew before it expires.
    #[graphql(default)]
    auto_renew: bool,
    /// How many days before, 1 to 90.
    #[graphql(default = 30)]
    renew_before_days: i64,
    /// What to sort it by; up to 32 labels.
    #[graphql(default)]
    labels: Vec<LabelInput>,
}

/// Where a certificate and its key are. Which server that is says the control
/// plane's configuration.
#[derive(OneofObject)]
pub(super) enum CertificatePlaceInput {
    /// A folder of Infisical: secrets called, for instance, `certificate` and
    /// `private_key`.
    Infisical(InfisicalPlaceInput),
    /// A secret of Vault's key-value engine (version 2), as in `secret/tls/web`: with
    /// fields called, for instance, `certificate` and `private_key`.
    VaultKv(String),
    /// Issued by Vault's PKI engine.
    VaultPki(VaultPkiInput),
}

/// A folder of Infisical.
#[derive(InputObject)]
pub(super) struct InfisicalPlaceInput {
    /// The folder, as in `/tls/web`.
    path: String,
    /// The project's id.
    project: String,
    /// The environment's short name.
    #[graphql(default = "production")]
    environment: String,
}

/// Who Vault's PKI engine is to issue it to.
#[derive(InputObject)]
pub(super) struct VaultPkiInput {
    /// Where the engine is mounted; where the configuration says if not said.
    mount: Option<String>,
    /// By which role.
    role: String,
    /// For which name.
    common_name: String,
}

/// What to change; what is left out stays as it is.
#[derive(InputObject)]
pub(super) struct UpdateCertificateInput {
    /// The certificate.
    id: ID,
    /// The `revision` that you have seen: `CONFLICT` if it was changed since.
    if_revision: i64,
    /// What people say of it.
    description: Option<String>,
    /// Whether it is fetched anew before it expires.
    auto_renew: Option<bool>,
    /// 1 to 90.
    renew_before_days: Option<i64>,
    /// No proxy is given an inactive one.
    is_active: Option<bool>,
    /// PEM: another certificate in the place of an uploaded one; with `keyData`.
    cert_data: Option<String>,
    /// PEM.
    ca_chain: Option<String>,
    /// PEM.
    key_data: Option<String>,
    /// Takes the place of all labels.
    labels: Option<Vec<LabelInput>>,
}

/// A certificate to be fetched anew.
#[derive(InputObject)]
pub(super) struct RenewCertificateInput {
    /// The certificate.
    id: ID,
}

/// What became of a certificate.
#[derive(Default, SimpleObject)]
pub(super) struct CertificatePayload {
    /// As it is since; with `CONFLICT`, as somebody else has made it.
    certificate: Option<CertificateObject>,
    #[graphql(flatten)]
    change: ChangeObject,
}

payloads!(CertificatePayload.change.user_errors);

pub(super) struct CertificateObject(pub(super) Certificate);

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
    let labels = labels::parse(labels.unwrap_or_default())?;
    let page = Labelled { page: slice.page(), labels };
    let rows = app.certificates(actor, group, page).await?;
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
        let done = async { created(ctx, in_input(input.parse())?.into(), wait_for, dry_run).await };
        answer(ctx, done).await
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
        let done = async { created(ctx, in_input(input.parse())?, wait_for, dry_run).await };
        answer(ctx, done).await
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
        let current = async {
            let certificate = CertificateQuery.certificate(ctx, id).await?;
            Ok(CertificatePayload { certificate: Some(certificate), ..Default::default() })
        };
        let done = async {
            let (app, actor) = in_mode(ctx, dry_run)?;
            let wait = WaitForInput::parse(wait_for)?;
            let (id, change) = in_input(input.parse())?;
            let (certificate, change) = in_input(app.update_certificate(actor, id, change).await)?;
            let change = ChangeObject::after(ctx, change, wait).await?;
            Ok(CertificatePayload { certificate: Some(CertificateObject(certificate)), change })
        };
        answer_or(ctx, done, current).await
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
            let wait = WaitForInput::parse(wait_for)?;
            let id = in_input(CertificateId::parse(&input.id, "id"))?;
            let (certificate, change) = app.renew_certificate(actor, id).await?;
            let change = ChangeObject::after(ctx, change, wait).await?;
            Ok(CertificatePayload { certificate: Some(CertificateObject(certificate)), change })
        };
        answer(ctx, done).await
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
            let wait = WaitForInput::parse(wait_for)?;
            let id = in_input(CertificateId::parse(&input.id, "id"))?;
            let expected = Some(input.if_revision.into());
            let change = in_input(app.delete_certificate(actor, id, expected).await)?;
            let change = ChangeObject::after(ctx, change, wait).await?;
            Ok(DeletePayload { deleted_id: Some(input.id), change })
        };
        answer(ctx, done).await
    }
}

async fn created(
    ctx: &Context<'_>,
    new: NewCertificate,
    wait_for: Option<WaitForInput>,
    dry_run: bool,
) -> Result<CertificatePayload> {
    let (app, actor) = in_mode(ctx, dry_run)?;
    let wait = WaitForInput::parse(wait_for)?;
    let (certificate, change) = in_input(app.create_certificate(actor, new).await)?;
    let change = ChangeObject::after(ctx, change, wait).await?;
    Ok(CertificatePayload { certificate: Some(CertificateObject(certificate)), change })
}

impl UploadCertificateInput {
    pub(super) fn parse(self) -> Result<UploadedCertificate, Invalid> {
        let pair = pair(&self.cert_data, self.ca_chain.as_deref(), &self.key_data)?;
        Ok(UploadedCertificate {
            group: optional(self.group.as_ref(), "group")?,
            spec: CertificateSpec {
                labels: labels::parse(self.labels)?,
                name: self.name.try_into().at("name")?,
                description: text(self.description, "description")?,
                source: CertificateSource::Upload,
                auto_renew: false,
                renew_before: RenewBefore::default(),
                is_active: true,
            },
            pair,
        })
    }
}

impl FetchCertificateInput {
    fn parse(self) -> Result<NewCertificate, Invalid> {
        Ok(NewCertificate {
            group: optional(self.group.as_ref(), "group")?,
            spec: CertificateSpec {
                labels: labels::parse(self.labels)?,
                name: self.name.try_into().at("name")?,
                description: text(self.description, "description")?,
                source: self.from.parse().map_err(|e| e.within("from"))?,
                auto_renew: self.auto_renew,
                renew_before: number(self.renew_before_days).at("renewBeforeDays")?,
                is_active: true,
            },
            pair: None,
        })
    }
}

impl CertificatePlaceInput {
    fn parse(self) -> Result<CertificateSource, Invalid> {
        Ok(match self {
            Self::Infisical(place) => {
                let parse = || {
                    Ok(InfisicalPlace {
                        path: place.path.try_into().at("path")?,
                        project: place.project.try_into().at("project")?,
                        environment: place.environment.try_into().at("environment")?,
                    })
                };
                let place = parse().map_err(|e: Invalid| e.within("infisical"))?;
                CertificateSource::Infisical(place)
            }
            Self::VaultKv(path) => {
                CertificateSource::Vault(VaultPlace::Kv(path.try_into().at("vaultKv")?))
            }
            Self::VaultPki(place) => {
                let parse = || {
                    Ok(VaultPlace::Pki {
                        mount: place.mount.map(|m| m.try_into().at("mount")).transpose()?,
                        role: place.role.try_into().at("role")?,
                        common_name: place.common_name.try_into().at("commonName")?,
                    })
                };
                CertificateSource::Vault(parse().map_err(|e: Invalid| e.within("vaultPki"))?)
            }
        })
    }
}

impl UpdateCertificateInput {
    pub(super) fn parse(self) -> Result<(CertificateId, CertificateChange), Invalid> {
        let pair = match (self.cert_data, self.key_data) {
            (None, None) if self.ca_chain.is_none() => None,
            (Some(certificate), Some(key)) => {
                Some(pair(&certificate, self.ca_chain.as_deref(), &key)?)
            }
            (None, _) => return Err(Invalid::new("certData", "is missing: a key goes with it")),
            (Some(_), None) => return Err(Invalid::new("keyData", "is missing")),
        };
        let days = self.renew_before_days.map(|days| number(days).at("renewBeforeDays"));
        let change = CertificateChange {
            labels: self.labels.map(labels::parse).transpose()?,
            if_revision: Some(self.if_revision.into()),
            description: self.description.map(|d| text(d, "description")).transpose()?,
            auto_renew: self.auto_renew,
            renew_before: days.transpose()?,
            is_active: self.is_active,
            pair,
        };
        Ok((CertificateId::parse(&self.id, "id")?, change))
    }
}

fn pair(certificate: &str, chain: Option<&str>, key: &str) -> Result<KeyPair, Invalid> {
    let pair = KeyPair::read(certificate, chain, key, Utc::now());
    pair.map_err(|e| e.at("certData", "caChain", "keyData"))
}

/// What a listener proves itself with.
#[Object(name = "Certificate")]
impl CertificateObject {
    /// Its global id.
    pub(super) async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// Envoys ask for it by this name.
    async fn name(&self) -> &str {
        self.0.spec.name.as_str()
    }

    /// What people say of it.
    async fn description(&self) -> &str {
        &self.0.spec.description
    }

    /// The node group that it belongs to.
    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        Ok(loaders::node_group(ctx, self.0.group).await?)
    }

    /// Where it comes from.
    async fn source(&self) -> SourceTypeEnum {
        match self.0.spec.source {
            CertificateSource::Upload => SourceTypeEnum::Upload,
            CertificateSource::Infisical(_) => SourceTypeEnum::Infisical,
            CertificateSource::Vault(_) => SourceTypeEnum::Vault,
        }
    }

    /// PEM: the certificate, and those that lead from it to an authority.
    async fn chain(&self) -> &str {
        self.0.chain.as_str()
    }

    /// Whom it is for, in short.
    async fn common_name(&self) -> Option<&str> {
        self.0.chain.leaf().common_name.as_deref()
    }

    /// Whom it is for.
    async fn subject(&self) -> &str {
        &self.0.chain.leaf().subject
    }

    /// Who signed it.
    async fn issuer(&self) -> &str {
        &self.0.chain.leaf().issuer
    }

    /// The DNS names, addresses and URIs that it is good for.
    async fn subject_alt_names(&self) -> &[String] {
        &self.0.chain.leaf().names
    }

    /// The number that its issuer gave it.
    async fn serial(&self) -> &str {
        &self.0.chain.leaf().serial
    }

    /// SHA-256 of it, in hexadecimal.
    async fn fingerprint(&self) -> &str {
        &self.0.chain.leaf().fingerprint
    }

    /// Since when it is good.
    async fn not_before(&self) -> Time {
        Time(self.0.chain.leaf().not_before)
    }

    /// Until when.
    async fn not_after(&self) -> Time {
        Time(self.0.chain.leaf().not_after)
    }

    /// Whether it has ended.
    async fn is_expired(&self) -> bool {
        self.0.is_expired(Utc::now())
    }

    /// How many whole days it is still good.
    async fn days_left(&self) -> i32 {
        int(usize::try_from(self.0.days_left(Utc::now())).unwrap_or_default())
    }

    /// Whether it is fetched anew before it expires.
    async fn auto_renew(&self) -> bool {
        self.0.spec.auto_renew
    }

    /// How many days before.
    async fn renew_before_days(&self) -> i32 {
        self.0.spec.renew_before.into()
    }

    /// Whether it is to be renewed by now.
    async fn needs_renewal(&self) -> bool {
        self.0.needs_renewal(Utc::now())
    }

    /// When it was last renewed.
    async fn last_renewal(&self) -> Option<Time> {
        self.0.renewal.last.map(Time)
    }

    /// Why that did not succeed since, if it did not.
    async fn renewal_error(&self) -> Option<&str> {
        self.0.renewal.error.as_deref()
    }

    /// Whether it counts. No proxy is given an inactive one.
    async fn is_active(&self) -> bool {
        self.0.spec.is_active
    }

    /// What people sort it by, by key.
    async fn labels(&self) -> Vec<LabelObject> {
        labels::shown(&self.0.spec.labels)
    }

    /// The group's revision at which it was last changed; goes into `ifRevision`.
    async fn revision(&self) -> i64 {
        self.0.revision.into()
    }

    /// When it was made.
    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }

    /// When it was last changed.
    async fn updated_at(&self) -> Time {
        Time(self.0.updated_at)
    }
}
