//! Certificates: uploaded or fetched, and renewed before they expire.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_util::sync::CancellationToken;

use super::audit::Note;
use super::{App, By, Change, Done, Edit, check_revision, now};
use crate::auth::{Actor, Operation, Scope};
use crate::error::{Error, Result};
use crate::model::Labelled;
use crate::model::Revision;
use crate::model::{
    Certificate, CertificateChange, CertificateId, CertificateSource, CertificateSpec, KeyPair,
    KeyPairPart, NodeGroupId, VaultPlace, Window,
};
use crate::store::{CertificateFilter, KeptPair};

const KIND: &str = "certificate";
/// The longest time before its end that a certificate may be renewed, in days.
const LONGEST_BEFORE: i64 = 90;
/// How long renewing many may take, all in all.
const PATIENCE: Duration = Duration::from_secs(9);
/// How many of them at most.
const MOST: u64 = 1000;

/// A certificate to be made.
#[derive(Clone, Debug)]
pub struct NewCertificate {
    /// In which group; in the default one if not said.
    pub group: Option<NodeGroupId>,
    /// What it is to be.
    pub spec: CertificateSpec,
    /// The certificate and its key; fetched from its source if not given.
    pub pair: Option<KeyPair>,
}

/// Which certificates to list; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct CertificateQuery {
    /// In which group.
    pub group: Option<NodeGroupId>,
    /// From where: `upload`, `infisical` or `vault`.
    pub source_type: Option<&'static str>,
    /// Those that end within so many days, or have ended.
    pub within_days: Option<i64>,
}

