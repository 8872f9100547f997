//! Services.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, Result, SimpleObject};

use super::app_and_actor;
use super::change::{ChangeObject, WaitForInput};
use super::errors::in_input;
use super::global_id::{GlobalId as _, optional};
use super::node_groups::NodeGroupObject;
use super::page::{Paged, Slice};
use super::scalars::{Time, number};
use crate::app::{NewService, envoy_cluster};
use crate::model::{
    At as _, Endpoint, HealthCheck, HttpVersion, Invalid, Millis, NodeGroupId, Pem, Protocol,
    Service, ServiceChange, ServiceId, ServiceSpec, Timeouts, UpstreamTls, Verification,
};

#[derive(Default)]
pub(super) struct ServiceQuery;

#[derive(Default)]
pub(super) struct ServiceMutation;

/// What a service's endpoints speak.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ServiceProtocol")]
pub(super) enum ProtocolEnum {
    /// HTTP/1.1; requests are routed by host and path.
    Http,
    /// HTTP/2, with prior knowledge or by ALPN; what gRPC needs.
    Http2,
    /// Bytes; a TCP listener hands connections on.
    Tcp,
}

/// How a proxy chooses among a service's endpoints.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "LoadBalancing", remote = "crate::model::LoadBalancing")]
pub(super) enum LoadBalancingEnum {
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

/// One place that a service's traffic goes to.
#[derive(InputObject)]
pub(super) struct EndpointInput {
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
pub(super) struct TimeoutsInput {
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
pub(super) struct HealthCheckInput {
    /// The path to GET, expecting 200; without one a connection is opened.
    path: Option<String>,
    #[graphql(default = 10000)]
    interval_ms: i64,
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
pub(super) struct UpstreamTlsInput {
    /// The name asked for and expected in the certificate; without one, the
    /// service's own host, if that is a DNS name.
    sni: Option<String>,
    /// Whether the certificate is verified.
    #[graphql(default = true)]
    verify: bool,
    /// The authority to verify it by, as PEM; without one, those that the
    /// proxy's system trusts.
    ca_pem: Option<String>,
}

#[derive(InputObject)]
pub(super) struct CreateServiceInput {
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
    #[graphql(default_with = "ProtocolEnum::Http")]
    protocol: ProtocolEnum,
    /// More endpoints.
    #[graphql(default)]
    endpoints: Vec<EndpointInput>,
    #[graphql(default_with = "LoadBalancingEnum::RoundRobin")]
    load_balancing: LoadBalancingEnum,
    timeouts: Option<TimeoutsInput>,
    health_check: Option<HealthCheckInput>,
    tls: Option<UpstreamTlsInput>,
}

/// What to change; what is left out stays as it is.
#[derive(InputObject)]
pub(super) struct UpdateServiceInput {
    id: ID,
    name: Option<String>,
    ip_fqdn: Option<String>,
    port: Option<i64>,
    weight: Option<i64>,
    protocol: Option<ProtocolEnum>,
    /// Takes the place of all endpoints after the first.
    endpoints: Option<Vec<EndpointInput>>,
    load_balancing: Option<LoadBalancingEnum>,
    timeouts: Option<TimeoutsInput>,
    /// Null stops probing.
    health_check: MaybeUndefined<HealthCheckInput>,
    /// Null stops encrypting.
    tls: MaybeUndefined<UpstreamTlsInput>,
}

/// Something to be deleted.
#[derive(InputObject)]
pub(super) struct DeleteInput {
    pub(super) id: ID,
}

#[derive(SimpleObject)]
pub(super) struct ServicePayload {
    service: ServiceObject,
    #[graphql(flatten)]
    change: ChangeObject,
}

#[derive(SimpleObject)]
pub(super) struct DeletePayload {
    pub(super) deleted_id: ID,
    #[graphql(flatten)]
    pub(super) change: ChangeObject,
}

pub(super) struct ServiceObject(pub(super) Service);

/// One place that a service's traffic goes to.
#[derive(SimpleObject)]
#[graphql(name = "Endpoint")]
pub(super) struct EndpointObject {
    host: String,
    port: i32,
    weight: i32,
}

/// How long talking to a service may take, in milliseconds; 0 is no limit.
#[derive(SimpleObject)]
#[graphql(name = "Timeouts")]
pub(super) struct TimeoutsObject {
    connect_ms: i32,
    request_ms: i32,
    idle_ms: i32,
}

/// How endpoints are probed.
#[derive(SimpleObject)]
#[graphql(name = "HealthCheck")]
pub(super) struct HealthCheckObject {
    path: Option<String>,
    interval_ms: i32,
    timeout_ms: i32,
    healthy_threshold: i32,
    unhealthy_threshold: i32,
}

/// How the way to the endpoints is encrypted.
#[derive(SimpleObject)]
#[graphql(name = "UpstreamTls")]
pub(super) struct UpstreamTlsObject {
    sni: Option<String>,
    verify: bool,
    ca_pem: Option<String>,
}

// === queries and mutations ===

#[Object]
impl ServiceQuery {
    /// A node group's services; the default group's if none is named.
    async fn services(
        &self,
        ctx: &Context<'_>,
        group: Option<ID>,
        #[graphql(default = 50)] first: i64,
        after: Option<String>,
    ) -> Result<Paged<ServiceObject>> {
        let (app, _) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        paged(ctx, group.unwrap_or(app.default_group()), first, after.as_deref()).await
    }

