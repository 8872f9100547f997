//! What of a first MarchProxy's rows is taken over.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::rows::{
    Moment, OldAssignment, OldCertificate, OldCluster, OldMapping, OldProxy, OldService, OldUser,
};
use super::{Import, ImportReport, parse, setup};
use crate::auth::TotpSecret;
use crate::compile::{CompileError, compile};
use crate::error::{Error, Result};
use crate::model::{
    AssignedRole, AuthKind, DesiredState, GroupAssignment, Listener, Mapping, NodeGroup,
    NodeGroupId, NodeGroupSpec, Service, ServiceAssignment, ServiceId, TokenHash, UserId,
};
use crate::store::LegacyRows;

pub(super) fn plan(mut rows: LegacyRows) -> Result<Import> {
    for table in ["auth_user", "clusters", "services"] {
        if !rows.has(table) {
            let why = format!("has no table {table}: is it a first MarchProxy's?");
            return Err(Error::Conflict(format!("the database to import {why}")));
        }
    }
    let mut import = Import {
        users: vec![],
        groups: vec![],
        services: vec![],
        mappings: vec![],
        proxies: vec![],
        certificates: vec![],
        group_assignments: vec![],
        service_assignments: vec![],
        report: ImportReport::default(),
    };
    import.take_users(rows.take("auth_user"));
    import.take_groups(rows.take("clusters"));
    import.take_services(rows.take("services"));
    import.take_mappings(rows.take("mappings"));
    import.settle()?;
    import.take_proxies(rows.take("proxy_servers"));
    import.take_certificates(rows.take("certificates"));
    import.take_assignments("user_cluster_assignments", rows.take("user_cluster_assignments"));
    import.take_assignments("user_service_assignments", rows.take("user_service_assignments"));
    for (table, count) in rows.counted().iter().filter(|(_, count)| *count > 0) {
        let why = format!("{count} rows; there is no place for them here");
        import.report.leave_out(format!("table {table}"), why);
    }
    import.report.taken = vec![
        ("users", import.users.len()),
        ("clusters", import.groups.len()),
        ("services", import.services.len()),
        ("mappings", import.mappings.len()),
        ("proxies", import.proxies.len()),
        ("certificates", import.certificates.len()),
        ("cluster assignments", import.group_assignments.len()),
        ("service assignments", import.service_assignments.len()),
    ];
    Ok(import)
}

/// What a row is called in the report.
fn called(noun: &str, row: &Value) -> String {
    let name = row.get("username").or_else(|| row.get("name")).and_then(Value::as_str);
    let id = row.get("id").and_then(Value::as_i64).unwrap_or_default();
    match name {
        Some(name) => format!("{noun} {name:?} (id {id})"),
        None => format!("{noun} {id}"),
    }
}

impl Import {
    /// Reads rows one by one; what is none is left out.
    fn read<T: DeserializeOwned>(&mut self, noun: &str, rows: Vec<Value>) -> Vec<(String, T)> {
        let mut read = vec![];
        for row in rows {
            let what = called(noun, &row);
            match serde_json::from_value(row) {
                Ok(row) => read.push((what, row)),
                // The error may repeat a value, and that may be a secret.
                Err(_) => self.report.leave_out(what, "a column is missing, or is not as expected"),
            }
        }
        read
    }

    fn known_user(&self, id: Option<i32>) -> Option<UserId> {
        let id = UserId::try_from(id?).ok()?;
        self.users.iter().any(|(user, _)| user.id == id).then_some(id)
    }

    fn knows_group(&self, id: i32) -> bool {
        self.groups.iter().any(|(group, _)| i32::from(group.id) == id)
    }

    fn take_users(&mut self, rows: Vec<Value>) {
        let mut emails = BTreeSet::new();
        for (what, old) in self.read::<OldUser>("user", rows) {
            let secret = old.totp_secret.clone().filter(|_| old.totp_enabled == Some(true));
            let needs_code = old.totp_enabled == Some(true);
            let secret = secret.and_then(|text| TotpSecret::from_base32(&text));
            if needs_code && secret.is_none() {
                // Without it the password alone would do.
                self.report.leave_out(what, "totp_secret: is not base 32, and codes are asked for");
                continue;
            }
            let mut user = match parse::user(old) {
                Ok(user) => user,
                Err(why) => {
                    self.report.leave_out(what, why);
                    continue;
                }
            };
            match user.spec.email.take() {
                Some(email) if emails.insert(email.key()) => user.spec.email = Some(email),
                Some(_) => {
                    self.report.change(what, "email: another user has it; signs in by username");
                }
                None => {
                    self.report.change(what, "email: is no email address; signs in by username");
                }
            }
            self.users.push((user, secret));
        }
    }

