//! Routes.

use async_graphql::{
    Context, Enum, ID, InputObject, MaybeUndefined, Object, OneofObject, Result, SimpleObject,
};

use super::app_and_actor;
use super::change::{ChangeObject, WaitForInput};
use super::errors::in_input;
use super::global_id::{GlobalId as _, optional};
use super::listeners::ListenerObject;
use super::loaders::{Asked, Loaders};
use super::node_groups::NodeGroupObject;
use super::page::{Paged, Slice};
use super::scalars::{Time, number};
use super::services::{DeleteInput, DeletePayload, ServiceObject, replaced};
use crate::app::NewRoute;
use crate::error::Error;
use crate::model::{
    At as _, Backend, Forward, ForwardChange, HeaderMatch, Invalid, NodeGroupId, PathMatch,
    Redirect, Retries, Route, RouteAction, RouteChange, RouteId, ServiceId, TextMatch,
};

#[derive(Default)]
pub(super) struct RouteQuery;

#[derive(Default)]
pub(super) struct RouteMutation;

/// A request method.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "HttpMethod", remote = "crate::model::HttpMethod")]
pub(super) enum HttpMethodEnum {
    Delete,
    Get,
    Head,
    Options,
    Patch,
    Post,
    Put,
    Trace,
}

/// A failure after which a request may be tried again.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "RetryOn", remote = "crate::model::RetryOn")]
pub(super) enum RetryOnEnum {
    /// The response is 5xx, or there is none.
    ServerError,
    /// The response is 502, 503 or 504.
    GatewayError,
    /// No connection could be opened.
    ConnectFailure,
    /// The connection broke before the response.
    Reset,
    /// The stream was refused before anything was done with it.
    RefusedStream,
    /// The response is 409.
    #[graphql(name = "RETRIABLE_4XX")]
    Retriable4xx,
}

/// The status of a redirect.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "RedirectCode", remote = "crate::model::RedirectCode")]
pub(super) enum RedirectCodeEnum {
    /// 301; the client may change the method to GET.
    MovedPermanently,
    /// 302; the client may change the method to GET.
    Found,
    /// 303; the client changes the method to GET.
    SeeOther,
    /// 307; the client keeps the method.
    TemporaryRedirect,
    /// 308; the client keeps the method.
    PermanentRedirect,
}

/// How a route looks at the path of a request; paths start with `/`.
#[derive(OneofObject)]
pub(super) enum PathMatchInput {
    /// The path starts with this.
    Prefix(String),
    /// The path is this.
    Exact(String),
    /// The whole path matches this regular expression (RE2).
    Regex(String),
}

/// What the value of a header must be.
#[derive(OneofObject)]
pub(super) enum TextMatchInput {
    /// The value is this.
    Exact(String),
    /// The value starts with this.
    Prefix(String),
    /// The whole value matches this regular expression (RE2).
    Regex(String),
}

/// A header that a request must have.
#[derive(InputObject)]
pub(super) struct HeaderMatchInput {
    name: String,
    /// What it must say; anything if not said.
    value: Option<TextMatchInput>,
}

/// A service that requests may go to, and its share.
#[derive(InputObject)]
pub(super) struct BackendInput {
    service: ID,
    /// 0 to 10000, relative to the other backends.
    #[graphql(default = 1)]
    weight: i64,
}

/// How a failed request is tried again.
#[derive(InputObject)]
pub(super) struct RetriesInput {
    /// How many times more; 1 to 10.
    #[graphql(default = 1)]
    attempts: i64,
    /// How long each may take, in milliseconds.
    per_try_timeout_ms: Option<i64>,
    /// After which failures.
    #[graphql(default_with = "default_retry_on()")]
    on: Vec<RetryOnEnum>,
}

/// Where a client is told to ask instead; what is not named stays.
#[derive(InputObject)]
pub(super) struct RedirectInput {
    #[graphql(default)]
    https: bool,
    host: Option<String>,
    port: Option<i64>,
    path: Option<String>,
    #[graphql(default_with = "RedirectCodeEnum::MovedPermanently")]
    code: RedirectCodeEnum,
}

