//! A certificate becomes a secret; a listener that has one speaks TLS.

use envoy_types::pb::envoy::config::core::v3 as envoy_core;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as envoy_tls;
use envoy_types::util::pack_any;
use marchproxy_xds::{Resource, ResourceType};

use super::{Checked, CompileError, Sources, names};
use crate::model::{
    Certificate, CertificateKey, Listener, ListenerProtocol, UpstreamTls, Verification,
};

/// Compiles one certificate, with its key.
pub(super) fn compile(certificate: &Certificate) -> Result<Resource, CompileError> {
    let name = names::certificate(certificate);
    let key = match &certificate.key {
        CertificateKey::Opened(key) => key.expose(),
        CertificateKey::Sealed(_) => return Err(CompileError::Sealed(name)),
    };
    let pair = envoy_tls::TlsCertificate {
        certificate_chain: Some(inline(certificate.chain.as_str())),
        private_key: Some(inline(key)),
        ..Default::default()
    };
    let secret = envoy_tls::Secret {
        name: name.clone(),
        r#type: Some(envoy_tls::secret::Type::TlsCertificate(pair)),
    };
    Ok(Resource::encode(ResourceType::Secret, name, &secret))
}

/// Checks that no certificate is called as another secret is.
pub(super) fn check(checked: &Checked<'_>) -> Result<(), CompileError> {
    for service in checked.services.values() {
        let Some(UpstreamTls { verification: Verification::Authority(_), .. }) =
            service.spec.encrypted()
        else {
            continue;
        };
        let authority = names::authority(service);
        if checked.certificates.values().any(|c| names::certificate(c) == authority) {
            let service = service.spec.name.to_string();
            return Err(CompileError::SecretClash { certificate: authority, service });
        }
    }
    Ok(())
}

/// How connections to a listener are encrypted. The certificate comes as a secret,
/// so that another one in its place leaves the listener alone.
pub(super) fn transport_socket(
    listener: &Listener,
    certificate: &Certificate,
    sources: &Sources,
) -> envoy_core::TransportSocket {
    let alpn_protocols = match listener.spec.protocol {
        ListenerProtocol::Http => vec!["h2".to_owned(), "http/1.1".to_owned()],
        ListenerProtocol::Tcp(_) => vec![],
    };
    let sds = envoy_tls::SdsSecretConfig {
        name: names::certificate(certificate),
        sds_config: Some(sources.source()),
    };
    let context = envoy_tls::DownstreamTlsContext {
        common_tls_context: Some(envoy_tls::CommonTlsContext {
            alpn_protocols,
            tls_certificate_sds_secret_configs: vec![sds],
            ..Default::default()
        }),
        ..Default::default()
    };
    envoy_core::TransportSocket {
        name: "envoy.transport_sockets.tls".to_owned(),
        config_type: Some(envoy_core::transport_socket::ConfigType::TypedConfig(pack_any(context))),
    }
}

fn inline(text: &str) -> envoy_core::DataSource {
    let text = envoy_core::data_source::Specifier::InlineString(text.to_owned());
    envoy_core::DataSource { specifier: Some(text), ..Default::default() }
}
