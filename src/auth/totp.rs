//! Second factors: codes that an app makes from a shared secret (TOTP, RFC 6238),
//! and backup codes for when the app is lost.

use chrono::{DateTime, Utc};
use rand::Rng as _;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use totp_rs::{Algorithm, Builder, Secret, Totp};

use crate::error::{Error, Result};
use crate::model::{Email, User};

const ISSUER: &str = "MarchProxy";
const DIGITS: u8 = 6;
const STEP: u64 = 30; // seconds
/// How many steps a clock may be off.
const SKEW: u16 = 1;
/// How many backup codes somebody is given.
const BACKUP_CODES: usize = 10;
/// No letter or digit that could be taken for another: 5 bits each.
const BACKUP_ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const BACKUP_LENGTH: usize = 10;

/// The secret that a user shares with their app: 160 bits (RFC 4226, section 4).
#[derive(Clone, Debug)]
pub struct TotpSecret(SecretSlice<u8>);

/// What somebody gives besides their password.
#[derive(Debug)]
pub enum Code {
    /// Six digits from their app.
    Totp(String),
    /// A backup code, without what is only there for the eye.
    Backup(SecretString),
}

impl TotpSecret {
    /// Makes one up.
    pub fn make() -> Self {
        let bits: [u8; 20] = rand::random();
        Self(bits.to_vec().into())
    }

    /// Takes one that was opened.
    pub fn new(secret: SecretSlice<u8>) -> Self {
        Self(secret)
    }

    /// Reads one in base 32, as apps are told it.
    pub fn from_base32(text: &str) -> Option<Self> {
        let secret = Secret::try_from_base32(text.trim_end_matches('=')).ok()?;
        Some(Self(secret.as_bytes().to_vec().into()))
    }

    /// The bytes, to be sealed.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The secret in base 32, to be typed into an app.
    pub fn base32(&self) -> SecretString {
        Secret::from(self.expose().to_vec()).to_base32().into()
    }

    /// The secret as an `otpauth://` address, to be shown as a QR code.
    pub fn uri(&self, user: &User) -> Result<SecretString> {
        let account = user.spec.email.as_ref().map(Email::as_str);
        let account = account.unwrap_or(user.spec.username.as_str());
        Ok(self.totp(account)?.to_url().map_err(Error::internal)?.into())
    }

    /// The time step that `code` is for, if it is for the present, or for 30 seconds
    /// before or after.
    pub fn step_of(&self, code: &str, now: DateTime<Utc>) -> Result<Option<i64>> {
        let now = u64::try_from(now.timestamp()).map_err(Error::internal)?;
        let step = self.totp("")?.check(code, now);
        Ok(step.and_then(|step| i64::try_from(step).ok()))
    }

    fn totp(&self, account: &str) -> Result<Totp> {
        Builder::new()
            .with_algorithm(Algorithm::SHA1) // apps know no other, whatever the address says
            .with_digits(DIGITS)
            .with_skew(SKEW)
            .with_step_duration(STEP)
            .with_secret(self.expose().to_vec())
            .with_issuer(Some(ISSUER))
            .with_account_name(account.replace(':', "_")) // a colon ends the issuer
            .build()
            .map_err(Error::internal)
    }
}

impl Code {
    /// Reads what somebody gave; none if it is neither.
    pub fn read(text: &str) -> Option<Self> {
        let text: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        let digits = text.len() == usize::from(DIGITS) && text.bytes().all(|b| b.is_ascii_digit());
        if digits {
            return Some(Self::Totp(text));
        }
        let text = text.to_ascii_uppercase();
        let is_backup =
            text.len() == BACKUP_LENGTH && text.bytes().all(|b| BACKUP_ALPHABET.contains(&b));
        is_backup.then(|| Self::Backup(text.into()))
    }
}

/// Makes up backup codes: 50 bits each, as `ABCDE-23456`.
pub fn backup_codes() -> Vec<SecretString> {
    let mut rng = rand::rng();
    let mut code = || {
        let letter = |_| char::from(BACKUP_ALPHABET[rng.random_range(0..BACKUP_ALPHABET.len())]);
        let code: String = (0..BACKUP_LENGTH).map(letter).collect();
        let (a, b) = code.split_at(BACKUP_LENGTH / 2);
        SecretString::from(format!("{a}-{b}"))
    };
    (0..BACKUP_CODES).map(|_| code()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> TotpSecret {
        // The secret of RFC 6238, appendix B.
        TotpSecret::new(b"12345678901234567890".to_vec().into())
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (time, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")]
        {
            let now = DateTime::from_timestamp(time, 0).unwrap();
            assert_eq!(secret().step_of(code, now).unwrap(), Some(time / 30), "{time}");
            assert_eq!(secret().step_of("000000", now).unwrap(), None);
        }
    }

    #[test]
    fn a_clock_may_be_half_a_minute_off() {
        let at = |time| DateTime::from_timestamp(time, 0).unwrap();
        for (time, want) in [(0, Some(1)), (29, Some(1)), (89, Some(1)), (90, None), (120, None)] {
            assert_eq!(secret().step_of("287082", at(time)).unwrap(), want, "{time}");
        }
        for no_code in ["", "28708", "2870820", "28708a", "２８７０８２"] {
            assert_eq!(secret().step_of(no_code, at(59)).unwrap(), None, "{no_code}");
        }
    }

    #[test]
    fn codes_of_both_kinds_are_told_apart() {
        assert!(matches!(Code::read("287 082"), Some(Code::Totp(code)) if code == "287082"));
        let codes = backup_codes();
        assert_eq!(codes.len(), BACKUP_CODES);
        for code in codes {
            let code = code.expose_secret();
            let typed = code.to_lowercase().replace('-', " ");
            let Some(Code::Backup(read)) = Code::read(&typed) else { panic!("{code}") };
            assert_eq!(read.expose_secret(), code.replace('-', ""));
        }
        for neither in ["", "28708", "ABCDE-2345", "ABCDE-2345O", "ABCDE-23456-7"] {
            assert!(Code::read(neither).is_none(), "{neither}");
        }
    }
}
