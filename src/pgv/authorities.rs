//! Whether authorities that are trusted are certificates.

use prost_reflect::{DynamicMessage, Value};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::parse_x509_certificate;

use super::{Violation, at, broken};

/// What says whom to trust.
pub(super) const TRUSTING: &str =
    "envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext";

/// What is wrong with the authorities that stand in `message` itself. Those in a file
/// only an Envoy knows.
pub(super) fn check(message: &DynamicMessage, path: &str) -> Option<Violation> {
    let trusted = message.get_field_by_name("trusted_ca")?;
    let trusted = trusted.as_message()?;
    let inline = ["inline_string", "inline_bytes"].into_iter();
    let (name, value) = inline
        .filter_map(|name| Some((name, trusted.get_field_by_name(name)?)))
        .find(|(name, _)| trusted.has_field_by_name(name))?;
    let pem = match value.as_ref() {
        Value::String(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        Value::Bool(_)
        | Value::I32(_)
        | Value::I64(_)
        | Value::U32(_)
        | Value::U64(_)
        | Value::F32(_)
        | Value::F64(_)
        | Value::EnumNumber(_)
        | Value::Message(_)
        | Value::List(_)
        | Value::Map(_) => return None,
    };
    let path = at(&at(path, "trusted_ca"), name);
    unreadable(pem).map(|reason| broken(&path, reason))
}

/// Why a text is not one PEM certificate or more.
fn unreadable(pem: &[u8]) -> Option<String> {
    let mut count = 0;
    for der in CertificateDer::pem_slice_iter(pem) {
        count += 1;
        let is_good = der.is_ok_and(|der| parse_x509_certificate(&der).is_ok());
        if !is_good {
            return Some(format!("certificate {count} in it is none that can be read"));
        }
    }
    (count == 0).then(|| "must hold a PEM certificate".to_owned())
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::core::v3 as envoy_core;
    use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as envoy_tls;
    use marchproxy_xds::{Resource, ResourceType};

    use super::super::violations;

    fn found(specifier: envoy_core::data_source::Specifier) -> Vec<String> {
        let trusted = envoy_core::DataSource { specifier: Some(specifier), ..Default::default() };
        let context = envoy_tls::CertificateValidationContext {
            trusted_ca: Some(trusted),
            ..Default::default()
        };
        let secret = envoy_tls::Secret {
            name: "ca".to_owned(),
            r#type: Some(envoy_tls::secret::Type::ValidationContext(context)),
        };
        let resource = Resource::encode(ResourceType::Secret, "ca", &secret);
        let found = violations(resource.body()).into_iter();
        found.map(|violation| format!("{}: {}", violation.path, violation.reason)).collect()
    }

    #[test]
    fn an_authority_is_a_certificate() {
        use envoy_core::data_source::Specifier::{Filename, InlineBytes, InlineString};
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        let good = params.self_signed(&key).unwrap().pem();
        assert_eq!(found(InlineString(good.clone())), Vec::<String>::new());
        assert_eq!(found(InlineBytes(good.clone().into_bytes())), Vec::<String>::new());
        assert_eq!(found(Filename("/etc/ca.pem".to_owned())), Vec::<String>::new());
        let at = "validation_context.trusted_ca.inline_string";
        let looks = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let table = [
            (good.clone() + looks, "certificate 2 in it is none that can be read"),
            (looks.to_owned(), "certificate 1 in it is none that can be read"),
            ("hello".to_owned(), "must hold a PEM certificate"),
        ];
        for (pem, reason) in table {
            assert_eq!(found(InlineString(pem)), [format!("{at}: {reason}")]);
        }
    }
}