    fn take_groups(&mut self, rows: Vec<Value>) {
        let mut keys: BTreeSet<Vec<u8>> = BTreeSet::new();
        for (what, old) in self.read::<OldCluster>("cluster", rows) {
            let key = parse::key_hash(&old.api_key_hash);
            let by = self.known_user(old.created_by);
            let group = match parse::group(old, by) {
                Ok(group) => group,
                Err(why) => {
                    self.report.leave_out(what, why);
                    continue;
                }
            };
            let fresh = |key: &TokenHash| keys.insert(key.as_bytes().to_vec());
            let key = key.filter(fresh);
            if key.is_none() {
                let why = "api_key_hash: is no SHA-256, or another's; give it a new key";
                self.report.change(what, why);
            }
            self.groups.push((group, key));
        }
        let place = self.default_group();
        for (i, (group, _)) in self.groups.iter_mut().enumerate() {
            group.is_default = place == Some(i);
        }
    }

    /// Which of the groups is to be that of proxies which name none: what was said,
    /// or what is called so, or else the oldest that is active.
    fn default_group(&self) -> Option<usize> {
        let groups = || self.groups.iter().map(|(group, _)| group);
        let active = |g: &NodeGroup| g.spec.is_active;
        let named = |g: &NodeGroup| g.spec.name.as_str() == NodeGroupSpec::DEFAULT_NAME;
        let said = groups().position(|g| g.is_default && active(g));
        said.or_else(|| groups().position(named)).or_else(|| groups().position(active))
    }

    fn take_services(&mut self, rows: Vec<Value>) {
        let mut kinds: BTreeMap<NodeGroupId, AuthKind> = BTreeMap::new();
        for (what, old) in self.read::<OldService>("service", rows) {
            if !self.knows_group(old.cluster_id) {
                let why = format!("its cluster {} is not taken over", old.cluster_id);
                self.report.leave_out(what, why);
                continue;
            }
            let secrets = (old.token_base64.clone(), old.jwt_secret.clone());
            let by = self.known_user(old.created_by);
            let service = match parse::service(old, by) {
                Ok(service) => service,
                Err(why) => {
                    self.report.leave_out(what, why);
                    continue;
                }
            };
            let kind = service.spec.auth.kind;
            let secret = match kind {
                AuthKind::None => None,
                AuthKind::Base64 => secrets.0,
                AuthKind::Jwt => secrets.1,
            };
            let secret = secret.filter(|secret| !secret.is_empty()).map(SecretString::from);
            if kind != AuthKind::None && service.spec.is_active {
                let first = *kinds.entry(service.group).or_insert(kind);
                if first != kind {
                    let why = format!(
                        "auth_type: base64 and jwt cannot be mixed in one cluster, and a service \
                         before it has {}",
                        first.as_str()
                    );
                    self.report.leave_out(what, why);
                    continue;
                }
            }
            let secret = match (kind.secret(), secret) {
                (Some(kind), Some(secret)) => Some((kind, secret)),
                (Some(_), None) => {
                    self.report.change(what, "has no secret for its auth_type: rotate its token");
                    None
                }
                (None, _) => None,
            };
            self.services.push((service, secret));
        }
    }

    fn take_mappings(&mut self, rows: Vec<Value>) {
        for (what, old) in self.read::<OldMapping>("mapping", rows) {
            if !self.knows_group(old.cluster_id) {
                let why = format!("its cluster {} is not taken over", old.cluster_id);
                self.report.leave_out(what, why);
                continue;
            }
            let by = self.known_user(old.created_by);
            match parse::mapping(old, by) {
                Ok(mapping) => self.mappings.push(mapping),
                Err(why) => self.report.leave_out(what, why),
            }
        }
    }

    /// Compiles each group, and leaves out what does not compile.
    fn settle(&mut self) -> Result<()> {
        let (mut services, mut mappings) = (vec![], vec![]);
        std::mem::swap(&mut services, &mut self.services);
        std::mem::swap(&mut mappings, &mut self.mappings);
        for (group, _) in self.groups.clone() {
            let mut state = empty(group)?;
            let id = state.group.id;
            compile(&state)?;
            let of_group = services.extract_if(.., |(s, _)| s.group == id).collect();
            let put = |state: &mut DesiredState, (service, _): &(Service, _)| {
                state.services.push(service.clone());
            };
            let (added, refused) = add(&mut state, of_group, put);
            self.services.extend(added);
            for ((service, _), why) in refused {
                let what = format!("service {:?} (id {})", service.spec.name.as_str(), service.id);
                self.report.leave_out(what, why);
            }
            let of_group = mappings.extract_if(.., |m| m.group == id).collect();
            self.add_mappings(&mut state, of_group);
        }
        Ok(())
    }

    /// Adds the mappings whose services are there.
    fn add_mappings(&mut self, state: &mut DesiredState, mappings: Vec<Mapping>) {
        let called = |mapping: &Mapping| {
            format!("mapping {:?} (id {})", mapping.spec.name.as_str(), mapping.id)
        };
        let mut complete = vec![];
        for mapping in mappings {
            match missing(&mapping, &state.services) {
                None => complete.push(mapping),
                Some(missing) => {
                    let why = format!("its service {missing} is not taken over in its cluster");
                    self.report.leave_out(called(&mapping), why);
                }
            }
        }
        let put =
            |state: &mut DesiredState, mapping: &Mapping| state.mappings.push(mapping.clone());
        let (added, refused) = add(state, complete, put);
        self.mappings.extend(added);
        for (mapping, why) in refused {
            self.report.leave_out(called(&mapping), why);
        }
    }