#[derive(InputObject)]
pub(super) struct CreateRouteInput {
    /// The node group; the default one if not said.
    group: Option<ID>,
    /// The HTTP listener; the group's default one if not said.
    listener: Option<ID>,
    /// Unique in its group.
    name: String,
    /// Which hosts: `a.example.com`, `*.example.com` or `*`, without a port.
    hosts: Vec<String>,
    /// Which paths; any if not said.
    path: Option<PathMatchInput>,
    /// Which methods; any if none is named.
    #[graphql(default)]
    methods: Vec<HttpMethodEnum>,
    /// Which headers, all of them.
    #[graphql(default)]
    headers: Vec<HeaderMatchInput>,
    /// Higher is asked first; where it is the same, exact paths, then regular
    /// expressions, then prefixes, and the longer before the shorter.
    #[graphql(default)]
    priority: i64,
    /// The services that requests go to; or else `redirect`.
    #[graphql(default)]
    backends: Vec<BackendInput>,
    /// How long the response may take, in milliseconds; the service's own
    /// limit if not said, 0 for no limit.
    timeout_ms: Option<i64>,
    retries: Option<RetriesInput>,
    /// What takes the place of the matched prefix of the path.
    prefix_rewrite: Option<String>,
    /// What takes the place of the `Host` header.
    host_rewrite: Option<String>,
    /// Whether a request may become a WebSocket.
    #[graphql(default)]
    websocket: bool,
    redirect: Option<RedirectInput>,
}

/// What to change; what is left out stays as it is.
#[derive(InputObject)]
pub(super) struct UpdateRouteInput {
    id: ID,
    listener: Option<ID>,
    name: Option<String>,
    hosts: Option<Vec<String>>,
    path: Option<PathMatchInput>,
    methods: Option<Vec<HttpMethodEnum>>,
    headers: Option<Vec<HeaderMatchInput>>,
    priority: Option<i64>,
    /// Makes a route that redirects forward.
    backends: Option<Vec<BackendInput>>,
    /// Null leaves it to the service.
    timeout_ms: MaybeUndefined<i64>,
    retries: MaybeUndefined<RetriesInput>,
    prefix_rewrite: MaybeUndefined<String>,
    host_rewrite: MaybeUndefined<String>,
    websocket: Option<bool>,
    /// Makes a route that forwards redirect.
    redirect: Option<RedirectInput>,
}

#[derive(SimpleObject)]
pub(super) struct RoutePayload {
    route: RouteObject,
    #[graphql(flatten)]
    change: ChangeObject,
}

pub(super) struct RouteObject(pub(super) Route);

/// How a route looks at the path of a request; one of the three.
#[derive(Default, SimpleObject)]
#[graphql(name = "PathMatch")]
pub(super) struct PathMatchObject {
    prefix: Option<String>,
    exact: Option<String>,
    regex: Option<String>,
}

/// A header that a request must have; whatever it says, if nothing is said.
#[derive(Default, SimpleObject)]
#[graphql(name = "HeaderMatch")]
pub(super) struct HeaderMatchObject {
    name: String,
    exact: Option<String>,
    prefix: Option<String>,
    regex: Option<String>,
}

/// How a request goes on to one of several services.
pub(super) struct ForwardObject(Forward);

/// A service that requests may go to, and its share.
pub(super) struct BackendObject(Backend);

/// How a failed request is tried again.
#[derive(SimpleObject)]
#[graphql(name = "Retries")]
pub(super) struct RetriesObject {
    attempts: i32,
    per_try_timeout_ms: Option<i32>,
    on: Vec<RetryOnEnum>,
}

/// Where a client is told to ask instead.
#[derive(SimpleObject)]
#[graphql(name = "Redirect")]
pub(super) struct RedirectObject {
    https: bool,
    host: Option<String>,
    port: Option<i32>,
    path: Option<String>,
    code: RedirectCodeEnum,
}

// === queries and mutations ===

#[Object]
impl RouteQuery {
    /// A node group's routes; the default group's if none is named.
    async fn routes(
        &self,
        ctx: &Context<'_>,
        group: Option<ID>,
        #[graphql(default = 50)] first: i64,
        after: Option<String>,
    ) -> Result<Paged<RouteObject>> {
        let (app, _) = app_and_actor(ctx)?;
        let group = optional(group.as_ref(), "group")?;
        paged(ctx, group.unwrap_or(app.default_group()), first, after.as_deref()).await
    }

    /// One route.
    async fn route(&self, ctx: &Context<'_>, id: ID) -> Result<RouteObject> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(RouteObject(app.route(actor, RouteId::parse(&id, "id")?).await?))
    }
}

/// A page of a group's routes.
pub(super) async fn paged(
    ctx: &Context<'_>,
    group: NodeGroupId,
    first: i64,
    after: Option<&str>,
) -> Result<Paged<RouteObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let slice = Slice::parse(first, after)?;
    let rows = app.routes(actor, group, slice.page()).await?;
    Ok(slice.present(rows, |route| i32::from(route.id).into(), RouteObject))
}

