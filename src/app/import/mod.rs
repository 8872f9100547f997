//! Moving in: a first MarchProxy's database is taken over.
//!
//! [`Import::plan`] decides all of it without touching a database of ours: each row
//! is parsed into what it becomes here, each group compiled, and what breaks a rule
//! left out and reported. [`Import::apply`] writes that, in one transaction, into a
//! database where nobody has begun. So ids stay as they were, and a second import
//! is refused.

mod parse;
mod plan;
mod report;
mod rows;

use secrecy::SecretString;
use serde_json::Value;

use super::{Retention, now, record, second_factor, setup};
use crate::auth::{Edge, Sealer, ServiceSecret, TotpSecret};
use crate::error::{Error, Result};
use crate::model::{
    CertificateId, CertificateSpec, GroupAssignment, KeyPair, Mapping, NewAuditEntry, NodeGroup,
    Proxy, SecondFactor, SecretAuth, Service, ServiceAssignment, TokenHash, User, UserId,
};
use crate::store::{KeptPair, KeptSecret, LegacyRows, Store};

pub use report::{ImportReport, Remark};

/// What is to be taken over.
#[derive(Debug)]
pub struct Import {
    users: Vec<(User, Option<TotpSecret>)>,
    groups: Vec<(NodeGroup, Option<TokenHash>)>,
    services: Vec<(Service, Option<(SecretAuth, SecretString)>)>,
    mappings: Vec<Mapping>,
    proxies: Vec<Proxy>,
    certificates: Vec<(CertificateId, CertificateSpec, KeyPair, Option<UserId>)>,
    group_assignments: Vec<GroupAssignment>,
    service_assignments: Vec<ServiceAssignment>,
    report: ImportReport,
}

impl Import {
    /// Decides what of these rows is taken over.
    pub fn plan(rows: LegacyRows) -> Result<Self> {
        plan::plan(rows)
    }

    /// What is taken over, and what is not.
    pub fn report(&self) -> &ImportReport {
        &self.report
    }

    /// Takes it over, all or nothing. `Conflict` if there is a user or a group
    /// already.
    pub async fn apply(self, store: &Store, sealer: &Sealer, retention: Retention) -> Result<()> {
        let (tx, now) = (store.write_all().await?, now());
        if !tx.is_fresh().await? {
            let why = "the database has users or node groups already: import into an empty one, \
                       before the first start";
            return Err(Error::Conflict(why.to_owned()));
        }
        for (mut user, secret) in self.users {
            if let Some(secret) = secret {
                let sealed = sealer.seal(secret.expose(), &second_factor::place(user.id))?;
                user.second_factor = SecondFactor::On { secret: sealed, last_step: None };
            }
            tx.insert_user_again(&user).await?;
        }
        for (group, key) in &self.groups {
            tx.insert_node_group_again(group).await?;
            tx.insert_listener(group.id, &setup::default_listener(), true, now).await?;
            if let Some(key) = key {
                tx.replace_node_group_key(group.id, *key, now).await?;
            }
        }
        for (service, secret) in &self.services {
            tx.insert_service_again(service, service.updated_at).await?;
            if let Some((kind, secret)) = secret {
                let secret = ServiceSecret::of(*kind, secret.clone());
                let sealed = secret.sealed(sealer, service.id)?;
                let kept = KeptSecret { service: service.id, kind: *kind, sealed };
                tx.replace_service_secret(&kept, now).await?;
            }
        }
        for mapping in &self.mappings {
            tx.insert_mapping_again(mapping, mapping.updated_at).await?;
        }
        for proxy in &self.proxies {
            tx.insert_proxy_again(proxy).await?;
        }
        let default_group = self.groups.iter().map(|(group, _)| group).find(|g| g.is_default);
        for (id, spec, pair, by) in &self.certificates {
            // They were every cluster's.
            let Some(group) = default_group.map(|group| group.id) else { continue };
            let key = sealer.seal_key(&pair.key, *id)?;
            let kept = KeptPair { chain: &pair.chain, key: &key };
            tx.insert_certificate_again(*id, group, spec, kept, *by, now).await?;
        }
        for assignment in &self.group_assignments {
            tx.assign_group(assignment).await?;
        }
        for assignment in &self.service_assignments {
            tx.assign_service(assignment).await?;
        }
        tx.move_ids_on().await?;
        for (group, _) in &self.groups {
            tx.bump_revision(group.id).await?;
            record(&tx, group.id, "imported".to_owned(), None, now, retention, sealer).await?;
        }
        tx.insert_audit_entry(noted(&self.report), now).await?;
        tx.commit().await
    }
}

/// What the audit log keeps of an import. Who ran the command is known to their
/// machine alone.
fn noted(report: &ImportReport) -> NewAuditEntry {
    let taken = report.taken.iter().map(|(noun, count)| ((*noun).to_owned(), (*count).into()));
    NewAuditEntry {
        via: Some("import".to_owned()),
        edge: Some(Edge::Command.as_str().to_owned()),
        operation: "Import".to_owned(),
        summary: report.summary(),
        after: Some(Value::Object(taken.collect())),
        ..NewAuditEntry::default()
    }
}