    fn take_proxies(&mut self, rows: Vec<Value>) {
        for (what, old) in self.read::<OldProxy>("proxy", rows) {
            if !self.knows_group(old.cluster_id) {
                let why = format!("its cluster {} is not taken over", old.cluster_id);
                self.report.leave_out(what, why);
                continue;
            }
            match parse::proxy(old) {
                Ok(proxy) => self.proxies.push(proxy),
                Err(why) => self.report.leave_out(what, why),
            }
        }
    }

    /// They were every cluster's, and become the default group's.
    fn take_certificates(&mut self, rows: Vec<Value>) {
        for (what, old) in self.read::<OldCertificate>("certificate", rows) {
            if self.default_group().is_none() {
                self.report.leave_out(what, "there is no cluster for it");
                continue;
            }
            match parse::certificate(&old, super::now()) {
                Ok((id, spec, pair)) => {
                    let by = self.known_user(old.created_by);
                    self.certificates.push((id, spec, pair, by));
                }
                Err(why) => self.report.leave_out(what, why),
            }
        }
    }

    fn take_assignments(&mut self, table: &str, rows: Vec<Value>) {
        for (what, old) in self.read::<OldAssignment>(table, rows) {
            if old.is_active == Some(false) {
                self.report.leave_out(what, "is not active");
                continue;
            }
            let Some(user) = self.known_user(Some(old.user_id)) else {
                self.report.leave_out(what, format!("its user {} is not taken over", old.user_id));
                continue;
            };
            let role = match old.role.as_deref() {
                None | Some("service_owner") => AssignedRole::Operator,
                Some("viewer") => AssignedRole::Viewer,
                Some(other) => {
                    self.report.change(what.clone(), format!("role {other:?}: is now viewer"));
                    AssignedRole::Viewer
                }
            };
            let assigned_by = self.known_user(old.assigned_by);
            let created_at = old.assigned_at.map_or_else(super::now, |Moment(at)| at);
            let group = self.groups.iter().map(|(group, _)| group.id);
            let group = group.into_iter().find(|id| Some(i32::from(*id)) == old.cluster_id);
            let service = self.services.iter().map(|(service, _)| service);
            let service = service.into_iter().find(|s| Some(i32::from(s.id)) == old.service_id);
            match (group, service) {
                (Some(group), _) => {
                    let new = GroupAssignment { user, group, role, assigned_by, created_at };
                    self.group_assignments.push(new);
                }
                (None, Some(service)) => {
                    let (group, service) = (service.group, service.id);
                    self.service_assignments.push(ServiceAssignment {
                        user,
                        group,
                        service,
                        role,
                        assigned_by,
                        created_at,
                    });
                }
                (None, None) => {
                    self.report.leave_out(what, "what it assigns to is not taken over");
                }
            }
        }
    }
}

/// Adds items to a group: all at once, or else one by one, to find those with which it
/// does not compile. Gives back what was added, and what was not and why.
fn add<T>(
    state: &mut DesiredState,
    items: Vec<T>,
    put: impl Fn(&mut DesiredState, &T),
) -> (Vec<T>, Vec<(T, CompileError)>) {
    let mut whole = state.clone();
    items.iter().for_each(|item| put(&mut whole, item));
    if compile(&whole).is_ok() {
        *state = whole;
        return (items, vec![]);
    }
    let (mut added, mut refused) = (vec![], vec![]);
    for item in items {
        let mut next = state.clone();
        put(&mut next, &item);
        match compile(&next) {
            Ok(_) => {
                *state = next;
                added.push(item);
            }
            Err(why) => refused.push((item, why)),
        }
    }
    (added, refused)
}

/// A group that has its default listener and nothing else.
fn empty(group: NodeGroup) -> Result<DesiredState> {
    let listener = Listener {
        id: 1.try_into().map_err(Error::internal)?,
        group: group.id,
        is_default: true,
        spec: setup::default_listener(),
        revision: Default::default(),
        created_at: group.created_at,
        updated_at: group.updated_at,
    };
    let (services, routes, listeners, mappings) = (vec![], vec![], vec![listener], vec![]);
    Ok(DesiredState { group, services, routes, listeners, mappings, certificates: vec![] })
}

/// A service that a mapping names and its group does not have.
fn missing(mapping: &Mapping, services: &[Service]) -> Option<ServiceId> {
    let named = [&mapping.spec.sources, &mapping.spec.destinations];
    let mut named = named.into_iter().flat_map(|services| services.ids());
    named.find(|id| !services.iter().any(|service| service.id == **id)).copied()
}