#[Object]
impl RouteMutation {
    /// Creates a route.
    async fn create_route(
        &self,
        ctx: &Context<'_>,
        input: CreateRouteInput,
        wait_for: Option<WaitForInput>,
    ) -> Result<RoutePayload> {
        let (app, actor) = app_and_actor(ctx)?;
        let wait = WaitForInput::parse(wait_for)?;
        let new = in_input(input.parse())?;
        let (route, change) = in_input(app.create_route(actor, new).await)?;
        let change = ChangeObject::after(ctx, change, wait).await?;
        Ok(RoutePayload { route: RouteObject(route), change })
    }

    /// Changes a route.
    async fn update_route(
        &self,
        ctx: &Context<'_>,
        input: UpdateRouteInput,
        wait_for: Option<WaitForInput>,
    ) -> Result<RoutePayload> {
        let (app, actor) = app_and_actor(ctx)?;
        let wait = WaitForInput::parse(wait_for)?;
        let (id, change) = in_input(input.parse())?;
        let (route, change) = in_input(app.update_route(actor, id, change).await)?;
        let change = ChangeObject::after(ctx, change, wait).await?;
        Ok(RoutePayload { route: RouteObject(route), change })
    }

    /// Deletes a route.
    async fn delete_route(
        &self,
        ctx: &Context<'_>,
        input: DeleteInput,
        wait_for: Option<WaitForInput>,
    ) -> Result<DeletePayload> {
        let (app, actor) = app_and_actor(ctx)?;
        let wait = WaitForInput::parse(wait_for)?;
        let id = in_input(RouteId::parse(&input.id, "id"))?;
        let change = app.delete_route(actor, id).await?;
        let change = ChangeObject::after(ctx, change, wait).await?;
        Ok(DeletePayload { deleted_id: input.id, change })
    }
}

// === inputs into domain types ===

impl CreateRouteInput {
    fn parse(self) -> Result<NewRoute, Invalid> {
        let action = match self.redirect {
            Some(_) if !self.backends.is_empty() => {
                let why = "a route forwards to backends or redirects, not both";
                return Err(Invalid::new("redirect", why));
            }
            Some(redirect) => RouteAction::Redirect(redirect.parse()?),
            None => RouteAction::Forward(Forward {
                backends: parse_backends(self.backends)?,
                timeout: self.timeout_ms.map(|ms| number(ms).at("timeoutMs")).transpose()?,
                retries: self.retries.map(RetriesInput::parse).transpose()?,
                prefix_rewrite: self
                    .prefix_rewrite
                    .map(|path| path.try_into().at("prefixRewrite"))
                    .transpose()?,
                host_rewrite: self
                    .host_rewrite
                    .map(|host| host.try_into().at("hostRewrite"))
                    .transpose()?,
                websocket: self.websocket,
            }),
        };
        let path = self.path.unwrap_or_else(|| PathMatchInput::Prefix("/".to_owned()));
        Ok(NewRoute {
            group: optional(self.group.as_ref(), "group")?,
            listener: optional(self.listener.as_ref(), "listener")?,
            name: self.name.try_into().at("name")?,
            hosts: parse_list(self.hosts, "hosts", |host| host.try_into().at("host"))?,
            path: path.parse()?,
            methods: self.methods.into_iter().map(Into::into).collect(),
            headers: parse_list(self.headers, "headers", HeaderMatchInput::parse)?,
            priority: number(self.priority).at("priority")?,
            action,
        })
    }
}

impl UpdateRouteInput {
    fn parse(self) -> Result<(RouteId, RouteChange), Invalid> {
        if self.redirect.is_some() && self.backends.is_some() {
            let why = "a route forwards to backends or redirects, not both";
            return Err(Invalid::new("redirect", why));
        }
        let change = RouteChange {
            listener: optional(self.listener.as_ref(), "listener")?,
            name: self.name.map(|name| name.try_into().at("name")).transpose()?,
            hosts: self
                .hosts
                .map(|hosts| parse_list(hosts, "hosts", |host| host.try_into().at("host")))
                .transpose()?,
            path: self.path.map(PathMatchInput::parse).transpose()?,
            methods: self.methods.map(|methods| methods.into_iter().map(Into::into).collect()),
            headers: self
                .headers
                .map(|headers| parse_list(headers, "headers", HeaderMatchInput::parse))
                .transpose()?,
            priority: self.priority.map(|p| number(p).at("priority")).transpose()?,
            forward: ForwardChange {
                backends: self.backends.map(parse_backends).transpose()?,
                timeout: replaced(self.timeout_ms, |ms| number(ms).at("timeoutMs"))?,
                retries: replaced(self.retries, RetriesInput::parse)?,
                prefix_rewrite: replaced(self.prefix_rewrite, |path| {
                    path.try_into().at("prefixRewrite")
                })?,
                host_rewrite: replaced(self.host_rewrite, |host| {
                    host.try_into().at("hostRewrite")
                })?,
                websocket: self.websocket,
            },
            redirect: self.redirect.map(RedirectInput::parse).transpose()?,
        };
        Ok((RouteId::parse(&self.id, "id")?, change))
    }
}

