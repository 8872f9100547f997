//! A service becomes a cluster, and its endpoints or their names.
//!
//! Where every endpoint is an IP address, they go by EDS, so that a changed
//! endpoint leaves the cluster alone; where one has a name, Envoy resolves it
//! (`STRICT_DNS`), and the endpoints stand in the cluster.

use envoy_types::pb::envoy::config::cluster::v3 as envoy_cluster;
use envoy_types::pb::envoy::config::core::v3 as envoy_core;
use envoy_types::pb::envoy::config::endpoint::v3 as envoy_endpoint;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as envoy_tls;
use envoy_types::pb::envoy::extensions::upstreams::http::v3 as envoy_http;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::util::pack_any;
use marchproxy_xds::{Resource, ResourceType};

use super::{Sources, names, wire};
use crate::model::{
    Endpoint, HealthCheck, Host, HttpVersion, LoadBalancing, Protocol, Service, UpstreamTls,
    Verification,
};

/// Where the certificates of the authorities stand that a system trusts, on
/// Debian, Ubuntu, Alpine and in Envoy's own images.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Adds the service's cluster and what that refers to.
pub(super) fn compile(service: &Service, sources: &Sources, resources: &mut Vec<Resource>) {
    let name = names::cluster(service);
    let by_address = service.spec.endpoints.iter().all(|e| matches!(e.host, Host::Ip(_)));
    let cluster = cluster(service, &name, by_address, sources);
    let mut cluster = Resource::encode(ResourceType::Cluster, name.as_str(), &cluster);
    if by_address {
        let endpoints = load_assignment(service, &name);
        resources.push(Resource::encode(ResourceType::Endpoint, name.as_str(), &endpoints));
        cluster = cluster.requiring(ResourceType::Endpoint, name);
    }
    if let Some(UpstreamTls { verification: Verification::Authority(pem), .. }) =
        service.spec.encrypted()
    {
        let name = names::authority(service);
        let secret = authority(&name, pem.as_str());
        resources.push(Resource::encode(ResourceType::Secret, name.as_str(), &secret));
        cluster = cluster.requiring(ResourceType::Secret, name);
    }
    resources.push(cluster);
}

fn cluster(
    service: &Service,
    name: &str,
    by_address: bool,
    sources: &Sources,
) -> envoy_cluster::Cluster {
    use envoy_cluster::cluster::{ClusterDiscoveryType, DiscoveryType, DnsLookupFamily, LbPolicy};
    let spec = &service.spec;
    let discovery = if by_address { DiscoveryType::Eds } else { DiscoveryType::StrictDns };
    let lb_policy = match spec.load_balancing {
        LoadBalancing::RoundRobin => LbPolicy::RoundRobin,
        LoadBalancing::LeastRequest => LbPolicy::LeastRequest,
        LoadBalancing::RingHash => LbPolicy::RingHash,
        LoadBalancing::Maglev => LbPolicy::Maglev,
        LoadBalancing::Random => LbPolicy::Random,
    };
    envoy_cluster::Cluster {
        name: name.to_owned(),
        alt_stat_name: String::new(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(discovery.into())),
        eds_cluster_config: by_address.then(|| envoy_cluster::cluster::EdsClusterConfig {
            eds_config: Some(sources.source()),
            service_name: String::new(),
        }),
        load_assignment: (!by_address).then(|| load_assignment(service, name)),
        dns_lookup_family: DnsLookupFamily::V4Preferred.into(),
        connect_timeout: Some(wire::duration(spec.timeouts.connect)),
        lb_policy: lb_policy.into(),
        health_checks: spec.probed().into_iter().map(|c| health_check(c, service)).collect(),
        transport_socket: spec.encrypted().map(|tls| transport_socket(tls, service, sources)),
        typed_extension_protocol_options: match spec.protocol {
            // One entry: a map with more would be encoded in an order of chance.
            Protocol::Http(version) => [http_options(version, service)].into(),
            Protocol::Tcp | Protocol::Udp => Default::default(),
        },
        ..Default::default()
    }
}

fn load_assignment(service: &Service, name: &str) -> envoy_endpoint::ClusterLoadAssignment {
    let mut endpoints: Vec<&Endpoint> = service.spec.endpoints.iter().collect();
    endpoints.sort();
    envoy_endpoint::ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: vec![envoy_endpoint::LocalityLbEndpoints {
            lb_endpoints: endpoints.into_iter().map(lb_endpoint).collect(),
            // gRPC clients ignore a locality that has no weight.
            load_balancing_weight: Some(wire::uint32(1)),
            locality: Some(Default::default()),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn lb_endpoint(endpoint: &Endpoint) -> envoy_endpoint::LbEndpoint {
    use envoy_endpoint::lb_endpoint::HostIdentifier;
    let address = wire::address(&endpoint.host, endpoint.port);
    envoy_endpoint::LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(envoy_endpoint::Endpoint {
            address: Some(address),
            ..Default::default()
        })),
        load_balancing_weight: Some(wire::uint32(endpoint.weight.get())),
        ..Default::default()
    }
}

fn http_options(
    version: HttpVersion,
    service: &Service,
) -> (String, envoy_types::pb::google::protobuf::Any) {
    use envoy_http::http_protocol_options::explicit_http_config::ProtocolConfig;
    use envoy_http::http_protocol_options::{ExplicitHttpConfig, UpstreamProtocolOptions};
    let protocol = match version {
        HttpVersion::Http1 => ProtocolConfig::HttpProtocolOptions(Default::default()),
        HttpVersion::Http2 => ProtocolConfig::Http2ProtocolOptions(Default::default()),
    };
    let explicit = ExplicitHttpConfig { protocol_config: Some(protocol) };
    let options = envoy_http::HttpProtocolOptions {
        common_http_protocol_options: Some(envoy_core::HttpProtocolOptions {
            idle_timeout: Some(wire::duration(service.spec.timeouts.idle)),
            ..Default::default()
        }),
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)),
        ..Default::default()
    };
    (HTTP_OPTIONS.to_owned(), pack_any(options))
}

