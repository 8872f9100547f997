//! Several changes of one group at once: all of them, or none.
//!
//! They are done one after the other within one [`Edit`], so there is one transaction,
//! one revision, one compilation and one snapshot. A later change may refer to what an
//! earlier one has made: it is read when its turn comes, with the ids that there are by
//! then.

use marchproxy_xds::ResourceType;

use super::audit::Note;
use super::events;
use super::{
    App, Change, Compiled, Done, Edit, NewCertificate, NewListener, NewMapping, NewRoute,
    NewService,
};
use crate::auth::{Actor, Operation};
use crate::compile::CompileError;
use crate::compile::blame::{self, Nouns, Owner};
use crate::error::{Error, Result};
use crate::model::{
    Certificate, CertificateChange, CertificateId, CertificateSpec, Invalid, KeyPair, Listener,
    ListenerChange, ListenerId, Mapping, MappingChange, MappingId, Name, NodeGroupId, Noun,
    Revision, Route, RouteChange, RouteId, Service, ServiceChange, ServiceId,
};

/// How many changes there may be at once.
const MOST: usize = 100;
/// What people may say of them, in characters.
const LONGEST_MESSAGE: usize = 500;
/// How many of them history names.
const NAMED: usize = 3;

/// Changes of one group that are to be made together.
pub struct Changes {
    /// Whose; the default group's if not said.
    pub group: Option<NodeGroupId>,
    /// In their order; 1 to 100.
    pub changes: Vec<ReadChange>,
    /// What they are for; at most 500 characters, for the history.
    pub message: Option<String>,
}

/// One of several changes, as it was asked for.
pub struct ReadChange {
    /// What it is called in the input, as in `createRoute`.
    pub field: &'static str,
    /// How it is read, once its turn has come.
    pub read: ChangeReader,
}

/// Reads a change, given what each change before it has made.
pub type ChangeReader = Box<dyn FnOnce(&[Option<Made>]) -> Result<NewChange, Invalid> + Send>;

/// One of several changes.
#[derive(Debug)]
#[expect(missing_docs, reason = "as the operations of these names")]
pub enum NewChange {
    CreateService(Box<NewService>),
    UpdateService(ServiceId, Box<ServiceChange>),
    DeleteService(ServiceId, Revision),
    CreateRoute(Box<NewRoute>),
    UpdateRoute(RouteId, Box<RouteChange>),
    DeleteRoute(RouteId, Revision),
    CreateListener(Box<NewListener>),
    UpdateListener(ListenerId, Box<ListenerChange>),
    DeleteListener(ListenerId, Revision),
    CreateMapping(Box<NewMapping>),
    UpdateMapping(MappingId, Box<MappingChange>),
    DeleteMapping(MappingId, Revision),
    UploadCertificate(Box<UploadedCertificate>),
    UpdateCertificate(CertificateId, Box<CertificateChange>),
    DeleteCertificate(CertificateId, Revision),
}

/// A certificate to be taken in with its key.
#[derive(Debug)]
pub struct UploadedCertificate {
    /// In which group; in that of the changes if not said.
    pub group: Option<NodeGroupId>,
    /// What it is to be.
    pub spec: CertificateSpec,
    /// The certificate and its key.
    pub pair: KeyPair,
}

impl From<UploadedCertificate> for NewCertificate {
    fn from(UploadedCertificate { group, spec, pair }: UploadedCertificate) -> Self {
        Self { group, spec, pair: Some(pair) }
    }
}

/// What came of one change, as it stood right after it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the nouns")]
pub enum Made {
    Service(Service),
    Route(Route),
    Listener(Listener),
    Mapping(Mapping),
    Certificate(Certificate),
}

/// What came of several changes.
#[derive(Debug)]
pub struct Applied {
    /// What came of each, in their order; none for what is gone.
    pub made: Vec<Option<Made>>,
    /// The group's new state.
    pub change: Change,
}

/// How far several changes are.
#[derive(Default)]
pub(super) struct Progress {
    /// What came of each, in their order.
    pub(super) made: Vec<Option<Made>>,
    /// What each is called in the input.
    fields: Vec<&'static str>,
    /// How to say what each did.
    causes: Vec<String>,
}

impl App {
    /// Makes several changes of a group: all of them, or none.
    ///
    /// What is wrong with one of them says with which, by its place: `changes`, its
    /// number from 0, and what it is called.
    #[tracing::instrument(skip_all, fields(changes = changes.changes.len()))]
    pub async fn apply_changes(&self, actor: &Actor, changes: Changes) -> Result<Applied> {
        let Changes { group, changes, message } = changes;
        let message = checked(&changes, message)?;
        let group = group.unwrap_or(self.default_group());
        let edit = self.begin(actor, Operation::ApplyChanges, group).await?;
        let mut progress = Progress::default();
        for (place, change) in changes.into_iter().enumerate() {
            edit.step(place, change, &mut progress).await?;
        }
        let compiled = edit.compile().await?.map_err(|error| progress.blame(error))?;
        self.seal_changes(edit, compiled, progress, message.as_deref()).await
    }

