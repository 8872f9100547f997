//! Which group a client certificate names.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::error::{Error, Result};
use crate::model::Name;

/// More names than this are not looked up.
const MOST_NAMES: usize = 32;

/// What may be a group's name in a certificate, each once.
///
/// Those of SPIFFE ids `spiffe://<trust domain>/node-group/<name>[/...]`; only if
/// there is no such id, those DNS names that a group could have.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Result<Vec<Name>> {
    let unreadable = |_| Error::UnprovenNode("the client certificate cannot be read");
    let certificate = EndEntityCert::try_from(certificate).map_err(unreadable)?;
    let mut names: Vec<Name> = certificate.valid_uri_names().filter_map(in_spiffe_id).collect();
    if names.is_empty() {
        let dns = certificate.valid_dns_names().map(ToOwned::to_owned);
        names = dns.filter_map(|name| name.try_into().ok()).collect();
    }
    names.sort();
    names.dedup();
    if names.len() > MOST_NAMES {
        return Err(Error::UnprovenNode("the client certificate has too many names"));
    }
    Ok(names)
}

/// The group in a SPIFFE id; see the SPIFFE-ID standard, section 2.
fn in_spiffe_id(uri: &str) -> Option<Name> {
    let (scheme, rest) = uri.split_once("://")?;
    let (trust_domain, path) = rest.split_once('/')?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    if !scheme.eq_ignore_ascii_case("spiffe")
        || trust_domain.is_empty()
        || !trust_domain.chars().all(allowed)
    {
        return None;
    }
    let mut segments = path.split('/');
    if segments.next()? != "node-group" {
        return None;
    }
    segments.next()?.to_owned().try_into().ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(dns: &[&str], uris: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new([]).unwrap();
        let dns = dns.iter().map(|name| SanType::DnsName((*name).try_into().unwrap()));
        let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
        params.subject_alt_names = dns.chain(uris).collect();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().into()
    }

    fn named(dns: &[&str], uris: &[&str]) -> Vec<String> {
        let names = names(&certificate(dns, uris)).unwrap();
        names.into_iter().map(String::from).collect()
    }

    #[test]
    fn a_spiffe_id_may_name_a_group() {
        let table = [
            ("spiffe://example.org/node-group/blue", Some("blue")),
            ("spiffe://example.org/node-group/blue/node/7", Some("blue")),
            ("SPIFFE://example.org/node-group/Blue.1", Some("Blue.1")),
            ("spiffe://example.org/node-group/", None),
            ("spiffe://example.org/node-group", None),
            ("spiffe://example.org/node-group/%62lue", None),
            ("spiffe://example.org/ns/x/node-group/blue", None),
            ("spiffe://example.org/node-groups/blue", None),
            ("spiffe:///node-group/blue", None),
            ("spiffe://Example.org/node-group/blue", None),
            ("spiffe://me@example.org/node-group/blue", None),
            ("https://example.org/node-group/blue", None),
            ("spiffe:example.org/node-group/blue", None),
        ];
        for (uri, want) in table {
            assert_eq!(in_spiffe_id(uri).as_ref().map(Name::as_str), want, "{uri}");
        }
    }

    #[test]
    fn dns_names_count_only_without_a_spiffe_id_of_a_group() {
        let blue = "spiffe://example.org/node-group/blue";
        let green = "spiffe://example.org/node-group/green";
        let other = "spiffe://example.org/ns/default/sa/envoy";
        assert_eq!(named(&["red"], &[blue]), ["blue"]);
        assert_eq!(named(&["red"], &[other]), ["red"]);
        assert_eq!(named(&["red", "b.example", "red"], &[]), ["b.example", "red"]);
        assert_eq!(named(&[], &[green, blue]), ["blue", "green"]);
        assert_eq!(named(&["*.example"], &[]), [""; 0]);
        assert_eq!(named(&[], &[]), [""; 0]);
    }

    #[test]
    fn a_certificate_of_very_many_names_is_refused() {
        let names_of = |count| {
            let dns: Vec<_> = (0..count).map(|i| format!("n{i}")).collect();
            names(&certificate(&dns.iter().map(|s| &**s).collect::<Vec<_>>(), &[]))
        };
        assert_eq!(names_of(MOST_NAMES).unwrap().len(), MOST_NAMES);
        assert!(names_of(MOST_NAMES + 1).is_err());
        assert!(names(&CertificateDer::from(vec![1, 2, 3])).is_err());
    }
}