/// Parses each item of the list in `field`.
fn parse_list<T, U>(
    items: Vec<T>,
    field: &str,
    parse: impl Fn(T) -> Result<U, Invalid>,
) -> Result<Vec<U>, Invalid> {
    let parse = |(i, item)| parse(item).map_err(|e: Invalid| e.within(i).within(field));
    items.into_iter().enumerate().map(parse).collect()
}

fn parse_backends(backends: Vec<BackendInput>) -> Result<Vec<Backend>, Invalid> {
    parse_list(backends, "backends", |backend| {
        Ok(Backend {
            service: ServiceId::parse(&backend.service, "service")?,
            weight: number(backend.weight).at("weight")?,
        })
    })
}

impl PathMatchInput {
    fn parse(self) -> Result<PathMatch, Invalid> {
        let parsed = match self {
            Self::Prefix(path) => path.try_into().at("prefix").map(PathMatch::Prefix),
            Self::Exact(path) => path.try_into().at("exact").map(PathMatch::Exact),
            Self::Regex(pattern) => pattern.try_into().at("regex").map(PathMatch::Regex),
        };
        parsed.map_err(|e| e.within("path"))
    }
}

impl HeaderMatchInput {
    fn parse(self) -> Result<HeaderMatch, Invalid> {
        let value = match self.value {
            None => TextMatch::Present,
            Some(TextMatchInput::Exact(value)) => TextMatch::Exact(header_value(value, "exact")?),
            Some(TextMatchInput::Prefix(value)) => {
                TextMatch::Prefix(header_value(value, "prefix")?)
            }
            Some(TextMatchInput::Regex(pattern)) => {
                let pattern = pattern.try_into().at("regex").map_err(|e| e.within("value"));
                TextMatch::Regex(pattern?)
            }
        };
        Ok(HeaderMatch { name: self.name.try_into().at("name")?, value })
    }
}

/// What Envoy can compare a header with: not nothing, and on one line.
fn header_value(value: String, field: &str) -> Result<String, Invalid> {
    let wrong = |why: &str| Err(Invalid::new(field, why).within("value"));
    if value.is_empty() {
        wrong("must not be empty")
    } else if value.len() > 1024 {
        wrong("must be at most 1024 bytes long")
    } else if value.chars().any(char::is_control) {
        wrong("may not hold control characters")
    } else {
        Ok(value)
    }
}

impl RetriesInput {
    fn parse(self) -> Result<Retries, Invalid> {
        let parse = || {
            Ok(Retries {
                attempts: number(self.attempts).at("attempts")?,
                per_try_timeout: self
                    .per_try_timeout_ms
                    .map(|ms| number(ms).at("perTryTimeoutMs"))
                    .transpose()?,
                on: self.on.into_iter().map(Into::into).collect(),
            })
        };
        parse().map_err(|e: Invalid| e.within("retries"))
    }
}

fn default_retry_on() -> Vec<RetryOnEnum> {
    vec![RetryOnEnum::GatewayError, RetryOnEnum::ConnectFailure, RetryOnEnum::RefusedStream]
}

impl RedirectInput {
    fn parse(self) -> Result<Redirect, Invalid> {
        let parse = || {
            Ok(Redirect {
                https: self.https,
                host: self.host.map(|host| host.try_into().at("host")).transpose()?,
                port: self.port.map(|port| number(port).at("port")).transpose()?,
                path: self.path.map(|path| path.try_into().at("path")).transpose()?,
                code: self.code.into(),
            })
        };
        parse().map_err(|e: Invalid| e.within("redirect"))
    }
}

// === domain types into objects ===

#[Object(name = "Route")]
impl RouteObject {
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