    async fn seal_changes(
        &self,
        edit: Edit<'_>,
        compiled: Compiled,
        progress: Progress,
        message: Option<&str>,
    ) -> Result<Applied> {
        let group = edit.tx.node_group(edit.group).await?;
        let cause = progress.cause(message);
        let edit = edit.noting(Note::of(&group));
        let (_, change) = Box::pin(edit.seal_compiled(compiled, cause, |_| Ok(()))).await?;
        Ok(Applied { made: progress.made, change })
    }
}

/// Checks what is said of the changes as a whole; the message, if there is one.
pub(super) fn checked(
    changes: &[ReadChange],
    message: Option<String>,
) -> Result<Option<String>, Invalid> {
    if !(1..=MOST).contains(&changes.len()) {
        let why = format!("must be 1 to {MOST} changes, not {}", changes.len());
        return Err(Invalid::new("changes", why));
    }
    let message = message.map(|message| message.trim().to_owned());
    let message = message.filter(|message| !message.is_empty());
    if message.as_ref().is_some_and(|message| message.chars().count() > LONGEST_MESSAGE) {
        let why = format!("must be at most {LONGEST_MESSAGE} characters long");
        return Err(Invalid::new("message", why));
    }
    Ok(message)
}

impl Edit<'_> {
    /// Makes one of several changes, and notes it.
    pub(super) async fn step(
        &self,
        place: usize,
        ReadChange { field, read }: ReadChange,
        progress: &mut Progress,
    ) -> Result<()> {
        let number = place.to_string();
        let done = async {
            let change = read(&progress.made)?;
            self.make(change).await
        };
        let done = done.await.map_err(|error| error.in_change(&["changes", &number, field]))?;
        let (operation, Done { made, note, cause }) = done;
        let about = note.about();
        let mut entry = self.by.entry(operation, cause.clone(), note);
        entry.group = Some(self.group);
        events::tell_change(&self.tx, &entry, about, self.now);
        self.tx.insert_audit_entry(entry, self.now).await?;
        progress.made.push(made);
        progress.fields.push(field);
        progress.causes.push(cause);
        Ok(())
    }

    /// Makes one change. Whoever makes it must be allowed to make it alone.
    async fn make(&self, change: NewChange) -> Result<(Operation, Done<Option<Made>>)> {
        let operation = change.operation();
        self.by.may(operation, self.group.into())?;
        let done = match change {
            NewChange::CreateService(new) => {
                self.check_named(new.group)?;
                self.create_service(new.spec).await?.map(|served| Some(served.service.into()))
            }
            NewChange::UpdateService(id, change) => {
                let done = self.update_service(id, *change).await?;
                done.map(|served| Some(served.service.into()))
            }
            NewChange::DeleteService(id, seen) => {
                self.delete_service(id, Some(seen)).await?.map(|()| None)
            }
            NewChange::CreateRoute(new) => {
                self.check_named(new.group)?;
                self.create_route(*new).await?.map(|route| Some(route.into()))
            }
            NewChange::UpdateRoute(id, change) => {
                self.update_route(id, *change).await?.map(|route| Some(route.into()))
            }
            NewChange::DeleteRoute(id, seen) => {
                self.delete_route(id, Some(seen)).await?.map(|()| None)
            }
            NewChange::CreateListener(new) => {
                self.check_named(new.group)?;
                self.create_listener(new.spec).await?.map(|listener| Some(listener.into()))
            }
            NewChange::UpdateListener(id, change) => {
                self.update_listener(id, *change).await?.map(|listener| Some(listener.into()))
            }
            NewChange::DeleteListener(id, seen) => {
                self.delete_listener(id, Some(seen)).await?.map(|()| None)
            }
            NewChange::CreateMapping(new) => {
                self.check_named(new.group)?;
                self.create_mapping(new.spec).await?.map(|mapping| Some(mapping.into()))
            }
            NewChange::UpdateMapping(id, change) => {
                self.update_mapping(id, *change).await?.map(|mapping| Some(mapping.into()))
            }
            NewChange::DeleteMapping(id, seen) => {
                self.delete_mapping(id, Some(seen)).await?.map(|()| None)
            }
            NewChange::UploadCertificate(new) => {
                let UploadedCertificate { group, spec, pair } = *new;
                self.check_named(group)?;
                let done = self.create_certificate(&spec, &pair, "upload").await?;
                done.map(|certificate| Some(certificate.into()))
            }
            NewChange::UpdateCertificate(id, change) => {
                let done = self.update_certificate(id, *change).await?;
                done.map(|certificate| Some(certificate.into()))
            }
            NewChange::DeleteCertificate(id, seen) => {
                self.delete_certificate(id, Some(seen)).await?.map(|()| None)
            }
        };
        Ok((operation, done))
    }

    /// A change that names a group must name that of all changes.
    fn check_named(&self, group: Option<NodeGroupId>) -> Result<(), Invalid> {
        match group {
            Some(group) if group != self.group => {
                Err(Invalid::new("group", "is not the node group of these changes"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl NewChange {
    /// The operation that makes it alone.
    fn operation(&self) -> Operation {
        match self {
            Self::CreateService(_) => Operation::CreateService,
            Self::UpdateService(..) => Operation::UpdateService,
            Self::DeleteService(..) => Operation::DeleteService,
            Self::CreateRoute(_) => Operation::CreateRoute,
            Self::UpdateRoute(..) => Operation::UpdateRoute,
            Self::DeleteRoute(..) => Operation::DeleteRoute,
            Self::CreateListener(_) => Operation::CreateListener,
            Self::UpdateListener(..) => Operation::UpdateListener,
            Self::DeleteListener(..) => Operation::DeleteListener,
            Self::CreateMapping(_) => Operation::CreateMapping,
            Self::UpdateMapping(..) => Operation::UpdateMapping,
            Self::DeleteMapping(..) => Operation::DeleteMapping,
            Self::UploadCertificate(_) => Operation::CreateCertificate,
            Self::UpdateCertificate(..) => Operation::UpdateCertificate,
            Self::DeleteCertificate(..) => Operation::DeleteCertificate,
        }
    }
}

impl Made {
    /// The noun and the name by which the compiler speaks of it.
    fn named(&self) -> Option<(Noun, &Name)> {
        match self {
            Self::Service(service) => Some((Noun::Service, &service.spec.name)),
            Self::Route(route) => Some((Noun::Route, &route.spec.name)),
            Self::Listener(listener) => Some((Noun::Listener, &listener.spec.name)),
            Self::Mapping(mapping) => Some((Noun::Mapping, &mapping.spec.name)),
            Self::Certificate(_) => None,
        }
    }
}

macro_rules! made {
    ($($noun:ident),+) => {$(
        impl From<$noun> for Made {
            fn from(made: $noun) -> Self {
                Self::$noun(made)
            }
        }
    )+};
}

made!(Service, Route, Listener, Mapping, Certificate);

impl Progress {
    /// Takes note of a change that was not made.
    pub(super) fn skip(&mut self, field: &'static str) {
        self.made.push(None);
        self.fields.push(field);
    }

    /// What does not compile, put down to the change that made it so.
    pub(super) fn blame(&self, error: CompileError) -> Error {
        let last = |(noun, name): (Noun, &str)| {
            self.made.iter().rposition(|made| {
                let named = made.as_ref().and_then(Made::named);
                named.is_some_and(|(of, is)| of == noun && is.as_str() == name)
            })
        };
        let place = error.culprits().into_iter().find_map(last);
        let error = Error::from(error);
        match place {
            Some(place) => error.in_change(&["changes", &place.to_string(), self.fields[place]]),
            None => error.in_change(&["changes"]),
        }
    }

    /// The way to the last change of what a resource of `group` comes of, if one of the
    /// changes is of that.
    pub(super) fn place_of(
        &self,
        group: NodeGroupId,
        resource_type: ResourceType,
        name: &str,
    ) -> Option<Vec<String>> {
        let mut nouns = Nouns::default();
        for made in self.made.iter().rev().flatten() {
            match made {
                Made::Listener(listener) => nouns.listeners.push(listener.clone()),
                Made::Certificate(certificate) => nouns.certificates.push(certificate.clone()),
                Made::Service(_) | Made::Route(_) | Made::Mapping(_) => {}
            }
        }
        let owner = blame::owner(group, &nouns, resource_type, name)?;
        let is_it = |made: &Option<Made>| match (made, &owner) {
            (Some(Made::Service(made)), Owner::Service(id)) => made.id == *id,
            (Some(Made::Listener(made)), Owner::Listener(owner)) => made.id == owner.id,
            (Some(Made::Certificate(made)), Owner::Certificate(owner)) => made.id == owner.id,
            (Some(_) | None, _) => false,
        };
        let place = self.made.iter().rposition(is_it)?;
        Some(vec!["changes".to_owned(), place.to_string(), self.fields[place].to_owned()])
    }

    /// What was done, for the history.
    fn cause(&self, message: Option<&str>) -> String {
        let count = self.causes.len();
        let changes = if count == 1 { "change" } else { "changes" };
        if let Some(message) = message {
            return format!("apply {count} {changes}: {message}");
        }
        let named = self.causes.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        let more = if count > NAMED { ", ..." } else { "" };
        format!("apply {count} {changes}: {named}{more}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(causes: &[&str]) -> Progress {
        let causes = causes.iter().map(|cause| (*cause).to_owned()).collect();
        Progress { causes, ..Progress::default() }
    }

    #[test]
    fn history_names_what_was_done_or_what_for() {
        assert_eq!(progress(&["create a"]).cause(None), "apply 1 change: create a");
        assert_eq!(progress(&["a", "b", "c"]).cause(None), "apply 3 changes: a, b, c");
        assert_eq!(progress(&["a", "b", "c", "d"]).cause(None), "apply 4 changes: a, b, c, ...");
        assert_eq!(progress(&["a", "b"]).cause(Some("moving")), "apply 2 changes: moving");
    }
}
