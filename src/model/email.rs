//! Email addresses.

use std::fmt;

const LONGEST: usize = 254; // RFC 5321, section 4.5.3.1.3, less the angle brackets

/// An email address as somebody wrote it: a local part, `@` and a domain.
///
/// Domains of one's own network (`.local`, a bare host) are good ones. Two
/// addresses that differ in upper and lower case only are the same one.
#[derive(Clone, Debug)]
pub struct Email(String);

/// A text that is no email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an email address like name@example.org, of {LONGEST} characters at most")]
pub struct EmailError;

impl Email {
    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address as it is compared.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Email {}

impl TryFrom<String> for Email {
    type Error = EmailError;

    fn try_from(text: String) -> Result<Self, EmailError> {
        let parts = text.rsplit_once('@');
        let good = text.len() <= LONGEST
            && parts.is_some_and(|(local, domain)| is_local_part(local) && is_domain(domain));
        if good { Ok(Self(text)) } else { Err(EmailError) }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A dot-atom of RFC 5322, section 3.2.3, with the letters of any language
/// (RFC 6531); quoted strings are refused.
fn is_local_part(local: &str) -> bool {
    let is_atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    local.len() <= 64 && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom))
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_local_part_and_a_domain() {
        let too_long = format!("a@{}.org", "b".repeat(250));
        let table: [(&str, bool); 18] = [
            ("admin@marchproxy.local", true),
            ("admin@localhost", true),
            ("first.last+tag@sub.example.org", true),
            ("o'neil@example.org", true),
            ("jörg@müller.example", true),
            ("", false),
            ("admin", false),
            ("@example.org", false),
            ("a@", false),
            ("a b@example.org", false),
            ("a@b@example.org", false),
            (".a@example.org", false),
            ("a..b@example.org", false),
            ("a@example..org", false),
            ("a@-example.org", false),
            ("a@example.org\n", false),
            ("\"a b\"@example.org", false),
            (&too_long, false),
        ];
        for (input, want) in table {
            assert_eq!(Email::try_from(input.to_owned()).is_ok(), want, "input {input:?}");
        }
    }

    #[test]
    fn case_makes_no_other_address() {
        let email = |text: &str| Email::try_from(text.to_owned()).unwrap();
        assert_eq!(email("Admin@Example.ORG"), email("admin@example.org"));
        assert_eq!(email("Admin@Example.ORG").as_str(), "Admin@Example.ORG");
        assert_ne!(email("a@example.org"), email("b@example.org"));
    }
}
