//! Certificates, and the listeners that prove themselves with them.

use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as envoy_tls;
use envoy_types::pb::google::protobuf::Any;
use marchproxy_xds::{Resource, ResourceType, Snapshot};
use prost::Message as _;

use super::given::{certificate, number, service, serving, state, text};
use crate::compile::{CompileError, compile};
use crate::error::Error;
use crate::model::{CertificateKey, DesiredState, Sealed, UpstreamTls, Verification};

fn secured() -> DesiredState {
    let mut state = state();
    state.certificates.push(certificate(3, "web"));
    state.listeners[0].spec.certificate = Some(number(3));
    state
}

fn resource(snapshot: &Snapshot, kind: ResourceType) -> Resource {
    snapshot.resources(kind).next().unwrap().clone()
}

fn inner<M: prost::Message + Default>(resource: &Resource) -> M {
    M::decode(Any::decode(&resource.body()[..]).unwrap().value.as_slice()).unwrap()
}

#[test]
fn a_listener_refers_to_its_certificate_and_does_not_hold_it() {
    let one = secured();
    let mut two = secured(); // of another key, under the same name
    let snapshot = compile(&one).unwrap();
    let listener: Listener = inner(&resource(&snapshot, ResourceType::Listener));
    let socket = listener.filter_chains[0].transport_socket.clone().unwrap();
    let shown = format!("{socket:?}");
    assert!(shown.contains("DownstreamTlsContext") && !shown.contains("PRIVATE"), "{shown}");
    let secret: envoy_tls::Secret = inner(&resource(&snapshot, ResourceType::Secret));
    assert_eq!(secret.name, "web");

    let other = compile(&two).unwrap();
    let version = |s: &Snapshot, kind| resource(s, kind).version().to_string();
    assert_ne!(version(&snapshot, ResourceType::Secret), version(&other, ResourceType::Secret));
    let [was, is] = [&snapshot, &other].map(|s| version(s, ResourceType::Listener));
    assert_eq!(was, is, "a renewed certificate would drain the listener");

    two.listeners[0].spec.certificate = None;
    let plain = compile(&two).unwrap();
    assert_ne!(was, version(&plain, ResourceType::Listener));
    two.certificates[0].spec.is_active = false;
    assert_eq!(compile(&two).unwrap().count(ResourceType::Secret), 0, "it is switched off");
}

#[test]
fn a_certificate_that_is_not_there_names_its_field() {
    let mut gone = secured();
    gone.certificates.clear();
    let mut inactive = secured();
    inactive.certificates[0].spec.is_active = false;
    for state in [gone, inactive] {
        let error = Error::from(compile(&state).unwrap_err());
        assert_eq!(error.path(), ["certificate"]);
    }
    let mut clash = serving([service(1, "api", &["10.0.0.1:80"])]);
    let pem = certificate(9, "x").chain.as_str().to_owned();
    clash.services[0].spec.tls = Some(UpstreamTls {
        enabled: true,
        sni: None,
        verification: Verification::Authority(text(&pem)),
    });
    clash.certificates.push(certificate(3, "cluster_1_service_1_ca"));
    let error = compile(&clash).unwrap_err();
    assert!(matches!(error, CompileError::SecretClash { .. }), "{error:?}");
    assert_eq!(Error::from(error).path(), ["name"]);
}

#[test]
fn a_sealed_key_is_our_fault_and_not_the_clients() {
    let mut state = secured();
    state.certificates[0].key = CertificateKey::Sealed(Sealed::new(vec![1]));
    let error = Error::from(compile(&state).unwrap_err());
    assert_eq!(error.to_string(), "internal error");
}
