//! Passwords: new ones, and the hashes that are kept of them.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

const SHORTEST: usize = 8;
const LONGEST: usize = 1024;

/// A password that somebody chose: 8 to 1024 characters. Never shown.
#[derive(Clone, Debug)]
pub struct NewPassword(SecretString);

/// A text that is no password to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have {SHORTEST} to {LONGEST} characters")]
pub struct NewPasswordError;

/// A hashed password, in PHC format or as bcrypt writes it. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl NewPassword {
    /// The password, to be hashed.
    pub fn into_secret(self) -> SecretString {
        self.0
    }
}

impl TryFrom<SecretString> for NewPassword {
    type Error = NewPasswordError;

    fn try_from(password: SecretString) -> Result<Self, NewPasswordError> {
        let length = password.expose_secret().chars().count();
        if (SHORTEST..=LONGEST).contains(&length) {
            Ok(Self(password))
        } else {
            Err(NewPasswordError)
        }
    }
}

impl PasswordHash {
    /// Takes a hash as it is kept.
    pub fn new(hash: String) -> Self {
        Self(hash)
    }

    /// The hash, for the database and for verification.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_short() {
        for (input, want) in [("1234567", false), ("12345678", true), ("éééééééé", true)] {
            let password = NewPassword::try_from(SecretString::from(input));
            assert_eq!(password.is_ok(), want, "input {input:?}");
            assert!(!format!("{password:?}").contains(input));
        }
        assert!(NewPassword::try_from(SecretString::from("a".repeat(1025))).is_err());
    }
}