    /// One service.
    async fn service(&self, ctx: &Context<'_>, id: ID) -> Result<ServiceObject> {
        let (app, actor) = app_and_actor(ctx)?;
        let id = ServiceId::parse(&id, "id")?;
        Ok(ServiceObject(app.service(actor, id).await?))
    }
}

/// A page of a group's services.
pub(super) async fn paged(
    ctx: &Context<'_>,
    group: NodeGroupId,
    first: i64,
    after: Option<&str>,
) -> Result<Paged<ServiceObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let slice = Slice::parse(first, after)?;
    let rows = app.services(actor, group, slice.page()).await?;
    Ok(slice.present(rows, |service| i32::from(service.id).into(), ServiceObject))
}

#[Object]
impl ServiceMutation {
    /// Creates a service.
    async fn create_service(
        &self,
        ctx: &Context<'_>,
        input: CreateServiceInput,
        wait_for: Option<WaitForInput>,
    ) -> Result<ServicePayload> {
        let (app, actor) = app_and_actor(ctx)?;
        let wait = WaitForInput::parse(wait_for)?;
        let new = in_input(input.parse())?;
        let (service, change) = in_input(app.create_service(actor, new).await)?;
        let change = ChangeObject::after(ctx, change, wait).await?;
        Ok(ServicePayload { service: ServiceObject(service), change })
    }

    /// Changes a service.
    async fn update_service(
        &self,
        ctx: &Context<'_>,
        input: UpdateServiceInput,
        wait_for: Option<WaitForInput>,
    ) -> Result<ServicePayload> {
        let (app, actor) = app_and_actor(ctx)?;
        let wait = WaitForInput::parse(wait_for)?;
        let (id, change) = in_input(input.parse())?;
        let (service, change) = in_input(app.update_service(actor, id, change).await)?;
        let change = ChangeObject::after(ctx, change, wait).await?;
        Ok(ServicePayload { service: ServiceObject(service), change })
    }

