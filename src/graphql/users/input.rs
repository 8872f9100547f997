//! What is said of a user, into domain types.

use async_graphql::{ID, InputObject, MaybeUndefined};
use secrecy::SecretString;

use super::object::{AssignedRoleEnum, RoleEnum};
use crate::app::NewUser;
use crate::graphql::parse::replaced;
use crate::model::{At as _, Invalid, NewPassword, PersonName, UserChange, UserSpec};

/// A user to be made.
#[derive(InputObject)]
pub(in crate::graphql) struct CreateUserInput {
    /// Unique.
    username: String,
    /// 8 characters or more.
    #[graphql(secret)]
    password: String,
    /// Unique; they may sign in with it as well.
    email: Option<String>,
    /// Their first name.
    first_name: Option<String>,
    /// Their last name.
    last_name: Option<String>,
    /// What they may do.
    #[graphql(default_with = "RoleEnum::Member")]
    role: RoleEnum,
    /// Whether they may sign in.
    #[graphql(default = true)]
    is_active: bool,
}

/// What is left out stays, null takes away.
#[derive(InputObject)]
pub(in crate::graphql) struct UpdateUserInput {
    /// The user.
    pub(super) id: ID,
    /// Unique.
    username: Option<String>,
    /// Unique; null takes it away.
    email: MaybeUndefined<String>,
    /// Their first name; null takes it away.
    first_name: MaybeUndefined<String>,
    /// Their last name; null takes it away.
    last_name: MaybeUndefined<String>,
    /// What they may do.
    role: Option<RoleEnum>,
    /// Whether they may sign in.
    is_active: Option<bool>,
    /// Whether they are known to be who they say.
    is_verified: Option<bool>,
}

/// A user who is to go.
#[derive(InputObject)]
pub(in crate::graphql) struct DeleteUserInput {
    /// The user.
    pub(super) id: ID,
    /// Whether they are to be gone, and not only deactivated.
    #[graphql(default)]
    pub(super) permanent: bool,
}

/// A user, and their new password.
#[derive(InputObject)]
pub(in crate::graphql) struct ResetPasswordInput {
    /// The user.
    pub(super) id: ID,
    /// 8 characters or more.
    #[graphql(secret)]
    pub(super) new_password: String,
}

/// A user whose second factor is to go.
#[derive(InputObject)]
pub(in crate::graphql) struct ResetTwoFactorInput {
    /// The user.
    pub(super) id: ID,
}

/// A user, and the node group that they are assigned to.
#[derive(InputObject)]
pub(in crate::graphql) struct AssignNodeGroupInput {
    /// The user.
    pub(super) user: ID,
    /// The node group.
    pub(super) node_group: ID,
    /// What they may do there.
    #[graphql(default_with = "AssignedRoleEnum::Operator")]
    pub(super) role: AssignedRoleEnum,
}

/// A user, and the node group that they are taken off.
#[derive(InputObject)]
pub(in crate::graphql) struct UnassignNodeGroupInput {
    /// The user.
    pub(super) user: ID,
    /// The node group.
    pub(super) node_group: ID,
}

/// A user, and the service that they are assigned to.
#[derive(InputObject)]
pub(in crate::graphql) struct AssignServiceInput {
    /// The user.
    pub(super) user: ID,
    /// The service.
    pub(super) service: ID,
    /// What they may do with it.
    #[graphql(default_with = "AssignedRoleEnum::Operator")]
    pub(super) role: AssignedRoleEnum,
}

/// A user, and the service that they are taken off.
#[derive(InputObject)]
pub(in crate::graphql) struct UnassignServiceInput {
    /// The user.
    pub(super) user: ID,
    /// The service.
    pub(super) service: ID,
}

impl CreateUserInput {
    pub(super) fn parse(self) -> Result<NewUser, Invalid> {
        Ok(NewUser {
            spec: UserSpec {
                username: self.username.try_into().at("username")?,
                email: self.email.map(|email| email.try_into().at("email")).transpose()?,
                first_name: person_name(self.first_name, "firstName")?,
                last_name: person_name(self.last_name, "lastName")?,
                role: self.role.into(),
                is_active: self.is_active,
                is_verified: false,
            },
            password: password(self.password, "password")?,
        })
    }
}

impl UpdateUserInput {
    pub(super) fn parse(self) -> Result<UserChange, Invalid> {
        let name = |name, field| replaced(name, |name: String| name.try_into().at(field));
        Ok(UserChange {
            username: self.username.map(|name| name.try_into().at("username")).transpose()?,
            email: replaced(self.email, |email| email.try_into().at("email"))?,
            first_name: name(self.first_name, "firstName")?,
            last_name: name(self.last_name, "lastName")?,
            role: self.role.map(Into::into),
            is_active: self.is_active,
            is_verified: self.is_verified,
        })
    }
}

/// Reads a password that somebody chooses.
pub(in crate::graphql) fn password(text: String, field: &str) -> Result<NewPassword, Invalid> {
    NewPassword::try_from(SecretString::from(text)).at(field)
}

/// Reads a first or last name; an empty one is none.
pub(in crate::graphql) fn person_name(
    name: Option<String>,
    field: &str,
) -> Result<Option<PersonName>, Invalid> {
    let name = name.filter(|name| !name.is_empty());
    name.map(|name| name.try_into().at(field)).transpose()
}
