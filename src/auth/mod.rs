//! Floor 2: who is asking, and may they.

mod node;
pub mod password;
mod token;

use crate::error::{Error, Result};
use crate::model::{Role, User, UserId, Username};

pub use node::{
    ConnectionInfo, Lease, NodeAccess, NodeAuth, NodeCredential, NodeSecret, PresentedToken,
    SecretKind,
};
pub use token::{AccessToken, Tokens};

/// Who asks for something.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Which user.
    pub user: UserId,
    /// What they sign in with.
    pub username: Username,
    /// What they may do.
    pub role: Role,
}

impl Actor {
    /// Whether this actor may look at what is configured and what goes on.
    pub fn may_view(&self) -> Result<()> {
        self.at_least(Role::Viewer)
    }

    /// Whether this actor may change what proxies are given.
    pub fn may_edit(&self) -> Result<()> {
        self.at_least(Role::Operator)
    }

    /// Whether this actor may make and remove node groups.
    pub fn may_administer(&self) -> Result<()> {
        self.at_least(Role::Admin)
    }

    fn at_least(&self, role: Role) -> Result<()> {
        if self.role >= role { Ok(()) } else { Err(Error::Forbidden) }
    }
}

impl From<User> for Actor {
    fn from(user: User) -> Self {
        Self { user: user.id, username: user.username, role: user.role }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_do_what_a_lesser_one_may() {
        let table = [
            (Role::Viewer, [true, false, false]),
            (Role::Operator, [true, true, false]),
            (Role::Admin, [true, true, true]),
        ];
        for (role, want) in table {
            let actor = Actor {
                user: 1.try_into().unwrap(),
                username: "u".to_owned().try_into().unwrap(),
                role,
            };
            let got = [actor.may_view(), actor.may_edit(), actor.may_administer()];
            assert_eq!(got.map(|may| may.is_ok()), want, "{role:?}");
        }
    }
}