    /// Deletes a service. `IN_USE` while a route or a listener names it.
    async fn delete_service(
        &self,
        ctx: &Context<'_>,
        input: DeleteInput,
        wait_for: Option<WaitForInput>,
    ) -> Result<DeletePayload> {
        let (app, actor) = app_and_actor(ctx)?;
        let wait = WaitForInput::parse(wait_for)?;
        let id = in_input(ServiceId::parse(&input.id, "id"))?;
        let change = app.delete_service(actor, id).await?;
        let change = ChangeObject::after(ctx, change, wait).await?;
        Ok(DeletePayload { deleted_id: input.id, change })
    }
}

// === inputs into domain types ===

impl CreateServiceInput {
    fn parse(self) -> Result<NewService, Invalid> {
        let timeouts = self.timeouts.map(TimeoutsInput::parse).transpose()?.unwrap_or_default();
        let first = Endpoint {
            host: self.ip_fqdn.try_into().at("ipFqdn")?,
            port: number(self.port).at("port")?,
            weight: number(self.weight).at("weight")?,
        };
        let mut endpoints = vec![first];
        endpoints.extend(parse_endpoints(self.endpoints)?);
        let default = |millis: i32| Millis::try_from(millis).expect("in range");
        Ok(NewService {
            group: optional(self.group.as_ref(), "group")?,
            spec: ServiceSpec {
                name: self.name.try_into().at("name")?,
                protocol: self.protocol.into(),
                endpoints,
                load_balancing: self.load_balancing.into(),
                timeouts: Timeouts {
                    connect: timeouts.connect_timeout.unwrap_or(default(5000)),
                    request: timeouts
                        .request_timeout
                        .unwrap_or(crate::model::Timeout::After(default(15_000))),
                    idle: timeouts
                        .idle_timeout
                        .unwrap_or(crate::model::Timeout::After(default(3_600_000))),
                },
                health_check: self.health_check.map(HealthCheckInput::parse).transpose()?,
                tls: self.tls.map(UpstreamTlsInput::parse).transpose()?,
            },
        })
    }
}

impl UpdateServiceInput {
    fn parse(self) -> Result<(ServiceId, ServiceChange), Invalid> {
        let timeouts = self.timeouts.map(TimeoutsInput::parse).transpose()?.unwrap_or_default();
        let change = ServiceChange {
            name: self.name.map(|name| name.try_into().at("name")).transpose()?,
            protocol: self.protocol.map(Protocol::from),
            host: self.ip_fqdn.map(|host| host.try_into().at("ipFqdn")).transpose()?,
            port: self.port.map(|port| number(port).at("port")).transpose()?,
            weight: self.weight.map(|weight| number(weight).at("weight")).transpose()?,
            more_endpoints: self.endpoints.map(parse_endpoints).transpose()?,
            load_balancing: self.load_balancing.map(Into::into),
            health_check: replaced(self.health_check, HealthCheckInput::parse)?,
            tls: replaced(self.tls, UpstreamTlsInput::parse)?,
            ..timeouts
        };
        Ok((ServiceId::parse(&self.id, "id")?, change))
    }
}

/// Left out stays, null takes away, a value replaces.
pub(super) fn replaced<T, U>(
    value: MaybeUndefined<T>,
    parse: impl FnOnce(T) -> Result<U, Invalid>,
) -> Result<Option<Option<U>>, Invalid> {
    match value {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Null => Ok(Some(None)),
        MaybeUndefined::Value(value) => parse(value).map(|value| Some(Some(value))),
    }
}

fn parse_endpoints(endpoints: Vec<EndpointInput>) -> Result<Vec<Endpoint>, Invalid> {
    let parse = |(i, endpoint): (usize, EndpointInput)| {
        endpoint.parse().map_err(|e| e.within(i).within("endpoints"))
    };
    endpoints.into_iter().enumerate().map(parse).collect()
}

impl EndpointInput {
    fn parse(self) -> Result<Endpoint, Invalid> {
        Ok(Endpoint {
            host: self.host.try_into().at("host")?,
            port: number(self.port).at("port")?,
            weight: number(self.weight).at("weight")?,
        })
    }
}

impl TimeoutsInput {
    /// As a change of the timeouts that are named.
    fn parse(self) -> Result<ServiceChange, Invalid> {
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
    fn parse(self) -> Result<HealthCheck, Invalid> {
        let parse = || {
            Ok(HealthCheck {
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
    fn parse(self) -> Result<UpstreamTls, Invalid> {
        let parse = || {
            Ok(UpstreamTls {
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
        }
    }
}

// === domain types into objects ===

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