    /// The listener whose requests it looks at.
    async fn listener(&self, ctx: &Context<'_>) -> Result<ListenerObject> {
        let (_, actor) = app_and_actor(ctx)?;
        let asked = Asked { actor: actor.clone(), key: self.0.spec.listener };
        let loaded = ctx.data_unchecked::<Loaders>().0.load_one(asked).await;
        let listener = loaded.map_err(Error::internal)?;
        let gone = || Error::not_found("listener", self.0.spec.listener);
        Ok(ListenerObject(listener.ok_or_else(gone)?))
    }

    async fn hosts(&self) -> Vec<String> {
        self.0.spec.hosts.iter().map(ToString::to_string).collect()
    }

    async fn path(&self) -> PathMatchObject {
        let mut shown = PathMatchObject::default();
        match &self.0.spec.path {
            PathMatch::Prefix(path) => shown.prefix = Some(path.to_string()),
            PathMatch::Exact(path) => shown.exact = Some(path.to_string()),
            PathMatch::Regex(pattern) => shown.regex = Some(pattern.to_string()),
        }
        shown
    }

    async fn methods(&self) -> Vec<HttpMethodEnum> {
        self.0.spec.methods.iter().copied().map(Into::into).collect()
    }

    async fn headers(&self) -> Vec<HeaderMatchObject> {
        self.0.spec.headers.iter().map(HeaderMatchObject::from).collect()
    }

    async fn priority(&self) -> i32 {
        self.0.spec.priority
    }

    /// How a request goes on; null if it is redirected.
    async fn forward(&self) -> Option<ForwardObject> {
        match &self.0.spec.action {
            RouteAction::Forward(forward) => Some(ForwardObject(forward.clone())),
            RouteAction::Redirect(_) => None,
        }
    }

    /// Where a client is told to ask instead; null if the request goes on.
    async fn redirect(&self) -> Option<RedirectObject> {
        match &self.0.spec.action {
            RouteAction::Forward(_) => None,
            RouteAction::Redirect(redirect) => Some(RedirectObject {
                https: redirect.https,
                host: redirect.host.as_ref().map(ToString::to_string),
                port: redirect.port.map(Into::into),
                path: redirect.path.as_ref().map(ToString::to_string),
                code: redirect.code.into(),
            }),
        }
    }

    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }

    async fn updated_at(&self) -> Time {
        Time(self.0.updated_at)
    }
}

#[Object(name = "Forward")]
impl ForwardObject {
    async fn backends(&self) -> Vec<BackendObject> {
        self.0.backends.iter().copied().map(BackendObject).collect()
    }

    /// Milliseconds; null leaves it to the service, 0 is no limit.
    async fn timeout_ms(&self) -> Option<i32> {
        self.0.timeout.map(Into::into)
    }

    async fn retries(&self) -> Option<RetriesObject> {
        self.0.retries.as_ref().map(|retries| RetriesObject {
            attempts: retries.attempts.into(),
            per_try_timeout_ms: retries.per_try_timeout.map(Into::into),
            on: retries.on.iter().copied().map(Into::into).collect(),
        })
    }

    async fn prefix_rewrite(&self) -> Option<&str> {
        self.0.prefix_rewrite.as_ref().map(|path| path.as_str())
    }

    async fn host_rewrite(&self) -> Option<String> {
        self.0.host_rewrite.as_ref().map(ToString::to_string)
    }

    async fn websocket(&self) -> bool {
        self.0.websocket
    }
}

#[Object(name = "Backend")]
impl BackendObject {
    async fn service(&self, ctx: &Context<'_>) -> Result<ServiceObject> {
        let (_, actor) = app_and_actor(ctx)?;
        let asked = Asked { actor: actor.clone(), key: self.0.service };
        let loaded = ctx.data_unchecked::<Loaders>().0.load_one(asked).await;
        let service = loaded.map_err(Error::internal)?;
        let gone = || Error::not_found("service", self.0.service);
        Ok(ServiceObject(service.ok_or_else(gone)?))
    }

    async fn weight(&self) -> i32 {
        self.0.weight.into()
    }
}

impl From<&HeaderMatch> for HeaderMatchObject {
    fn from(header: &HeaderMatch) -> Self {
        let mut shown = Self { name: header.name.to_string(), ..Self::default() };
        match &header.value {
            TextMatch::Present => {}
            TextMatch::Exact(value) => shown.exact = Some(value.clone()),
            TextMatch::Prefix(value) => shown.prefix = Some(value.clone()),
            TextMatch::Regex(pattern) => shown.regex = Some(pattern.to_string()),
        }
        shown
    }
}
