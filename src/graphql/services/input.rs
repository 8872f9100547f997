//! What is said of a service, into domain types.

use async_graphql::{ID, InputObject, MaybeUndefined};

use super::object::{LoadBalancingEnum, ProtocolEnum};
use crate::app::NewService;
use crate::graphql::global_id::{GlobalId as _, optional};
use crate::graphql::labels::{self, LabelInput};
use crate::graphql::parse::{list, number, replaced};
use crate::model::{
    At as _, Endpoint, HealthCheck, HttpVersion, Invalid, Millis, Pem, Protocol, ServiceAuth,
    ServiceChange, ServiceId, ServiceSpec, Timeout, Timeouts, UpstreamTls, Verification,
};

/// One place that a service's traffic goes to.
#[derive(InputObject)]
pub(in crate::graphql) struct EndpointInput {
    /// An IP address or a DNS name.
    host: String,
    /// 1 to 65535.
    port: i64,
    /// Its share among the service's endpoints; 1 to 10000.
    #[graphql(default = 1)]
    weight: i64,
}

/// How long talking to a service may take, in milliseconds, up to one day.
#[derive(InputObject)]
pub(in crate::graphql) struct TimeoutsInput {
    /// To open a connection; 5000 if not said.
    connect_ms: Option<i64>,
    /// Until the whole response is there, where no route says otherwise; 15000
    /// if not said, 0 for no limit.
    request_ms: Option<i64>,
    /// How long a connection may be idle; an hour if not said, 0 for ever.
    idle_ms: Option<i64>,
}

/// How endpoints are probed.
#[derive(InputObject)]
pub(in crate::graphql) struct HealthCheckInput {
    /// The path to GET, expecting 200; without one a connection is opened.
    path: Option<String>,
    /// Milliseconds from one probe to the next.
    #[graphql(default = 10000)]
    interval_ms: i64,
    /// Milliseconds that a probe may take.
    #[graphql(default = 2000)]
    timeout_ms: i64,
    /// How many good probes make an endpoint healthy.
    #[graphql(default = 2)]
    healthy_threshold: i64,
    /// How many bad probes make it unhealthy.
    #[graphql(default = 3)]
    unhealthy_threshold: i64,
}

/// How the way to the endpoints is encrypted.
#[derive(InputObject)]
pub(in crate::graphql) struct UpstreamTlsInput {
    /// The name asked for and expected in the certificate; without one, the
    /// service's own host. An IP address is expected, and not asked for.
    sni: Option<String>,
    /// Whether the certificate is verified.
    #[graphql(default = true)]
    verify: bool,
    /// The authority to verify it by, as PEM; without one, those that the
    /// proxy's system trusts.
    ca_pem: Option<String>,
}

/// A service to be made.
#[derive(InputObject)]
pub(in crate::graphql) struct CreateServiceInput {
    /// The node group; the default one if not said.
    group: Option<ID>,
    /// Unique in its group. An HTTP service answers to it as `Host` on the
    /// group's default listener.
    name: String,
    /// Where its traffic goes: an IP address or a DNS name.
    ip_fqdn: String,
    /// The port there, 1 to 65535.
    port: i64,
    /// The share of that endpoint among all; 1 to 10000.
    #[graphql(default = 1)]
    weight: i64,
    /// What it speaks.
    #[graphql(default_with = "ProtocolEnum::Http")]
    protocol: ProtocolEnum,
    /// More endpoints.
    #[graphql(default)]
    endpoints: Vec<EndpointInput>,
    /// How an endpoint is chosen.
    #[graphql(default_with = "LoadBalancingEnum::RoundRobin")]
    load_balancing: LoadBalancingEnum,
    /// How long things may take.
    timeouts: Option<TimeoutsInput>,
    /// How its endpoints are probed; not at all if not said.
    health_check: Option<HealthCheckInput>,
    /// How the way to it is encrypted; not at all if not said.
    tls: Option<UpstreamTlsInput>,
    /// What it belongs to, in people's minds; up to 100 characters.
    collection: Option<String>,
    /// What to sort it by; up to 32 labels.
    #[graphql(default)]
    labels: Vec<LabelInput>,
}

/// What to change; what is left out stays as it is.
#[derive(InputObject)]
pub(in crate::graphql) struct UpdateServiceInput {
    /// The service.
    pub(super) id: ID,
    /// The `revision` that you have seen: `CONFLICT` if it was changed since.
    if_revision: i64,
    /// Unique in its group.
    name: Option<String>,
    /// Where its traffic goes: an IP address or a DNS name.
    ip_fqdn: Option<String>,
    /// The port there, 1 to 65535.
    port: Option<i64>,
    /// The share of that endpoint among all; 1 to 10000.
    weight: Option<i64>,
    /// What it speaks.
    protocol: Option<ProtocolEnum>,
    /// Takes the place of all endpoints after the first.
    endpoints: Option<Vec<EndpointInput>>,
    /// How an endpoint is chosen.
    load_balancing: Option<LoadBalancingEnum>,
    /// How long things may take; what is left out stays.
    timeouts: Option<TimeoutsInput>,
    /// Null stops probing.
    health_check: MaybeUndefined<HealthCheckInput>,
    /// Null stops encrypting.
    tls: MaybeUndefined<UpstreamTlsInput>,
    /// Null takes it out.
    collection: MaybeUndefined<String>,
    /// False takes it from all proxies, as long as no route or listener names it.
    is_active: Option<bool>,
    /// Takes the place of all labels.
    labels: Option<Vec<LabelInput>>,
}

