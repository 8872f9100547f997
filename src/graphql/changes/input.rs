//! One of several changes, into domain types once its turn has come.

use async_graphql::{ID, MaybeUndefined, OneofObject};

use super::super::certificates::{UpdateCertificateInput, UploadCertificateInput};
use super::super::change::DeleteInput;
use super::super::global_id::GlobalId;
use super::super::listeners::{CreateListenerInput, UpdateListenerInput};
use super::super::mappings::{CreateMappingInput, UpdateMappingInput};
use super::super::routes::{CreateRouteInput, UpdateRouteInput};
use super::super::services::{CreateServiceInput, UpdateServiceInput};
use crate::app::{Made, NewChange, ReadChange};
use crate::model::{Invalid, Revision};

/// How an id begins that stands for what an earlier change has made; its number follows.
const EARLIER: &str = "changes.";

/// One of several changes. A `group` within it must be the node group of all of them.
#[derive(OneofObject)]
pub(super) enum ChangeInput {
    /// Creates a service.
    CreateService(CreateServiceInput),
    /// Changes a service.
    UpdateService(UpdateServiceInput),
    /// Deletes a service.
    DeleteService(DeleteInput),
    /// Creates a route.
    CreateRoute(CreateRouteInput),
    /// Changes a route.
    UpdateRoute(UpdateRouteInput),
    /// Deletes a route.
    DeleteRoute(DeleteInput),
    /// Creates a listener.
    CreateListener(CreateListenerInput),
    /// Changes a listener.
    UpdateListener(UpdateListenerInput),
    /// Deletes a listener.
    DeleteListener(DeleteInput),
    /// Creates a mapping.
    CreateMapping(CreateMappingInput),
    /// Changes a mapping.
    UpdateMapping(UpdateMappingInput),
    /// Deletes a mapping.
    DeleteMapping(DeleteInput),
    /// Takes in a certificate and its key.
    UploadCertificate(UploadCertificateInput),
    /// Changes a certificate, or puts another one in the place of an uploaded one.
    UpdateCertificate(UpdateCertificateInput),
    /// Deletes a certificate and its key.
    DeleteCertificate(DeleteInput),
}

/// What refers to something by ids.
pub(in super::super) trait Refers {
    /// The ids that it refers by.
    fn ids(&mut self) -> Vec<&mut ID>;
}

/// What stands in a field, if something does.
pub(in super::super) fn value_mut<T>(field: &mut MaybeUndefined<T>) -> Option<&mut T> {
    match field {
        MaybeUndefined::Value(value) => Some(value),
        MaybeUndefined::Undefined | MaybeUndefined::Null => None,
    }
}

impl ChangeInput {
    /// What it deletes, if it does.
    pub(super) fn deleted(&self) -> Option<ID> {
        match self {
            Self::DeleteService(input)
            | Self::DeleteRoute(input)
            | Self::DeleteListener(input)
            | Self::DeleteMapping(input)
            | Self::DeleteCertificate(input) => Some(input.id.clone()),
            Self::CreateService(_)
            | Self::UpdateService(_)
            | Self::CreateRoute(_)
            | Self::UpdateRoute(_)
            | Self::CreateListener(_)
            | Self::UpdateListener(_)
            | Self::CreateMapping(_)
            | Self::UpdateMapping(_)
            | Self::UploadCertificate(_)
            | Self::UpdateCertificate(_) => None,
        }
    }

    /// The change, to be read when it is its turn.
    pub(super) fn read(self) -> ReadChange {
        match self {
            Self::CreateService(input) => {
                plain("createService", || Ok(NewChange::CreateService(Box::new(input.parse()?))))
            }
            Self::UpdateService(input) => plain("updateService", || {
                let (id, change) = input.parse()?;
                Ok(NewChange::UpdateService(id, Box::new(change)))
            }),
            Self::DeleteService(input) => delete("deleteService", input, NewChange::DeleteService),
            Self::CreateRoute(input) => referring("createRoute", input, |input| {
                Ok(NewChange::CreateRoute(Box::new(input.parse()?)))
            }),
            Self::UpdateRoute(input) => referring("updateRoute", input, |input| {
                let (id, change) = input.parse()?;
                Ok(NewChange::UpdateRoute(id, Box::new(change)))
            }),
            Self::DeleteRoute(input) => delete("deleteRoute", input, NewChange::DeleteRoute),
            Self::CreateListener(input) => referring("createListener", input, |input| {
                Ok(NewChange::CreateListener(Box::new(input.parse()?)))
            }),
            Self::UpdateListener(input) => referring("updateListener", input, |input| {
                let (id, change) = input.parse()?;
                Ok(NewChange::UpdateListener(id, Box::new(change)))
            }),
            Self::DeleteListener(input) => {
                delete("deleteListener", input, NewChange::DeleteListener)
            }
            Self::CreateMapping(input) => referring("createMapping", input, |input| {
                Ok(NewChange::CreateMapping(Box::new(input.parse()?)))
            }),
            Self::UpdateMapping(input) => referring("updateMapping", input, |input| {
                let (id, change) = input.parse()?;
                Ok(NewChange::UpdateMapping(id, Box::new(change)))
            }),
            Self::DeleteMapping(input) => delete("deleteMapping", input, NewChange::DeleteMapping),
            Self::UploadCertificate(input) => plain("uploadCertificate", || {
                Ok(NewChange::UploadCertificate(Box::new(input.parse()?)))
            }),
            Self::UpdateCertificate(input) => plain("updateCertificate", || {
                let (id, change) = input.parse()?;
                Ok(NewChange::UpdateCertificate(id, Box::new(change)))
            }),
            Self::DeleteCertificate(input) => {
                delete("deleteCertificate", input, NewChange::DeleteCertificate)
            }
        }
    }
}

/// A change that refers to nothing.
fn plain(
    field: &'static str,
    read: impl FnOnce() -> Result<NewChange, Invalid> + Send + 'static,
) -> ReadChange {
    ReadChange { field, read: Box::new(|_| read()) }
}

/// A change that may refer to what an earlier one has made.
fn referring<T: Refers + Send + 'static>(
    field: &'static str,
    mut input: T,
    read: impl FnOnce(T) -> Result<NewChange, Invalid> + Send + 'static,
) -> ReadChange {
    let read = move |made: &[Option<Made>]| {
        for id in input.ids() {
            // What stands for nothing is left as it is: it is no id.
            if let Some(earlier) = earlier(id, made) {
                *id = earlier;
            }
        }
        read(input)
    };
    ReadChange { field, read: Box::new(read) }
}

fn delete<T: GlobalId + 'static>(
    field: &'static str,
    input: DeleteInput,
    change: fn(T, Revision) -> NewChange,
) -> ReadChange {
    plain(field, move || input.parse().map(|(id, seen)| change(id, seen)))
}

/// The id of what an earlier change has made, if `id` stands for that.
fn earlier(id: &ID, made: &[Option<Made>]) -> Option<ID> {
    let number: usize = id.strip_prefix(EARLIER)?.parse().ok()?;
    Some(match made.get(number)?.as_ref()? {
        Made::Service(service) => service.id.global(),
        Made::Route(route) => route.id.global(),
        Made::Listener(listener) => listener.id.global(),
        Made::Mapping(mapping) => mapping.id.global(),
        Made::Certificate(certificate) => certificate.id.global(),
    })
}
