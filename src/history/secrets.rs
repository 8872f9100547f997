//! What of a resource must not be kept.

use envoy_types::pb::envoy::config::core::v3 as envoy_core;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as envoy_tls;
use envoy_types::pb::google::protobuf::Any;
use marchproxy_xds::{Resource, ResourceType};
use prost::Message as _;

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";

/// The resource as an encoded `google.protobuf.Any`, without what is secret in it.
///
/// Its version is still that of the whole, so that a changed secret shows.
pub(super) fn without(resource: &Resource) -> Vec<u8> {
    if resource.resource_type() != ResourceType::Secret {
        return resource.body().to_vec();
    }
    redacted(resource.body()).unwrap_or_default() // what is no secret is not guessed at
}

fn redacted(body: &[u8]) -> Result<Vec<u8>, prost::DecodeError> {
    use envoy_tls::secret::Type;
    let Any { type_url, value } = Any::decode(body)?;
    let mut secret = envoy_tls::Secret::decode(value.as_slice())?;
    match &mut secret.r#type {
        Some(Type::TlsCertificate(certificate)) => {
            certificate.private_key = certificate.private_key.take().map(|_| hidden());
            certificate.password = certificate.password.take().map(|_| hidden());
            certificate.pkcs12 = certificate.pkcs12.take().map(|_| hidden());
            certificate.private_key_provider = None;
        }
        Some(Type::SessionTicketKeys(tickets)) => tickets.keys.fill_with(hidden),
        Some(Type::GenericSecret(generic)) => {
            generic.secret = generic.secret.take().map(|_| hidden());
            generic.secrets.values_mut().for_each(|secret| *secret = hidden());
        }
        Some(Type::ValidationContext(_)) | None => {} // whom to trust is no secret
    }
    Ok(Any { type_url, value: secret.encode_to_vec() }.encode_to_vec())
}

fn hidden() -> envoy_core::DataSource {
    let text = envoy_core::data_source::Specifier::InlineString(REDACTED.to_owned());
    envoy_core::DataSource { specifier: Some(text), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inline(text: &str) -> Option<envoy_core::DataSource> {
        let text = envoy_core::data_source::Specifier::InlineString(text.to_owned());
        Some(envoy_core::DataSource { specifier: Some(text), ..Default::default() })
    }

    #[test]
    fn a_private_key_is_left_out_and_its_certificate_is_not() {
        use envoy_tls::secret::Type;
        let table = [
            Type::TlsCertificate(envoy_tls::TlsCertificate {
                certificate_chain: inline("to be seen"),
                private_key: inline("hush"),
                password: inline("hush"),
                pkcs12: inline("hush"),
                ..Default::default()
            }),
            Type::SessionTicketKeys(envoy_tls::TlsSessionTicketKeys {
                keys: vec![inline("hush").unwrap(), inline("hush").unwrap()],
            }),
            Type::GenericSecret(envoy_tls::GenericSecret {
                secret: inline("hush"),
                secrets: [("a".to_owned(), inline("hush").unwrap())].into(),
            }),
            Type::ValidationContext(envoy_tls::CertificateValidationContext {
                trusted_ca: inline("to be seen"),
                ..Default::default()
            }),
        ];
        for secret in table {
            let name = format!("{secret:?}");
            let seen = name.contains("to be seen");
            let secret = envoy_tls::Secret { name: "s".to_owned(), r#type: Some(secret) };
            let kept = without(&Resource::encode(ResourceType::Secret, "s", &secret));
            let text = String::from_utf8_lossy(&kept);
            assert!(!text.contains("hush"), "{name}");
            assert!(text.contains(if seen { "to be seen" } else { REDACTED }), "{name}");
        }
    }
}