fn health_check(check: &HealthCheck, service: &Service) -> envoy_core::HealthCheck {
    use envoy_core::health_check::{HealthChecker, HttpHealthCheck};
    use envoy_types::pb::envoy::r#type::v3::CodecClientType;
    let checker = match (&check.path, service.spec.protocol) {
        (Some(path), Protocol::Http(version)) => HealthChecker::HttpHealthCheck(HttpHealthCheck {
            path: path.to_string(),
            host: service.spec.name.to_string(),
            codec_client_type: match version {
                HttpVersion::Http1 => CodecClientType::Http1,
                HttpVersion::Http2 => CodecClientType::Http2,
            }
            .into(),
            ..Default::default()
        }),
        (None, _) | (Some(_), Protocol::Tcp | Protocol::Udp) => {
            HealthChecker::TcpHealthCheck(Default::default())
        }
    };
    envoy_core::HealthCheck {
        timeout: Some(wire::duration(check.timeout)),
        interval: Some(wire::duration(check.interval)),
        // Otherwise a cluster without traffic is probed once a minute only.
        no_traffic_interval: Some(wire::duration(check.interval)),
        healthy_threshold: Some(wire::uint32(check.healthy_threshold.get())),
        unhealthy_threshold: Some(wire::uint32(check.unhealthy_threshold.get())),
        health_checker: Some(checker),
        ..Default::default()
    }
}

fn transport_socket(
    tls: &UpstreamTls,
    service: &Service,
    sources: &Sources,
) -> envoy_core::TransportSocket {
    use envoy_core::transport_socket::ConfigType;
    use envoy_tls::common_tls_context::{
        CombinedCertificateValidationContext, ValidationContextType,
    };
    let expected = expected_name(service);
    let validation = match &tls.verification {
        Verification::Off => None,
        Verification::System => {
            let authorities =
                envoy_core::data_source::Specifier::Filename(SYSTEM_AUTHORITIES.into());
            Some(ValidationContextType::ValidationContext(trusting(authorities, expected)))
        }
        Verification::Authority(_) => {
            let sds = envoy_tls::SdsSecretConfig {
                name: names::authority(service),
                sds_config: Some(sources.source()),
            };
            Some(ValidationContextType::CombinedValidationContext(
                CombinedCertificateValidationContext {
                    default_validation_context: Some(envoy_tls::CertificateValidationContext {
                        match_typed_subject_alt_names: expected,
                        ..Default::default()
                    }),
                    validation_context_sds_secret_config: Some(sds),
                    ..Default::default()
                },
            ))
        }
    };
    let context = envoy_tls::UpstreamTlsContext {
        sni: match service.spec.server_name() {
            Some(Host::Dns(name)) => name.clone(),
            Some(Host::Ip(_)) | None => String::new(), // RFC 6066: no literal addresses
        },
        common_tls_context: Some(envoy_tls::CommonTlsContext {
            alpn_protocols: match service.spec.protocol {
                Protocol::Http(HttpVersion::Http2) => vec!["h2".to_owned()],
                Protocol::Http(HttpVersion::Http1) => vec!["http/1.1".to_owned()],
                Protocol::Tcp | Protocol::Udp => vec![],
            },
            validation_context_type: validation,
            ..Default::default()
        }),
        ..Default::default()
    };
    envoy_core::TransportSocket {
        name: "envoy.transport_sockets.tls".to_owned(),
        config_type: Some(ConfigType::TypedConfig(pack_any(context))),
    }
}

/// The name or address that the upstream's certificate must carry.
fn expected_name(service: &Service) -> Vec<envoy_tls::SubjectAltNameMatcher> {
    use envoy_tls::subject_alt_name_matcher::SanType;
    let matcher = |san_type: SanType, name: String| envoy_tls::SubjectAltNameMatcher {
        san_type: san_type.into(),
        matcher: Some(wire::text(MatchPattern::Exact(name))),
        ..Default::default()
    };
    match service.spec.server_name() {
        Some(Host::Dns(name)) => vec![matcher(SanType::Dns, name.clone())],
        Some(Host::Ip(ip)) => vec![matcher(SanType::IpAddress, ip.to_string())],
        None => vec![],
    }
}

fn trusting(
    authorities: envoy_core::data_source::Specifier,
    expected: Vec<envoy_tls::SubjectAltNameMatcher>,
) -> envoy_tls::CertificateValidationContext {
    envoy_tls::CertificateValidationContext {
        trusted_ca: Some(envoy_core::DataSource {
            specifier: Some(authorities),
            ..Default::default()
        }),
        match_typed_subject_alt_names: expected,
        ..Default::default()
    }
}

fn authority(name: &str, pem: &str) -> envoy_tls::Secret {
    let inline = envoy_core::data_source::Specifier::InlineString(pem.to_owned());
    envoy_tls::Secret {
        name: name.to_owned(),
        r#type: Some(envoy_tls::secret::Type::ValidationContext(trusting(inline, vec![]))),
    }
}