impl CreateServiceInput {
    pub(in crate::graphql) fn parse(self) -> Result<NewService, Invalid> {
        let timeouts = self.timeouts.map(TimeoutsInput::parse).transpose()?.unwrap_or_default();
        let first = Endpoint {
            host: self.ip_fqdn.try_into().at("ipFqdn")?,
            port: number(self.port).at("port")?,
            weight: number(self.weight).at("weight")?,
        };
        let mut endpoints = vec![first];
        endpoints.extend(list(self.endpoints, "endpoints", EndpointInput::parse)?);
        let default = |millis: i32| Millis::try_from(millis).expect("in range");
        Ok(NewService {
            group: optional(self.group.as_ref(), "group")?,
            spec: ServiceSpec {
                labels: labels::parse(self.labels)?,
                name: self.name.try_into().at("name")?,
                protocol: self.protocol.into(),
                endpoints,
                load_balancing: self.load_balancing.into(),
                timeouts: Timeouts {
                    connect: timeouts.connect_timeout.unwrap_or(default(5000)),
                    request: timeouts.request_timeout.unwrap_or(Timeout::After(default(15_000))),
                    idle: timeouts.idle_timeout.unwrap_or(Timeout::After(default(3_600_000))),
                },
                health_check: self.health_check.map(HealthCheckInput::parse).transpose()?,
                tls: self.tls.map(UpstreamTlsInput::parse).transpose()?,
                collection: self.collection.map(|c| c.try_into().at("collection")).transpose()?,
                auth: ServiceAuth::default(),
                metadata: None,
                is_active: true,
            },
        })
    }
}

impl UpdateServiceInput {
    pub(in crate::graphql) fn parse(self) -> Result<(ServiceId, ServiceChange), Invalid> {
        let timeouts = self.timeouts.map(TimeoutsInput::parse).transpose()?.unwrap_or_default();
        let change = ServiceChange {
            labels: self.labels.map(labels::parse).transpose()?,
            if_revision: Some(self.if_revision.into()),
            name: self.name.map(|name| name.try_into().at("name")).transpose()?,
            protocol: self.protocol.map(Protocol::from),
            host: self.ip_fqdn.map(|host| host.try_into().at("ipFqdn")).transpose()?,
            port: self.port.map(|port| number(port).at("port")).transpose()?,
            weight: self.weight.map(|weight| number(weight).at("weight")).transpose()?,
            more_endpoints: self
                .endpoints
                .map(|e| list(e, "endpoints", EndpointInput::parse))
                .transpose()?,
            load_balancing: self.load_balancing.map(Into::into),
            health_check: replaced(self.health_check, HealthCheckInput::parse)?,
            tls: replaced(self.tls, UpstreamTlsInput::parse)?,
            collection: replaced(self.collection, |c| c.try_into().at("collection"))?,
            is_active: self.is_active,
            ..timeouts
        };
        Ok((ServiceId::parse(&self.id, "id")?, change))
    }
}

impl EndpointInput {
    pub(super) fn parse(self) -> Result<Endpoint, Invalid> {
        Ok(Endpoint {
            host: self.host.try_into().at("host")?,
            port: number(self.port).at("port")?,
            weight: number(self.weight).at("weight")?,
        })
    }
}

impl TimeoutsInput {
    /// As a change of the timeouts that are named.
    pub(super) fn parse(self) -> Result<ServiceChange, Invalid> {
        let parse = || {
            Ok(ServiceChange {
                connect_timeout: self
                    .connect_ms
                    .map(|ms| number(ms).at("connectMs"))
                    .transpose()?,
                request_timeout: self
                    .request_ms
                    .map(|ms| number(ms).at("requestMs"))
                    .transpose()?,
                idle_timeout: self.idle_ms.map(|ms| number(ms).at("idleMs")).transpose()?,
                ..Default::default()
            })
        };
        parse().map_err(|e: Invalid| e.within("timeouts"))
    }
}

impl HealthCheckInput {
    pub(super) fn parse(self) -> Result<HealthCheck, Invalid> {
        let parse = || {
            Ok(HealthCheck {
                enabled: true,
                path: self.path.map(|path| path.try_into().at("path")).transpose()?,
                interval: number(self.interval_ms).at("intervalMs")?,
                timeout: number(self.timeout_ms).at("timeoutMs")?,
                healthy_threshold: number(self.healthy_threshold).at("healthyThreshold")?,
                unhealthy_threshold: number(self.unhealthy_threshold).at("unhealthyThreshold")?,
            })
        };
        parse().map_err(|e: Invalid| e.within("healthCheck"))
    }
}

impl UpstreamTlsInput {
    pub(super) fn parse(self) -> Result<UpstreamTls, Invalid> {
        let parse = || {
            Ok(UpstreamTls {
                enabled: true,
                sni: self.sni.map(|sni| sni.try_into().at("sni")).transpose()?,
                verification: match (self.verify, self.ca_pem) {
                    (true, None) => Verification::System,
                    (true, Some(pem)) => Verification::Authority(Pem::try_from(pem).at("caPem")?),
                    (false, None) => Verification::Off,
                    (false, Some(_)) => {
                        return Err(Invalid::new("caPem", "is of no use without verify"));
                    }
                },
            })
        };
        parse().map_err(|e: Invalid| e.within("tls"))
    }
}

impl From<ProtocolEnum> for Protocol {
    fn from(protocol: ProtocolEnum) -> Self {
        match protocol {
            ProtocolEnum::Http => Self::Http(HttpVersion::Http1),
            ProtocolEnum::Http2 => Self::Http(HttpVersion::Http2),
            ProtocolEnum::Tcp => Self::Tcp,
            ProtocolEnum::Udp => Self::Udp,
        }
    }
}
