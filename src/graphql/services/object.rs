//! What clients get of a service.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};

use crate::app::envoy_cluster;
use crate::graphql::global_id::GlobalId as _;
use crate::graphql::labels::{self, LabelObject};
use crate::graphql::loaders;
use crate::graphql::node_groups::NodeGroupObject;
use crate::graphql::scalars::Time;
use crate::model::{HttpVersion, Line, Protocol, Service, Verification};

/// What a service's endpoints speak.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ServiceProtocol")]
pub(in crate::graphql) enum ProtocolEnum {
    /// HTTP/1.1; requests are routed by host and path.
    Http,
    /// HTTP/2, with prior knowledge or by ALPN; what gRPC needs.
    #[graphql(name = "HTTP2")]
    Http2,
    /// Bytes; a TCP listener hands connections on.
    Tcp,
    /// Datagrams. For proxies that register over REST: Envoy is not told of it.
    Udp,
}

/// What clients of a service prove themselves with.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ServiceAuthKind", remote = "crate::model::AuthKind")]
pub(in crate::graphql) enum AuthKindEnum {
    /// Nothing.
    None,
    /// A token that all of them share.
    Base64,
    /// JWTs that are signed with a secret.
    Jwt,
}

/// How a proxy chooses among a service's endpoints.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "LoadBalancing", remote = "crate::model::LoadBalancing")]
pub(in crate::graphql) enum LoadBalancingEnum {
    /// In turn, by weight.
    RoundRobin,
    /// The one with the fewest requests under way.
    LeastRequest,
    /// By the client's address, hashed onto a ring.
    RingHash,
    /// By the client's address, hashed into Maglev's table.
    Maglev,
    /// By chance.
    Random,
}

/// Something with endpoints that traffic goes to.
pub(in crate::graphql) struct ServiceObject(pub(in crate::graphql) Service);

/// One place that a service's traffic goes to.
#[derive(SimpleObject)]
#[graphql(name = "Endpoint")]
pub(in crate::graphql) struct EndpointObject {
    /// An IP address or a DNS name.
    host: String,
    /// 1 to 65535.
    port: i32,
    /// Its share among the service's endpoints; 1 to 10000.
    weight: i32,
}

/// How long talking to a service may take, in milliseconds; 0 is no limit.
#[derive(SimpleObject)]
#[graphql(name = "Timeouts")]
pub(in crate::graphql) struct TimeoutsObject {
    /// Milliseconds until a connection is there.
    connect_ms: i32,
    /// Milliseconds until the whole response is there; 0 is no limit.
    request_ms: i32,
    /// Milliseconds that a connection may be idle; 0 is no limit.
    idle_ms: i32,
}

/// How endpoints are probed.
#[derive(SimpleObject)]
#[graphql(name = "HealthCheck")]
pub(in crate::graphql) struct HealthCheckObject {
    /// The path to GET, expecting 200; a connection is opened if null.
    path: Option<String>,
    /// Milliseconds from one probe to the next.
    interval_ms: i32,
    /// Milliseconds that a probe may take.
    timeout_ms: i32,
    /// How many good probes make an endpoint healthy.
    healthy_threshold: i32,
    /// How many bad probes make it unhealthy.
    unhealthy_threshold: i32,
}

/// How the way to the endpoints is encrypted.
#[derive(SimpleObject)]
#[graphql(name = "UpstreamTls")]
pub(in crate::graphql) struct UpstreamTlsObject {
    /// The name that is asked for, and verified.
    sni: Option<String>,
    /// Whether the certificate is verified.
    verify: bool,
    /// The authority that the certificate is verified by, as PEM; those that the proxy trusts
    /// anyway if null.
    ca_pem: Option<String>,
}

/// What traffic goes to.
#[Object(name = "Service")]
impl ServiceObject {
    /// Its global id.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// Unique in its group.
    async fn name(&self) -> &str {
        self.0.spec.name.as_str()
    }

    /// The node group that it belongs to.
    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        Ok(loaders::node_group(ctx, self.0.group).await?)
    }

    /// What it speaks.
    async fn protocol(&self) -> ProtocolEnum {
        match self.0.spec.protocol {
            Protocol::Http(HttpVersion::Http1) => ProtocolEnum::Http,
            Protocol::Http(HttpVersion::Http2) => ProtocolEnum::Http2,
            Protocol::Tcp => ProtocolEnum::Tcp,
            Protocol::Udp => ProtocolEnum::Udp,
        }
    }

    /// Where its traffic goes; the first one is what `ipFqdn` and `port` name.
    async fn endpoints(&self) -> Vec<EndpointObject> {
        let endpoints = self.0.spec.endpoints.iter();
        endpoints
            .map(|endpoint| EndpointObject {
                host: endpoint.host.to_string(),
                port: endpoint.port.into(),
                weight: endpoint.weight.into(),
            })
            .collect()
    }

    /// How an endpoint is chosen.
    async fn load_balancing(&self) -> LoadBalancingEnum {
        self.0.spec.load_balancing.into()
    }

    /// How long things may take.
    async fn timeouts(&self) -> TimeoutsObject {
        let timeouts = self.0.spec.timeouts;
        TimeoutsObject {
            connect_ms: timeouts.connect.into(),
            request_ms: timeouts.request.into(),
            idle_ms: timeouts.idle.into(),
        }
    }

    /// How its endpoints are probed; not at all if null.
    async fn health_check(&self) -> Option<HealthCheckObject> {
        self.0.spec.probed().cloned().map(|check| HealthCheckObject {
            path: check.path.map(String::from),
            interval_ms: check.interval.into(),
            timeout_ms: check.timeout.into(),
            healthy_threshold: check.healthy_threshold.into(),
            unhealthy_threshold: check.unhealthy_threshold.into(),
        })
    }

    /// How the way to it is encrypted; not at all if null.
    async fn tls(&self) -> Option<UpstreamTlsObject> {
        self.0.spec.encrypted().cloned().map(|tls| UpstreamTlsObject {
            sni: tls.sni.map(String::from),
            verify: tls.verification != Verification::Off,
            ca_pem: match tls.verification {
                Verification::Authority(pem) => Some(pem.into()),
                Verification::System | Verification::Off => None,
            },
        })
    }

    /// Whether it counts. An inactive one keeps its name, and no proxy is told of it.
    async fn is_active(&self) -> bool {
        self.0.spec.is_active
    }

    /// What it belongs to, in people's minds.
    async fn collection(&self) -> Option<&str> {
        self.0.spec.collection.as_ref().map(Line::as_str)
    }

    /// What its clients prove themselves with to proxies that registered over REST.
    async fn auth_kind(&self) -> AuthKindEnum {
        self.0.spec.auth.kind.into()
    }

    /// What its cluster is called in Envoy.
    async fn envoy_cluster(&self) -> String {
        envoy_cluster(&self.0)
    }

    /// What people sort it by, by key.
    async fn labels(&self) -> Vec<LabelObject> {
        labels::shown(&self.0.spec.labels)
    }

    /// The group's revision at which it was last changed; goes into `ifRevision`.
    async fn revision(&self) -> i64 {
        self.0.revision.into()
    }

    /// When it was made.
    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }

    /// When it was last changed.
    async fn updated_at(&self) -> Time {
        Time(self.0.updated_at)
    }
}
