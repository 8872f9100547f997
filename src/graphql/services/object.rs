//! What clients get of a service.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};

use crate::app::envoy_cluster;
use crate::graphql::app_and_actor;
use crate::graphql::global_id::GlobalId as _;
use crate::graphql::node_groups::NodeGroupObject;
use crate::graphql::scalars::Time;
use crate::model::{HttpVersion, Protocol, Service, Verification};

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
    host: String,
    port: i32,
    weight: i32,
}

/// How long talking to a service may take, in milliseconds; 0 is no limit.
#[derive(SimpleObject)]
#[graphql(name = "Timeouts")]
pub(in crate::graphql) struct TimeoutsObject {
    connect_ms: i32,
    request_ms: i32,
    idle_ms: i32,
}

/// How endpoints are probed.
#[derive(SimpleObject)]
#[graphql(name = "HealthCheck")]
pub(in crate::graphql) struct HealthCheckObject {
    path: Option<String>,
    interval_ms: i32,
    timeout_ms: i32,
    healthy_threshold: i32,
    unhealthy_threshold: i32,
}

/// How the way to the endpoints is encrypted.
#[derive(SimpleObject)]
#[graphql(name = "UpstreamTls")]
pub(in crate::graphql) struct UpstreamTlsObject {
    sni: Option<String>,
    verify: bool,
    ca_pem: Option<String>,
}

#[Object(name = "Service")]
impl ServiceObject {
    async fn id(&self) -> ID {
        self.0.id.global()
    }

    async fn name(&self) -> &str {
        self.0.spec.name.as_str()
    }

    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(NodeGroupObject(app.node_group(actor, self.0.group).await?))
    }

    async fn protocol(&self) -> ProtocolEnum {
        match self.0.spec.protocol {
            Protocol::Http(HttpVersion::Http1) => ProtocolEnum::Http,
            Protocol::Http(HttpVersion::Http2) => ProtocolEnum::Http2,
            Protocol::Tcp => ProtocolEnum::Tcp,
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

    async fn load_balancing(&self) -> LoadBalancingEnum {
        self.0.spec.load_balancing.into()
    }

    async fn timeouts(&self) -> TimeoutsObject {
        let timeouts = self.0.spec.timeouts;
        TimeoutsObject {
            connect_ms: timeouts.connect.into(),
            request_ms: timeouts.request.into(),
            idle_ms: timeouts.idle.into(),
        }
    }

    async fn health_check(&self) -> Option<HealthCheckObject> {
        self.0.spec.health_check.clone().map(|check| HealthCheckObject {
            path: check.path.map(String::from),
            interval_ms: check.interval.into(),
            timeout_ms: check.timeout.into(),
            healthy_threshold: check.healthy_threshold.into(),
            unhealthy_threshold: check.unhealthy_threshold.into(),
        })
    }

    async fn tls(&self) -> Option<UpstreamTlsObject> {
        self.0.spec.tls.clone().map(|tls| UpstreamTlsObject {
            sni: tls.sni.map(String::from),
            verify: tls.verification != Verification::Off,
            ca_pem: match tls.verification {
                Verification::Authority(pem) => Some(pem.into()),
                Verification::System | Verification::Off => None,
            },
        })
    }

    /// What its cluster is called in Envoy.
    async fn envoy_cluster(&self) -> String {
        envoy_cluster(&self.0)
    }

    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }

    async fn updated_at(&self) -> Time {
        Time(self.0.updated_at)
    }
}