/// What became of one certificate among many that were to be renewed.
#[derive(Clone, Debug)]
pub struct BatchItem {
    /// Which one, as it is since.
    pub certificate: Certificate,
    /// What became of it.
    pub outcome: BatchOutcome,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchOutcome {
    /// There is another one in its place.
    Renewed,
    /// It is as it was, for this reason.
    Failed(String),
    /// It was not tried, for this reason.
    Skipped(&'static str),
}

impl App {
    /// A group's certificates.
    pub async fn certificates(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        page: impl Into<Labelled>,
    ) -> Result<Vec<Certificate>> {
        let tx = self.look(actor, Operation::ReadCertificate, group).await?;
        tx.certificates(group, page).await
    }

    /// A window on the certificates that are asked for, of all that `actor` may see.
    pub async fn list_certificates(
        &self,
        actor: &Actor,
        query: CertificateQuery,
        window: Window,
    ) -> Result<Vec<Certificate>> {
        let tx = self.look(actor, Operation::ListCertificates, Scope::Everywhere).await?;
        let seen = actor.seen_groups();
        let filter = CertificateFilter {
            group: query.group,
            seen: seen.as_deref(),
            source_type: query.source_type,
            before: query.within_days.map(|days| now() + TimeDelta::days(days)),
        };
        tx.list_certificates(filter, window).await
    }

    /// One certificate.
    pub async fn certificate(&self, actor: &Actor, id: CertificateId) -> Result<Certificate> {
        let certificate = self.0.store.read().await?.certificate(id).await?;
        if !actor.sees_group(certificate.group) {
            return Err(Error::not_found(KIND, id));
        }
        actor.may(Operation::ReadCertificate, certificate.group)?;
        Ok(certificate)
    }

    /// Those of these certificates that there are and `actor` may see, in any order.
    pub async fn certificates_by_id(
        &self,
        actor: &Actor,
        ids: &[CertificateId],
    ) -> Result<Vec<Certificate>> {
        let mut certificates = self.0.store.read().await?.certificates_by_id(ids).await?;
        certificates.retain(|found| actor.sees_group(found.group));
        certificates.retain(|found| actor.may(Operation::ReadCertificate, found.group).is_ok());
        Ok(certificates)
    }

    /// Takes a certificate in, or fetches it from its source.
    #[tracing::instrument(skip_all, fields(certificate.name = %new.spec.name))]
    pub async fn create_certificate(
        &self,
        actor: &Actor,
        new: NewCertificate,
    ) -> Result<(Certificate, Change)> {
        let NewCertificate { group, spec, pair } = new;
        let (group, operation) =
            (group.unwrap_or(self.default_group()), Operation::CreateCertificate);
        actor.may(operation, group)?;
        let (pair, done) = match pair {
            Some(pair) => (pair, "upload"),
            None => {
                self.0.store.read().await?.node_group(group).await?; // before anything is issued
                (self.fetch(&spec.source).await?, "fetch")
            }
        };
        let edit = self.begin(actor, operation, group).await?;
        let done = edit.create_certificate(&spec, &pair, done).await?;
        edit.finish(done).await
    }

    /// Changes a certificate, or puts another in its place. `InUse` if it is to be
    /// inactive, and a listener proves itself with it.
    #[tracing::instrument(skip_all, fields(certificate.id = %id))]
    pub async fn update_certificate(
        &self,
        actor: &Actor,
        id: CertificateId,
        change: CertificateChange,
    ) -> Result<(Certificate, Change)> {
        let group = self.certificate(actor, id).await?.group; // it never changes
        let edit = self.begin(actor, Operation::UpdateCertificate, group).await?;
        let done = edit.update_certificate(id, change).await?;
        edit.finish(done).await
    }

    /// Deletes a certificate, and its key. `InUse` while a listener proves itself
    /// with it.
    #[tracing::instrument(skip_all, fields(certificate.id = %id))]
    pub async fn delete_certificate(
        &self,
        actor: &Actor,
        id: CertificateId,
        if_revision: Option<Revision>,
    ) -> Result<Change> {
        let group = self.certificate(actor, id).await?.group;
        let edit = self.begin(actor, Operation::DeleteCertificate, group).await?;
        let done = edit.delete_certificate(id, if_revision).await?;
        Ok(edit.finish(done).await?.1)
    }

    /// Fetches a certificate anew. If that fails, the old one stays, and says why.
    #[tracing::instrument(skip_all, fields(certificate.id = %id))]
    pub async fn renew_certificate(
        &self,
        actor: &Actor,
        id: CertificateId,
    ) -> Result<(Certificate, Change)> {
        let certificate = self.certificate(actor, id).await?;
        actor.may(Operation::RenewCertificate, certificate.group)?;
        self.renew(By::User(actor), &certificate).await
    }

    /// Renews what ends within so many days, of what `actor` may renew. What was not
    /// come to in time is skipped.
    pub async fn batch_renew_certificates(
        &self,
        actor: &Actor,
        within_days: i64,
    ) -> Result<Vec<BatchItem>> {
        let window = Window { skip: 0, limit: MOST, active_only: true };
        let query =
            CertificateQuery { within_days: Some(within_days), ..CertificateQuery::default() };
        let mut certificates = self.list_certificates(actor, query, window).await?;
        certificates.retain(|c| actor.may(Operation::RenewCertificate, c.group).is_ok());
        certificates.sort_by_key(|certificate| certificate.chain.leaf().not_after);
        let (deadline, mut items) = (Instant::now() + PATIENCE, vec![]);
        for certificate in certificates {
            let (certificate, outcome) = if certificate.spec.source == CertificateSource::Upload {
                (certificate, BatchOutcome::Skipped("it was uploaded: upload another one"))
            } else if Instant::now() >= deadline {
                (certificate, BatchOutcome::Skipped("time was up"))
            } else {
                match timeout_at(deadline, self.renew(By::User(actor), &certificate)).await {
                    Ok(Ok((renewed, _))) => (renewed, BatchOutcome::Renewed),
                    Ok(Err(error)) => (certificate, BatchOutcome::Failed(error.to_string())),
                    Err(_) => (certificate, BatchOutcome::Failed("time was up".to_owned())),
                }
            };
            items.push(BatchItem { certificate, outcome });
        }
        Ok(items)
    }

    /// Renews certificates that are due, now and each time that `every` has passed,
    /// until `stop`.
    pub async fn keep_certificates(&self, every: Duration, stop: CancellationToken) {
        let keep = async {
            let mut tick = interval(every);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                if let Err(e) = self.renew_due(every).await {
                    let error = &e as &dyn std::error::Error;
                    tracing::error!(error, "cannot look for certificates to renew");
                }
            }
        };
        Box::pin(stop.run_until_cancelled(keep)).await;
    }

    /// Renews what is due and was not tried within `every`, here or elsewhere.
    async fn renew_due(&self, every: Duration) -> Result<()> {
        // A little less: the next tick is not to find that it was tried just now.
        let every = TimeDelta::from_std(every.mul_f64(0.9)).unwrap_or(TimeDelta::MAX);
        let (now, tried) = (now(), now() - every);
        let before = now + TimeDelta::days(LONGEST_BEFORE);
        let due = self.0.store.read().await?.renewable_certificates(before, tried).await?;
        for certificate in due.iter().filter(|certificate| certificate.needs_renewal(now)) {
            if self.claim(certificate.id, tried, now).await?
                && let Err(e) = self.renew(By::Itself, certificate).await
            {
                let name = &certificate.spec.name;
                let error = std::error::Error::source(&e);
                tracing::warn!(error, certificate.name = %name, reason = %e, "not renewed");
            }
        }
        Ok(())
    }

    /// Whether nobody else is at it: of several instances one renews.
    async fn claim(
        &self,
        id: CertificateId,
        tried: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let tx = self.write().await?;
        let claimed = tx.claim_renewal(id, tried, now).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    async fn renew(&self, by: By<'_>, known: &Certificate) -> Result<(Certificate, Change)> {
        let renewed = self.renewed(by, known).await;
        if let Err(why) = &renewed
            && let Err(e) = self.note_renewal_error(known.id, &why.to_string()).await
        {
            let error = &e as &dyn std::error::Error;
            tracing::error!(error, "cannot note why a certificate was not renewed");
        }
        renewed
    }

    async fn renewed(&self, by: By<'_>, known: &Certificate) -> Result<(Certificate, Change)> {
        let pair = self.fetch(&known.spec.source).await?;
        let edit = self.begin_by(by, Operation::RenewCertificate, known.group).await?;
        let before = edit.tx.certificate(known.id).await?;
        if before.spec.source != known.spec.source {
            return Err(Error::Conflict("the certificate was changed meanwhile".to_owned()));
        }
        if before.chain == pair.chain {
            let why = "its source has no other certificate than this one (yet)";
            return Err(Error::Conflict(why.to_owned()));
        }
        let certificate = edit.keep_pair(known.id, &pair, true).await?;
        let edit = edit.noting(Note::changed(&before, &certificate));
        let change = edit.seal(format!("renew certificate {}", before.spec.name)).await?;
        Ok((certificate, change))
    }

    async fn note_renewal_error(&self, id: CertificateId, why: &str) -> Result<()> {
        let tx = self.write().await?;
        tx.note_renewal_error(id, why).await?;
        tx.commit().await
    }

    /// What a source has, read and checked.
    async fn fetch(&self, source: &CertificateSource) -> Result<KeyPair> {
        use secrecy::ExposeSecret as _;
        if self.is_dry_run()
            && let CertificateSource::Vault(VaultPlace::Pki { .. }) = source
        {
            return Err(Error::Refused(
                "a dry run has no certificate issued: what Vault's PKI engine issues is issued",
            ));
        }
        let fetched = self.0.stores.fetch(source).await?;
        let (chain, key) = (fetched.chain.as_deref(), fetched.key.expose_secret());
        KeyPair::read(&fetched.certificate, chain, key, now()).map_err(|e| {
            let part = match e.part {
                KeyPairPart::Certificate => "certificate",
                KeyPairPart::Chain => "chain of authorities",
                KeyPairPart::Key => "private key",
            };
            Error::Source(format!("the {part} that {} has {e}", source.as_str()))
        })
    }
}

impl Edit<'_> {
    /// Takes a certificate in; `verb` says how it came.
    pub(super) async fn create_certificate(
        &self,
        spec: &CertificateSpec,
        pair: &KeyPair,
        verb: &str,
    ) -> Result<Done<Certificate>> {
        let certificate = self.new_certificate(spec, pair, self.by.user()).await?;
        let (note, cause) = (Note::made(&certificate), format!("{verb} certificate {}", spec.name));
        Ok(Done { made: certificate, note, cause })
    }

    /// Changes a certificate of the group.
    pub(super) async fn update_certificate(
        &self,
        id: CertificateId,
        change: CertificateChange,
    ) -> Result<Done<Certificate>> {
        let before = self.tx.certificate(id).await?;
        self.check_group(before.group, KIND, id)?;
        check_revision(KIND, &before.spec.name, before.revision, change.if_revision)?;
        let pair = change.pair.clone();
        let spec = before.spec.clone().changed(change);
        if pair.is_some() && spec.source != CertificateSource::Upload {
            return Err(Error::Refused(
                "this certificate comes from a store of secrets: renew it, or upload another one",
            ));
        }
        if before.spec.is_active && !spec.is_active {
            self.tx.check_certificate_unused(&before).await?;
        }
        let mut certificate = self.tx.update_certificate(id, &spec, self.now).await?;
        if let Some(pair) = pair {
            certificate = self.keep_pair(id, &pair, true).await?;
        }
        let note = Note::changed(&before, &certificate);
        Ok(Done { made: certificate, note, cause: format!("update certificate {}", spec.name) })
    }

    /// Deletes a certificate of the group.
    pub(super) async fn delete_certificate(
        &self,
        id: CertificateId,
        if_revision: Option<Revision>,
    ) -> Result<Done<()>> {
        let certificate = self.tx.certificate(id).await?;
        self.check_group(certificate.group, KIND, id)?;
        check_revision(KIND, &certificate.spec.name, certificate.revision, if_revision)?;
        self.tx.delete_certificate(&certificate).await?;
        let cause = format!("delete certificate {}", certificate.spec.name);
        Ok(Done { made: (), note: Note::gone(&certificate), cause })
    }

    /// Inserts a certificate with its key.
    pub(super) async fn new_certificate(
        &self,
        spec: &CertificateSpec,
        pair: &KeyPair,
        by: Option<&Actor>,
    ) -> Result<Certificate> {
        let (group, by) = (self.group, by.map(|actor| actor.user));
        let id = self.tx.insert_certificate(group, spec, &pair.chain, by, self.now).await?;
        self.keep_pair(id, pair, false).await
    }

    /// Puts a certificate and its key in the place of what is there.
    pub(super) async fn keep_pair(
        &self,
        id: CertificateId,
        pair: &KeyPair,
        renewed: bool,
    ) -> Result<Certificate> {
        let key = self.app.0.sealer.seal_key(&pair.key, id)?;
        let kept = KeptPair { chain: &pair.chain, key: &key };
        self.tx.replace_pair(id, kept, renewed, self.now).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::app_that_keeps;
    use super::*;
    use crate::model::{CertificateKey, RenewBefore};

    fn pair() -> KeyPair {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        KeyPair::read(&pem, None, &key.serialize_pem(), now()).unwrap()
    }

    #[tokio::test]
    async fn one_instance_renews_at_a_time_and_the_key_is_kept_sealed() {
        let (app, admin, _dir) = app_that_keeps(10).await;
        let spec = CertificateSpec {
            labels: Default::default(),
            name: "web".to_owned().try_into().unwrap(),
            description: String::new(),
            source: CertificateSource::Upload,
            auto_renew: true,
            renew_before: RenewBefore::default(),
            is_active: true,
        };
        let pair = pair();
        let new = NewCertificate { group: None, spec, pair: Some(pair.clone()) };
        let (certificate, _) = app.create_certificate(&admin, new).await.unwrap();
        let CertificateKey::Sealed(sealed) = &certificate.key else { panic!("it is open") };
        let secret = pair.key.expose().as_bytes();
        assert!(!sealed.as_bytes().windows(32).any(|part| secret.starts_with(part)));
        let opened = app.0.sealer.open_key(&certificate.key, certificate.id).unwrap();
        assert_eq!(opened, pair.key);

        let (id, then) = (certificate.id, now() + TimeDelta::hours(1));
        let tried = then - TimeDelta::minutes(30);
        assert!(app.claim(id, tried, then).await.unwrap());
        assert!(!app.claim(id, tried, then).await.unwrap(), "another instance is at it");
        assert!(app.claim(id, then, then + TimeDelta::hours(1)).await.unwrap());
    }
}
